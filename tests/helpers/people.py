"""Rooms of the people side, built on a real database in a folder of the test's own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from daemon import wishes
from daemon.aliases import Aliases
from daemon.api.signals import InboundMessage, OwnMessage, Receipt, ReceiptKind
from daemon.inbound import InboundDesk
from daemon.new_message import new_message
from daemon.plugin_manager import Plugins
from daemon.rulebook import Rulebook
from daemon.scoring import Scoring
from daemon.settings import RulesSettings, SendingSettings, Settings
from daemon.suppression import Suppression
from statemachines.message import MessageState
from storage import contacts, messages, prospects
from storage.db import Database
from storage.events import CommittedEvent
from storage.journal import SuppressionJournal
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
            queued = new_message(
                at=at,
                contact=contact,
                recipient=phone,
                session="main",
                channel="simulated",
                text=text,
                kind=kind,
                not_after=at + timedelta(days=7),
            )
            return messages.insert(tx, queued, who="test").id

        return await self.database.write(job)

    async def state(self, message: str) -> MessageState:
        """Return where a message stands."""
        return await self.database.read(lambda reader: messages.must(reader, message).state)

    def types(self) -> list[str]:
        """Return the types of the events published so far."""
        return [event.type for event in self.published]


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
        " VALUES ('main', 'simulated', 'America/Argentina/Buenos_Aires', :now, :now)",
        {"now": "2026-03-01T00:00:00.000Z"},
    )


LISTENER_ALONE = ("sender", "sync", "transport_manual", "transport_simulated")
"""The built-in plugins that stay out where only the listener is looked at."""


@dataclass
class Desk:
    """The inbound desk on top of :class:`People`, and what went out of it."""

    people: People
    desk: InboundDesk
    plugins: Plugins
    failures: list[tuple[str, str, str]] = field(default_factory=list)
    wakes: list[bool] = field(default_factory=list)
    written: int = 0

    async def writes(
        self,
        text: str,
        *,
        sender: str = ANA,
        phone: str | None = None,
        wire_id: str = "",
        age: timedelta = timedelta(0),
    ) -> None:
        """Let a contact write; each message has an id of its own, unless one is given."""
        self.written += 1
        at = self.people.clock.now() - age
        signal = InboundMessage(wire_id or f"IN{self.written}", sender, phone, text, at)
        await self.desk.inbound("main", signal)

    async def receipt(
        self,
        wire_id: str,
        kind: ReceiptKind,
        *,
        reason_code: str = "",
        recipient: str = ANA,
        age: timedelta = timedelta(0),
    ) -> None:
        """Let a receipt come in."""
        at = self.people.clock.now() - age
        await self.desk.receipt("main", Receipt(wire_id, recipient, kind, at, reason_code))

    async def own(self, wire_id: str, recipient: str = ANA) -> None:
        """Let the account's owner type on the phone itself."""
        at = self.people.clock.now()
        await self.desk.own("main", OwnMessage(wire_id, recipient, at))

    async def prospect(self, phone: str = ANA) -> str:
        """Make a prospect as an import does, never checked."""
        people = self.people
        contact = await people.contact(phone)
        at = people.clock.now()

        def job(tx: Tx) -> str:
            new = prospects.NewProspectRecord(
                contact=contact, phone=phone, cartera_origen="feria 2025", line_type="mobile"
            )
            return prospects.insert(tx, new, at=at)

        return await people.database.write(job)

    async def read_prospect(self, prospect: str) -> prospects.ProspectRecord:
        """Return the prospect as it stands."""
        return await self.people.database.read(lambda r: prospects.must(r, prospect))


def opened_desk(
    people: People, *, confirmation: str = "", more: Mapping[str, object] | None = None
) -> Desk:
    """Build the desk with the real scoring, the shipped phrases and the real listener."""
    failures: list[tuple[str, str, str]] = []
    wakes: list[bool] = []
    plugins = Plugins(limit=0.1, on_failure=lambda *failure: failures.append(failure))
    plugins.load(blocked=LISTENER_ALONE, more=more)
    desk = InboundDesk(
        database=people.database,
        plugins=plugins,
        suppression=people.suppression,
        scoring=Scoring(Rulebook.load(RulesSettings(engines="reference"))),
        aliases=people.aliases,
        wishes=wishes.load(),
        clock=people.clock,
        settings=Settings(sending=SendingSettings(opt_out_confirmation=confirmation)),
        wake=lambda: wakes.append(True),
    )
    return Desk(people, desk, plugins, failures, wakes)
