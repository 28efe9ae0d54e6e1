"""The auth room with its doors, for every file here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers.auth import AuthHouse, auth_house


@pytest.fixture
async def house(short_folder: Path) -> AsyncIterator[AuthHouse]:
    """Return an auth room in an empty folder, with nobody in it."""
    async with auth_house(short_folder) as opened:
        yield opened
