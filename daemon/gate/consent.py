"""Derives the permission to write to a contact from dated evidence and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from daemon.api.effects import ContactRequest
from storage.evidence import Evidence, EvidenceKind

CONVERSATION_WINDOW: Final = timedelta(hours=24)
"""How long their message keeps a conversation open: the platform's own window."""

REFUSED_SENTENCE: Final = "They said no"
"""The reason of the shipped rule and of the hard limit for who refused."""

_DECLINING_REQUESTS: Final = frozenset({ContactRequest.REFUSED, ContactRequest.OPT_OUT})


class Permission(StrEnum):
    """Who said that we may write, from the warmest to a plain no."""

    CONVERSATION = "conversation"
    OPTED_IN = "opted_in"
    RELATIONSHIP = "relationship"
    PUBLIC_SOURCE = "public_source"
    NONE = "none"
    REFUSED = "refused"


_BEST_FIRST: Final = (Permission.OPTED_IN, Permission.RELATIONSHIP, Permission.PUBLIC_SOURCE)


def derive_permission(evidence: Sequence[Evidence], now: datetime) -> Permission:
    """Return the permission that ``evidence``, in any order, gives at ``now``.

    A refusal holds until they write again, and holds once more when that conversation is over;
    only their own opt-in ends it. After that the best permission on record counts.
    """
    inbound = _latest_time(each.at for each in evidence if _is_welcoming_inbound(each))
    refusal = _latest_decline(evidence)
    if refusal and (inbound is None or inbound <= refusal):
        return Permission.REFUSED
    if inbound and inbound > now - CONVERSATION_WINDOW:
        return Permission.CONVERSATION
    if refusal:
        return Permission.REFUSED
    on_record = {each.value for each in evidence if each.kind is EvidenceKind.PERMISSION}
    if inbound:
        on_record.add(Permission.RELATIONSHIP)
    return next((each for each in _BEST_FIRST if each in on_record), Permission.NONE)


def find_refusal_time(evidence: Sequence[Evidence]) -> datetime | None:
    """Return when they last told us or WhatsApp no; None where only a list says that they did."""
    refusal = _latest_decline(evidence)
    # An import or a form is dated by when it was entered, which is not when they said no.
    own = {EvidenceKind.INBOUND, EvidenceKind.COMPLAINT}
    told = any(each.kind in own and each.at == refusal for each in evidence)
    return refusal if told else None


def _latest_decline(evidence: Sequence[Evidence]) -> datetime | None:
    """Return when they last said no, unless they themselves opted in after it."""
    refusal = _latest_time(each.at for each in evidence if _is_decline(each))
    opt_in = _latest_time(
        each.at
        for each in evidence
        if each.kind is EvidenceKind.INBOUND and each.value == ContactRequest.OPT_IN
    )
    return None if refusal and opt_in and opt_in > refusal else refusal


def _is_decline(piece: Evidence) -> bool:
    """Return whether they said no, themselves or on an imported list."""
    return piece.kind is EvidenceKind.DECLINED or (
        piece.kind is EvidenceKind.PERMISSION and piece.value == Permission.REFUSED
    )


def _is_welcoming_inbound(piece: Evidence) -> bool:
    """Return whether they wrote, and what they wrote was no refusal."""
    return piece.kind is EvidenceKind.INBOUND and piece.value not in _DECLINING_REQUESTS


def _latest_time(moments: Iterable[datetime]) -> datetime | None:
    return max(moments, default=None)
