"""A house with one ready session and one prospect, Ana, that everything speaks for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog

from tests.helpers.heart import MessagingServices, open_messaging_services


@pytest.fixture(autouse=True)
def plain_logs() -> Iterator[None]:
    """Let a traceback be a few lines: the pretty ones cost more than the tests."""
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, plain])
    yield
    structlog.reset_defaults()


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[MessagingServices]:
    """Open it, with the shipped rules, and let it live."""
    async with open_messaging_services(tmp_path) as opened:
        await opened.add_session()
        opened.outbox.serve_session("main")
        await opened.add_prospect()
        yield opened
