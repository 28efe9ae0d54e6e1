"""Start an installed LeadMaster from another folder: `INSTALLED/bin/python -I .ci/smoke.py`."""

from __future__ import annotations

import importlib
import os
import socket
import subprocess
import sys
import tempfile
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

PACKAGES = ("daemon", "rules", "statemachines", "storage")
COMMAND = Path(sys.prefix) / "bin" / "leadmaster"
TEST_WORD = b"virtual_whatsapp"
START_SECONDS, STOP_SECONDS = 60, 30


def main() -> None:
    """Check the packages, the commands and a short life of the daemon; stop at the first fault."""
    check_packages()
    check_contents()
    with tempfile.TemporaryDirectory(prefix="leadmaster-smoke-") as folder:
        os.chdir(folder)
        suite = ["channels", "check", "simulated"]
        for arguments in (["--help"], ["--version"], ["rules", "check"], suite):
            answer = subprocess.run([COMMAND, *arguments], check=True, stdout=subprocess.PIPE)
            print(f"leadmaster {' '.join(arguments)}: {len(answer.stdout)} bytes")
        check_engines()
        check_daemon(Path(folder))


def check_packages() -> None:
    """Each top-level package is ours, and lies in this environment: the names are common ones."""
    owners = packages_distributions()
    for package in PACKAGES:
        place = importlib.import_module(package).__file__
        if owners[package] != ["leadmaster"] or not str(place).startswith(sys.prefix):
            sys.exit(f"{package} comes from {place} ({owners[package]}), not from this install")
    print(f"packages from {sys.prefix}: {', '.join(PACKAGES)}")


def check_contents() -> None:
    """Nothing of the tests is installed, and nothing that knows the virtual WhatsApp."""
    installed = distribution("leadmaster").files or []
    files = [each for each in installed if each.parts[0] in PACKAGES]
    folders = {each.parts[0] for each in installed} - {*PACKAGES, ".."}  # its command is in ..
    strange = {each for each in folders if not each.endswith(".dist-info")}
    strange |= {str(each) for each in files if TEST_WORD in each.read_binary().lower()}
    if not files or strange:
        sys.exit(f"the wheel holds what belongs to the tests: {strange or 'or nothing at all'}")
    print(f"contents: {len(files)} files, none of the tests")


def check_engines() -> None:
    """durable-rules was built so that it loads, and it judged the examples of the shipped rules."""
    importlib.import_module("durable_rules_engine")
    said = subprocess.run([COMMAND, "rules", "test"], check=True, stdout=subprocess.PIPE).stdout
    if b"in both engines" not in said:
        sys.exit(f"the shipped rules were not judged by both engines: {said.decode()}")
    print(f"rules: {said.decode().strip()}")


def check_daemon(folder: Path) -> None:
    """The daemon says READY as it would to systemd, and ends well on SIGTERM."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(folder / "notify"))
        manager.settimeout(START_SECONDS)
        environment = os.environ | {
            "NOTIFY_SOCKET": str(folder / "notify"),
            "LEADMASTER_DAEMON__PORT": "0",
        }
        with subprocess.Popen(
            [COMMAND, "--state-dir", folder / "state", "run"], env=environment
        ) as daemon:
            try:
                said = b""
                while b"READY=1" not in said:
                    said = manager.recv(4096)
                print(f"daemon: {said.decode().replace(chr(10), ', ')}")
            finally:
                daemon.terminate()
            if daemon.wait(STOP_SECONDS) != 0:
                sys.exit(f"the daemon ended with {daemon.returncode} on SIGTERM")
    print("daemon: drained and stopped")


if __name__ == "__main__":
    main()
