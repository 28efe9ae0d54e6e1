"""A house with an open stream, and a token for all of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers.stream import StreamHouse, stream_house


@pytest.fixture
async def stream(short_folder: Path) -> AsyncIterator[StreamHouse]:
    """Open a house and its stream, with the usual limits."""
    async with stream_house(short_folder) as opened:
        yield opened


@pytest.fixture
async def token(stream: StreamHouse) -> str:
    """Return a token that may hear everything."""
    return await stream.token()
