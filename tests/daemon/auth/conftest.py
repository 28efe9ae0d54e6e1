"""The auth service with its servers, for every file here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers.client.auth import AuthServices, open_auth_services


@pytest.fixture
async def services(short_folder: Path) -> AsyncIterator[AuthServices]:
    """Return an auth room in an empty folder, with nobody in it."""
    async with open_auth_services(short_folder) as opened:
        yield opened
