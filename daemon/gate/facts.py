"""Builds the facts that rules read, from stored rows and the time."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from daemon.gate.consent import Permission, derive_permission, is_somebody_else
from daemon.gate.origin_answer import find_origin_answer_end, is_origin_answer
from daemon.gate.text_templates import find_filled_words
from rules.facts import CENTURY_DAYS, COUNT_WINDOWS, NO_BLOCK
from statemachines.vocabulary import BuiltinChannel, MessageKind
from storage.evaluation_context import (
    ContactHistory,
    EvaluationContext,
    PastSend,
)
from storage.evidence import Evidence, EvidenceKind
from storage.first_contacts import FirstContactShare
from storage.messages import MessageRecord
from storage.prospect_reviews import ProspectReview
from storage.prospects import ProspectRecord
from storage.texts import TextPurpose

Facts: TypeAlias = dict[str, object]
ReviewStatus: TypeAlias = Literal["none", "waiting", "approved", "rejected"]

_LINK = re.compile(
    r"(?:https?://|www\.)\S+|\b[\w-]+\.(?:com|net|org|ar|mx|br|cl|co|io|me)\b", re.IGNORECASE
)
_WORD = re.compile(r"\w+")
# Of fewer first contacts a rate says nothing: one complaint would be half of two.
_MIN_FIRST_CONTACTS = 10


def build_prospect_facts(
    prospect: ProspectRecord | None,
    evidence: Sequence[Evidence],
    *,
    suppressed: bool,
    at: datetime,
) -> Facts:
    """Return the ``prospect.*`` facts except the score; None is an unknown fact."""
    facts: Facts = {"prospect.suppressed": suppressed}
    permission = derive_permission(evidence, at)
    facts["prospect.permission"] = permission.value
    if prospect is None:
        return facts
    inbound = _latest_evidence(evidence, EvidenceKind.INBOUND)
    return facts | {
        "prospect.validado_tecnicamente": None
        if is_somebody_else(evidence)
        else compute_validado(prospect, at),
        "prospect.validation_age_days": _days_since(prospect.validated_at, at),
        "prospect.on_whatsapp": str(prospect.on_whatsapp),
        "prospect.intent": str(prospect.intent),
        "prospect.cartera_origen": prospect.cartera_origen,
        "prospect.line_type": str(prospect.line_type),
        "prospect.country": prospect.country,
        "prospect.bounces": _count_bounces_since_validation(evidence, prospect.validated_at),
        "prospect.complaints": sum(e.kind is EvidenceKind.COMPLAINT for e in evidence),
        "prospect.data_age_days": count_whole_days(prospect.data_date, at),
        "prospect.days_since_inbound": _days_since(inbound.at if inbound else None, at),
    }


def compute_validado(prospect: ProspectRecord, at: datetime) -> bool | None:
    """Return `validado_tecnicamente` as of ``at``; None where the validation has expired."""
    # Computed, because the job that expires validations may not have run yet.
    over = prospect.expires_at is not None and prospect.expires_at <= at
    return None if prospect.validado_tecnicamente and over else prospect.validado_tecnicamente


def compute_review_status(
    reason: str | None, review: ProspectReview | None, *, in_band: bool
) -> ReviewStatus:
    """Return the state of the prospect itself in the review queue.

    ``reason``: why a review was asked for; ``review``: the decision in force; ``in_band``: the
    score is in the gate's review band.
    """
    if reason:
        return "waiting"
    if review:
        return review.outcome.value
    return "waiting" if in_band else "none"


def build_message_facts(message: MessageRecord, context: EvaluationContext) -> Facts:
    """Return the ``message.*``, ``history.*`` and ``session.*`` facts."""
    history, session, first = context.history, context.session, context.first_contacts
    # Fixed words of an approved text do not count as alike, whatever the caller says was typed.
    filled = find_filled_values(message, context)
    return {
        "message.kind": derive_message_kind(message, context).value,
        "message.first_contact": is_first_contact(context),
        "message.approved": context.approved,
        "message.length": len(message.text),
        "message.links": len(_LINK.findall(message.text)),
        "message.similarity": compute_similarity(
            message.text if filled is None else filled, history.recent_texts
        ),
        "message.duplicate": history.duplicate,
        "message.text": message.text,
        "message.template": message.template,
        "message.typed": filled is None,
        **_build_history_facts(history, context.at),
        "register.listed": context.register.listed,
        "register.age_days": context.register.age_days,
        "session.channel": message.channel,
        "session.state": session.connection,
        "session.sending": _derive_sending(message, context),
        "session.blocked_by": str(session.get_block(message.channel) or NO_BLOCK),
        "session.window_open": _is_in_conversation(context),
        "session.number_age_days": _days_since(session.linked_at, context.at),
        "session.new_chats_24h": session.new_chats_24h,
        "session.answered_rate": _compute_rate(first.answered),
        "session.undelivered_rate": _compute_rate(first.undelivered),
        "session.complaint_rate": _compute_rate(first.complained),
        "campaign.name": message.campaign,
        "campaign.automatic": message.channel != BuiltinChannel.MANUAL
        if message.campaign
        else None,
        "campaign.sent": context.campaign_sent,
    }


def derive_message_kind(message: MessageRecord, context: EvaluationContext) -> MessageKind:
    """Return the kind of a message; callers can't declare it.

    A reply answers an inbound of the last 24 hours that was no refusal, and belongs to no campaign.
    After a refusal the answer to where their number is from is one, where they asked for it.
    """
    # Stored by the core alone, when it confirms an opt-out.
    if message.kind == MessageKind.OPT_OUT_CONFIRMATION:
        return MessageKind.OPT_OUT_CONFIRMATION
    if not message.campaign and _is_in_conversation(context):
        return MessageKind.REPLY
    if _answers_origin_after_refusal(message, context):
        return MessageKind.REPLY
    return MessageKind.COMMERCIAL


def is_first_contact(context: EvaluationContext) -> bool:
    """Return whether there was no message between us and the contact, in either direction."""
    theirs = {EvidenceKind.INBOUND, EvidenceKind.OWN_MESSAGE}
    return not context.history.sent and not any(e.kind in theirs for e in context.evidence)


def find_count_fall(history: ContactHistory, name: str, at: datetime) -> datetime | None:
    """Return when the fact ``name``, a count of recent messages, falls; None where it is 0.

    It falls by each message that becomes older than the time in which it counts.
    """
    sent = _list_sent_within(history, name, at) if name in COUNT_WINDOWS else []
    return sent[0].at + COUNT_WINDOWS[name] if sent else None


def find_filled_values(message: MessageRecord, context: EvaluationContext) -> str | None:
    """Return what an approved text was filled in with; None for a message that a person typed.

    A message is made of an approved text where it is that one word for word, and goes for its
    purpose.
    """
    approved, first = context.approved_text, is_first_contact(context)
    if approved is None or (approved.purpose is TextPurpose.FIRST_CONTACT) != first:
        return None
    return find_filled_words(approved.template, message.text)


def compute_similarity(text: str, others: Iterable[str]) -> float:
    """Return the highest similarity of a text to one of ``others``, from 0 to 1 (the same words).

    It is the share of common words, each as often as it occurs (Sørensen-Dice coefficient).
    """
    # Not of runs of words: a name in the greeting alone would change three of them.
    own = _count_words(text)
    shares = (
        2 * (own & theirs).total() / (own.total() + theirs.total())
        for theirs in map(_count_words, others)
        if own or theirs
    )
    return round(max(shares, default=0.0), 3)


def redact_facts(facts: Mapping[str, object], body_hash: str) -> Facts:
    """Return the facts to be stored: the text is replaced by its hash."""
    return {**facts, "message.text": f"sha256:{body_hash}"}


def _build_history_facts(history: ContactHistory, at: datetime) -> Facts:
    last = get_last_commercial_time(history)
    return {
        **{name: len(_list_sent_within(history, name, at)) for name in COUNT_WINDOWS},
        "history.unanswered": len(history.unanswered),
        "history.commercial_unanswered": sum(each.commercial for each in history.unanswered),
        "history.days_since_commercial": CENTURY_DAYS if last is None else _days_since(last, at),
    }


def _list_sent_within(history: ContactHistory, name: str, at: datetime) -> list[PastSend]:
    """Return what counts for the fact ``name`` at ``at``, oldest first."""
    commercial_only = name.startswith("history.commercial_")
    since = at - COUNT_WINDOWS[name]
    return [
        each
        for each in history.sent
        if each.at > since and (each.commercial or not commercial_only)
    ]


def get_last_commercial_time(history: ContactHistory) -> datetime | None:
    """Return when the last commercial message to the contact left; None where none did."""
    return max((each.at for each in history.sent if each.commercial), default=None)


def _derive_sending(message: MessageRecord, context: EvaluationContext) -> str:
    """Return the value of `session.sending` for the message's channel."""
    # Sending by hand needs no connection, but a banned number must not be used either.
    if message.channel == BuiltinChannel.MANUAL:
        return "none" if context.session.banned else "all"
    return context.session.sending


def _compute_rate(share: FirstContactShare) -> float | None:
    return round(share.count / share.total, 3) if share.total >= _MIN_FIRST_CONTACTS else None


def _is_in_conversation(context: EvaluationContext) -> bool:
    return derive_permission(context.evidence, context.at) is Permission.CONVERSATION


def _answers_origin_after_refusal(message: MessageRecord, context: EvaluationContext) -> bool:
    """Return whether a person answers somebody who said no where we have their number from."""
    # What a plugin wrote by itself has no request: this answer is a person's.
    if message.campaign or not message.request_hash or context.prospect is None:
        return False
    return (
        derive_permission(context.evidence, context.at) is Permission.REFUSED
        and find_origin_answer_end(context.evidence, context.at) is not None
        and is_origin_answer(message.text, context.prospect, context.origin_in_words)
    )


def _latest_evidence(evidence: Sequence[Evidence], kind: EvidenceKind) -> Evidence | None:
    return max((e for e in evidence if e.kind is kind), key=lambda e: e.at, default=None)


def _count_bounces_since_validation(
    evidence: Sequence[Evidence], validated_at: datetime | None
) -> int:
    return sum(
        e.kind is EvidenceKind.BOUNCE and (validated_at is None or e.at > validated_at)
        for e in evidence
    )


def _days_since(then: datetime | None, at: datetime) -> float | None:
    # Not below 0: the clock may have been set back since.
    return None if then is None else max(0.0, (at - then) / timedelta(days=1))


def count_whole_days(then: datetime | None, at: datetime) -> int | None:
    """Return how many whole days have passed since a date; None for an unknown one."""
    # Whole, because the date of contact data has no hour.
    days = _days_since(then, at)
    return None if days is None else int(days)


def _count_words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(text.casefold()))
