"""Rows and a clock become facts: the words of the vocabulary with today's values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from daemon.consent import Permission, permission_of
from statemachines.message import MANUAL
from storage.circumstances import Circumstances
from storage.evidence import Evidence, EvidenceKind
from storage.first_contacts import Share
from storage.messages import MessageRecord
from storage.prospect_reviews import ProspectReview
from storage.prospects import ProspectRecord

Facts: TypeAlias = dict[str, object]
Review: TypeAlias = Literal["none", "waiting", "approved", "rejected"]

_LINK = re.compile(
    r"(?:https?://|www\.)\S+|\b[\w-]+\.(?:com|net|org|ar|mx|br|cl|co|io|me)\b", re.IGNORECASE
)
_WORD = re.compile(r"\w+")
_SHINGLE = 3
_CONFIRMATION = "opt_out_confirmation"
_ENOUGH = 10
"""Fewer first contacts say nothing of a number: one complaint would be half of two."""


def of_prospect(
    prospect: ProspectRecord | None,
    evidence: Sequence[Evidence],
    *,
    suppressed: bool,
    at: datetime,
) -> Facts:
    """Return the ``prospect.*`` facts but for the score; None means that it is not known."""
    facts: Facts = {"prospect.suppressed": suppressed}
    permission = permission_of(evidence, at)
    facts["prospect.permission"] = permission.value
    if prospect is None:
        return facts
    inbound = _newest(evidence, EvidenceKind.INBOUND)
    return facts | {
        "prospect.validado_tecnicamente": validado_of(prospect, at),
        "prospect.validation_age_days": _days(prospect.validated_at, at),
        "prospect.on_whatsapp": str(prospect.on_whatsapp),
        "prospect.intent": str(prospect.intent),
        "prospect.cartera_origen": prospect.cartera_origen,
        "prospect.line_type": str(prospect.line_type),
        "prospect.country": prospect.country,
        "prospect.bounces": _since_validation(evidence, prospect.validated_at),
        "prospect.complaints": sum(e.kind is EvidenceKind.COMPLAINT for e in evidence),
        "prospect.data_age_days": _whole_days(prospect.data_date, at),
        "prospect.days_since_inbound": _days(inbound.at if inbound else None, at),
    }


def validado_of(prospect: ProspectRecord, at: datetime) -> bool | None:
    """Return `validado_tecnicamente` as of now: what has run out holds for nobody, swept or not."""
    over = prospect.expires_at is not None and prospect.expires_at <= at
    return None if prospect.validado_tecnicamente and over else prospect.validado_tecnicamente


def review_of(asked: str | None, said: ProspectReview | None, *, in_band: bool) -> Review:
    """Return where the prospect itself stands in the review queue.

    ``asked``: why a person should look; ``said``: the word that holds; ``in_band``: its score is
    one at which a person looks before we write.
    """
    if asked:
        return "waiting"
    if said:
        return said.word.value
    return "waiting" if in_band else "none"


def of_message(message: MessageRecord, around: Circumstances) -> Facts:
    """Return the ``message.*``, ``history.*`` and ``session.*`` facts."""
    history, session, first = around.history, around.session, around.first_contacts
    return {
        "message.kind": kind_of(message, around),
        "message.first_contact": is_first_contact(around),
        "message.approved": around.approved,
        "message.length": len(message.text),
        "message.links": len(_LINK.findall(message.text)),
        "message.similarity": similarity(message.text, history.recent_texts),
        "message.duplicate": history.duplicate,
        "message.text": message.text,
        "message.template": message.template,
        "history.sent_24h": history.sent_24h,
        "history.sent_7d": history.sent_7d,
        "history.sent_30d": history.sent_30d,
        "history.unanswered": history.unanswered,
        "session.channel": message.channel,
        "session.state": session.connection,
        "session.sending": _sending(message, around),
        "session.window_open": _talks_with_us(around),
        "session.number_age_days": _days(session.linked_at, around.at),
        "session.new_chats_24h": session.new_chats_24h,
        "session.answered_rate": _rate(first.answered),
        "session.undelivered_rate": _rate(first.undelivered),
        "session.complaint_rate": _rate(first.complained),
        "campaign.name": message.campaign,
        "campaign.automatic": message.channel != MANUAL if message.campaign else None,
        "campaign.sent": around.campaign_sent,
    }


def kind_of(message: MessageRecord, around: Circumstances) -> str:
    """Derive the kind: callers never declare it.

    A reply answers an inbound of the last 24 hours that was no refusal, and comes
    from no campaign. Only the core makes confirmations of opt-outs.
    """
    if message.kind == _CONFIRMATION:
        return _CONFIRMATION
    return "reply" if not message.campaign and _talks_with_us(around) else "commercial"


def is_first_contact(around: Circumstances) -> bool:
    """Tell whether nothing ever went between us, in either direction."""
    theirs = {EvidenceKind.INBOUND, EvidenceKind.OWN_MESSAGE}
    return around.history.ever == 0 and not any(e.kind in theirs for e in around.evidence)


def similarity(text: str, others: Iterable[str]) -> float:
    """Return how like the likest of ``others`` a text is: 1 is the same, by runs of three words."""
    own = _shingles(text)
    shares = (
        len(own & theirs) / len(own | theirs) for theirs in map(_shingles, others) if own | theirs
    )
    return round(max(shares, default=0.0), 3)


def for_storage(facts: Mapping[str, object], body_hash: str) -> Facts:
    """Return the snapshot that is kept: the text is replaced by its hash."""
    return {**facts, "message.text": f"sha256:{body_hash}"}


def _sending(message: MessageRecord, around: Circumstances) -> str:
    """A person's phone needs no connection of ours, but a banned number is silent by hand too."""
    if message.channel == MANUAL:
        return "none" if around.session.banned else "all"
    return around.session.sending


def _rate(share: Share) -> float | None:
    return round(share.count / share.of, 3) if share.of >= _ENOUGH else None


def _talks_with_us(around: Circumstances) -> bool:
    return permission_of(around.evidence, around.at) is Permission.CONVERSATION


def _newest(evidence: Sequence[Evidence], kind: EvidenceKind) -> Evidence | None:
    return max((e for e in evidence if e.kind is kind), key=lambda e: e.at, default=None)


def _since_validation(evidence: Sequence[Evidence], validated_at: datetime | None) -> int:
    return sum(
        e.kind is EvidenceKind.BOUNCE and (validated_at is None or e.at > validated_at)
        for e in evidence
    )


def _days(then: datetime | None, at: datetime) -> float | None:
    return None if then is None else max(0.0, (at - then) / timedelta(days=1))


def _whole_days(then: datetime | None, at: datetime) -> int | None:
    """Count days begun and ended: the date of contact data has no hour."""
    days = _days(then, at)
    return None if days is None else int(days)


def _shingles(text: str) -> frozenset[tuple[str, ...]]:
    words = _WORD.findall(text.casefold())
    runs = range(max(1, len(words) - _SHINGLE + 1))
    return (
        frozenset(tuple(words[start : start + _SHINGLE]) for start in runs)
        if words
        else frozenset()
    )
