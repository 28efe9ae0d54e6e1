"""Derives the permission to write to a contact, from dated evidence alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from daemon.api.effects import ContactRequest
from storage.evidence import Evidence, EvidenceKind, drop_withdrawn

CONVERSATION_WINDOW: Final = timedelta(hours=24)
"""How long an inbound keeps a conversation open: WhatsApp's own window."""

REFUSED_SENTENCE: Final = "They said no"
"""The reason for a contact who refused, in the shipped rules and in the hard limit."""

_DECLINING_REQUESTS: Final = frozenset({ContactRequest.REFUSED, ContactRequest.OPT_OUT})


class Permission(StrEnum):
    """The ground on which a contact may be written to, from the strongest to a refusal."""

    CONVERSATION = "conversation"
    OPTED_IN = "opted_in"
    RELATIONSHIP = "relationship"
    PUBLIC_SOURCE = "public_source"
    NONE = "none"
    REFUSED = "refused"


_BEST_FIRST: Final = (Permission.OPTED_IN, Permission.RELATIONSHIP, Permission.PUBLIC_SOURCE)


def derive_permission(evidence: Sequence[Evidence], now: datetime) -> Permission:
    """Return the permission that ``evidence``, in any order, gives at ``now``.

    A refusal is suspended while a later conversation is open, and ends only by the contact's own
    opt-in. Otherwise the best permission on record counts. Withdrawn pieces are ignored.
    """
    evidence = drop_withdrawn(evidence)
    inbound = _latest_time(each.at for each in evidence if _is_welcoming_inbound(each))
    refusal = _latest_decline(evidence)
    if refusal and (inbound is None or inbound <= refusal):
        return Permission.REFUSED
    if inbound and inbound > now - CONVERSATION_WINDOW:
        return Permission.CONVERSATION
    if refusal:
        return Permission.REFUSED
    on_record = {each.value for each in evidence if each.kind is EvidenceKind.PERMISSION}
    last_no = find_last_refusal(evidence)
    if any(
        each.kind is EvidenceKind.CONSENT and (last_no is None or each.at > last_no.at)
        for each in evidence
    ):
        on_record.add(Permission.OPTED_IN)
    if inbound:
        on_record.add(Permission.RELATIONSHIP)  # they have written to us before
    return next((each for each in _BEST_FIRST if each in on_record), Permission.NONE)


def find_refusal_time(evidence: Sequence[Evidence]) -> datetime | None:
    """Return when the contact last refused; None where only an import or a form says so."""
    refusal = _latest_decline(evidence)
    # An import or a form is dated by when it was entered, which is not when they refused.
    own = {EvidenceKind.INBOUND, EvidenceKind.COMPLAINT}
    told = any(each.kind in own and each.at == refusal for each in evidence)
    return refusal if told else None


def find_last_refusal(evidence: Sequence[Evidence]) -> Evidence | None:
    """Return the newest refusal, whatever came after it, or None."""
    return max(filter(_is_decline, evidence), key=lambda each: each.at, default=None)


def _latest_decline(evidence: Sequence[Evidence]) -> datetime | None:
    """Return the time of the last refusal, unless the contact's own opt-in came after it."""
    refusal = _latest_time(each.at for each in evidence if _is_decline(each))
    opt_in = _latest_time(
        each.at
        for each in evidence
        if each.kind is EvidenceKind.INBOUND and each.value == ContactRequest.OPT_IN
    )
    return None if refusal and opt_in and opt_in > refusal else refusal


def _is_decline(piece: Evidence) -> bool:
    """Return whether this is a refusal, by the contact or on an imported list."""
    return piece.kind is EvidenceKind.DECLINED or (
        piece.kind is EvidenceKind.PERMISSION and piece.value == Permission.REFUSED
    )


def _is_welcoming_inbound(piece: Evidence) -> bool:
    """Return whether this is an inbound that was no refusal."""
    return piece.kind is EvidenceKind.INBOUND and piece.value not in _DECLINING_REQUESTS


def _latest_time(moments: Iterable[datetime]) -> datetime | None:
    return max(moments, default=None)
