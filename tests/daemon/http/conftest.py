"""An open house, and a caller who may do everything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers.doors import Caller, Doors, doors, settings_for


@pytest.fixture
async def open_doors(short_folder: Path) -> AsyncIterator[Doors]:
    """Open a house with both doors."""
    async with doors(settings_for(short_folder)) as opened:
        yield opened


@pytest.fixture
async def api(open_doors: Doors) -> Caller:
    """Return a caller on the control socket."""
    return open_doors.control
