"""A house with one ready session and one prospect, Ana, that everything speaks for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog

from tests.helpers.heart import SmallHouse, small_house


@pytest.fixture(autouse=True)
def _plain_logs() -> Iterator[None]:
    """Let a traceback be a few lines: the pretty ones cost more than the tests."""
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, plain])
    yield
    structlog.reset_defaults()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[SmallHouse]:
    """Open it, with the shipped rules, and let it live."""
    async with small_house(tmp_path) as opened:
        await opened.session()
        opened.outbox.serve("main")
        await opened.prospect()
        yield opened
