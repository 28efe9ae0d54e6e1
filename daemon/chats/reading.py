"""Reads chats: the lists of the tabs, and one chat with what may be done in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Any, Final, Literal

from msgspec import Struct

from daemon.api import numbers
from daemon.api.effects import Intent
from daemon.errors import NotFound
from daemon.gate.consent import (
    Permission,
    derive_permission_state,
    find_nobody,
    find_refusal_time,
)
from daemon.gate.origin_answer import build_origin_answer, find_origin_answer_end
from storage import (
    clients,
    contacts,
    conversation_queries,
    conversations,
    data_requests,
    evidence,
    imports,
    outcomes,
    prospects,
    suppressions,
)
from storage.clients import ClientShare
from storage.conversation_queries import ChatLine, ChatRow, ChatTrouble
from storage.evidence import Evidence, EvidenceKind
from storage.outcomes import SILENT_OUTCOMES, Outcome, OutcomeRecord
from storage.tx import Reader
from storage.waiting import UnansweredConversation, list_unanswered

CHAT_TABS: Final = ("waiting", "mine", "snoozed", "strangers", "all")
ChatTab = Literal["waiting", "mine", "snoozed", "strangers", "all", "no_outcome", "data_asked"]
"""The tabs; and who was closed though nobody said what came of it, or waits for their data."""
_INTERESTED: Final = frozenset({Intent.WEAK, Intent.CLEAR, Intent.ASKED})


class ReplyMode(StrEnum):
    """What the box of a chat is for."""

    REPLY = "reply"
    """A free answer, until ``free_until``."""
    NEW_MESSAGE = "new_message"
    """The conversation is over: a message like any other, on its own merits."""
    REFUSED = "refused"
    SUPPRESSED = "suppressed"
    STOPPED = "stopped"
    """A minor, a death or somebody else: nothing goes until a person has decided."""
    IN_DOUBT = "in_doubt"
    """Nobody knows whether the last message left; a person says that first."""
    STRANGER = "stranger"


class ChatSummary(Struct, frozen=True, kw_only=True):
    """One chat in a list. Of a stranger neither text nor the whole number is in it.

    ``since`` is when the first message without an answer was written. ``waits``: an answer is
    waited for; ``courtesy``: what has no answer is courtesy alone. ``trouble`` is a reply that
    failed or is in doubt. ``free_until``: until then an answer is a reply. ``writing_by`` is
    another person who types an answer now.
    """

    contact: str
    prospect: str | None
    name: str
    phone: str
    last_at: datetime
    last_text: str
    since: datetime | None
    waits: bool
    courtesy: bool
    known: bool
    unread: bool
    trouble: ChatTrouble | None
    free_until: datetime | None
    closed_by: str | None
    snoozed_until: datetime | None
    taken_by: str | None
    writing_by: str | None

    def __repr__(self) -> str:
        """Keep number and text out of logs."""
        return f"ChatSummary({self.contact!r})"


class OutcomeProposal(Struct, frozen=True, kw_only=True):
    """The outcome that the reading of their words proposes; a person confirms it.

    ``inbound`` is the message that shows it, and ``quote`` its words.
    """

    outcome: Outcome
    intent: Intent
    inbound: str
    quote: str

    def __repr__(self) -> str:
        """Keep the words out of logs."""
        return f"OutcomeProposal({self.outcome.value}, {self.intent.value})"


class ChatDetail(Struct, frozen=True, kw_only=True):
    """One chat: its lines, oldest first, what may be written now, and the reader's draft.

    ``last_seen`` is the newest line; a reply names the one that its writer saw. ``refused_at`` and
    ``quote`` say when they refused, and how. ``origin`` is where their number came from, as one
    would say it to them, and ``origin_at`` since when it is here; ``origin_answer`` says both to
    them. Empty where nobody has said it. ``asks_origin``: they asked for it, and until
    ``origin_until`` this very answer may go to them even if they said no.
    ``proposal`` is None where nothing is proposed. ``has_outcome``: somebody said what came of it.
    ``viewing_by`` are others who look at it now. ``shares`` says of each client whether they agreed
    that it may write to them. ``data_due_at``: they asked for their data, and get it by then.
    """

    chat: ChatSummary
    lines: Sequence[ChatLine]
    last_seen: str
    mode: ReplyMode
    refused_at: datetime | None
    quote: str
    draft: str
    origin: str
    origin_at: datetime | None
    origin_answer: str
    asks_origin: bool
    origin_until: datetime | None
    outcomes: Sequence[OutcomeRecord]
    has_outcome: bool
    proposal: OutcomeProposal | None
    viewing_by: Sequence[str]
    shares: Sequence[ClientShare]
    data_due_at: datetime | None


def list_chats(
    reader: Reader,
    tab: ChatTab,
    *,
    who: str,
    now: datetime,
    text: str = "",
    numbers: Sequence[str] = (),
    after: str = "",
    limit: int = 50,
) -> list[ChatSummary]:
    """Return the chats of a tab past the contact ``after``; with ``text``, those that contain it.

    ``numbers`` are the digits of its other spellings, where it is a number.

    Those who wait come first by trouble and then by their wait, the longest first, and courtesy
    last; elsewhere the newest comes first. Strangers are not searched: nobody may read them.
    """
    unanswered = {each.contact: each for each in list_unanswered(reader, now)}
    order = _order_contacts(reader, tab, unanswered, who=who, now=now)
    if text:
        found = conversation_queries.search_known_chats(reader, text, numbers)
        order = [each for each in order if each in found]
    begin = order.index(after) + 1 if after in order else 0
    return _build_summaries(reader, order[begin : begin + limit], unanswered, who=who, now=now)


def count_tabs(reader: Reader, *, who: str, now: datetime) -> dict[ChatTab, int]:
    """Return how many chats a tab has, where it has any; of those that wait, without courtesy."""
    unanswered = {each.contact: each for each in list_unanswered(reader, now)}
    counts: dict[ChatTab, int] = {
        tab: len(_order_contacts(reader, tab, unanswered, who=who, now=now))
        for tab in ("mine", "snoozed", "strangers")
    }
    counts["waiting"] = sum(each.waits for each in unanswered.values())
    return {tab: n for tab, n in counts.items() if n}


def _order_contacts(
    reader: Reader,
    tab: ChatTab,
    unanswered: dict[str, UnansweredConversation],
    *,
    who: str,
    now: datetime,
) -> list[str]:
    if tab == "waiting":
        shown = [each for each in unanswered.values() if each.known and not each.snoozed]
        troubled = conversation_queries.list_troubled_contacts(reader)
        ranked = sorted(
            shown, key=lambda each: (each.courtesy, each.contact not in troubled, each.since)
        )
        return [each.contact for each in ranked]
    if tab == "strangers":
        return [each.contact for each in unanswered.values() if not each.known]
    match tab:
        case "mine":
            found = conversation_queries.list_taken_contacts(reader, who)
        case "snoozed":
            found = conversation_queries.list_snoozed_contacts(reader, now)
        case "no_outcome":
            found = conversation_queries.list_chats_without_outcome(reader)
        case "data_asked":
            found = [each.contact for each in data_requests.list_data_requests(reader)]
        case "all":
            found = conversation_queries.list_known_chats(reader)
    return found


def build_summary(
    reader: Reader,
    contact: str,
    unanswered: UnansweredConversation | None,
    *,
    who: str,
    now: datetime,
) -> ChatSummary:
    """Return the line of a chat in a list. Raises NotFound where nobody wrote."""
    waiting = {contact: unanswered} if unanswered else {}
    for each in _build_summaries(reader, [contact], waiting, who=who, now=now):
        return each
    raise NotFound(f"There is no chat with {contact}.")


def _build_summaries(
    reader: Reader,
    contacts_: Sequence[str],
    unanswered: Mapping[str, UnansweredConversation],
    *,
    who: str,
    now: datetime,
) -> list[ChatSummary]:
    rows = conversation_queries.list_rows(reader, contacts_, who)
    known = evidence.list_evidence_of_contacts(reader, [each.contact for each in rows])
    return [
        _build_summary(each, unanswered.get(each.contact), known[each.contact], who=who, now=now)
        for each in rows
    ]


def _build_summary(
    row: ChatRow,
    unanswered: UnansweredConversation | None,
    known: Sequence[Evidence],
    *,
    who: str,
    now: datetime,
) -> ChatSummary:
    until = derive_permission_state(known).conversation_until
    typing = row.writing_until is not None and row.writing_until > now
    return ChatSummary(
        contact=row.contact,
        prospect=row.prospect,
        name=row.name,
        phone=row.phone if row.known or not row.phone else numbers.mask_phone(row.phone),
        last_at=row.last_at,
        last_text=row.last_text if row.known else "",
        since=unanswered.since if unanswered else None,
        waits=bool(unanswered and unanswered.waits),
        courtesy=bool(unanswered and unanswered.courtesy),
        known=row.known,
        unread=row.unread,
        trouble=row.trouble,
        free_until=until if until is not None and until > now else None,
        closed_by=row.closed_by,
        snoozed_until=row.snoozed_until if unanswered and unanswered.snoozed else None,
        taken_by=row.taken_by,
        writing_by=row.writing_by if typing and row.writing_by != who else None,
    )


def read_chat(
    reader: Reader,
    contact: str,
    *,
    who: str,
    now: datetime,
    zone: tzinfo,
    viewers: Sequence[str] = (),
) -> ChatDetail:
    """Return one chat of somebody we know. Raises :class:`NotFound`.

    A stranger's lines are not in it; :meth:`StrangerService.reveal` reads them. ``zone`` is where
    the day begins that the answer about their number's origin names.
    """
    [*found] = list_unanswered(reader, now, contact=contact)
    chat = build_summary(reader, contact, found[0] if found else None, who=who, now=now)
    known = evidence.list_contact_evidence(reader, contact)
    lines = conversation_queries.list_lines(reader, contact) if chat.known else []
    refused_at = find_refusal_time(known)
    found_outcomes = outcomes.list_contact_outcomes(reader, contact)
    return ChatDetail(
        chat=chat,
        lines=lines,
        last_seen=max(lines, key=lambda each: each.position).id if lines else "",
        mode=_find_mode(reader, chat, now),
        refused_at=refused_at,
        quote=_find_refusal_quote(lines, refused_at),
        draft=conversations.get_draft(reader, contact, who),
        **_read_origin(reader, contact, known, now=now, zone=zone),
        outcomes=found_outcomes,
        has_outcome=any(each.outcome not in SILENT_OUTCOMES for each in found_outcomes),
        proposal=_find_proposal(lines, evidence.drop_withdrawn(known), found_outcomes),
        viewing_by=viewers,
        shares=clients.list_client_shares(reader, contact) if chat.known else [],
        data_due_at=data_requests.find_due_time(reader, contact),
    )


def _read_origin(
    reader: Reader, contact: str, known: Sequence[Evidence], *, now: datetime, zone: tzinfo
) -> dict[str, Any]:
    """Return where their number is from, whether they ask for it, and the answer."""
    prospect = prospects.find_prospect_by_contact(reader, contact)
    origin = imports.get_origin_of_contact(reader, contact)
    since = prospect.created_at if prospect else None
    until = find_origin_answer_end(known, now)
    return {
        "origin": origin,
        "origin_at": since,
        "origin_answer": build_origin_answer(prospect, origin, since.astimezone(zone).date())
        if prospect and since
        else "",
        "asks_origin": until is not None,
        "origin_until": until,
    }


def _find_mode(reader: Reader, chat: ChatSummary, now: datetime) -> ReplyMode:
    """Return what may be written in a chat; the gate decides on each message all the same."""
    if not chat.known:
        return ReplyMode.STRANGER
    known = evidence.list_contact_evidence(reader, chat.contact)
    record = contacts.get_contact(reader, chat.contact)
    if (record and record.stopped_reason) or find_nobody(known):
        return ReplyMode.STOPPED
    if suppressions.is_contact_suppressed(reader, chat.contact):
        return ReplyMode.SUPPRESSED
    if chat.trouble is ChatTrouble.IN_DOUBT:
        return ReplyMode.IN_DOUBT
    permission = derive_permission_state(known).at(now)
    if permission is Permission.REFUSED:
        return ReplyMode.REFUSED
    return ReplyMode.REPLY if permission is Permission.CONVERSATION else ReplyMode.NEW_MESSAGE


def _find_refusal_quote(lines: Sequence[ChatLine], refused_at: datetime | None) -> str:
    """Return what they wrote when they refused; empty where it is not stored any more."""
    return next((each.text for each in lines if each.theirs and each.at == refused_at), "")


def _find_proposal(
    lines: Sequence[ChatLine], known: Sequence[Evidence], done: Sequence[OutcomeRecord]
) -> OutcomeProposal | None:
    """Return what their latest words propose that no outcome was recorded of since, or None."""
    shown = {each.id for each in lines if each.theirs}
    last = done[0].inbound if done else None
    for piece in known:  # newest first
        proposes = piece.kind is EvidenceKind.INTENT and piece.value in _INTERESTED
        if not proposes or piece.inbound not in shown:
            continue
        if last is not None and str(piece.inbound) <= last:
            return None
        return OutcomeProposal(
            outcome=Outcome.INTERESTED,
            intent=Intent(piece.value),
            inbound=str(piece.inbound),
            quote=piece.quote,
        )
    return None
