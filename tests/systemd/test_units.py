"""The shipped units are sound, tightly closed, and every directive in them says why."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"
INSTALLED = "/opt/leadmaster/bin/leadmaster"
MOST_EXPOSURE = 1.5
"""On systemd's scale of 0 (closed) to 10; the core reaches 0.2."""

HARDENING = re.compile(r"(Protect|Private|Restrict)\w+=")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Copy the units, with the command's path changed to the one in this environment.

    `verify` looks whether ExecStart= exists, and /opt/leadmaster is here only after an install.
    """
    command = Path(sys.prefix) / "bin" / "leadmaster"
    for name in ("leadmaster.service", "leadmaster.socket"):
        text = (UNITS / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace(INSTALLED, str(command)), encoding="utf-8")
    return tmp_path


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Ask systemd-analyze; what it prints is in `stdout`."""
    return subprocess.run(
        ["systemd-analyze", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def verify(units: Path) -> subprocess.CompletedProcess[str]:
    """Verify the service and its socket as they lie in a folder."""
    return analyze("verify", units / "leadmaster.service", units / "leadmaster.socket")


def test_systemd_verifies_the_units_in_silence(units: Path) -> None:
    """Not one warning: an unknown directive would be one."""
    done = verify(units)
    assert (done.stdout, done.returncode) == ("", 0)


def test_verify_would_see_a_misspelt_directive(units: Path) -> None:
    """The silence above means something: a planted misspelling breaks it."""
    service = units / "leadmaster.service"
    text = service.read_text(encoding="utf-8").replace("PrivateNetwork=", "PrivateNetwrok=")
    service.write_text(text, encoding="utf-8")
    assert "PrivateNetwrok" in verify(units).stdout


def test_the_core_is_hardly_exposed(units: Path) -> None:
    """The service's overall exposure stays under the limit, and is printed."""
    done = analyze("security", "--offline=true", "--threshold=15", units / "leadmaster.service")
    found = re.search(r"Overall exposure level for leadmaster\.service: ([\d.]+)", done.stdout)
    assert found is not None, done.stdout
    print(f"exposure of leadmaster.service: {found[1]} (limit {MOST_EXPOSURE})")
    assert done.returncode == 0
    assert float(found[1]) <= MOST_EXPOSURE


def test_the_drop_in_fits_the_systemd_it_is_for(units: Path) -> None:
    """From 255 on the drop-in verifies in silence; an older systemd names what it does not know."""
    shutil.copytree(UNITS / "leadmaster.service.d", units / "leadmaster.service.d")
    version = int(analyze("--version").stdout.split()[1])
    assert (verify(units).stdout == "") is (version >= 255)


def test_every_hardening_directive_says_why() -> None:
    """A comment stands over each Protect*, Private* and Restrict* line, or over its group."""
    lines = (UNITS / "leadmaster.service").read_text(encoding="utf-8").splitlines()
    explained = False
    bare = []
    for line in lines:
        explained = line.startswith("#") or (explained and line != "")
        if HARDENING.match(line) and not explained:
            bare.append(line)
    assert bare == []


def test_the_core_has_no_way_out() -> None:
    """No network, no new network sockets; the API's socket comes from systemd, on loopback."""
    service = (UNITS / "leadmaster.service").read_text(encoding="utf-8").splitlines()
    assert {"PrivateNetwork=yes", "RestrictAddressFamilies=AF_UNIX", "IPAddressDeny=any"} <= {
        *service
    }
    sockets = (UNITS / "leadmaster.socket").read_text(encoding="utf-8")
    assert re.findall(r"^Listen\w+=(.*)$", sockets, re.MULTILINE) == ["127.0.0.1:3012"]
