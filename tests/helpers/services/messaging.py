"""All services of the daemon over a real database, and a channel that a test controls."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from importlib.metadata import entry_points
from pathlib import Path

from msgspec.structs import replace

from daemon.api.signals import SendingReopened, SendingRestricted
from daemon.auth import AuthService
from daemon.bootstrap import build_services, copy_fields, publish_events
from daemon.bus import EventBus
from daemon.gate.gate import load_libraries
from daemon.installed_plugins import ENTRY_POINT_GROUP
from daemon.outbox import SendRequest
from daemon.plugin_manager import PluginFailureQueue, Plugins
from daemon.plugins import sender, transport_manual
from daemon.rulesets.active import ActiveRulesets
from daemon.services import Foundation, Services
from daemon.sessions.status import build_session_changed
from daemon.settings import (
    DaemonSettings,
    PacingSettings,
    RulesSettings,
    SendingSettings,
    Settings,
)
from statemachines.message import MessageState
from statemachines.prospect import ValidationState
from storage import contacts, decisions, evidence, messages, prospects, sessions
from storage.column_formats import format_timestamp
from storage.decisions import DecisionRecord
from storage.events import CommittedEvent
from storage.evidence import EvidenceKind
from storage.ids import new_id
from storage.messages import MessageRecord
from storage.suppressions import SuppressionSource
from storage.tx import Tx
from tests.helpers import transport
from tests.helpers.clock import FakeClock
from tests.helpers.puppet_channel import PuppetChannel
from tests.helpers.services.database import (
    WatchedDatabase,
    insert_prospect,
    load_active_rulesets,
    open_database_as,
    resolve_contact,
)

ANA, BETO = transport.ANA, transport.BRUNO
ANA_OLD_FORM = "+541145550001"
OUR_NUMBER = "+5491144440000"
GATE_WITHOUT_VETOES = """\
format: leadmaster/gate@1
score: {base: 100, min: 0, max: 100}
thresholds:
  - {verdict: allow, from: 1}
  - {verdict: block, from: 0}
"""
"""Rules without any veto, which allow everything."""

_BUILT_IN = {"the_sender": sender, "the_manual_channel": transport_manual}

UNLIMITED_PACING = PacingSettings(
    new_chats_first_week=1000,
    new_chats_to_day_30=1000,
    new_chats_later=1000,
    new_chat_gap_minutes=0,
    manual_new_chats_first_month=1000,
    manual_new_chats_later=1000,
    manual_new_chats_24h_first_month=1000,
    manual_new_chats_24h_later=1000,
    messages_per_minute=1000,
    number_checks=1000,
    number_check_min_age_days=0,
)
"""Budgets that no test reaches by accident."""


def build_phone(number: int) -> str:
    """Return one of many mobile numbers in Buenos Aires."""
    return f"+54911{45_560_000 + number}"


class MessagingServices(Services, frozen=True, kw_only=True):
    """The daemon's services, the channel that they send through, and every committed event.

    ``reactions`` are called with each event after its commit, before it is published.
    """

    clock: FakeClock
    database: WatchedDatabase
    wire: PuppetChannel
    published: list[CommittedEvent]
    reactions: list[Callable[[CommittedEvent], None]]

    async def add_session(
        self,
        name: str = "main",
        *,
        channel: str = "simulated",
        number: str | None = OUR_NUMBER,
        linked_days: float = 100,
        time_zone: str = "America/Argentina/Buenos_Aires",
    ) -> None:
        """Add a ready session whose number has been linked for some days.

        Without a number, it is on a channel that links none.
        """
        options = {} if number is None else {"phone": number}
        await self.sessions.create(name, channel, time_zone, options, who="daemon")
        await self.sessions.start(name, "daemon")
        await self.clock.settle()
        # By SQL, because the sessions would store the present moment.
        linked_at = format_timestamp(self.clock.now() - timedelta(days=linked_days))
        await self.execute_sql(
            "UPDATE numbers SET first_linked_at = min(first_linked_at, ?) WHERE phone = ?",
            linked_at,
            number,
        )
        assert self.sessions.view(name).ready

    async def bring_line_down(self) -> None:
        """Break every connection; none comes up again."""
        self.wire.drop_lines()
        await self.clock.settle()

    async def bring_line_up(self) -> None:
        """Let every connection come up again at once."""
        self.wire.up = True
        for view in self.sessions.views():
            if not view.ready:
                await self.sessions.restart(view.name, "daemon")

    async def restrict_session(self, name: str = "main") -> None:
        """Close new chats of a session, as the platform does."""
        self.wire.lines[name].report(SendingRestricted("restricted"))
        await self.clock.settle()

    async def reopen_session(self, name: str = "main") -> None:
        """Reopen new chats of a session, as the platform does."""
        self.wire.lines[name].report(SendingReopened())
        await self.clock.settle()

    async def update_session(self, name: str = "main", **columns: object) -> None:
        """Change a session's record and emit the event, as sessions do."""

        def job(tx: Tx) -> None:
            before = sessions.get_session(tx, name)
            assert before is not None
            after = replace(before, **columns)
            sessions.update_session(tx, before, after, self.clock.now())
            tx.emit(build_session_changed(after, self.clock.now()))

        await self.database.write(job)

    async def resolve_contact(self, number: str) -> str:
        """Return the contact of a number, created if needed."""
        return await resolve_contact(self.database, self.aliases, number, self.clock.now())

    async def add_prospect(
        self,
        number: str = ANA,
        *,
        permission: str | None = "opted_in",
        on_whatsapp: str = "yes",
        validation: ValidationState = ValidationState.VALIDATED,
        line_type: str = "mobile",
        data_days: float = 0,
    ) -> str:
        """Add a prospect with every permission, except for what a test changes."""
        at = self.clock.now()
        known = {ValidationState.VALIDATED: True, ValidationState.NOT_REACHABLE: False}

        def job(tx: Tx) -> str:
            contact = contacts.resolve_contact(tx, self.aliases.from_phone(number), at)
            prospect = insert_prospect(
                tx,
                contact,
                number,
                at,
                cartera_origen="feria_2026",
                line_type=line_type,
                country="AR",
                data_date=at - timedelta(days=data_days),
            )
            flag = known.get(validation)
            prospects.update_prospect(
                tx,
                prospect,
                at=at,
                on_whatsapp=on_whatsapp,
                validation=validation.value,
                validado_tecnicamente=None if flag is None else int(flag),
                validated_at=at if flag else None,
                expires_at=at + timedelta(days=90) if flag else None,
            )
            if permission:
                evidence.insert_evidence(
                    tx, contact, EvidenceKind.PERMISSION, permission, at=at, source="test"
                )
            self.scoring.refresh_prospect(
                tx, contact, at, reason_code="test", sentence="Made for a test."
            )
            return contact

        return await self.database.write(job)

    async def add_evidence(
        self, contact: str, kind: EvidenceKind, value: str, *, at: datetime | None = None
    ) -> None:
        """Add a piece of evidence, and refresh the score, as the services do."""
        now = self.clock.now()

        def job(tx: Tx) -> None:
            evidence.insert_evidence(tx, contact, kind, value, at=at or now, source="test")
            self.scoring.refresh_prospect(
                tx, contact, now, reason_code="test", sentence="A test says so."
            )

        await self.database.write(job)

    async def add_inbound(self, contact: str, request: str = "interested") -> None:
        """Insert a message from a contact with its evidence, and cancel what waited for them."""
        at = self.clock.now()

        def job(tx: Tx) -> None:
            wire_id = new_id("inb", at)
            tx.execute(
                "INSERT INTO inbound"
                " (id, session, wire_id, contact, at, received_at, text, request)"
                " VALUES (:id, 'main', :id, :contact, :at, :at, 'Hola', :request)",
                {"id": wire_id, "contact": contact, "at": format_timestamp(at), "request": request},
            )
            evidence.insert_evidence(
                tx, contact, EvidenceKind.INBOUND, request, at=at, source="test"
            )
            messages.cancel_unsent_messages(
                tx,
                contact,
                at=at,
                reason_code="they_wrote",
                sentence="They wrote to us.",
                who="inbound",
                commercial_only=True,
            )
            self.scoring.refresh_prospect(
                tx, contact, at, reason_code="test", sentence="They wrote."
            )

        await self.database.write(job)

    async def suppress(self, number: str) -> None:
        """Add a suppression by an operator."""
        await self.suppression.suppress(
            number, source=SuppressionSource.OPERATOR, reason="asked by phone", who="eva"
        )

    async def execute_sql(self, sql: str, *params: object) -> None:
        """Execute SQL directly, past the services."""
        await self.database.write(lambda tx: tx.execute(sql, params))

    async def query_rows(self, sql: str, *params: object) -> list[tuple[object, ...]]:
        """Return the rows of a query as tuples."""
        return await self.database.read(
            lambda reader: [tuple(row) for row in reader.all(sql, params)]
        )

    async def list_audit_entries(self) -> list[tuple[object, ...]]:
        """Return actor, action, subject and reason of each audited action of a person."""
        return await self.query_rows(
            "SELECT who, action, subject, reason FROM audit WHERE who <> 'daemon'"
        )

    async def enqueue(self, to: str = ANA, text: str = "Hola, Ana", **more: object) -> str:
        """Enqueue a message; return its id, before the gate has judged it."""
        request = SendRequest(**{"to": to, "text": text, **more})  # type: ignore[arg-type]
        return (await self.outbox.enqueue(request, "eva")).id

    async def enqueue_and_settle(
        self, to: str = ANA, text: str = "Hola, Ana", **more: object
    ) -> str:
        """Enqueue a message and wait until no task can continue."""
        message = await self.enqueue(to, text, **more)
        await self.clock.settle()
        return message

    async def approve_and_settle(self, message: str) -> None:
        """Approve a held message and wait until no task can continue."""
        await self.review.approve(message, "eva", "I know them")
        await self.clock.settle()

    async def get_message(self, message: str) -> MessageRecord:
        """Return a stored message."""
        return await self.database.read(lambda reader: messages.require_message(reader, message))

    async def get_state(self, message: str) -> MessageState:
        """Return the state of a message."""
        return (await self.get_message(message)).state

    async def list_decisions(self, message: str) -> list[DecisionRecord]:
        """Return the decisions on a message, oldest first."""
        return await self.database.read(
            lambda reader: decisions.list_message_decisions(reader, message)
        )

    async def list_states(self, message: str) -> list[str]:
        """Return the states that a message went through."""
        rows = await self.database.read(
            lambda reader: messages.list_message_history(reader, message)
        )
        return [row["state"] for row in rows]


@contextlib.asynccontextmanager
async def open_messaging_services(
    folder: Path,
    *,
    clock: FakeClock | None = None,
    wire: PuppetChannel | None = None,
    pacing: PacingSettings = UNLIMITED_PACING,
    sending: SendingSettings | None = None,
    rules: RulesSettings | None = None,
    rulesets: ActiveRulesets | None = None,
    plugins: Mapping[str, object] | None = None,
    # Long, because on a busy machine a late plugin would be a gate fault.
    plugin_limit: float = 30,
    started: bool = True,
) -> AsyncIterator[MessagingServices]:
    """Open the services on a folder, which may have been open before; end them as a crash does.

    What is on the wire stays ``sending``, for the next start to find.
    """
    clock = clock or FakeClock()
    wire = wire or PuppetChannel(clock)
    # Before: the clock would not wait for the thread of a first evaluation.
    await load_libraries()
    settings = Settings(
        daemon=DaemonSettings(state_dir=str(folder), restore_stagger_seconds=0),
        pacing=pacing,
        sending=sending or SendingSettings(),
        rules=rules or RulesSettings(),
    )
    failures = PluginFailureQueue()
    loaded = Plugins(limit=plugin_limit, report_failure=failures.put)
    installed = [point.name for point in entry_points(group=ENTRY_POINT_GROUP)]
    # Not the installed plugins: one of them declares the name of the test's channel.
    loaded.load(blocked=installed, more=_BUILT_IN | {"puppets": wire} | dict(plugins or {}))
    published: list[CommittedEvent] = []
    reactions: list[Callable[[CommittedEvent], None]] = []
    bus = EventBus()

    def publish(events: Sequence[CommittedEvent]) -> None:
        published.extend(events)
        for event, react in itertools.product(events, tuple(reactions)):
            react(event)
        publish_events(bus, events)

    async with open_database_as(WatchedDatabase, folder, on_events=publish) as database:
        # The clock must wait for the database's threads, which the event loop does not know.
        clock.busy = [lambda: database.pending > 0]
        foundation = Foundation(
            settings=settings,
            clock=clock,
            started_at=clock.now(),
            plugins=loaded,
            plugin_failures=failures,
            rulesets=rulesets or load_active_rulesets(settings.rules),
            bus=bus,
            database=database,
            channels=loaded.channels(),
            # No environment: a credential of this machine must not become the key.
            auth=await AuthService.open(database, clock, settings, environ={}),
        )
        built = copy_fields(build_services(foundation))
        services = MessagingServices(**built, wire=wire, published=published, reactions=reactions)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(services.sessions.close)
            # Without a time to drain: as far as the messages are concerned, the process was killed.
            stack.push_async_callback(services.outbox.stop, 0)
            if started:
                await services.outbox.start()
                await stack.enter_async_context(services.wakeups.running())
                await services.sessions.restore()
            yield services
