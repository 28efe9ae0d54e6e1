"""A console for each test, and a browser to look at it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from playwright.async_api import Browser

from daemon.settings import SimulatedSettings
from tests.helpers.client.browser import launch_chromium
from tests.helpers.client.console import ConsoleServer, open_console
from tests.helpers.client.http import build_settings


@pytest.fixture
async def console(short_folder: Path) -> AsyncIterator[ConsoleServer]:
    """Open a console whose codes stay long enough to be seen before they are scanned."""
    unhurried = msgspec.structs.replace(build_settings(short_folder), simulated=SimulatedSettings())
    async with open_console(unhurried) as made:
        yield made


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Start a Chromium."""
    async with launch_chromium() as started:
        yield started
