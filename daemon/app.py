"""The composition root: builds every service once, connects them, opens and closes all."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import cached_property
from random import Random

import msgspec

from daemon.api.clock import Clock, ScaledClock, SystemClock
from daemon.api.permit import PermitSigner, PermitVerifier
from daemon.api.transport import Channel
from daemon.auth import AuthService
from daemon.bus import EventBus
from daemon.contacts.aliases import Aliases
from daemon.contacts.imports.service import ImportService
from daemon.contacts.prospects import ProspectService
from daemon.contacts.retention import Retention
from daemon.contacts.suppression import SuppressionService
from daemon.contacts.validation import ValidationService
from daemon.event_dispatcher import EventDispatcher
from daemon.events import decode_event
from daemon.gate.gate import Gate
from daemon.gate.scoring import Scoring
from daemon.inbound import InboundHandler, contact_requests
from daemon.outbox import Outbox
from daemon.outbox.enqueue import MessageEnqueuer
from daemon.outbox.evaluator import MessageEvaluator
from daemon.outbox.halt import Halt
from daemon.outbox.manual import ManualSending
from daemon.outbox.pacing import Pacing
from daemon.outbox.review import ReviewService
from daemon.outbox.sender import SessionSender
from daemon.plugin_manager import Plugins
from daemon.rulesets.active import ActiveRulesets
from daemon.rulesets.service import RulesetService
from daemon.rulesets.watcher import RulesetWatcher
from daemon.sessions import Sessions
from daemon.sessions.registry import load_usable_channels
from daemon.settings import ClockSettings, Settings
from statemachines.vocabulary import BuiltinChannel
from storage import triggers
from storage.db import Database
from storage.events import CommittedEvent
from storage.journal import SuppressionJournal
from storage.migrations import MIGRATIONS


class Application:
    """Every service of a running daemon, by name. Each is built once, from those it depends on.

    Make one with :meth:`open`. HTTP servers and tests reach the services here.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        plugins: Plugins,
        rulesets: ActiveRulesets,
        bus: EventBus,
        database: Database,
        channels: Mapping[str, Channel],
        auth: AuthService,
    ) -> None:
        """Take what every service needs, and connect the callbacks between them."""
        self.settings = settings
        self.clock = clock
        self.plugins = plugins
        self.rulesets = rulesets
        self.bus = bus
        self.database = database
        self.channels = channels
        self.auth = auth
        self.started_at = clock.now()
        self.outbox.connect(self._make_session_sender)
        self.sessions.on_ready = self._on_session_ready
        self.evaluator.on_check_needed = self.validation.wake
        self.validation.on_checked = self.outbox.on_contact_checked
        self.halt.on_resume = self.outbox.wake
        self.ruleset_service.on_swap = self.outbox.on_rules_changed

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        settings: Settings,
        *,
        clock: Clock | None = None,
        more_plugins: Mapping[str, object] | None = None,
    ) -> AsyncIterator[Application]:
        """Open everything in order; on the way out everything ends in the opposite order.

        Raises :class:`StartRefused`, :class:`RulesRejected` or ``DatabaseRefused`` with one
        sentence where the daemon could not keep its promises.
        """
        plugins = Plugins(limit=settings.plugins.limit_seconds)
        plugins.load(blocked=settings.plugins.blocked, more=more_plugins)
        plugins.sources()  # two of one name are refused now, not at the first import
        rulebook = ActiveRulesets.load(settings.rules)
        bus = EventBus()
        async with contextlib.AsyncExitStack() as stack:
            database = await Database.open(
                settings.state_dir,
                migrations=MIGRATIONS,
                on_events=lambda events: _publish_events(bus, events),
                at_open=triggers.install_triggers,
            )
            stack.push_async_callback(database.close)
            channels = await load_usable_channels(plugins, settings, database)
            time = clock or _make_clock(settings.clock)
            auth = await AuthService.open(database, time, settings)
            application = cls(settings, time, plugins, rulebook, bus, database, channels, auth)
            await stack.enter_async_context(application._running())
            yield application

    @contextlib.asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        """Recover, restore and serve; then drain what is on the wire before the lines close."""
        await self.suppression.replay_journal()
        await self.ruleset_service.restore()
        observers = EventDispatcher(self.plugins, self.bus, self.database, self.clock)
        async with observers.running(), contextlib.AsyncExitStack() as stack:
            await self.outbox.start()
            stack.push_async_callback(self.sessions.close)
            stack.push_async_callback(self.outbox.stop, self.settings.daemon.drain_seconds)
            stack.push_async_callback(self.imports.close)
            await self.sessions.restore()
            for view in self.sessions.views():
                self.outbox.serve_session(view.name)
            async with self.validation.running(), self.ruleset_watcher.running():
                yield

    # The rules.

    @cached_property
    def ruleset_service(self) -> RulesetService:
        """What changes the rules in force."""
        channels = tuple(sorted(self.plugins.channels()))
        return RulesetService(
            self.database, self.rulesets, self.clock, self.settings.rules, channels
        )

    @cached_property
    def ruleset_watcher(self) -> RulesetWatcher:
        """What sees a rule file saved."""
        return RulesetWatcher(self.ruleset_service, self.settings.rules)

    # People.

    @cached_property
    def _journal(self) -> SuppressionJournal:
        return SuppressionJournal(self.settings.state_dir)

    @cached_property
    def aliases(self) -> Aliases:
        """Every form under which a line is known."""
        return Aliases(self._journal.hash)

    @cached_property
    def suppression(self) -> SuppressionService:
        """Who is not to be written to."""
        return SuppressionService(self.database, self._journal, self.aliases, self.clock)

    @cached_property
    def scoring(self) -> Scoring:
        """What a prospect's evidence amounts to."""
        return Scoring(self.rulesets)

    @cached_property
    def inbound(self) -> InboundHandler:
        """What people write to us, and what receipts say."""
        return InboundHandler(
            database=self.database,
            plugins=self.plugins,
            suppression=self.suppression,
            scoring=self.scoring,
            aliases=self.aliases,
            request_reader=contact_requests.load_contact_request_reader(),
            clock=self.clock,
            settings=self.settings,
            wake=self.outbox.wake,
        )

    @cached_property
    def imports(self) -> ImportService:
        """Lists of prospects on their way in."""
        return ImportService(
            self.database, self.plugins, self.scoring, self.aliases, self.clock, self.settings
        )

    @cached_property
    def prospects(self) -> ProspectService:
        """Prospects that a person enters or corrects."""
        return ProspectService(
            self.database, self.scoring, self.aliases, self.clock, self.settings.daemon
        )

    @cached_property
    def validation(self) -> ValidationService:
        """Number checks, and an operator's word."""
        return ValidationService(
            self.database, self.sessions, self.scoring, self.aliases, self.clock, self.settings
        )

    @cached_property
    def retention(self) -> Retention:
        """What is forgotten, and when."""
        return Retention(self.database, self.clock, self.settings.retention)

    # The way out.

    @cached_property
    def _signer(self) -> PermitSigner:
        return PermitSigner()

    @cached_property
    def gate(self) -> Gate:
        """The judge in front of every send."""
        return Gate(self.database, self.plugins, self.rulesets, self._signer, self.clock)

    @cached_property
    def pacing(self) -> Pacing:
        """When a message may go."""
        return Pacing(self.settings.pacing)

    @cached_property
    def evaluator(self) -> MessageEvaluator:
        """Where the gate's word is written down."""
        return MessageEvaluator(self.database, self.gate, self.settings.sending)

    @cached_property
    def outbox(self) -> Outbox:
        """Messages on their way out."""
        intake = MessageEnqueuer(
            self.database, self.plugins, self.pacing, self.aliases, self.clock, self.settings
        )
        return Outbox(self.database, self.evaluator, intake, self.clock)

    @cached_property
    def sessions(self) -> Sessions:
        """WhatsApp sessions: the only service that reaches a transport."""
        return Sessions(
            clock=self.clock,
            database=self.database,
            bus=self.bus,
            verifier=PermitVerifier(self._signer.public_key),
            channels=self.channels,
            folder=self.settings.state_dir / "sessions",
            rng=Random(),  # noqa: S311 - spreads reconnects, protects nothing
            on_inbound=self.inbound.handle_inbound,
            on_receipt=self.inbound.handle_receipt,
            on_own=self.inbound.handle_own_message,
            on_lid=self.inbound.handle_lid,
            channel_options={
                BuiltinChannel.SIMULATED: msgspec.to_builtins(self.settings.simulated)
            },
            stagger_seconds=self.settings.daemon.restore_stagger_seconds,
        )

    def _on_session_ready(self, session: str) -> None:
        """A session can send and ask again: what waited for either goes on."""
        self.outbox.on_session_ready(session)
        self.validation.wake()

    def _make_session_sender(self, session: str) -> SessionSender:
        return SessionSender(
            session,
            database=self.database,
            gate=self.gate,
            evaluator=self.evaluator,
            pacing=self.pacing,
            sessions=self.sessions,
            clock=self.clock,
            settings=self.settings.sending,
        )

    # A person's word.

    @cached_property
    def review(self) -> ReviewService:
        """Messages that wait for a person."""
        return ReviewService(self.database, self.clock, self.settings.sending, self.outbox.wake)

    @cached_property
    def manual(self) -> ManualSending:
        """Messages that a person sends by hand."""
        return ManualSending(
            self.database, self.gate, self.evaluator, self.pacing, self.clock, self.settings.sending
        )

    @cached_property
    def halt(self) -> Halt:
        """The stop of everything."""
        return Halt(self.database, self.clock)


def _make_clock(settings: ClockSettings) -> Clock:
    return SystemClock() if settings.start is None else ScaledClock(settings.start, settings.rate)


def _publish_events(bus: EventBus, events: Sequence[CommittedEvent]) -> None:
    for event in events:
        bus.publish(decode_event(event.type, event.subject, event.at, event.data), event.seq)
