"""Evidence as people read it.

What is known, since when, from whom, and what a permission rests on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from daemon.api.effects import ContactRequest
from daemon.gate.consent import Permission
from daemon.severity import Severity
from storage.evidence import Evidence, EvidenceKind

_K, _T = EvidenceKind, Severity

EVIDENCE_SEVERITY: Mapping[tuple[EvidenceKind, str], Severity] = MappingProxyType(
    {
        (_K.PERMISSION, "opted_in"): _T.READY,
        (_K.PERMISSION, "relationship"): _T.READY,
        (_K.PERMISSION, "public_source"): _T.NEEDS_YOU,
        (_K.PERMISSION, "none"): _T.STOPPED,
        (_K.DECLINED, "refused"): _T.STOPPED,
        (_K.OWN_MESSAGE, "sent"): _T.WAITING,
        (_K.ON_WHATSAPP, "yes"): _T.READY,
        (_K.ON_WHATSAPP, "no"): _T.STOPPED,
        (_K.ON_WHATSAPP, "unknown"): _T.OFF,
        (_K.VALIDATION, "validated"): _T.READY,
        (_K.VALIDATION, "not_reachable"): _T.STOPPED,
        (_K.VALIDATION, "expired"): _T.OFF,
        (_K.BOUNCE, "check_turned_no"): _T.STOPPED,
        (_K.BOUNCE, "undeliverable"): _T.STOPPED,
        (_K.BOUNCE, "undelivered_72h"): _T.STOPPED,
        (_K.COMPLAINT, "hostile_refusal"): _T.STOPPED,
        (_K.COMPLAINT, "refused_marketing"): _T.STOPPED,
        (_K.COMPLAINT, "block_signal"): _T.STOPPED,
        (_K.INTENT, "none"): _T.OFF,
        (_K.INTENT, "weak"): _T.WAITING,
        (_K.INTENT, "clear"): _T.READY,
        (_K.INTENT, "asked"): _T.READY,
    }
)
"""Each piece of evidence that has words of its own; what a plugin adds has those of its kind."""

_DECLINING_VALUES = frozenset({ContactRequest.REFUSED.value, ContactRequest.OPT_OUT.value})


@dataclass(frozen=True, slots=True)
class EvidenceItem:
    """One piece of evidence. `key` names its words; `source` and `quote` are as stored."""

    at: datetime
    severity: Severity
    key: str
    source: str
    quote: str


def build_evidence_items(found: Sequence[Evidence]) -> list[EvidenceItem]:
    """Return evidence for the page, in the order given; what they wrote is in the conversation."""
    return [
        EvidenceItem(
            each.at, get_evidence_severity(each), get_evidence_key(each), each.source, each.quote
        )
        for each in found
        if each.kind is not EvidenceKind.INBOUND
    ]


def get_evidence_key(each: Evidence) -> str:
    """Return the key of a piece's words."""
    value = each.value if (each.kind, each.value) in EVIDENCE_SEVERITY else "other"
    return f"evidence.{each.kind}.{value}"


def get_evidence_severity(each: Evidence) -> Severity:
    """Return a piece's tone; what is not known beforehand says nothing by its colour."""
    return EVIDENCE_SEVERITY.get((each.kind, each.value), Severity.OFF)


def find_permission_evidence(permission: Permission, found: Sequence[Evidence]) -> Evidence | None:
    """Return the newest piece that a permission stands on; None where nobody said anything."""
    return next((each for each in found if _supports_permission(permission, each)), None)


def _supports_permission(permission: Permission, each: Evidence) -> bool:
    theirs = each.kind is EvidenceKind.INBOUND
    match permission:
        case Permission.REFUSED:
            return each.kind is EvidenceKind.DECLINED or (
                theirs and each.value in _DECLINING_VALUES
            )
        case Permission.CONVERSATION:
            return theirs
        case Permission.RELATIONSHIP if theirs:
            return True
        case _:
            return each.kind is EvidenceKind.PERMISSION and each.value == permission
