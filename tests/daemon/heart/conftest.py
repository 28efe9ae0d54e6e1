"""A house with one ready session and one prospect, Ana, that everything speaks for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers.heart import SmallHouse, small_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[SmallHouse]:
    """Open it, with the shipped rules, and let it live."""
    async with small_house(tmp_path) as opened:
        await opened.session()
        opened.outbox.serve("main")
        await opened.prospect()
        yield opened
