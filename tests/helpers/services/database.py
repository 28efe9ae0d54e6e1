"""The product's database in a test's folder, its events, and the rows that most tests need."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from daemon.contacts.aliases import Aliases
from daemon.outbox.enqueue import build_message
from daemon.rulesets.active import ActiveRulesets
from daemon.settings import RulesSettings
from statemachines.session import ConnectionState, PhoneState, SendingState
from statemachines.vocabulary import MessageKind
from storage import contacts, messages, prospect_search, prospects, triggers
from storage.db import Database
from storage.errors import DiskFault, StorageError
from storage.events import CommittedEvent
from storage.prospect_search import ProspectSearch
from storage.prospects import NewProspectRecord, ProspectRecord
from storage.schema_steps import MIGRATIONS
from storage.sessions import SessionRecord
from storage.tx import Reader, Tx
from tests.helpers.clock import MIDDAY

T = TypeVar("T")
AnyDatabase = TypeVar("AnyDatabase", bound=Database)


class WatchedDatabase(Database):
    """A database that counts its pending jobs, so that a fake clock can wait for them.

    While ``refuses`` is set, every write raises ``write_error``, as on a full disk.
    ``before_read`` is awaited before each query, for tests of races.
    """

    pending = 0
    refuses = False
    before_read: Callable[[object], Awaitable[None]] | None = None
    write_error: StorageError = DiskFault("The disk takes nothing.", "Mend the disk.")

    async def write(
        self, job: Callable[[Tx], T], *, urgent: bool = False, uses_ballast: bool = False
    ) -> T:
        """Write, and count the job while it runs."""
        if self.refuses:
            raise self.write_error
        self.pending += 1
        try:
            return await super().write(job, urgent=urgent, uses_ballast=uses_ballast)
        finally:
            self.pending -= 1

    async def read(self, query: Callable[[Reader], T]) -> T:
        """Read, and count the query while it runs."""
        self.pending += 1
        try:
            if self.before_read is not None:
                await self.before_read(query)
            return await super().read(query)
        finally:
            self.pending -= 1


@contextlib.asynccontextmanager
async def open_database(
    folder: Path,
    published: list[CommittedEvent] | None = None,
    on_events: Callable[[Sequence[CommittedEvent]], None] | None = None,
) -> AsyncIterator[Database]:
    """Open or create the database of ``folder``; add committed events to ``published``."""
    async with open_database_as(Database, folder, published, on_events) as database:
        yield database


@contextlib.asynccontextmanager
async def open_database_as(
    kind: type[AnyDatabase],
    folder: Path,
    published: list[CommittedEvent] | None = None,
    on_events: Callable[[Sequence[CommittedEvent]], None] | None = None,
) -> AsyncIterator[AnyDatabase]:
    """Open the database of ``folder`` as an instance of ``kind``."""
    events = published if published is not None else []
    database = await kind.open(
        folder,
        migrations=MIGRATIONS,
        on_events=on_events or events.extend,
        at_open=triggers.install_triggers,
    )
    # The method is declared to return a Database; it returns an instance of its class.
    assert isinstance(database, kind)
    try:
        yield database
    finally:
        await database.close()


@functools.cache  # rulesets are immutable
def load_active_rulesets(settings: RulesSettings) -> ActiveRulesets:
    """Load rulesets once for each settings: compiling them takes longer than most tests."""
    return ActiveRulesets.load(settings)


def build_session_record(
    name: str = "main",
    *,
    channel: str = "simulated",
    phone: str | None = None,
    at: datetime = MIDDAY,
    linked_days: float = 0,
    **columns: object,
) -> SessionRecord:
    """Return a ready session, linked ``linked_days`` before ``at``."""
    record = SessionRecord(
        name=name,
        channel=channel,
        phone=phone,
        time_zone="America/Argentina/Buenos_Aires",
        options={},
        desired="on",
        connection=ConnectionState.READY,
        phone_state=PhoneState.SEEN,
        sending=SendingState.ALL,
        reason_code="",
        since=at,
        created_at=at - timedelta(days=linked_days),
    )
    return replace(record, **columns)


async def resolve_contact(database: Database, aliases: Aliases, phone: str, at: datetime) -> str:
    """Return the contact of a number, created if needed."""
    return await database.write(
        lambda tx: contacts.resolve_contact(tx, aliases.from_phone(phone), at)
    )


def lose_suppressions(tx: Tx) -> None:
    """Empty the table of suppressions, as an older copy of the database has it."""
    trigger = "suppressions_stay"
    tx.execute(f"DROP TRIGGER {trigger}")
    tx.execute("DELETE FROM suppressions")
    tx.execute(triggers.build_triggers()[trigger])


def list_prospects(reader: Reader) -> list[ProspectRecord]:
    """Return every prospect as it is at `MIDDAY`, oldest first."""
    return prospect_search.search_prospects(reader, ProspectSearch(), now=MIDDAY, limit=10_000)


def insert_prospect(
    tx: Tx,
    contact: str,
    phone: str,
    at: datetime,
    *,
    cartera_origen: str = "feria",
    line_type: str = "mobile",
    country: str = "",
    data_date: datetime | None = None,
) -> str:
    """Insert a prospect as an import does, unchecked; return its id."""
    new = NewProspectRecord(
        contact=contact,
        phone=phone,
        cartera_origen=cartera_origen,
        line_type=line_type,
        country=country,
        data_date=data_date,
    )
    return prospects.insert_prospect(tx, new, at=at)


def queue_message(
    tx: Tx,
    contact: str,
    phone: str,
    at: datetime,
    *,
    kind: str = MessageKind.COMMERCIAL,
    text: str = "Hola",
) -> str:
    """Queue a message to a contact on session ``main``; return its id."""
    queued = build_message(
        at=at,
        contact=contact,
        recipient=phone,
        session="main",
        channel="simulated",
        text=text,
        kind=MessageKind(kind),
        not_after=at + timedelta(days=7),
    )
    return messages.insert_message(tx, queued, who="test").id


async def damage_table(database: Database, table: str) -> None:
    """Overwrite the first page of a table in the file, as a failing disk does: its time stays."""
    await database.checkpoint()
    page, size = await database.read(
        lambda reader: (
            reader.value("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)),
            reader.value("PRAGMA page_size"),
        )
    )
    before = database.path.stat()
    with database.path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    os.utime(database.path, ns=(before.st_atime_ns, before.st_mtime_ns))
