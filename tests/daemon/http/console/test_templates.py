"""Templates and their words: every variable is given, every word is in both languages.

A missing one would else be noticed by whoever opens that page in that state.
"""

from __future__ import annotations

import ast
import contextlib
import re
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Final, get_args

import pytest
from jinja2 import meta, nodes

from daemon import alerts, contacts, deliveries
from daemon.api.effects import ContactRequest, Intent
from daemon.api.signals import InboundKind, Origin
from daemon.api.transport import OnWhatsApp
from daemon.auth import Role, Scope
from daemon.campaigns.dry_runs import DryRunAction
from daemon.campaigns.reports import ComparisonVerdict, ReportDimension
from daemon.chats.reading import ChatTab, ReplyMode
from daemon.contacts.consents import ConsentMethod
from daemon.contacts.personal_data import Remainder
from daemon.deliveries.qualification import INTERESTED
from daemon.gate.consent import Permission
from daemon.gate.gate import EvaluationPhase
from daemon.history.options import HISTORY_COLUMNS
from daemon.http import console
from daemon.http.console.accounts import USER_DIALOGS
from daemon.http.console.campaigns import CONTROLS
from daemon.http.console.deliveries import ROW_DEEDS
from daemon.http.console.dialogs import CONTACT_ACTIONS, SELECTION_ACTIONS
from daemon.http.console.evidence_view import EVIDENCE_SEVERITY
from daemon.http.console.imports import COLUMN_ORDER
from daemon.http.console.language import LANGUAGES, Language, load_language
from daemon.http.console.layout import THEMES, get_environment
from daemon.http.console.navigation import PLACES
from daemon.http.console.review import REVIEW_DECISIONS
from daemon.http.console.saved_filters import SAVED_FILTER_ACTIONS
from daemon.http.console.sessions import PAIRING_SHOWN_IN, SESSION_ACTIONS
from daemon.http.console.timeline import AUDIT_SEVERITY
from daemon.http.console.upkeep import RETENTION
from daemon.inbound.classification import ONCE
from daemon.lists.consent_cells import ConsentAnswer
from daemon.lists.dates import DateOrder
from daemon.lists.phone_cells import MobileAnswer
from daemon.outbox.message_check import SendOutlook
from daemon.phases import PHASES, PhaseCriterionCode, PhaseState
from daemon.sessions.status import UserAction
from rules.diff import ChangeKind
from rules.verdict import DeferKind, Verdict, VetoEffect
from statemachines.campaign import CampaignPersonState, CampaignState
from statemachines.delivery import DeliveryRowState
from statemachines.message import MessageState
from statemachines.prospect import ValidationState
from statemachines.session import ConnectionState, PhoneState, SendingState
from statemachines.vocabulary import (
    AlertCode,
    BlockedBy,
    BreakerCause,
    NumberAge,
    NumberCheckBlock,
    ReportedBan,
)
from storage.campaign_reports import CampaignStage
from storage.client_terms import DeliveryColumn
from storage.console_queries import MessageFunnel
from storage.contacts import HoldScope
from storage.deliveries import DeliveryFact, DeliveryGround
from storage.dossier import SECTIONS
from storage.evidence import EvidenceKind
from storage.history import HistoryKind
from storage.import_undo import UndoOutcome
from storage.imports import ImportRowOutcome
from storage.inbound_reviews import STOP_CAUSES, Meaning, ReviewCause
from storage.morning import NightTroubleKind
from storage.outcomes import READ_OUTCOMES, NextAction, Outcome
from storage.prospect_reviews import ProspectReviewOutcome
from storage.rulesets import RulesetActivationKind
from storage.schema_steps import MIGRATIONS
from storage.spends import SpendKind
from storage.texts import TextPurpose

FOLDER: Final = Path(console.__file__).parent
WITH_WORDS: Final = (FOLDER, *(Path(each.__path__[0]) for each in (alerts, contacts, deliveries)))
"""Packages whose code asks the catalogue for words."""
STATIC: Final = FOLDER.parent / "static"
ENVIRONMENT: Final = get_environment()
TEMPLATES: Final = ENVIRONMENT.list_templates()
CATALOGUES: Final = [load_language(code) for code in LANGUAGES]
GLOBALS: Final = frozenset(ENVIRONMENT.globals)
PIECE_VARIABLES: Final = frozenset({"page", "t", "translate"})
PAGE_VARIABLES: Final = frozenset(
    {"active_page", "halt", "refusal", "seq", "epoch", "csrf", "theme", "rate", "badges"}
)
SIGNED_OUT_VARIABLES: Final = frozenset({"t", "translate", "theme"})
GIVEN: Final = {
    "render_page": PIECE_VARIABLES | PAGE_VARIABLES,
    "render_piece": PIECE_VARIABLES,
    "render_signed_out_page": SIGNED_OUT_VARIABLES,
}
"""The functions that render a template, and what each gives to it by itself."""
_PAGE_KEYS: Final = {"move", "open", "search", "help", "halt", "close"}
_ACTIONS: Final = {
    "held",
    "in_doubt",
    "by_hand",
    "quarantined",
    "unread",
    "answers",
    "blocked",
    "ban",
    "new_chats_stopped",
    "expiring",
    "later_opt_outs",
    "history",
    "data_asked",
    *("halt", "numbers", "prospects", "rules_rejected", "rules_waiting"),
} | {f"session.{action}" for action in UserAction if action is not UserAction.NONE}
_COUNTED: Final = {"chats", "review", "campaigns", "deliveries", "sessions", "settings"}
_QUEUES: Final = {"approvals", "numbers"}
PAGE_KEYS: Final = {place.key for place in PLACES} | {
    "messages",
    "manual",
    "rules",
    "phases",
    "texts",
    "users",
    "tokens",
    "budgets",
    "backups",
    "alerts",
    "personal_data",
    "invites",
    "audit",
}


def list_dossier_columns() -> set[str]:
    """Return every column of a dossier's sections, as SQLite names them."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        MIGRATIONS.apply(connection)
        asked = {"prospect": "", "contact": ""}
        found = [connection.execute(query, asked).description for query in SECTIONS.values()]
    return {column[0] for columns in found for column in columns}


_DELIVERED_VALUES: Final = {
    *(
        f"validation.{kind}"
        for kind in ("validation", "on_whatsapp", "given_as_whatsapp", "inbound")
    ),
    *(f"permission.{each}" for each in {*Permission} - {Permission.REFUSED}),
    *(f"intent.{each}" for each in INTERESTED),
    *(f"sharing.{each}" for each in DeliveryGround),
}
MEMBERS: Final[Mapping[str, set[str]]] = {
    "badge.": {*_COUNTED, "more"},
    "morning.": {"phones", "night", "waiting", "leaving"},
    "selection.ask.": {*SELECTION_ACTIONS["prospects"], *SELECTION_ACTIONS["messages"]},
    "selection.do.": {*SELECTION_ACTIONS["prospects"], *SELECTION_ACTIONS["messages"]},
    "review.empty_text.": _QUEUES,
    "review.empty_title.": _QUEUES,
    "tab.": {tab.key for place in PLACES for tab in place.tabs},
    "blocked_by.": {*BlockedBy, *NumberCheckBlock},
    "number_age.": set(NumberAge),
    "number_figure.": {
        *("new_chats", "new_chat_gap", "messages_per_minute", "number_checks"),
        *("manual_new_chats_day", "manual_new_chats_24h"),
        *(BreakerCause.OPT_OUTS, BreakerCause.COMPLAINTS, BreakerCause.UNDELIVERED, "answered"),
    },
    "dossier.column.": list_dossier_columns(),
    "dossier.place.": set(Remainder),
    "dossier.section.": set(SECTIONS),
    "phases.criterion.": set(PhaseCriterionCode),
    "phases.name.": {each.code for each in PHASES},
    "phases.opens.": {each.code for each in PHASES},
    "phases.state.": set(PhaseState),
    "reported_ban.": set(ReportedBan),
    "change.": {
        *(*DeferKind, "until_business_hours", "hours"),
        *("route", "approval", "points", "find_out", "nothing", "fault"),
    },
    "saved_filters.ask.": set(SAVED_FILTER_ACTIONS),
    "saved_filters.do.": {"save", *SAVED_FILTER_ACTIONS},
    "saved_filters.done.": {"save", *SAVED_FILTER_ACTIONS},
    "campaigns.action.": {each for each in DryRunAction if each is not DryRunAction.NONE},
    "campaigns.by.": set(ReportDimension),
    "campaigns.differing.": {"text", "audience", "phone"},
    "campaigns.do.": set(CONTROLS),
    "campaigns.means.": set(CONTROLS),
    "campaigns.outlook.": {each for each in SendOutlook if each is not SendOutlook.NOW},
    "campaigns.person.": set(CampaignPersonState),
    "campaigns.stage.": set(CampaignStage),
    "campaigns.state.": set(CampaignState),
    "campaigns.verdict.": {
        each for each in ComparisonVerdict if each is not ComparisonVerdict.TOO_FEW
    },
    "chats.check.": set(SendOutlook),
    "chats.empty_text.": set(get_args(ChatTab)),
    "chats.empty_title.": set(get_args(ChatTab)),
    "chats.intent.": {*Intent} - {Intent.NONE},
    "chats.key.": {
        *("reply", "send", "outcome", "confirm", "close", "snooze", "unread", "take", "origin"),
        *("person", "suppress"),
    },
    "chats.locked.": {
        *(ReplyMode.REFUSED, ReplyMode.SUPPRESSED, ReplyMode.STOPPED, ReplyMode.IN_DOUBT)
    },
    "chats.outcome.": set(Outcome),
    "chats.outcome_done.": set(READ_OUTCOMES),
    "chats.settled.": {"yes", "no"},
    "chats.snooze_for.": {"hour", "tomorrow", "monday"},
    "column.": {*COLUMN_ORDER, *HISTORY_COLUMNS, "phone_label", "field"},
    "consent.by_": set(ConsentMethod),
    "connection.": set(ConnectionState),
    "day.": {str(day) for day in range(7)},
    "deliveries.ask.": set(ROW_DEEDS),
    "deliveries.do.": set(ROW_DEEDS),
    "deliveries.done.": set(ROW_DEEDS),
    "deliveries.state.": set(DeliveryRowState),
    "delivery_file.column.": set(DeliveryColumn),
    "delivery_file.fact.": set(DeliveryFact),
    "delivery_file.value.": _DELIVERED_VALUES,
    "delivery_file.value.intent.": set(INTERESTED),
    "delivery_file.value.sharing.": set(DeliveryGround),
    "decision.": {"approve", "reject", "validate", "correct", "suppress"},
    "differs.kind.": {ChangeKind.NEW, ChangeKind.GONE},
    "differs.section.": {
        *("score", "thresholds", "windows", "lists", "vetoes", "scores", "groups")
    },
    "effect.": set(VetoEffect),
    "effect_short.": set(VetoEffect),
    "funnel.": set(MessageFunnel.__struct_fields__),
    "history.kind.": set(HistoryKind),
    "history.request.": set(ContactRequest),
    "imports.date_order_answer.": {"none", *DateOrder},
    "imports.mobiles_answer.": set(MobileAnswer),
    "imports.word_answer.": {
        *("none", ConsentAnswer.YES, ConsentAnswer.RELATIONSHIP),
        *(ConsentAnswer.NO, ConsentAnswer.NOTHING),
    },
    "intent.": set(Intent),
    "keys.": _PAGE_KEYS,
    "manual.": {"take", "open", "sent", "not_sent", "back"},
    "manual.list_": {"free", "others", "doubts"},
    "meanings.": {"waiting", "correctable", "answered"},
    "meanings.ask.": {Meaning.MINOR, Meaning.DECEASED},
    "meanings.cause.": set(ReviewCause),
    "meanings.done.": set(Meaning),
    "meanings.held.": set(ReviewCause),
    "meanings.key.": {"first", "second", "third", "fourth", "fifth"},
    "meanings.meaning.": set(Meaning),
    "meanings.means.": {
        *(Meaning.MINOR, Meaning.DECEASED, Meaning.WELCOME, Meaning.NO, Meaning.NEITHER),
        *(f"{cause}_corrected" for cause in ONCE),
    },
    "message.": set(MessageState),
    "on_whatsapp.": set(OnWhatsApp),
    "outcome.": set(ImportRowOutcome),
    "outcomes.next.": set(NextAction),
    "pairing.": set(PAIRING_SHOWN_IN),
    "page.": PAGE_KEYS,
    "permission.": set(Permission),
    "permission_means.": set(Permission),
    "phone.": set(PhoneState),
    "imports.became.": {"no_number", "other_number", "unknown_date", "unused"},
    "imports.consent_cell.": set(ConsentAnswer),
    "imports.undo.stays.": {*UndoOutcome} - {UndoOutcome.REMOVED.value},
    "imports.effect.": {"raisable", "protected"},
    "review.": {"held", "prospects", "numbers"},
    "review.ask.": set(REVIEW_DECISIONS),
    "review.done.": set(REVIEW_DECISIONS),
    "review.prospect.ask.": set(REVIEW_DECISIONS),
    "review.prospect.done.": set(REVIEW_DECISIONS),
    "review.prospect.why.": set(REVIEW_DECISIONS),
    "person.stopped.": set(STOP_CAUSES),
    "review.why_": set(REVIEW_DECISIONS),
    "rules.means_": {"gate", "score"},
    "rules.title_": {"gate", "score"},
    "ruleset_admin.end_": {"from", "to"},
    "ruleset_admin.how_": set(RulesetActivationKind),
    "ruleset_admin.ramp_": {"value", "points"},
    "said.": set(InboundKind),
    "scope.": {scope.replace(":", "_") for scope in Scope},
    "alert.code.": set(AlertCode),
    "personal_data.kind.": set(RETENTION),
    "users.role.": set(Role),
    "users.role_means.": set(Role),
    "sending.": set(SendingState),
    "session_action.": set(SESSION_ACTIONS),
    "session_action.ask_": set(SESSION_ACTIONS),
    "session_action.what_": set(SESSION_ACTIONS),
    "texts.purpose.": set(TextPurpose),
    "theme.": set(THEMES),
    "todo.": _ACTIONS,
    "validation.": set(ValidationState),
    "validation_means.": set(ValidationState),
    "verdict.": set(Verdict),
}
"""Keys that are put together: how each begins, and all that may follow."""
COMPARED_ELSEWHERE: Final = frozenset({"differs.field."})
"""Fields of the rules: `test_language` compares their words with the classes that have them."""
PYTHON_MEMBERS: Final[Mapping[str, set[str]]] = {
    "alert.code.": set(AlertCode),
    "evidence.": {
        *(f"{kind}.{value}" for kind, value in EVIDENCE_SEVERITY),
        *(f"{kind}.other" for kind in EvidenceKind if kind is not EvidenceKind.INBOUND),
    },
    "connection.": set(ConnectionState),
    "delivery_file.column.": set(DeliveryColumn),
    "delivery_file.fact.": set(DeliveryFact),
    "delivery_file.header.": {"row", "what", "how", "day", "words"},
    "delivery_file.meaning.": _DELIVERED_VALUES,
    "delivery_file.value.": _DELIVERED_VALUES,
    "imports.csv.": {"record", "code", "reason"},
    "message.": set(MessageState),
    "night.": set(NightTroubleKind),
    "permission.": set(Permission),
    "near_day.": {"yesterday", "today", "tomorrow", "this_year", "other_year", "day"},
    "said.": set(InboundKind),
    "time.": {f"{way}.{unit}" for way in ("ago", "in") for unit in ("minutes", "hours", "days")},
    "timeline.": {*AUDIT_SEVERITY, *PhoneState, *SendingState},
    "validation.": set(ValidationState),
}
STORED_MEMBERS: Final[Mapping[str, set[str]]] = {
    "dossier.arrival.": set(Origin),
    "dossier.event.": {
        *("campaign_person_changed", "contact_reopened", "contact_suppressed"),
        *("conversation_changed", "decision_recorded", "inbound_classified", "inbound_received"),
        *("message_changed", "message_expiry_announced", "prospect_changed"),
    },
    "dossier.hold.": set(HoldScope),
    "dossier.message_kind.": set(InboundKind),
    "dossier.phase.": set(EvaluationPhase),
    "dossier.request.": set(ContactRequest),
    "dossier.review.": set(ProspectReviewOutcome),
    "dossier.spend.": set(SpendKind),
}
"""Words of what is stored, for a dossier."""
ASKED_FIRST: Final = frozenset({"detail.", "detail_value."})
"""Keys that the code asks for only where the catalogue has them."""
FROM_PYTHON: Final = frozenset({"entry.key", "item.key", "each.key", "evidence_key", "primary[1]"})
"""Keys that a template gets whole from the code, where they stand."""


@dataclass
class Keys:
    """What the templates ask the catalogue for."""

    whole: set[str] = field(default_factory=set)
    begun: set[str] = field(default_factory=set)
    optional: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)


@cache
def parse(template: str) -> nodes.Template:
    """Return a template's syntax tree."""
    return ENVIRONMENT.parse((FOLDER / "templates" / template).read_text(encoding="utf-8"))


def write_expression(node: nodes.Expr) -> str:
    """Return a variable with its attributes as a template writes it."""
    match node:
        case nodes.Name(name=name):
            return str(name)
        case nodes.Getattr(node=owner, attr=attribute):
            return f"{write_expression(owner)}.{attribute}"
        case nodes.Getitem(node=owner, arg=nodes.Const(value=value)):
            return f"{write_expression(owner)}[{value}]"
        case _:
            return repr(node)


def collect(keys: Keys, node: nodes.Expr) -> None:
    """Enter the key, or each of the keys, that an expression stands for."""
    match node:
        case nodes.Const(value=value):
            keys.whole.add(str(value))
        case nodes.CondExpr(expr1=first, expr2=second):
            collect(keys, first)
            if second is not None:
                collect(keys, second)
        case nodes.Concat(nodes=[nodes.Const(value=value), *_]):
            keys.begun.add(str(value))
        case nodes.Concat():
            pass  # what a macro puts together of its argument, which stands where it is called
        case _:
            keys.unknown.add(write_expression(node))


def read_keys() -> Keys:
    """Return every key in the templates."""
    keys = Keys()
    for call in chain.from_iterable(parse(name).find_all(nodes.Call) for name in TEMPLATES):
        match call:
            case nodes.Call(node=nodes.Name(name="t"), args=[key, *_]):
                collect(keys, key)
            case nodes.Call(
                node=nodes.Getattr(node=nodes.Name(name="t"), attr="has"),
                args=[nodes.Concat(nodes=[nodes.Const(value=value), *_])],
            ):
                keys.optional.add(str(value))
            case nodes.Call(node=nodes.Getattr(attr="ask"), args=[_, key, *_]):
                suggestions = Keys()
                collect(suggestions, key)
                keys.whole |= {f"{each}.1" for each in suggestions.whole}
                keys.optional |= {*(f"{each}." for each in suggestions.whole), *suggestions.begun}
    return keys


KEYS: Final = read_keys()


@dataclass
class PythonKeys:
    """Keys that stand in the console's Python: whole, and beginnings of what is put together."""

    whole: set[str] = field(default_factory=set)
    begun: set[str] = field(default_factory=set)


def read_python_keys() -> PythonKeys:
    """Return every string that looks like a key of the catalogue."""
    keys = PythonKeys()
    tables = {key.partition(".")[0] for key in CATALOGUES[0].words}
    for node in chain.from_iterable(map(ast.walk, PYTHON_TREES.values())):
        match node:
            case ast.Constant(value=str(text)) if text.partition(".")[0] in tables:
                if re.fullmatch(r"[a-z_]+(\.(?!html)[a-z_\d]+)+", text):
                    keys.whole.add(text)
            case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
                if text.partition(".")[0] in tables and "." in text:
                    keys.begun.add(text)
    return keys


PYTHON_TREES: Final = {
    path: ast.parse(path.read_text(encoding="utf-8"))
    for path in chain.from_iterable(sorted(each.glob("*.py")) for each in WITH_WORDS)
}
PYTHON_KEYS: Final = read_python_keys()
SCRIPTS: Final = "\n".join(path.read_text(encoding="utf-8") for path in STATIC.glob("*[!n].js"))


@pytest.mark.parametrize("words", CATALOGUES, ids=LANGUAGES)
def test_every_key_of_a_template_is_in_the_catalogue(words: Language) -> None:
    """Whole ones, and those that are put together of a beginning and a member of a set."""
    wanted = KEYS.whole | {f"{start}{end}" for start, ends in MEMBERS.items() for end in ends}
    assert wanted - set(words.words) == set()


def test_every_key_that_is_put_together_is_known_here() -> None:
    """A new one names its members in this file, or the template asks first whether it is there."""
    assert KEYS.begun - set(MEMBERS) - KEYS.optional == COMPARED_ELSEWHERE
    assert set(MEMBERS) - KEYS.begun == set()
    assert KEYS.unknown == FROM_PYTHON


@pytest.mark.parametrize("words", CATALOGUES, ids=LANGUAGES)
def test_every_key_of_the_code_is_in_the_catalogue(words: Language) -> None:
    """Also what is put together there: a region's state, an action, a piece of evidence, a time."""
    assert PYTHON_KEYS.whole - set(words.words) == set()
    assert PYTHON_KEYS.begun == set(PYTHON_MEMBERS) | ASKED_FIRST
    wanted = {f"{start}{end}" for start, ends in PYTHON_MEMBERS.items() for end in ends}
    wanted |= {f"{start}{end}" for start, ends in STORED_MEMBERS.items() for end in ends}
    wanted |= {f"desired.{state}" for state in ("on", "off")}
    assert wanted - set(words.words) == set()


@pytest.mark.parametrize("words", CATALOGUES, ids=LANGUAGES)
def test_every_word_of_a_script_is_given_to_it(words: Language) -> None:
    """A script shows the bare key of a word that its page does not have."""
    given = words.script_words()
    asked = set(re.findall(r'\bword\("([\w.]+)"', SCRIPTS))
    assert {"live", "undo", "unreachable"} <= asked
    assert asked - set(given) == set()
    assert "`time.${way}.${unit}`" in SCRIPTS
    assert {f"time.{end}" for end in PYTHON_MEMBERS["time."]} <= set(given)


def test_no_word_is_in_the_catalogue_for_nothing() -> None:
    """Each key is asked for by a template, by the code or by a script."""
    whole = KEYS.whole | PYTHON_KEYS.whole
    whole |= {f"{start}{end}" for start, ends in MEMBERS.items() for end in ends}
    whole |= {f"{start}{end}" for start, ends in PYTHON_MEMBERS.items() for end in ends}
    whole |= {f"{start}{end}" for start, ends in STORED_MEMBERS.items() for end in ends}
    begun = tuple(
        COMPARED_ELSEWHERE
        | (KEYS.optional - set(MEMBERS))
        | ASKED_FIRST
        | {"script.", "desired.", "field."}
    )
    whole |= {f"{key}.{form}" for key in whole for form in ("none", "one")}
    whole |= {str(node.value) for name in TEMPLATES for node in parse(name).find_all(nodes.Const)}
    left = CATALOGUES[0].words.keys() - whole
    assert {key for key in left if not key.startswith(begun)} == set()


@dataclass(frozen=True)
class RenderCall:
    """One place in the code that renders a template, and the variables that it gives to it."""

    place: str
    template: str
    given: frozenset[str]


def list_render_calls() -> Iterator[RenderCall]:
    """Return every call that renders; what it spreads are the string keys of its own module."""
    for path, tree in PYTHON_TREES.items():
        spread = {
            key.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Dict)
            for key in node.keys
            if isinstance(key, ast.Constant) and isinstance(key.value, str)
        }
        for call in ast.walk(tree):
            match call:
                case ast.Call(
                    func=ast.Name(id=renderer), args=[_, template, *_], keywords=given
                ) if renderer in GIVEN and path.name != "layout.py":
                    named = {each.arg for each in given if each.arg}
                    if any(each.arg is None for each in given):
                        named |= spread
                    for name in list_paths(template, tree):
                        yield RenderCall(
                            f"{path.name}:{call.lineno}", name, frozenset(named | GIVEN[renderer])
                        )


def list_paths(template: ast.expr, tree: ast.Module) -> list[str]:
    """Return the paths that a template's expression may stand for."""
    match template:
        case ast.Constant(value=str(path)):
            return [path]
        case ast.IfExp(body=body, orelse=other):
            return [*list_paths(body, tree), *list_paths(other, tree)]
        case ast.JoinedStr(
            values=[ast.Constant(value=str(start)), _, ast.Constant(value=str(end))]
        ):
            actions = USER_DIALOGS if start.endswith("user_") else CONTACT_ACTIONS
            return [f"{start}{action}{end}" for action in sorted(actions)]
        case ast.Name(id=parameter):
            return list_arguments(parameter, tree)
        case _:
            raise AssertionError(ast.unparse(template))


def list_arguments(parameter: str, tree: ast.Module) -> list[str]:
    """Return the paths that are given to a helper which renders what its parameter says."""
    helpers = {
        node.name
        for node in tree.body
        if isinstance(node, ast.AsyncFunctionDef)
        and parameter in {each.arg for each in node.args.args}
    }
    return [
        str(path.value)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in helpers
        for path in call.args
        if isinstance(path, ast.Constant)
    ]


RENDER_CALLS: Final = list(list_render_calls())


def list_references(template: str) -> set[str]:
    """Return a template with all that it extends, includes or imports."""
    found, left = set(), [template]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += [each for each in meta.find_referenced_templates(parse(name)) if each]
    return found


def list_needs(template: str) -> set[str]:
    """Return the variables that must be given to a template: it and its pieces set the others."""
    names = list_references(template)
    asked = set().union(*(meta.find_undeclared_variables(parse(name)) for name in names))
    made = {
        node.name
        for name in names
        for node in parse(name).find_all(nodes.Name)
        if node.ctx in {"store", "param"}
    }
    imported = {node.target for name in names for node in parse(name).find_all(nodes.Import)}
    macros = {node.name for name in names for node in parse(name).find_all(nodes.Macro)}
    return asked - made - imported - macros - GLOBALS


@pytest.mark.parametrize("call", RENDER_CALLS, ids=lambda call: f"{call.place} {call.template}")
def test_every_variable_of_a_template_is_given_to_it(call: RenderCall) -> None:
    """Whatever state the page is in: a branch that is seldom taken included."""
    assert list_needs(call.template) - call.given == set()


def test_every_template_is_rendered() -> None:
    """By itself, or as a part of another one."""
    rendered = set().union(*(list_references(call.template) for call in RENDER_CALLS))
    assert rendered == set(TEMPLATES)
