"""What `make test` says before anything else, where it may not install what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOOLS = (
    *("sh", "dirname", "sed", "env", "cc", "make", "git", "curl", "age", "systemd-analyze"),
    *("mmdebstrap", "dpkg-deb", "unshare", "ip", "systemd-nspawn"),
)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Return a path of commands, where nobody is root and apt only tells that it was called."""
    for tool in TOOLS:
        (tmp_path / tool).symlink_to(shutil.which(tool) or "/nowhere")
    for name, body in {"id": "echo 1000", "sudo": "exit 1", "apt-get": "echo called"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def packages(machine: Path) -> subprocess.CompletedProcess[str]:
    """Run the script with the commands of that machine alone."""
    return subprocess.run(
        ["sh", ROOT / ".ci" / "packages"],
        env={"PATH": os.fspath(machine), "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )


def test_where_all_is_there_nothing_is_said_or_asked(machine: Path) -> None:
    """Nobody's apt is called for a suite that can run."""
    done = packages(machine)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_who_may_not_install_is_told_in_one_sentence_what_to(machine: Path) -> None:
    """What the tests need and what the environment needs, in one line of apt."""
    (machine / "curl").unlink()
    (machine / "cc").unlink()
    done = packages(machine)
    said = "The whole suite needs what is not here; on Debian or Ubuntu: sudo apt-get install"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{said} curl gcc\n")


def test_a_library_is_missed_where_the_loader_does_not_know_it(machine: Path) -> None:
    """The linked-device library loads libmagic: a file of that name somewhere is not enough."""
    (machine / "ldconfig").write_text("#!/bin/sh\necho libc.so.6\n", encoding="utf-8")
    (machine / "ldconfig").chmod(0o755)
    done = packages(machine)
    assert done.returncode == 1
    assert done.stderr.endswith("sudo apt-get install libmagic1\n")


def test_who_may_install_does(machine: Path) -> None:
    """By sudo without a password, and no more than what is missing."""
    (machine / "curl").unlink()
    (machine / "sudo").write_text('#!/bin/sh\n[ "$1" = -n ] && shift\n"$@"\n', encoding="utf-8")
    (machine / "true").symlink_to(shutil.which("true") or "/nowhere")
    done = packages(machine)
    assert (done.returncode, done.stderr) == (0, "")
    assert "apt-get install curl\n" in done.stdout
