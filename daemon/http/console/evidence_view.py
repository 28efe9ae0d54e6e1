"""Evidence for people: what is known, since when, its source, and what a permission rests on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from daemon.gate.consent import (
    CLASSIFIED_REFUSALS,
    CONVERSATION_OPENERS,
    NOBODY_TO_WRITE_TO,
    REFUSALS,
    WELCOMES,
    Permission,
)
from daemon.http.console.language import Language
from daemon.severity import Severity
from storage.evidence import Evidence, EvidenceKind, drop_withdrawn
from storage.inbound_reviews import Meaning

_K, _T = EvidenceKind, Severity

EVIDENCE_SEVERITY: Mapping[tuple[EvidenceKind, str], Severity] = MappingProxyType(
    {
        (_K.PERMISSION, "opted_in"): _T.READY,
        (_K.PERMISSION, "relationship"): _T.READY,
        (_K.PERMISSION, "public_source"): _T.NEEDS_YOU,
        (_K.PERMISSION, "none"): _T.STOPPED,
        (_K.CONSENT, "call"): _T.READY,
        (_K.CONSENT, "form"): _T.READY,
        (_K.CONSENT, "in_person"): _T.READY,
        (_K.CONSENT, "paper"): _T.READY,
        (_K.GIVEN_AS_WHATSAPP, "given"): _T.READY,
        (_K.DECLINED, "refused"): _T.STOPPED,
        (_K.OWN_MESSAGE, "sent"): _T.WAITING,
        (_K.PUSH_NAME, "given"): _T.OFF,
        (_K.ON_WHATSAPP, "yes"): _T.READY,
        (_K.ON_WHATSAPP, "no"): _T.STOPPED,
        (_K.ON_WHATSAPP, "unknown"): _T.OFF,
        (_K.VALIDATION, "validated"): _T.READY,
        (_K.VALIDATION, "not_reachable"): _T.STOPPED,
        (_K.VALIDATION, "expired"): _T.OFF,
        (_K.BOUNCE, "check_turned_no"): _T.STOPPED,
        (_K.BOUNCE, "not_on_whatsapp"): _T.STOPPED,
        (_K.BOUNCE, "undeliverable"): _T.STOPPED,
        (_K.BOUNCE, "undelivered_72h"): _T.STOPPED,
        (_K.CLASSIFICATION, "welcome"): _T.READY,
        (_K.CLASSIFICATION, "no"): _T.STOPPED,
        (_K.CLASSIFICATION, "neither"): _T.OFF,
        (_K.CLASSIFICATION, "suppress"): _T.STOPPED,
        (_K.CLASSIFICATION, "number_changed_owner"): _T.STOPPED,
        (_K.CLASSIFICATION, "third_party"): _T.STOPPED,
        (_K.CLASSIFICATION, "deceased"): _T.STOPPED,
        (_K.COMPLAINT, "hostile_refusal"): _T.STOPPED,
        (_K.COMPLAINT, "refused_marketing"): _T.STOPPED,
        (_K.COMPLAINT, "block_signal"): _T.STOPPED,
        (_K.INTENT, "none"): _T.OFF,
        (_K.INTENT, "weak"): _T.WAITING,
        (_K.INTENT, "clear"): _T.READY,
        (_K.INTENT, "asked"): _T.READY,
    }
)
"""Every value that has words of its own; any other one has the words of its kind."""


_KIND_SEVERITY: Mapping[EvidenceKind, Severity] = MappingProxyType(
    {
        _K.MAY_SHARE: _T.READY,
        _K.MAY_NOT_SHARE: _T.STOPPED,
        _K.DATA_ASKED: _T.NEEDS_YOU,
        _K.DATA_GIVEN: _T.READY,
    }
)
"""Of kinds that have no words by value, as where it is the id of a client."""

_CLASSIFIED_GROUNDS: Mapping[Permission, frozenset[str]] = MappingProxyType(
    {
        Permission.REFUSED: CLASSIFIED_REFUSALS,
        Permission.CONVERSATION: frozenset({Meaning.WELCOME}),
        Permission.RELATIONSHIP: frozenset({Meaning.WELCOME}),
    }
)


_GIVEN_NUMBER: Final = re.compile(r"(?P<where>.*): (?P<how>call|form|in_person|paper)", re.DOTALL)


class EvidenceItem(Struct, frozen=True):
    """One piece of evidence. `key` is its catalogue key; `source` and `quote` are as stored."""

    at: datetime
    severity: Severity
    key: str
    source: str
    kind: EvidenceKind
    quote: str


def build_evidence_items(found: Sequence[Evidence]) -> list[EvidenceItem]:
    """Return evidence for the page, in the order given, without the inbound (the conversation)."""
    return [
        EvidenceItem(
            each.at,
            get_evidence_severity(each),
            get_evidence_key(each),
            each.source,
            each.kind,
            each.quote,
        )
        for each in found
        if each.kind is not EvidenceKind.INBOUND
    ]


def describe_quote(kind: str, quote: str, words: Language) -> str:
    """Return the quote of a piece of evidence, in the words of a page where it is ours.

    What a contact or a person wrote is never translated.
    """
    if kind == EvidenceKind.VALIDATION:
        return words.translate(quote)
    return describe_given_number(quote, words) if kind == EvidenceKind.GIVEN_AS_WHATSAPP else quote


def describe_given_number(quote: str, words: Language) -> str:
    """Return where and how somebody gave their number, with a word for how."""
    match = _GIVEN_NUMBER.fullmatch(quote)
    return f"{match['where']}: {words('detail_value.' + match['how'])}" if match else quote


def get_evidence_key(each: Evidence) -> str:
    """Return the catalogue key of a piece of evidence."""
    value = each.value if (each.kind, each.value) in EVIDENCE_SEVERITY else "other"
    return f"evidence.{each.kind}.{value}"


def get_evidence_severity(each: Evidence) -> Severity:
    """Return the severity of a piece of evidence; OFF for a value that is not known here."""
    if each.kind in _KIND_SEVERITY:
        return _KIND_SEVERITY[each.kind]
    return EVIDENCE_SEVERITY.get((each.kind, each.value), Severity.OFF)


def find_permission_evidence(permission: Permission, found: Sequence[Evidence]) -> Evidence | None:
    """Return the newest piece of evidence that a permission rests on; None if there is none."""
    classified = _CLASSIFIED_GROUNDS.get(permission, frozenset())
    return next(
        (
            each
            for each in drop_withdrawn(found)
            if _supports_permission(permission, each)
            or (each.kind is EvidenceKind.CLASSIFICATION and each.value in classified)
        ),
        None,
    )


def _supports_permission(permission: Permission, each: Evidence) -> bool:
    is_inbound = each.kind is EvidenceKind.INBOUND
    match permission:
        case Permission.REFUSED:
            return each.kind is EvidenceKind.DECLINED or (is_inbound and each.value in REFUSALS)
        case Permission.CONVERSATION:
            return is_inbound and each.value in CONVERSATION_OPENERS
        case Permission.RELATIONSHIP if is_inbound:
            return each.value in WELCOMES
        case Permission.NONE if is_inbound:
            return each.value in NOBODY_TO_WRITE_TO
        case Permission.OPTED_IN if each.kind is EvidenceKind.CONSENT:
            return True
        case _:
            return each.kind is EvidenceKind.PERMISSION and each.value == permission
