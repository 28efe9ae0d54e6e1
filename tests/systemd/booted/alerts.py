"""The unit that notifies people, in a booted root, and the time of the morning line."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from tests.systemd.booted.booted_service import CORE, BootedService

ALERTS: Final = "leadmaster-alerts@1.service"
"""An instance as each connection starts one."""
_TARGETS_FILE: Final = "/etc/leadmaster/secrets/alerts.toml"
_SETTINGS: Final = "/etc/leadmaster/leadmaster.toml"
_ZONE: Final = ZoneInfo("America/Argentina/Buenos_Aires")


async def write_targets(service: BootedService, text: str) -> None:
    """Write the file of who is woken, as its owner would; its mode stays."""
    await asyncio.to_thread(lambda: service.root.run("tee", _TARGETS_FILE, text=text))


async def set_morning(service: BootedService) -> None:
    """Let it be the time of the morning line now, which needs another start of the core."""
    now = datetime.now(_ZONE)
    # The installation has set that there is none, so that no hour of a test meets another one.
    line = f's/^morning = .*/morning = "{now:%H:%M}"/'
    await service.run("sed", "--in-place", line, _SETTINGS)
    await service.run("systemctl", "restart", CORE)


def list_alert_units(service: BootedService) -> str:
    """Return the units that run, wait or failed; empty where nothing is left of any."""
    words = ("list-units", "--all", "--no-legend", "leadmaster-alerts@*.service")
    return service.root.run("systemctl", *words).strip()
