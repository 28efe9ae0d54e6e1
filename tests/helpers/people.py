"""Rooms of the people side, built on a real database in a folder of the test's own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from daemon.aliases import Aliases
from daemon.api.permit import body_hash
from daemon.suppression import Suppression
from statemachines.message import MessageState
from storage import contacts, messages
from storage.db import Database
from storage.events import CommittedEvent
from storage.ids import new_id
from storage.journal import SuppressionJournal
from storage.messages import MessageRecord
from storage.tx import Tx
from tests.helpers.clock import FakeClock
from tests.helpers.database import opened_database

ANA = "+5491141234567"
ANA_OLD_FORM = "+541141234567"
BETO = "+525512345678"
LID = "998877665544332@lid"


@dataclass
class People:
    """A database with one session, the book of the suppressed, and what was published."""

    folder: Path
    database: Database
    journal: SuppressionJournal
    aliases: Aliases
    suppression: Suppression
    clock: FakeClock
    published: list[CommittedEvent] = field(default_factory=list)

    async def contact(self, phone: str) -> str:
        """Make or find the contact of a number."""
        at = self.clock.now()
        return await self.database.write(
            lambda tx: contacts.resolve(tx, self.aliases.of_phone(phone), at)
        )

    async def message(self, phone: str, *, kind: str = "commercial", text: str = "Hola") -> str:
        """Queue a message to a number."""
        at = self.clock.now()

        def job(tx: Tx) -> str:
            contact = contacts.resolve(tx, self.aliases.of_phone(phone), at)
            queued = queued_message(contact, phone, kind=kind, text=text, clock=self.clock)
            return messages.insert(tx, queued, who="test").id

        return await self.database.write(job)

    async def state(self, message: str) -> MessageState:
        """Return where a message stands."""
        return await self.database.read(lambda reader: messages.must(reader, message).state)

    def types(self) -> list[str]:
        """Return the types of the events published so far."""
        return [event.type for event in self.published]


def queued_message(
    contact: str, phone: str, *, kind: str, text: str, clock: FakeClock
) -> MessageRecord:
    """Return a message as the outbox would enter it."""
    at = clock.now()
    return MessageRecord(
        id=new_id("msg", at),
        idempotency_key=None,
        request_hash="",
        contact=contact,
        recipient=phone,
        session="main",
        channel="simulated",
        text=text,
        body_hash=body_hash(text),
        template=None,
        campaign=None,
        kind=kind,
        first_contact=False,
        state=MessageState.QUEUED,
        reason_code="enqueued",
        sentence="It was accepted.",
        created_at=at,
        changed_at=at,
        not_before=None,
        not_after=at + timedelta(days=7),
        due_at=None,
        waits_for=None,
        needs_review=False,
        attempts=0,
        faults=0,
        in_flight_key=None,
        decision=None,
        permit=None,
        wire_id=None,
        sent_at=None,
        taken_by=None,
        lease_until=None,
    )


@contextlib.asynccontextmanager
async def opened_people(folder: Path) -> AsyncIterator[People]:
    """Open (or open again) everything in a folder."""
    clock = FakeClock()
    published: list[CommittedEvent] = []
    async with opened_database(folder, published) as database:
        journal = SuppressionJournal(folder)
        aliases = Aliases(journal.hash)
        suppression = Suppression(database, journal, aliases, clock)
        await database.write(_session)
        yield People(folder, database, journal, aliases, suppression, clock, published)


def _session(tx: Tx) -> None:
    tx.execute(
        "INSERT OR IGNORE INTO sessions (name, channel, time_zone, since, created_at)"
        " VALUES ('main', 'simulated', 'America/Argentina/Buenos_Aires', ?1, ?1)",
        ("2026-03-01T00:00:00.000Z",),
    )
