"""A line over a worker whose driver does what each message says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.daemon.plugins.transport_linked.scripted_line import ScriptedLine


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[ScriptedLine]:
    """Return a line that is not open yet; it is closed afterwards."""
    lent = ScriptedLine(tmp_path / "ventas")
    yield lent
    await lent.close()
