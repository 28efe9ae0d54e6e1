"""The quarantine holds so much of each session, and no more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage import quarantine, sessions
from storage.db import Database
from storage.ids import new_id
from storage.quarantine import QuarantinedSignal
from storage.tx import Tx
from tests.helpers.clock import MIDDAY
from tests.helpers.services.database import build_session_record, open_database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """A database with two sessions."""
    async with open_database(tmp_path) as opened:
        await opened.write(_insert_sessions)
        yield opened


def _insert_sessions(tx: Tx) -> None:
    for name in ("main", "other"):
        sessions.insert_session(tx, build_session_record(name))


async def quarantine_signal(database: Database, wire_id: str, session: str = "main") -> str:
    """Quarantine a message, where two of a session have room; return its id."""
    record = QuarantinedSignal(
        id=new_id("qua", MIDDAY),
        session=session,
        channel="simulated",
        received_at=MIDDAY,
        signal="InboundMessage",
        reason_code="text_unstorable",
        sentence="It holds half a character.",
        kept={"wire_id": wire_id},
        request="none",
    )
    await database.write(lambda tx: quarantine.insert_quarantined_signal(tx, record, limit=2))
    return record.id


async def list_wire_ids(database: Database, *, settled: bool = False) -> list[object]:
    """Return the ids of the messages that wait, or of those that are settled."""
    found = await database.read(
        lambda reader: quarantine.list_quarantined_signals(reader, settled=settled)
    )
    return [each.kept["wire_id"] for each in found]


async def test_the_oldest_go_where_a_session_has_too_many(database: Database) -> None:
    """A channel with a fault can't fill the disk; another session has room of its own."""
    for wire_id in ("A", "B", "C"):
        await quarantine_signal(database, wire_id)
    await quarantine_signal(database, "D", session="other")
    assert await list_wire_ids(database) == ["B", "C", "D"]


async def test_what_is_settled_goes_before_what_waits_for_a_person(database: Database) -> None:
    """The newer one was looked at; the older one was not."""
    await quarantine_signal(database, "A")
    newer = await quarantine_signal(database, "B")
    await database.write(
        lambda tx: quarantine.settle_quarantined_signal(
            tx, newer, at=MIDDAY, who="eva", reason="a greeting"
        )
    )
    await quarantine_signal(database, "C")
    assert await list_wire_ids(database) == ["A", "C"]
    assert await list_wire_ids(database, settled=True) == []
