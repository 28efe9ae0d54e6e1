"""The composition root: builds every room once, hands each its neighbours, opens and closes all."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random

import msgspec

from daemon import wishes
from daemon.aliases import Aliases
from daemon.api.clock import Clock, ScaledClock, SystemClock
from daemon.api.permit import PermitSigner, PermitVerifier
from daemon.api.transport import Channel
from daemon.bus import Bus
from daemon.errors import StartRefused
from daemon.events import revive
from daemon.gate import Gate
from daemon.halt import Halt
from daemon.imports import Imports
from daemon.inbound import InboundDesk
from daemon.manual import Manual
from daemon.observers import Observers
from daemon.outbox import Outbox
from daemon.outbox.desk import Desk
from daemon.outbox.dispatch import Dispatch
from daemon.outbox.requests import Intake
from daemon.pacing import Pacing
from daemon.plugin_manager import Plugins
from daemon.retention import Retention
from daemon.review import Review
from daemon.rulebook import Rulebook
from daemon.scoring import Scoring
from daemon.sessions import Sessions
from daemon.settings import ClockSettings, Settings
from daemon.suppression import Suppression
from daemon.validation import Validation
from storage import guards, sessions
from storage.db import Database
from storage.events import CommittedEvent
from storage.journal import SuppressionJournal
from storage.migrations import migrations


@dataclass(frozen=True, slots=True)
class _Ground:
    """What every room stands on."""

    settings: Settings
    clock: Clock
    plugins: Plugins
    rulebook: Rulebook
    bus: Bus
    database: Database


@dataclass(slots=True)
class House:
    """Every room of a running daemon. Doors and journeys reach them here, by name."""

    settings: Settings
    clock: Clock
    database: Database
    bus: Bus
    plugins: Plugins
    rulebook: Rulebook
    aliases: Aliases
    suppression: Suppression
    scoring: Scoring
    gate: Gate
    sessions: Sessions
    outbox: Outbox
    review: Review
    manual: Manual
    halt: Halt
    validation: Validation
    imports: Imports
    retention: Retention
    started_at: datetime

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
        clock = clock or _clock(settings.clock)
        plugins = Plugins(limit=settings.plugins.limit_seconds)
        plugins.load(blocked=settings.plugins.blocked, more=more_plugins)
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
            ground = _Ground(settings, clock, plugins, rulebook, bus, database)
            house = await _furnish(ground)
            await stack.enter_async_context(house.living())
            yield house

    @contextlib.asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """Recover, restore and serve; then drain what is on the wire before the lines close."""
        at = self.clock.now()
        await self.suppression.replay()
        await self.database.write(lambda tx: self.rulebook.store(tx, at=at, who="daemon"))
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(
                Observers(self.plugins, self.bus, self.database, self.clock).running()
            )
            await self.outbox.start()
            stack.push_async_callback(self.sessions.close)
            stack.push_async_callback(self.outbox.stop, self.settings.daemon.drain_seconds)
            await self.sessions.restore()
            for view in self.sessions.views():
                self.outbox.serve(view.name)
            await stack.enter_async_context(self.validation.running())
            yield


async def _furnish(ground: _Ground) -> House:
    """Build the rooms, each from those below it; news that comes up is wired last."""
    settings, clock, database, plugins = (
        ground.settings,
        ground.clock,
        ground.database,
        ground.plugins,
    )
    journal = SuppressionJournal(settings.state_dir)
    aliases = Aliases(journal.hash)
    suppression = Suppression(database, journal, aliases, clock)
    scoring = Scoring(ground.rulebook.score)
    signer = PermitSigner()
    gate = Gate(database, plugins, ground.rulebook, signer, clock)
    pacing = Pacing(settings.pacing)
    desk = Desk(database, gate, settings.sending)
    outbox = Outbox(
        database, desk, Intake(database, plugins, pacing, aliases, clock, settings), clock
    )
    inbound = InboundDesk(
        database=database,
        plugins=plugins,
        suppression=suppression,
        scoring=scoring,
        aliases=aliases,
        wishes=wishes.load(),
        clock=clock,
        settings=settings,
        wake=outbox.wake,
    )
    lines = await _lines(ground, inbound, PermitVerifier(signer.public_key))
    outbox.connect(
        lambda session: Dispatch(
            session,
            database=database,
            gate=gate,
            desk=desk,
            pacing=pacing,
            wire=lines,
            clock=clock,
            settings=settings.sending,
        )
    )
    validation = Validation(database, lines, scoring, aliases, clock, settings)
    halt = Halt(database, clock)
    lines.on_ready = outbox.session_ready
    desk.on_check_wanted = validation.wake
    validation.on_checked = outbox.contact_checked
    halt.on_resume = outbox.wake
    return House(
        settings=settings,
        clock=clock,
        database=database,
        bus=ground.bus,
        plugins=plugins,
        rulebook=ground.rulebook,
        aliases=aliases,
        suppression=suppression,
        scoring=scoring,
        gate=gate,
        sessions=lines,
        outbox=outbox,
        review=Review(database, clock, settings.sending, outbox.wake),
        manual=Manual(database, gate, desk, pacing, clock, settings.sending),
        halt=halt,
        validation=validation,
        imports=Imports(database, plugins, scoring, aliases, clock, settings),
        retention=Retention(database, clock, settings.retention),
        started_at=clock.now(),
    )


async def _lines(ground: _Ground, inbound: InboundDesk, verifier: PermitVerifier) -> Sessions:
    """Build the sessions: the only room that reaches a transport."""
    settings = ground.settings
    return Sessions(
        clock=ground.clock,
        database=ground.database,
        bus=ground.bus,
        verifier=verifier,
        channels=await _channels(ground),
        folder=settings.state_dir / "sessions",
        rng=Random(),  # noqa: S311 - spreads reconnects, protects nothing
        on_inbound=inbound.inbound,
        on_receipt=inbound.receipt,
        on_own=inbound.own,
        on_lid=inbound.lid,
        channel_options={"simulated": msgspec.to_builtins(settings.simulated)},
        stagger_seconds=settings.daemon.restore_stagger_seconds,
    )


async def _channels(ground: _Ground) -> Mapping[str, Channel]:
    """Return the channels that may be used here; an injected clock allows simulated ones alone."""
    channels = ground.plugins.channels()
    if ground.settings.clock.start is None:
        return channels
    harmless = {
        name: each for name, each in channels.items() if each.simulated or not each.connects
    }
    for session in await ground.database.read(sessions.every):
        if session.channel not in harmless:
            raise StartRefused(
                f"The session {session.name!r} is {session.channel}, and the clock is injected.",
                hint="Remove [clock] start: only simulated sessions may run on an injected clock.",
            )
    return harmless


def _clock(settings: ClockSettings) -> Clock:
    return SystemClock() if settings.start is None else ScaledClock(settings.start, settings.rate)


def _publish(bus: Bus, events: Sequence[CommittedEvent]) -> None:
    for event in events:
        bus.publish(revive(event.type, event.subject, event.at, event.data), event.seq)
