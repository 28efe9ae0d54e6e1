"""The shipped units are sound, tightly closed, and every directive in them says why."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.plugins.transport_linked.options import SLOT
from daemon.settings import load_settings
from tests.helpers.worker_unit import PYTHON

UNITS = Path(__file__).parents[2] / "systemd"
INSTALLED = "/opt/leadmaster/bin"
SERVICES = (
    "leadmaster.service",
    "leadmaster-linked@.service",
    "leadmaster-alerts@.service",
    "leadmaster-backup@.service",
    "leadmaster-backup.service",
    "leadmaster-backup-send.service",
)
UNIT_FILES = (
    *SERVICES,
    "leadmaster.socket",
    "leadmaster-linked@.socket",
    "leadmaster-alerts.socket",
    "leadmaster-backup.socket",
    "leadmaster-backup.timer",
    "leadmaster-backup-send.path",
)
MOST_EXPOSURE = {
    "leadmaster.service": 0.3,
    "leadmaster-linked@.service": 1.2,
    "leadmaster-alerts@.service": 1.2,
    "leadmaster-backup@.service": 1.3,
    "leadmaster-backup.service": 1.3,
    "leadmaster-backup-send.service": 1.6,
}
"""On systemd's scale of 0 (closed) to 10; the core reaches 0.2, a worker with a network 1.2."""

HARDENING = re.compile(r"(Protect|Private|Restrict)\w+=")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Copy the units, with the command's path changed to the one in this environment.

    `verify` looks whether ExecStart= exists, and /opt/leadmaster is here only after an install.
    """
    commands = Path(sys.prefix) / "bin"
    for name in UNIT_FILES:
        text = (UNITS / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace(INSTALLED, str(commands)), encoding="utf-8")
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
    """Verify the services and their sockets as they lie in a folder."""
    return analyze("verify", *(units / name for name in UNIT_FILES))


def test_systemd_verifies_the_units_in_silence(units: Path) -> None:
    """Not one warning: an unknown directive would be one."""
    done = verify(units)
    assert (done.stdout, done.returncode) == ("", 0)


@pytest.mark.parametrize("name", SERVICES)
def test_verify_would_see_a_misspelt_directive(units: Path, name: str) -> None:
    """The silence above means something: a planted misspelling breaks it."""
    service = units / name
    text = service.read_text(encoding="utf-8").replace("PrivateDevices=", "PrivateDeivces=")
    service.write_text(text, encoding="utf-8")
    assert "PrivateDeivces" in verify(units).stdout


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_hardly_exposed(units: Path, name: str) -> None:
    """Its overall exposure stays under the limit, and is printed."""
    instance = (units / name).rename(units / name.replace("@.", "@1."))
    done = analyze(
        "security", "--offline=true", f"--threshold={round(MOST_EXPOSURE[name] * 10)}", instance
    )
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None, done.stdout
    print(f"exposure of {name}: {found[1]} (limit {MOST_EXPOSURE[name]})")
    assert done.returncode == 0
    assert float(found[1]) <= MOST_EXPOSURE[name]


def test_the_drop_in_fits_the_systemd_it_is_for(units: Path) -> None:
    """From 255 on the drop-in verifies in silence; an older systemd names what it does not know."""
    shutil.copytree(UNITS / "leadmaster.service.d", units / "leadmaster.service.d")
    version = int(analyze("--version").stdout.split()[1])
    assert (verify(units).stdout == "") is (version >= 255)


@pytest.mark.parametrize("name", SERVICES)
def test_every_hardening_directive_says_why(name: str) -> None:
    """A comment stands over each Protect*, Private* and Restrict* line, or over its group."""
    lines = (UNITS / name).read_text(encoding="utf-8").splitlines()
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


def test_a_worker_is_started_as_the_tests_start_it() -> None:
    """By the same words, of which only the path of Python and the user differ."""
    service = (UNITS / "leadmaster-linked@.service").read_text(encoding="utf-8")
    [words] = re.findall(r"^ExecStart=(.*)$", service, re.MULTILINE)
    python, *options, user = words.split()
    assert (python, options) == (f"{INSTALLED}/python", [*PYTHON[1:]])
    core = (UNITS / "leadmaster.service").read_text(encoding="utf-8")
    door = (UNITS / "leadmaster-linked@.socket").read_text(encoding="utf-8")
    assert re.findall(r"^User=(.*)$", core, re.MULTILINE) == [user]
    assert re.findall(r"^SocketUser=(.*)$", door, re.MULTILINE) == [user]
    assert f"u {user} " in (UNITS / "leadmaster.sysusers").read_text(encoding="utf-8")


def test_the_core_connects_to_the_doors_that_the_workers_have() -> None:
    """The setting in its unit is the path of the socket unit."""
    core = (UNITS / "leadmaster.service").read_text(encoding="utf-8")
    door = (UNITS / "leadmaster-linked@.socket").read_text(encoding="utf-8")
    [setting] = re.findall(r"LEADMASTER_LINKED__WORKER_SOCKET=(.*)$", core, re.MULTILINE)
    assert re.findall(r"^ListenStream=(.*)$", door, re.MULTILINE) == [
        setting.replace(SLOT, "%i"),
    ]
    name, value = "LEADMASTER_LINKED__WORKER_SOCKET", setting
    assert load_settings(None, {name: value}).linked.worker_socket == setting
