"""The composition root: builds every service once, connects them, opens and closes all."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import fields
from random import Random
from typing import Any

import msgspec

from daemon.api.clock import Clock, ScaledClock, SystemClock
from daemon.api.permit import PermitSigner, PermitVerifier
from daemon.auth import AuthService
from daemon.bus import EventBus
from daemon.clock_steps import ClockStepWatcher
from daemon.contacts.aliases import Aliases
from daemon.contacts.consents import ConsentService
from daemon.contacts.do_not_call import DoNotCallService
from daemon.contacts.imports.service import ImportService
from daemon.contacts.number_checks import NumberCheckPolicy
from daemon.contacts.prospects import ProspectService
from daemon.contacts.retention import Retention
from daemon.contacts.suppression import SuppressionService
from daemon.contacts.suppression_lists import SuppressionLists
from daemon.contacts.validation import ValidationService
from daemon.contacts.validation_transitions import build_validation_transitions
from daemon.event_dispatcher import EventDispatcher
from daemon.events import decode_event
from daemon.gate.gate import Gate
from daemon.gate.scoring import Scoring
from daemon.inbound import SignalHandlers, build_signal_handlers
from daemon.inbound.classification import ClassificationService
from daemon.inbound.classification_effects import ClassificationEffects
from daemon.inbound.phrase_file import PhraseFile
from daemon.outbox import Outbox
from daemon.outbox.enqueue import MessageEnqueuer
from daemon.outbox.evaluator import MessageEvaluator
from daemon.outbox.halt import Halt
from daemon.outbox.manual import ManualSending
from daemon.outbox.pacing import Pacing
from daemon.outbox.review import ReviewService
from daemon.outbox.sender import SessionSender
from daemon.outbox.wakeups import Wakeups
from daemon.plugin_manager import PluginFailureQueue, Plugins
from daemon.rulesets.active import ActiveRulesets
from daemon.rulesets.service import RulesetService
from daemon.rulesets.watcher import RulesetWatcher
from daemon.services import Foundation, Services
from daemon.sessions import Sessions
from daemon.sessions.registry import load_usable_channels
from daemon.settings import ClockSettings, Settings
from statemachines.vocabulary import BuiltinChannel
from storage import triggers
from storage.db import Database
from storage.events import CommittedEvent
from storage.journal import SuppressionJournal
from storage.migrations import MIGRATIONS


@contextlib.asynccontextmanager
async def open_services(
    settings: Settings,
    *,
    clock: Clock | None = None,
    more_plugins: Mapping[str, object] | None = None,
) -> AsyncIterator[Services]:
    """Open every service in order, yield them, and close them in the opposite order.

    Raises :class:`StartRefused`, :class:`RulesRejected` or ``DatabaseRefused`` with one
    sentence where starting would be unsafe.
    """
    failures = PluginFailureQueue()
    plugins = _load_plugins(settings, failures, more_plugins)
    rulesets = ActiveRulesets.load(settings.rules)
    bus = EventBus()
    async with contextlib.AsyncExitStack() as stack:
        database = await Database.open(
            settings.state_dir,
            migrations=MIGRATIONS,
            on_events=lambda events: publish_events(bus, events),
            at_open=triggers.install_triggers,
        )
        stack.push_async_callback(database.close)  # last of all: the others write until their end
        channels = await load_usable_channels(plugins, settings, database)
        clock = clock or _make_clock(settings.clock)
        foundation = Foundation(
            settings=settings,
            clock=clock,
            started_at=clock.now(),
            plugins=plugins,
            plugin_failures=failures,
            rulesets=rulesets,
            bus=bus,
            database=database,
            channels=channels,
            auth=await AuthService.open(database, clock, settings),
        )
        services = build_services(foundation)
        await stack.enter_async_context(run_services(services))
        yield services


def _load_plugins(
    settings: Settings, failures: PluginFailureQueue, more: Mapping[str, object] | None
) -> Plugins:
    plugins = Plugins(limit=settings.plugins.limit_seconds, report_failure=failures.put)
    plugins.load(blocked=settings.plugins.blocked, more=more)
    plugins.sources()  # for its check: two of one name refuse the start, not the first import
    return plugins


@contextlib.asynccontextmanager
async def run_services(services: Services) -> AsyncIterator[None]:
    """Recover what a crash left, connect the sessions, and drain what is on the wire at the end."""
    # Before anything can be sent: a restored database may have lost opt-outs that the journal has.
    await services.suppression.replay_journal()
    await services.ruleset_service.restore()
    observers = EventDispatcher(
        services.plugins,
        services.plugin_failures,
        services.bus,
        services.database,
        services.clock,
    )
    watcher = ClockStepWatcher(services.clock, services.database, services.sessions)
    # Before the outbox and the sessions read their deadlines, which this may move.
    await watcher.recover()
    async with observers.running(), contextlib.AsyncExitStack() as stack:
        # Marks what a crash left on the wire as in doubt, before any session can send again.
        await services.outbox.start()
        # Run in the opposite order: imports end, the outbox drains, then the connections close.
        stack.push_async_callback(services.sessions.close)
        stack.push_async_callback(services.outbox.stop, services.settings.daemon.drain_seconds)
        stack.push_async_callback(services.imports.close)
        # Subscribed before the sessions connect: the first message to send is announced as an
        # event.
        await stack.enter_async_context(services.wakeups.running())
        await services.sessions.restore()
        for service in (services.validation, services.ruleset_watcher, watcher):
            await stack.enter_async_context(service.running())
        yield


def build_services(base: Foundation) -> Services:
    """Build each service from those it depends on; no task starts here."""
    settings, clock, database, plugins = base.settings, base.clock, base.database, base.plugins
    journal, signer = SuppressionJournal(settings.state_dir), PermitSigner()
    aliases, scoring = Aliases(journal.hash), Scoring(base.rulesets)
    phrase_file, rulesets = PhraseFile(settings.inbound), _build_ruleset_service(base)
    suppression = SuppressionService(database, journal, aliases, clock)
    handlers = _build_signal_handlers(base, aliases, suppression, scoring, phrase_file)
    sessions = _build_sessions(base, handlers, PermitVerifier(signer.public_key))
    checks = NumberCheckPolicy(settings.pacing, base.channels)
    validation = ValidationService(database, sessions, scoring, aliases, clock, checks, settings)
    gate, pacing = Gate(database, plugins, base.rulesets, signer, clock), Pacing(settings.pacing)
    evaluator = MessageEvaluator(database, gate, checks, settings.sending)
    outbox = _build_outbox(base, aliases, gate, pacing, evaluator, sessions, checks)
    return Services(
        **copy_fields(base),
        ruleset_service=rulesets,
        ruleset_watcher=RulesetWatcher(rulesets, settings.rules),
        aliases=aliases,
        **_build_suppression_services(base, suppression, aliases),
        scoring=scoring,
        phrase_file=phrase_file,
        signal_handlers=handlers,
        classification=_build_classification(base, aliases, suppression, scoring),
        imports=ImportService(database, plugins, scoring, aliases, clock, settings),
        prospects=ProspectService(database, scoring, aliases, clock, settings.daemon),
        consents=ConsentService(database, scoring, aliases, clock, settings),
        number_checks=checks,
        validation=validation,
        retention=Retention(database, clock, settings.retention),
        gate=gate,
        pacing=pacing,
        evaluator=evaluator,
        outbox=outbox,
        wakeups=Wakeups(base.bus, outbox, validation, clock),
        sessions=sessions,
        review=ReviewService(database, clock, settings.sending),
        manual=ManualSending(database, gate, evaluator, pacing, clock, settings.sending),
        halt=Halt(database, clock),
    )


def _build_suppression_services(
    base: Foundation, suppression: SuppressionService, aliases: Aliases
) -> dict[str, Any]:
    settings, plugins = base.settings, base.plugins
    return {
        "suppression": suppression,
        "suppression_lists": SuppressionLists(suppression, plugins, settings),
        "do_not_call": DoNotCallService(base.database, plugins, aliases, base.clock, settings),
    }


def copy_fields(container: Foundation) -> dict[str, Any]:
    """Return the fields of a container by name, to build a larger one with."""
    return {field.name: getattr(container, field.name) for field in fields(container)}


def _build_classification(
    base: Foundation, aliases: Aliases, suppression: SuppressionService, scoring: Scoring
) -> ClassificationService:
    transitions = build_validation_transitions(scoring, aliases, base.settings)
    effects = ClassificationEffects(suppression, scoring, transitions)
    return ClassificationService(base.database, effects, base.clock)


def _build_signal_handlers(
    base: Foundation,
    aliases: Aliases,
    suppression: SuppressionService,
    scoring: Scoring,
    phrase_file: PhraseFile,
) -> SignalHandlers:
    return build_signal_handlers(
        database=base.database,
        plugins=base.plugins,
        suppression=suppression,
        scoring=scoring,
        aliases=aliases,
        request_reader=phrase_file.reader,
        clock=base.clock,
        settings=base.settings,
    )


def _build_sessions(
    base: Foundation, handlers: SignalHandlers, verifier: PermitVerifier
) -> Sessions:
    return Sessions(
        clock=base.clock,
        database=base.database,
        bus=base.bus,
        verifier=verifier,
        channels=base.channels,
        folder=base.settings.state_dir / "sessions",
        rng=Random(),  # noqa: S311 - spreads reconnects, protects nothing
        on_inbound=handlers.inbound.handle_inbound,
        on_receipt=handlers.receipts.handle_receipt,
        on_own=handlers.own_messages.handle_own_message,
        on_alias=handlers.aliases.handle_alias,
        on_rejected=handlers.quarantine.handle_rejected,
        channel_options={
            BuiltinChannel.SIMULATED: msgspec.to_builtins(base.settings.simulated),
            BuiltinChannel.LINKED: msgspec.to_builtins(base.settings.linked),
        },
        stagger_seconds=base.settings.daemon.restore_stagger_seconds,
        settings=base.settings.sessions,
        installed_channels=base.plugins.channels(),
    )


def _build_ruleset_service(base: Foundation) -> RulesetService:
    channels = tuple(sorted(base.plugins.channels()))
    return RulesetService(base.database, base.rulesets, base.clock, base.settings.rules, channels)


def _build_outbox(
    base: Foundation,
    aliases: Aliases,
    gate: Gate,
    pacing: Pacing,
    evaluator: MessageEvaluator,
    sessions: Sessions,
    checks: NumberCheckPolicy,
) -> Outbox:
    enqueuer = MessageEnqueuer(
        base.database, base.plugins, pacing, aliases, base.clock, base.settings
    )

    def make_sender(session: str) -> SessionSender:
        return SessionSender(
            session,
            database=base.database,
            gate=gate,
            evaluator=evaluator,
            pacing=pacing,
            sessions=sessions,
            clock=base.clock,
            settings=base.settings.sending,
        )

    return Outbox(base.database, evaluator, enqueuer, checks, base.clock, make_sender)


def _make_clock(settings: ClockSettings) -> Clock:
    return SystemClock() if settings.start is None else ScaledClock(settings.start, settings.rate)


def publish_events(bus: EventBus, events: Sequence[CommittedEvent]) -> None:
    """Publish committed events on the bus, in the order of the log."""
    for event in events:
        bus.publish(decode_event(event.type, event.subject, event.at, event.data), event.seq)
