"""Contacts, suppression and the inbound handler over a real database."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from daemon.api import hookimpl
from daemon.api.effects import ContactView, InboundEffect
from daemon.api.identity import parse_identity
from daemon.api.signals import (
    AliasLearned,
    InboundKind,
    InboundMessage,
    Origin,
    OwnMessage,
    Receipt,
    ReceiptKind,
    Signal,
)
from daemon.api.text import hash_folded_text
from daemon.api.transport import Channel
from daemon.contacts.aliases import Aliases
from daemon.contacts.suppression import SuppressionService
from daemon.gate.scoring import Scoring
from daemon.inbound import SignalHandlers, build_signal_handlers, contact_requests
from daemon.plugin_manager import PluginFailure, Plugins
from daemon.sessions.signal_check import SignalChecker
from daemon.settings import RulesSettings, SendingSettings, Settings
from statemachines.message import MessageState
from statemachines.vocabulary import MessageKind
from storage import contacts, messages, prospects, receipts, sessions
from storage.db import Database
from storage.events import CommittedEvent
from storage.journal import SuppressionJournal
from storage.tx import Tx
from tests.helpers.clock import FakeClock
from tests.helpers.plugins import block_all_but
from tests.helpers.services.database import (
    build_session_record,
    insert_prospect,
    load_active_rulesets,
    open_database,
    queue_message,
    resolve_contact,
)
from tests.helpers.signals import build_signals, read_signal_cases

ANA = "+5491141234567"
ANA_OLD_FORM = "+541141234567"
BETO = "+525512345678"
LID = "998877665544332@lid"


@dataclass
class ContactServices:
    """A database with one session, the suppression service, and what was published."""

    folder: Path
    database: Database
    journal: SuppressionJournal
    aliases: Aliases
    suppression: SuppressionService
    clock: FakeClock
    published: list[CommittedEvent] = field(default_factory=list)

    async def resolve_contact(self, phone: str) -> str:
        """Return the contact of a number, created if needed."""
        return await resolve_contact(self.database, self.aliases, phone, self.clock.now())

    async def queue_message(
        self, phone: str, *, kind: str = MessageKind.COMMERCIAL, text: str = "Hola"
    ) -> str:
        """Queue a message to a number."""
        at = self.clock.now()

        def job(tx: Tx) -> str:
            contact = contacts.resolve_contact(tx, self.aliases.from_phone(phone), at)
            return queue_message(tx, contact, phone, at, kind=kind, text=text)

        return await self.database.write(job)

    async def get_message_state(self, message: str) -> MessageState:
        """Return the state of a message."""
        return await self.database.read(
            lambda reader: messages.require_message(reader, message).state
        )

    def event_types(self) -> list[str]:
        """Return the types of the events published so far."""
        return [event.type for event in self.published]


@contextlib.asynccontextmanager
async def open_contact_services(folder: Path) -> AsyncIterator[ContactServices]:
    """Open the services on a folder, which may have been open before."""
    clock = FakeClock()
    published: list[CommittedEvent] = []
    async with open_database(folder, published) as database:
        journal = SuppressionJournal(folder)
        aliases = Aliases(journal.hash)
        suppression = SuppressionService(database, journal, aliases, clock)
        await database.write(_insert_session)
        yield ContactServices(folder, database, journal, aliases, suppression, clock, published)


def _insert_session(tx: Tx) -> None:
    if sessions.get_session(tx, "main") is None:
        sessions.insert_session(tx, build_session_record())


BLOCKED_BUT_LISTENER = block_all_but("listener")
"""The plugins to block in tests of the listener alone."""


@dataclass
class InboundServices:
    """The signal handlers over :class:`ContactServices`, and the failures of plugins."""

    people: ContactServices
    handlers: SignalHandlers
    plugins: Plugins
    failures: list[PluginFailure] = field(default_factory=list)
    received: int = 0

    async def receive_text(
        self,
        text: str,
        *,
        sender: str = ANA,
        phone: str | None = None,
        wire_id: str = "",
        age: timedelta = timedelta(0),
        kind: InboundKind = InboundKind.TEXT,
        origin: Origin = Origin.LIVE,
        automatic: bool = False,
    ) -> None:
        """Receive a message from a contact, with a new id unless one is given."""
        self.received += 1
        at = self.people.clock.now() - age
        signal = InboundMessage(
            wire_id or f"IN{self.received}",
            parse_identity(sender),
            text,
            at,
            kind,
            origin,
            automatic=automatic,
            aliases=(parse_identity(phone),) if phone else (),
        )
        await self.handlers.inbound.handle_inbound("main", signal)

    async def receive_case(self, name: str) -> None:
        """Receive the signals in a file of tests/data/signals, line by line."""
        for signal in build_signals(read_signal_cases(name), self.people.clock.now()):
            await self.receive(signal)

    async def receive(self, signal: Signal) -> None:
        """Receive a message of a channel, checked as a session does it."""
        checked = SignalChecker("main", Channel("simulated", "", open=None)).check(signal)
        if checked.rejected is not None:
            await self.handlers.quarantine.handle_rejected("main", checked.rejected)
        if isinstance(checked.signal, InboundMessage):
            await self.handlers.inbound.handle_inbound("main", checked.signal)
        elif isinstance(checked.signal, OwnMessage):
            await self.handlers.own_messages.handle_own_message("main", checked.signal)

    async def receive_receipt(
        self,
        wire_id: str,
        kind: ReceiptKind,
        *,
        reason_code: str = "",
        recipient: str = ANA,
        age: timedelta = timedelta(0),
    ) -> None:
        """Receive a receipt."""
        at = self.people.clock.now() - age
        await self.handlers.receipts.handle_receipt(
            "main", Receipt(wire_id, parse_identity(recipient), kind, at, reason_code)
        )

    async def settle_doubts(self, seconds: float = 60.0) -> None:
        """Settle what can be settled, so many seconds later."""
        await self.people.clock.advance(seconds)
        at = self.people.clock.now()
        waited = timedelta(seconds=SendingSettings().own_message_seconds)
        await self.people.database.write(
            lambda tx: receipts.settle_doubts(tx, at, received_before=at - waited)
        )

    async def receive_own_message(
        self,
        wire_id: str,
        recipient: str = ANA,
        *,
        text: str | None = None,
        age: timedelta = timedelta(0),
        session: str = "main",
    ) -> None:
        """Receive a message that the account's owner typed on the phone."""
        at = self.people.clock.now() - age
        text_hash = None if text is None else hash_folded_text(text)
        await self.handlers.own_messages.handle_own_message(
            session, OwnMessage(wire_id, parse_identity(recipient), at, text_hash)
        )

    async def learn_alias(self, hidden_id: str = LID, phone: str = ANA) -> None:
        """Receive the platform's report that a hidden id and a number are one person."""
        pair = AliasLearned(parse_identity(hidden_id), parse_identity(phone))
        await self.handlers.aliases.handle_alias("main", pair)

    async def add_prospect(self, phone: str = ANA) -> str:
        """Insert a prospect as an import does, unchecked."""
        people = self.people
        contact = await people.resolve_contact(phone)
        at = people.clock.now()
        return await people.database.write(
            lambda tx: insert_prospect(tx, contact, phone, at, cartera_origen="feria 2025")
        )

    async def get_prospect(self, prospect: str) -> prospects.ProspectRecord:
        """Return the prospect as it is now."""
        found = await self.people.database.read(lambda r: prospects.require_prospect(r, prospect))
        return found.as_of(self.people.clock.now())


def build_inbound_services(
    people: ContactServices, *, confirmation: str = "", more: Mapping[str, object] | None = None
) -> InboundServices:
    """Build the handlers with the real scoring, the shipped phrases and the real listener."""
    failures: list[PluginFailure] = []
    # Short, because tests of a late plugin wait for this limit in real time.
    plugins = Plugins(limit=0.1, report_failure=failures.append)
    plugins.load(blocked=BLOCKED_BUT_LISTENER, more=more)
    handlers = build_signal_handlers(
        database=people.database,
        plugins=plugins,
        suppression=people.suppression,
        scoring=Scoring(load_active_rulesets(RulesSettings(engines="reference"))),
        aliases=people.aliases,
        request_reader=contact_requests.load_contact_request_reader(),
        clock=people.clock,
        settings=Settings(sending=SendingSettings(opt_out_confirmation=confirmation)),
    )
    return InboundServices(people, handlers, plugins, failures)


class InboundInterpreter:
    """A plugin that answers every inbound with the same value."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.calls: list[tuple[InboundMessage, ContactView]] = []

    @hookimpl
    async def leadmaster_interpret_inbound(
        self, inbound: InboundMessage, contact: ContactView
    ) -> Sequence[InboundEffect]:
        """Record the call, and return or raise the answer."""
        self.calls.append((inbound, contact))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[return-value] # some answers are wrong on purpose
