"""What retention keeps of a former system, so that a no holds for numbers that come later."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.contacts.retention import Retention
from daemon.gate.consent import Permission
from daemon.settings import RetentionSettings
from tests.helpers.services.history import HistoryServices, open_history_services
from tests.helpers.services.messaging import ANA


@pytest.fixture
async def past(tmp_path: Path) -> AsyncIterator[HistoryServices]:
    """Open the services; nobody is known."""
    async with open_history_services(tmp_path) as opened:
        yield opened


async def sweep_after(past: HistoryServices, days: int) -> None:
    """Let days pass, and sweep."""
    await past.services.clock.leap(timedelta(days=days).total_seconds())
    services = past.services
    await Retention(services.database, services.clock, RetentionSettings()).sweep()


async def test_a_stranger_who_said_no_loses_the_words_and_keeps_the_no(
    past: HistoryServices,
) -> None:
    """A list that brings the number next year finds a refusal."""
    await past.import_rows(
        (ANA, "2025-03-01 09:00", "enviado", "Hola"),
        (ANA, "2025-03-01 10:00", "recibido", "no me interesa"),
    )
    await sweep_after(past, 31)
    assert await past.services.query_rows("SELECT text FROM inbound ORDER BY at") == [("",), ("",)]
    assert (await past.get_person()).permission is Permission.REFUSED


async def test_a_prospect_whom_a_former_system_wrote_to_is_no_uncontacted_one(
    past: HistoryServices,
) -> None:
    """Erased, they would be a new contact in the next list."""
    other = "+5491150001111"
    await past.services.add_prospect()
    await past.services.add_prospect(other)
    await past.import_rows((ANA, "", "rechazado", ""))
    await sweep_after(past, 100)
    assert await past.services.query_rows("SELECT phone FROM prospects") == [(ANA,)]
