"""The composition root: builds every service once, connects them, opens and closes all."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from daemon.alerts.service import AlertService
from daemon.api.clock import Clock, ScaledClock, SystemClock
from daemon.api.permit import PermitSigner, PermitVerifier
from daemon.auth import AuthService
from daemon.backup.service import BackupService
from daemon.bus import EventBus
from daemon.campaigns.dry_runs import CampaignDryRuns
from daemon.campaigns.reports import CampaignReports
from daemon.campaigns.service import CampaignService
from daemon.campaigns.working import CampaignWork
from daemon.chats.data_requests import DataRequestService
from daemon.chats.outcome_service import OutcomeService
from daemon.chats.service import ChatService
from daemon.chats.sharing import SharingService
from daemon.chats.strangers import StrangerService
from daemon.chats.unanswered_outcomes import UnansweredOutcomes
from daemon.clock_steps import ClockStepWatcher
from daemon.contacts.aliases import Aliases
from daemon.contacts.consents import ConsentService
from daemon.contacts.do_not_call import DoNotCallService
from daemon.contacts.imports.service import ImportService
from daemon.contacts.imports.undo import ImportUndoService
from daemon.contacts.number_checks import NumberCheckPolicy
from daemon.contacts.personal_data import PersonalDataService
from daemon.contacts.prospects import ProspectService
from daemon.contacts.retention import Retention
from daemon.contacts.saved_filters import SavedFilterService
from daemon.contacts.suppression import SuppressionService
from daemon.contacts.suppression_lists import SuppressionLists
from daemon.contacts.validation import ValidationService
from daemon.contacts.validation_transitions import build_validation_transitions
from daemon.deliveries.service import DeliveryService
from daemon.deliveries.settlement import SettlementService
from daemon.deliveries.terms import ClientTermsService
from daemon.event_dispatcher import EventDispatcher
from daemon.events import decode_event
from daemon.gate.gate import Gate
from daemon.gate.scoring import Scoring
from daemon.history.service import HistoryService
from daemon.history.writer import HistoryWriter
from daemon.http.console.language import load_language
from daemon.inbound import SignalHandlers, build_signal_handlers
from daemon.inbound.classification import ClassificationService
from daemon.inbound.classification_effects import ClassificationEffects
from daemon.inbound.contact_sync import ContactSync
from daemon.inbound.invites import InviteService
from daemon.inbound.phrase_file import PhraseFile
from daemon.morning import MorningService
from daemon.numbers.breaker import Breaker
from daemon.numbers.budgets import Budgets, Decisions
from daemon.outbox import Outbox
from daemon.outbox.enqueue import MessageEnqueuer
from daemon.outbox.evaluator import MessageEvaluator
from daemon.outbox.halt import Halt
from daemon.outbox.manual import ManualSending
from daemon.outbox.message_check import MessageCheck
from daemon.outbox.number_budgets import NumberBudgetService
from daemon.outbox.pacing import Pacing
from daemon.outbox.review import ReviewService
from daemon.outbox.sender import SessionSender
from daemon.outbox.wakeups import Wakeups
from daemon.phases import PhaseService
from daemon.plugin_manager import PluginFailureQueue, Plugins
from daemon.rulesets.active import ActiveRulesets
from daemon.rulesets.service import RulesetService
from daemon.rulesets.watcher import RulesetWatcher
from daemon.services import Foundation, Services
from daemon.sessions import Sessions
from daemon.sessions.registry import load_usable_channels
from daemon.settings import ClockSettings, Settings
from daemon.storage_monitor import StorageMonitor
from daemon.texts.own_test_messages import TestMessageService
from daemon.texts.service import TextService
from statemachines.vocabulary import BuiltinChannel
from storage import triggers
from storage.db import Database
from storage.events import CommittedEvent
from storage.journal import SuppressionJournal
from storage.schema_steps import MIGRATIONS


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
    watcher = services.clock_steps
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
        # Before anything can be sent; after what the start itself had to write on a full disk.
        await services.storage_monitor.check()
        await services.sessions.restore()
        for service in (
            services.validation,
            services.import_undo,
            services.ruleset_watcher,
            watcher,
        ):
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
    sessions = _build_sessions(base, handlers, signer.create_verifier())
    budgets, breaker = _build_budgets(base), Breaker(database, clock)
    checks = NumberCheckPolicy(budgets, base.channels)
    validation = ValidationService(database, sessions, scoring, aliases, clock, checks, settings)
    gate, pacing = Gate(database, plugins, base.rulesets, signer, clock), Pacing(budgets)
    evaluator = MessageEvaluator(database, gate, checks, settings.sending, clock)
    steps = ClockStepWatcher(clock, database, sessions)
    outbox = _build_outbox(base, aliases, gate, pacing, breaker, evaluator, sessions, checks, steps)
    message_check = MessageCheck(database, outbox, gate, evaluator, sessions, pacing, clock)
    return Services(
        **copy_fields(base),
        ruleset_service=rulesets,
        ruleset_watcher=RulesetWatcher(rulesets, settings.rules),
        aliases=aliases,
        **_build_list_services(base, suppression, aliases, scoring),
        phrase_file=phrase_file,
        **_build_texts(base, phrase_file, aliases, scoring, validation, message_check, outbox),
        signal_handlers=handlers,
        **_build_prospect_services(base, scoring, aliases, sessions, handlers),
        number_checks=checks,
        validation=validation,
        gate=gate,
        pacing=pacing,
        evaluator=evaluator,
        outbox=outbox,
        clock_steps=steps,
        wakeups=Wakeups(base.bus, outbox, validation, breaker, clock),
        sessions=sessions,
        **_build_operator_services(base, breaker, budgets, outbox, rulesets, sessions),
        **_build_chat_services(base, aliases, suppression, scoring, outbox, message_check),
        **_build_campaign_services(base, outbox, gate, evaluator, breaker, message_check, pacing),
    )


def _build_texts(
    base: Foundation,
    phrase_file: PhraseFile,
    aliases: Aliases,
    scoring: Scoring,
    validation: ValidationService,
    message_check: MessageCheck,
    outbox: Outbox,
) -> dict[str, Any]:
    database, clock = base.database, base.clock
    texts = TextService(database, phrase_file, message_check, clock)
    prospects = ProspectService(database, scoring, aliases, clock, base.settings.daemon)
    return {
        "texts": texts,
        "test_messages": TestMessageService(
            database, texts, aliases, prospects, validation, outbox, message_check, clock
        ),
    }


def _build_campaign_services(
    base: Foundation,
    outbox: Outbox,
    gate: Gate,
    evaluator: MessageEvaluator,
    breaker: Breaker,
    message_check: MessageCheck,
    pacing: Pacing,
) -> dict[str, Any]:
    """Build what sends by hand: single messages, and the campaigns that are worked off."""
    database, clock, region = base.database, base.clock, base.settings.daemon.default_region
    sending = base.settings.sending
    manual = ManualSending(database, gate, evaluator, pacing, breaker, clock, sending)
    runs = CampaignDryRuns(database, message_check, pacing, base.rulesets, clock, region)
    return {
        "manual": manual,
        "dry_runs": runs,
        "campaigns": CampaignService(database, runs, clock, region),
        "campaign_work": CampaignWork(
            database,
            outbox,
            gate,
            evaluator,
            manual,
            message_check,
            pacing,
            clock,
            sending,
        ),
        "campaign_reports": CampaignReports(database),
    }


def _build_chat_services(
    base: Foundation,
    aliases: Aliases,
    suppression: SuppressionService,
    scoring: Scoring,
    outbox: Outbox,
    message_check: MessageCheck,
) -> dict[str, Any]:
    transitions = build_validation_transitions(scoring, aliases, base.settings)
    effects = ClassificationEffects(suppression, scoring, transitions)
    settings = base.settings
    chats = ChatService(base.database, outbox, message_check, base.clock, settings.daemon)
    deliveries = DeliveryService(base.database, base.clock, settings.daemon, load_language)
    reporting = {name for name, each in base.channels.items() if each.capabilities.receipts}
    return {
        "classification": ClassificationService(base.database, effects, base.clock),
        "chats": chats,
        "message_check": message_check,
        "data_requests": DataRequestService(base.database, base.clock),
        "sharing": SharingService(base.database, chats, base.clock, settings.sending),
        "unanswered_outcomes": UnansweredOutcomes(
            base.database, transitions, reporting, base.clock
        ),
        "outcomes": OutcomeService(base.database, effects, scoring, transitions, base.clock),
        "client_terms": ClientTermsService(base.database, base.clock),
        "deliveries": deliveries,
        "settlement": SettlementService(base.database, deliveries, base.clock),
    }


def _build_budgets(base: Foundation) -> Budgets:
    return Budgets(base.settings.pacing, _list_simulated_channels(base))


def _list_simulated_channels(base: Foundation) -> set[str]:
    """Return the channels that reach nobody."""
    # With an injected clock every session is simulated, also of what is sent by hand.
    return {
        name
        for name, channel in base.plugins.channels().items()
        if channel.simulated or base.settings.clock.start is not None
    }


def _build_operator_services(
    base: Foundation,
    breaker: Breaker,
    budgets: Budgets,
    outbox: Outbox,
    rulesets: RulesetService,
    sessions: Sessions,
) -> dict[str, Any]:
    database, clock, settings = base.database, base.clock, base.settings
    halt, backups = Halt(database, clock), BackupService(settings, database, clock)
    simulated = _list_simulated_channels(base)
    zone = ZoneInfo(settings.daemon.time_zone)
    morning = MorningService(database, Pacing(budgets), backups, clock, zone)
    load_words = partial(load_language, settings.alerts.language)
    return {
        "breaker": breaker,
        "budgets": budgets,
        "decisions": Decisions(database, clock),
        "invites": InviteService(database, clock),
        "number_budgets": NumberBudgetService(database, clock, budgets, Pacing(budgets)),
        "halt": halt,
        "storage_monitor": StorageMonitor(database, halt, outbox),
        "review": ReviewService(database, clock, settings.sending),
        "backups": backups,
        "phases": PhaseService(database, clock, rulesets, backups, simulated),
        "morning": morning,
        "alerts": AlertService(
            settings, database, clock, sessions, halt, backups, morning, load_words
        ),
    }


def _build_prospect_services(
    base: Foundation,
    scoring: Scoring,
    aliases: Aliases,
    sessions: Sessions,
    handlers: SignalHandlers,
) -> dict[str, Any]:
    database, clock, settings = base.database, base.clock, base.settings
    imports = ImportService(database, base.plugins, scoring, aliases, clock, settings)
    prospects = ProspectService(database, scoring, aliases, clock, settings.daemon)
    return {
        "imports": imports,
        "import_undo": ImportUndoService(database, scoring, clock, imports),
        "prospects": prospects,
        "saved_filters": SavedFilterService(
            database, clock, settings.daemon.default_region, load_language
        ),
        "strangers": StrangerService(database, prospects, clock, settings.validation),
        "consents": ConsentService(database, scoring, aliases, clock, settings),
        "retention": Retention(database, clock, settings.retention),
        "contact_sync": ContactSync(database, sessions, aliases, handlers.aliases, clock),
    }


def _build_list_services(
    base: Foundation, suppression: SuppressionService, aliases: Aliases, scoring: Scoring
) -> dict[str, Any]:
    """Return scoring, suppression, and each service that imports other lists than prospects."""
    database, plugins, clock, settings = base.database, base.plugins, base.clock, base.settings
    history = HistoryWriter(aliases, suppression, scoring, settings.sending)
    return {
        "scoring": scoring,
        "suppression": suppression,
        "personal_data": PersonalDataService(database, suppression, clock, settings),
        "suppression_lists": SuppressionLists(suppression, plugins, settings),
        "do_not_call": DoNotCallService(database, plugins, aliases, clock, settings),
        "history": HistoryService(database, plugins, history, clock, settings),
    }


def copy_fields(container: Foundation) -> dict[str, Any]:
    """Return the fields of a container by name, to build a larger one with."""
    return {name: getattr(container, name) for name in container.__struct_fields__}


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
    breaker: Breaker,
    evaluator: MessageEvaluator,
    sessions: Sessions,
    checks: NumberCheckPolicy,
    clock_steps: ClockStepWatcher,
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
            breaker=breaker,
            look_at_clock=clock_steps.look,
            sessions=sessions,
            clock=base.clock,
            settings=base.settings.sending,
        )

    return Outbox(
        base.database, evaluator, enqueuer, checks, base.clock, make_sender, base.settings.sending
    )


def _make_clock(settings: ClockSettings) -> Clock:
    return SystemClock() if settings.start is None else ScaledClock(settings.start, settings.rate)


def publish_events(bus: EventBus, events: Sequence[CommittedEvent]) -> None:
    """Publish committed events on the bus, in the order of the log."""
    for event in events:
        bus.publish(decode_event(event.type, event.subject, event.at, event.data), event.seq)
