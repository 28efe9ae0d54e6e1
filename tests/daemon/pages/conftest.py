"""A console over a real socket, with a few people and messages in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.browser.harness import Console, opened
from tests.helpers.doors import settings_for


@pytest.fixture
async def console(short_folder: Path) -> AsyncIterator[Console]:
    """Open a house with its console."""
    async with opened(settings_for(short_folder)) as made:
        yield made
