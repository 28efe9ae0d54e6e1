"""A prospect's life as one line: brought, checked, scored, held, approved, sent, answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from daemon.http.pages import proof, tones
from daemon.http.pages.story import TimelineEntry
from daemon.http.pages.tones import Severity
from storage import audit, evidence, inbound, lives
from storage.audit import AuditEntry
from storage.evidence import EvidenceKind
from storage.lives import MessageHistoryRecord
from storage.prospects import ProspectRecord
from storage.tx import Reader

_AUDIT_SEVERITY: Final = {
    "suppress": Severity.STOPPED,
    "lift_suppression": Severity.READY,
    "correct_prospect": Severity.OFF,
    "correct_number": Severity.OFF,
    "create_prospect": Severity.OFF,
    "approve_prospect": Severity.READY,
    "reject_prospect": Severity.STOPPED,
}
"""What people did, where nothing else in the line tells of it."""
_APPROVED_REASON: Final = "approved"
_SPOKEN_KINDS: Final = frozenset({EvidenceKind.INBOUND, EvidenceKind.OWN_MESSAGE})


def build_prospect_timeline(reader: Reader, prospect: ProspectRecord) -> list[TimelineEntry]:
    """Return everything that happened with a prospect, newest first."""
    causes_first = [
        *_import_entries(prospect),
        *_evidence_entries(reader, prospect.contact),
        *_score_entries(reader, prospect.id),
        *(
            _entry_from_move(move)
            for move in lives.list_contact_message_history(reader, prospect.contact)
        ),
        *_inbound_entries(reader, prospect.contact),
        *_audit_entries(reader, prospect),
    ]
    return sorted(causes_first, key=lambda beat: beat.at)[::-1]


def _import_entries(prospect: ProspectRecord) -> Iterator[TimelineEntry]:
    if prospect.import_id is not None:
        yield TimelineEntry(
            prospect.created_at,
            Severity.OFF,
            "life.imported",
            "imported",
            path=_get_import_path(prospect),
        )


def _get_import_path(prospect: ProspectRecord) -> str:
    return f"/prospects/imports/{prospect.import_id}"


def _evidence_entries(reader: Reader, contact: str) -> Iterator[TimelineEntry]:
    for each in reversed(evidence.list_contact_evidence(reader, contact)):
        if each.kind not in _SPOKEN_KINDS:
            tone, key = proof.get_evidence_severity(each), proof.get_evidence_key(each)
            yield TimelineEntry(each.at, tone, key, each.value, each.source, quote=each.quote)


def _score_entries(reader: Reader, prospect: str) -> Iterator[TimelineEntry]:
    for each in lives.list_score_changes(reader, prospect):
        yield TimelineEntry(
            each.at, Severity.OFF, "life.scored", "scored", each.sentence, score=each.score
        )


def _entry_from_move(move: MessageHistoryRecord) -> TimelineEntry:
    if move.reason_code == _APPROVED_REASON:
        return TimelineEntry(
            move.at,
            Severity.READY,
            "life.approved",
            _APPROVED_REASON,
            who=move.who,
            quote=move.sentence,
        )
    return TimelineEntry(
        at=move.at,
        severity=tones.MESSAGE_SEVERITY[move.state],
        key=f"message.{move.state}",
        state=move.state,
        sentence=move.sentence,
        who=move.who,
        path=f"/messages/{move.message}",
    )


def _inbound_entries(reader: Reader, contact: str) -> Iterator[TimelineEntry]:
    for each in inbound.list_contact_inbound(reader, contact):
        key = "life.typed" if each.own else "story.answered"
        tone = Severity.WAITING if each.own else Severity.READY
        yield TimelineEntry(each.at, tone, key, each.wish, quote=each.text)


def _audit_entries(reader: Reader, prospect: ProspectRecord) -> Iterator[TimelineEntry]:
    entries = (
        *audit.list_subject_audit_entries(reader, prospect.id),
        *audit.list_subject_audit_entries(reader, prospect.contact),
    )
    for entry in entries:
        if entry.action in _AUDIT_SEVERITY:
            yield _entry_from_audit(entry)


def _entry_from_audit(entry: AuditEntry) -> TimelineEntry:
    return TimelineEntry(
        entry.at,
        _AUDIT_SEVERITY[entry.action],
        f"life.{entry.action}",
        entry.action,
        who=entry.who,
        quote=entry.reason,
    )
