"""An application behind its HTTP servers, and a client that may do everything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers.client.http import HttpClient, HttpServer, build_settings, open_http_server


@pytest.fixture
async def server(short_folder: Path) -> AsyncIterator[HttpServer]:
    """Open a house with both doors."""
    async with open_http_server(build_settings(short_folder)) as opened:
        yield opened


@pytest.fixture
async def api(server: HttpServer) -> HttpClient:
    """Return a caller on the control socket."""
    return server.control
