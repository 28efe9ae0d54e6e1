"""Installs the service into a root, and what leads its workers to the test that booted it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.systemd.booted.booted_root import BootedRoot
from tests.virtual_whatsapp.linked_daemon import OPEN_HOURS, RAISED_BUDGETS
from tests.virtual_whatsapp.server import VirtualWhatsApp

ROOT: Final = Path(__file__).parents[3]
_PREFIX: Final = "/opt/leadmaster"
_DROP_IN: Final = "/etc/systemd/system/{}.service.d/test.conf"
_FAULTS: Final = Path(__file__).with_name("planted_faults.py")
_PRELOAD: Final = ROOT / "tests" / "virtual_whatsapp" / "preload"


def install_packages(root: BootedRoot, packages: Sequence[Path]) -> None:
    """Install, or upgrade to, packages in a booted root, which starts what they enable."""
    for package in packages:
        root.copy(package, f"/srv/packages/{package.name}")
        root.run("dpkg", "--install", f"/srv/packages/{package.name}")


def plant_faults(root: BootedRoot) -> None:
    """Let each Python of the service know how to hang and how to take all memory."""
    [packages] = root.get_path(_PREFIX).glob("lib/python3*/site-packages")
    shutil.copy(_FAULTS, packages)
    (packages / "planted_faults.pth").write_text("import planted_faults\n", encoding="ascii")


def set_up_test(root: BootedRoot, whatsapp: VirtualWhatsApp, watchdog_seconds: int) -> None:
    """Lead the workers to a WhatsApp, open the hours, and shorten the time of the watchdogs."""
    lead_workers(root, whatsapp, f"WatchdogSec={watchdog_seconds}")
    _add_drop_in(root, "leadmaster", [f"WatchdogSec={watchdog_seconds}"])
    root.write("/etc/leadmaster/rules/gate.yaml", OPEN_HOURS)
    budgets = "\n".join(f"{name} = {value}" for name, value in RAISED_BUDGETS.items())
    root.write("/etc/leadmaster/leadmaster.toml", f'[pacing]\n{budgets}\n[alerts]\nmorning = ""\n')


def lead_workers(root: BootedRoot, whatsapp: VirtualWhatsApp, *lines: str) -> Mapping[str, str]:
    """Lead the workers to a WhatsApp; return the variables that lead a command of the root there.

    ``lines`` are added to their unit.
    """
    environment = dict(whatsapp.environment)
    root.copy(Path(environment["SSL_CERT_FILE"]), "/srv/whatsapp/authority.pem")
    root.get_path("/srv/whatsapp/authority.pem").chmod(0o644)
    root.copy(_PRELOAD, "/srv/whatsapp/preload")
    environment |= {
        "SSL_CERT_FILE": "/srv/whatsapp/authority.pem",
        "PYTHONPATH": "/srv/whatsapp/preload",
    }
    variables = [f"Environment={name}={value}" for name, value in environment.items()]
    _add_drop_in(root, "leadmaster-linked@", [*variables, *lines])
    return environment


def _add_drop_in(root: BootedRoot, unit: str, lines: list[str]) -> None:
    root.write(_DROP_IN.format(unit), "\n".join(["[Service]", *lines, ""]))
