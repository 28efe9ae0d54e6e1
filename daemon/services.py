"""The container of all services: `daemon.bootstrap` builds it, HTTP and periodic jobs use it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from daemon.alerts.service import AlertService
from daemon.api.clock import Clock
from daemon.api.transport import Channel
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
from daemon.deliveries.service import DeliveryService
from daemon.deliveries.settlement import SettlementService
from daemon.deliveries.terms import ClientTermsService
from daemon.gate.gate import Gate
from daemon.gate.scoring import Scoring
from daemon.history.service import HistoryService
from daemon.inbound import SignalHandlers
from daemon.inbound.classification import ClassificationService
from daemon.inbound.contact_sync import ContactSync
from daemon.inbound.invites import InviteService
from daemon.inbound.phrase_file import PhraseFile
from daemon.morning import MorningService
from daemon.numbers.breaker import Breaker
from daemon.numbers.budgets import Budgets, Decisions
from daemon.outbox import Outbox
from daemon.outbox.evaluator import MessageEvaluator
from daemon.outbox.halt import Halt
from daemon.outbox.manual import ManualSending
from daemon.outbox.message_check import MessageCheck
from daemon.outbox.number_budgets import NumberBudgetService
from daemon.outbox.pacing import Pacing
from daemon.outbox.review import ReviewService
from daemon.outbox.wakeups import Wakeups
from daemon.phases import PhaseService
from daemon.plugin_manager import PluginFailureQueue, Plugins
from daemon.rulesets.active import ActiveRulesets
from daemon.rulesets.service import RulesetService
from daemon.rulesets.watcher import RulesetWatcher
from daemon.sessions import Sessions
from daemon.settings import Settings
from daemon.storage_monitor import StorageMonitor
from daemon.texts.own_test_messages import TestMessageService
from daemon.texts.service import TextService
from storage.db import Database


class Foundation(Struct, frozen=True, kw_only=True):
    """What is open before the first service is built, and what services are built from."""

    settings: Settings
    clock: Clock
    started_at: datetime
    plugins: Plugins
    plugin_failures: PluginFailureQueue
    rulesets: ActiveRulesets
    bus: EventBus
    database: Database
    channels: Mapping[str, Channel]
    auth: AuthService


class Services(Foundation, frozen=True, kw_only=True):
    """Every service of a running daemon, each built once.

    Nothing is replaced afterwards; a test that needs another part builds the container with it.
    """

    # Rules.
    ruleset_service: RulesetService
    ruleset_watcher: RulesetWatcher

    # Contacts: prospects, suppression, and what they write to us.
    aliases: Aliases
    suppression: SuppressionService
    suppression_lists: SuppressionLists
    personal_data: PersonalDataService
    do_not_call: DoNotCallService
    scoring: Scoring
    phrase_file: PhraseFile
    signal_handlers: SignalHandlers
    classification: ClassificationService
    invites: InviteService
    imports: ImportService
    import_undo: ImportUndoService
    history: HistoryService
    prospects: ProspectService
    saved_filters: SavedFilterService
    consents: ConsentService
    number_checks: NumberCheckPolicy
    validation: ValidationService
    retention: Retention

    # Operation.
    backups: BackupService
    phases: PhaseService
    morning: MorningService
    alerts: AlertService

    # Sending.
    gate: Gate
    pacing: Pacing
    evaluator: MessageEvaluator
    outbox: Outbox
    wakeups: Wakeups
    clock_steps: ClockStepWatcher
    breaker: Breaker
    budgets: Budgets
    number_budgets: NumberBudgetService
    decisions: Decisions
    sessions: Sessions
    contact_sync: ContactSync
    review: ReviewService
    manual: ManualSending
    halt: Halt
    storage_monitor: StorageMonitor

    # Answering people.
    message_check: MessageCheck
    chats: ChatService
    strangers: StrangerService
    outcomes: OutcomeService
    unanswered_outcomes: UnansweredOutcomes
    sharing: SharingService
    data_requests: DataRequestService
    texts: TextService
    test_messages: TestMessageService

    # Lists worked through by hand.
    campaigns: CampaignService
    dry_runs: CampaignDryRuns
    campaign_work: CampaignWork
    campaign_reports: CampaignReports

    # What is sold.
    client_terms: ClientTermsService
    deliveries: DeliveryService
    settlement: SettlementService
