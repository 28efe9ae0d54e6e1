"""A house with an open stream, and a token for all of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers.stream import StreamServer, open_stream_server


@pytest.fixture
async def stream(short_folder: Path) -> AsyncIterator[StreamServer]:
    """Open a house and its stream, with the usual limits."""
    async with open_stream_server(short_folder) as opened:
        yield opened


@pytest.fixture
async def token(stream: StreamServer) -> str:
    """Return a token that may hear everything."""
    return await stream.create_token()
