"""A console over a real socket, with a few prospects and messages in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers.client.console import ConsoleServer, open_console
from tests.helpers.client.http import build_settings


@pytest.fixture
async def console(short_folder: Path) -> AsyncIterator[ConsoleServer]:
    """Open the application with its console."""
    async with open_console(build_settings(short_folder)) as made:
        yield made
