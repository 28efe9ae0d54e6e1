"""The composition root: builds every room once, hands each its neighbours, opens and closes all."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import cached_property
from random import Random

import msgspec

from daemon import wishes
from daemon.aliases import Aliases
from daemon.api.clock import Clock, ScaledClock, SystemClock
from daemon.api.permit import PermitSigner, PermitVerifier
from daemon.api.transport import Channel
from daemon.auth import Auth
from daemon.bus import Bus
from daemon.events import revive
from daemon.gate import Gate
from daemon.halt import Halt
from daemon.imports.importer import Imports
from daemon.inbound import InboundDesk
from daemon.manual import Manual
from daemon.observers import Observers
from daemon.outbox import Outbox
from daemon.outbox.desk import Desk
from daemon.outbox.dispatch import Dispatch
from daemon.outbox.requests import Intake
from daemon.pacing import Pacing
from daemon.plugin_manager import Plugins
from daemon.prospects import Prospects
from daemon.retention import Retention
from daemon.review import Review
from daemon.rulebook import Rulebook, RuleDesk, RuleWatch
from daemon.scoring import Scoring
from daemon.sessions import Sessions
from daemon.sessions.channels import usable_channels
from daemon.settings import ClockSettings, Settings
from daemon.suppression import Suppression
from daemon.validation import ValidationService
from storage import guards
from storage.db import Database
from storage.events import CommittedEvent
from storage.journal import SuppressionJournal
from storage.migrations import migrations


class House:
    """Every room of a running daemon, by name. Each is built once, from the rooms it names.

    Make one with :meth:`open`. Doors and journeys reach the rooms here.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        plugins: Plugins,
        rulebook: Rulebook,
        bus: Bus,
        database: Database,
        channels: Mapping[str, Channel],
        auth: Auth,
    ) -> None:
        """Take the ground that the rooms stand on, and wire the news that comes up from them."""
        self.settings = settings
        self.clock = clock
        self.plugins = plugins
        self.rulebook = rulebook
        self.bus = bus
        self.database = database
        self.channels = channels
        self.auth = auth
        self.started_at = clock.now()
        self.outbox.connect(self._dispatch)
        self.sessions.on_ready = self._session_ready
        self.desk.on_check_wanted = self.validation.wake
        self.validation.on_checked = self.outbox.contact_checked
        self.halt.on_resume = self.outbox.wake
        self.rule_desk.on_swap = self.outbox.rules_changed

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        settings: Settings,
        *,
        clock: Clock | None = None,
        more_plugins: Mapping[str, object] | None = None,
    ) -> AsyncIterator[House]:
        """Open everything in order; on the way out everything ends in the opposite order.

        Raises :class:`StartRefused`, :class:`RulesRejected` or ``DatabaseRefused`` with one
        sentence where the daemon could not keep its promises.
        """
        plugins = Plugins(limit=settings.plugins.limit_seconds)
        plugins.load(blocked=settings.plugins.blocked, more=more_plugins)
        plugins.sources()  # two of one name are refused now, not at the first import
        rulebook = Rulebook.load(settings.rules)
        bus = Bus()
        async with contextlib.AsyncExitStack() as stack:
            database = await Database.open(
                settings.state_dir,
                migrations=migrations,
                on_events=lambda events: _publish(bus, events),
                at_open=guards.install,
            )
            stack.push_async_callback(database.close)
            channels = await usable_channels(plugins, settings, database)
            time = clock or _clock(settings.clock)
            auth = await Auth.open(database, time, settings)
            house = cls(settings, time, plugins, rulebook, bus, database, channels, auth)
            await stack.enter_async_context(house._living())
            yield house

    @contextlib.asynccontextmanager
    async def _living(self) -> AsyncIterator[None]:
        """Recover, restore and serve; then drain what is on the wire before the lines close."""
        await self.suppression.replay()
        await self.rule_desk.restore()
        observers = Observers(self.plugins, self.bus, self.database, self.clock)
        async with observers.running(), contextlib.AsyncExitStack() as stack:
            await self.outbox.start()
            stack.push_async_callback(self.sessions.close)
            stack.push_async_callback(self.outbox.stop, self.settings.daemon.drain_seconds)
            stack.push_async_callback(self.imports.close)
            await self.sessions.restore()
            for view in self.sessions.views():
                self.outbox.serve(view.name)
            async with self.validation.running(), self.rule_watch.running():
                yield

    # The rules.

    @cached_property
    def rule_desk(self) -> RuleDesk:
        """What changes the rules in force."""
        channels = tuple(sorted(self.plugins.channels()))
        return RuleDesk(self.database, self.rulebook, self.clock, self.settings.rules, channels)

    @cached_property
    def rule_watch(self) -> RuleWatch:
        """What sees a rule file saved."""
        return RuleWatch(self.rule_desk, self.settings.rules)

    # People.

    @cached_property
    def _journal(self) -> SuppressionJournal:
        return SuppressionJournal(self.settings.state_dir)

    @cached_property
    def aliases(self) -> Aliases:
        """Every form under which a line is known."""
        return Aliases(self._journal.hash)

    @cached_property
    def suppression(self) -> Suppression:
        """Who is not to be written to."""
        return Suppression(self.database, self._journal, self.aliases, self.clock)

    @cached_property
    def scoring(self) -> Scoring:
        """What a prospect's evidence amounts to."""
        return Scoring(self.rulebook)

    @cached_property
    def inbound(self) -> InboundDesk:
        """What people write to us, and what receipts say."""
        return InboundDesk(
            database=self.database,
            plugins=self.plugins,
            suppression=self.suppression,
            scoring=self.scoring,
            aliases=self.aliases,
            wishes=wishes.load(),
            clock=self.clock,
            settings=self.settings,
            wake=self.outbox.wake,
        )

    @cached_property
    def imports(self) -> Imports:
        """Lists of prospects on their way in."""
        return Imports(
            self.database, self.plugins, self.scoring, self.aliases, self.clock, self.settings
        )

    @cached_property
    def prospects(self) -> Prospects:
        """Prospects that a person enters or corrects."""
        return Prospects(
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
        return Gate(self.database, self.plugins, self.rulebook, self._signer, self.clock)

    @cached_property
    def pacing(self) -> Pacing:
        """When a message may go."""
        return Pacing(self.settings.pacing)

    @cached_property
    def desk(self) -> Desk:
        """Where the gate's word is written down."""
        return Desk(self.database, self.gate, self.settings.sending)

    @cached_property
    def outbox(self) -> Outbox:
        """Messages on their way out."""
        intake = Intake(
            self.database, self.plugins, self.pacing, self.aliases, self.clock, self.settings
        )
        return Outbox(self.database, self.desk, intake, self.clock)

    @cached_property
    def sessions(self) -> Sessions:
        """The phones: the only room that reaches a transport."""
        return Sessions(
            clock=self.clock,
            database=self.database,
            bus=self.bus,
            verifier=PermitVerifier(self._signer.public_key),
            channels=self.channels,
            folder=self.settings.state_dir / "sessions",
            rng=Random(),  # noqa: S311 - spreads reconnects, protects nothing
            on_inbound=self.inbound.inbound,
            on_receipt=self.inbound.receipt,
            on_own=self.inbound.own,
            on_lid=self.inbound.lid,
            channel_options={"simulated": msgspec.to_builtins(self.settings.simulated)},
            stagger_seconds=self.settings.daemon.restore_stagger_seconds,
        )

    def _session_ready(self, session: str) -> None:
        """A session can send and ask again: what waited for either goes on."""
        self.outbox.session_ready(session)
        self.validation.wake()

    def _dispatch(self, session: str) -> Dispatch:
        return Dispatch(
            session,
            database=self.database,
            gate=self.gate,
            desk=self.desk,
            pacing=self.pacing,
            wire=self.sessions,
            clock=self.clock,
            settings=self.settings.sending,
        )

    # A person's word.

    @cached_property
    def review(self) -> Review:
        """Messages that wait for a person."""
        return Review(self.database, self.clock, self.settings.sending, self.outbox.wake)

    @cached_property
    def manual(self) -> Manual:
        """Messages that a person sends by hand."""
        return Manual(
            self.database, self.gate, self.desk, self.pacing, self.clock, self.settings.sending
        )

    @cached_property
    def halt(self) -> Halt:
        """The stop of everything."""
        return Halt(self.database, self.clock)


def _clock(settings: ClockSettings) -> Clock:
    return SystemClock() if settings.start is None else ScaledClock(settings.start, settings.rate)


def _publish(bus: Bus, events: Sequence[CommittedEvent]) -> None:
    for event in events:
        bus.publish(revive(event.type, event.subject, event.at, event.data), event.seq)
