"""Derives the permission to write to a contact, from dated evidence alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct

from daemon.api.effects import ContactRequest
from storage.evidence import Evidence, EvidenceKind, drop_withdrawn
from storage.inbound_reviews import Meaning

CONVERSATION_WINDOW: Final = timedelta(hours=24)
"""How long an inbound keeps a conversation open: WhatsApp's own window."""

REFUSED_SENTENCE: Final = "They said no"
"""The reason for a contact who refused, in the shipped rules and in the hard limit."""

QUESTION_ABOUT_US: Final = "question_about_us"
"""The value of an inbound that asks who we are: a conversation, and no interest in the offer."""

REFUSALS: Final = frozenset(
    {ContactRequest.OPT_OUT, ContactRequest.DECLINED, ContactRequest.COMPLAINT}
)
NOBODY_TO_WRITE_TO: Final = frozenset(
    {ContactRequest.WRONG_PERSON, ContactRequest.MINOR, ContactRequest.DECEASED}
)
CLASSIFIED_REFUSALS: Final = frozenset({Meaning.NO, Meaning.SUPPRESS})
_SOMEBODY_ELSE: Final = frozenset({Meaning.NUMBER_CHANGED_OWNER, Meaning.THIRD_PARTY})
WELCOMES: Final = frozenset({ContactRequest.INTERESTED, ContactRequest.QUESTION})
CONVERSATION_OPENERS: Final = WELCOMES | {
    ContactRequest.COURTESY,
    ContactRequest.OPT_IN,
    QUESTION_ABOUT_US,
}


class Permission(StrEnum):
    """The ground on which a contact may be written to, from the strongest to a refusal."""

    CONVERSATION = "conversation"
    OPTED_IN = "opted_in"
    RELATIONSHIP = "relationship"
    PUBLIC_SOURCE = "public_source"
    NONE = "none"
    REFUSED = "refused"


class PermissionState(Struct, frozen=True):
    """A permission at any time: ``conversation`` until a moment, then the ``lasting`` one.

    Time changes nothing else about it, so that these two can be stored and searched.
    """

    lasting: Permission
    conversation_until: datetime | None

    def at(self, now: datetime) -> Permission:
        """Return the permission at ``now``."""
        if self.conversation_until is not None and self.conversation_until > now:
            return Permission.CONVERSATION
        return self.lasting


def derive_permission(evidence: Sequence[Evidence], now: datetime) -> Permission:
    """Return the permission that ``evidence``, in any order, gives at ``now``."""
    return derive_permission_state(evidence).at(now)


def derive_permission_state(evidence: Sequence[Evidence]) -> PermissionState:
    """Return the permission that ``evidence``, in any order, gives now and later.

    Only what was understood as a welcome raises it. What was agreed before a refusal never returns
    by itself: a welcome or an opt-in of their own must come after it. What a person says that a
    message means counts by the time of its writing. Withdrawn pieces are ignored.
    """
    evidence = drop_withdrawn(evidence)
    classified = _latest_classification(evidence, {Meaning.WELCOME})
    welcome = _latest_time(filter(None, (_latest_inbound(evidence, WELCOMES), classified)))
    opt_in = _latest_inbound(evidence, {ContactRequest.OPT_IN})
    reopened = _latest_time(filter(None, (welcome, opt_in)))
    if find_nobody(evidence):
        return PermissionState(Permission.NONE, None)
    last_no = find_last_refusal(evidence)
    refusal = last_no.at if last_no else None
    if refusal and (reopened is None or reopened <= refusal):
        return PermissionState(Permission.REFUSED, None)
    spoken = _find_last_words(evidence)
    return PermissionState(
        _derive_from_record(evidence, refusal, welcome),
        None if spoken is None else spoken + CONVERSATION_WINDOW,
    )


def _find_last_words(evidence: Sequence[Evidence]) -> datetime | None:
    """Return when they last wrote to us here something that opens a conversation."""
    # What they wrote to a former system may have gone to another number of ours.
    here = [each for each in evidence if not each.imported]
    opened = _latest_inbound(here, CONVERSATION_OPENERS)
    classified = _latest_classification(here, {Meaning.WELCOME})
    return _latest_time(filter(None, (opened, classified)))


def _derive_from_record(
    evidence: Sequence[Evidence], refusal: datetime | None, welcome: datetime | None
) -> Permission:
    """Return what is on record outside a conversation, as far as it is later than a refusal."""
    later = [each for each in evidence if refusal is None or each.at > refusal]
    on_record = {each.value for each in later if each.kind is EvidenceKind.PERMISSION}
    if any(each.kind is EvidenceKind.CONSENT for each in later):
        on_record.add(Permission.OPTED_IN)
    if Permission.OPTED_IN in on_record:
        return Permission.OPTED_IN
    welcomed = welcome is not None and (refusal is None or welcome > refusal)
    if welcomed or Permission.RELATIONSHIP in on_record:
        return Permission.RELATIONSHIP
    if Permission.PUBLIC_SOURCE in on_record and refusal is None:
        return Permission.PUBLIC_SOURCE
    return Permission.NONE


def find_nobody(evidence: Sequence[Evidence]) -> Evidence | None:
    """Return the newest inbound that says that nobody here can be written to, or None.

    Withdrawn pieces are ignored.
    """
    found = (
        each
        for each in drop_withdrawn(evidence)
        if each.kind is EvidenceKind.INBOUND and each.value in NOBODY_TO_WRITE_TO
    )
    return max(found, key=lambda each: each.at, default=None)


def is_somebody_else(evidence: Sequence[Evidence]) -> bool:
    """Return whether they wrote that it is not the prospect's number, and nobody has decided that.

    Withdrawn pieces are ignored.
    """
    evidence = drop_withdrawn(evidence)
    denied = _latest_inbound(evidence, {ContactRequest.WRONG_PERSON})
    decided = _latest_classification(evidence, _SOMEBODY_ELSE)
    return denied is not None and (decided is None or decided < denied)


def find_refusal_time(evidence: Sequence[Evidence]) -> datetime | None:
    """Return when the contact last refused; None where only an import or a form says so."""
    evidence = drop_withdrawn(evidence)
    last_no = find_last_refusal(evidence)
    refusal = last_no.at if last_no else None
    opt_in = _latest_inbound(evidence, {ContactRequest.OPT_IN})
    if refusal is None or (opt_in and opt_in > refusal):
        return None
    # An import or a form is dated by when it was entered, which is not when they refused.
    own = {EvidenceKind.INBOUND, EvidenceKind.COMPLAINT, EvidenceKind.CLASSIFICATION}
    told = any(each.kind in own and each.at == refusal for each in evidence)
    return refusal if told else None


def find_last_refusal(evidence: Sequence[Evidence]) -> Evidence | None:
    """Return the newest refusal that was not withdrawn, whatever came after it, or None."""
    refusals = filter(_is_refusal, drop_withdrawn(evidence))
    return max(refusals, key=lambda each: each.at, default=None)


def _is_refusal(piece: Evidence) -> bool:
    """Tell whether they said no, in their own words or on an imported list."""
    match piece.kind:
        case EvidenceKind.DECLINED:
            return True
        case EvidenceKind.PERMISSION:
            return piece.value == Permission.REFUSED
        case EvidenceKind.INBOUND:
            return piece.value in REFUSALS
        case EvidenceKind.CLASSIFICATION:
            return piece.value in CLASSIFIED_REFUSALS
    return False


def _latest_inbound(evidence: Sequence[Evidence], values: Collection[str]) -> datetime | None:
    """Return when they last wrote something that was read as one of the values."""
    return _latest_time(
        each.at for each in evidence if each.kind is EvidenceKind.INBOUND and each.value in values
    )


def _latest_classification(
    evidence: Sequence[Evidence], meanings: Collection[str]
) -> datetime | None:
    """Return when the last message was written that means one of these, as a person says."""
    return _latest_time(
        each.at
        for each in evidence
        if each.kind is EvidenceKind.CLASSIFICATION and each.value in meanings
    )


def _latest_time(moments: Iterable[datetime]) -> datetime | None:
    return max(moments, default=None)
