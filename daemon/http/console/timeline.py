"""Timelines of a message, a session or a prospect: what happened, when, why, and who did it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from daemon import severity
from daemon.api.signals import InboundKind, Origin
from daemon.http.console import evidence_view
from daemon.sessions.status import REASON_SENTENCES, STATE_TEXTS
from daemon.severity import Severity
from statemachines.message import MessageState
from statemachines.session import ConnectionState, PhoneState, SendingState
from storage import audit, evidence, inbound, timeline_queries
from storage.audit import AuditEntry
from storage.column_formats import parse_timestamp
from storage.evidence import EvidenceKind
from storage.inbound import InboundRecord
from storage.prospects import ProspectRecord
from storage.sessions import SessionHistoryEntry
from storage.timeline_queries import MessageHistoryRecord
from storage.tx import Reader


class TimelineEntry(Struct, frozen=True):
    """One thing that happened. `key` is its catalogue key; `quote` is what a person said or wrote.

    `kind` is that of a piece of evidence, whose quote may be ours.
    `path` is the page with more of it; `score` is the prospect's score from then on.
    """

    at: datetime
    severity: Severity
    key: str
    sentence: str = ""
    who: str = ""
    quote: str = ""
    kind: str = ""
    path: str = ""
    score: int | None = None


def build_message_timeline(
    history: Sequence[Mapping[str, Any]], answers: Sequence[InboundRecord]
) -> list[TimelineEntry]:
    """Return a message's history, oldest first, with what the contact wrote after it."""
    moves = [
        TimelineEntry(
            at=parse_timestamp(row["at"]),
            severity=severity.MESSAGE_SEVERITY[MessageState(row["state"])],
            key=f"message.{row['state']}",
            sentence=row["sentence"],
            who=row["who"],
        )
        for row in history
    ]
    first_at = moves[0].at if moves else None
    replies = [
        _entry_from_inbound(each)
        for each in answers
        if first_at is not None and each.at >= first_at and not each.own
    ]
    return sorted([*moves, *replies], key=lambda entry: entry.at)


def build_session_timeline(entries: Sequence[SessionHistoryEntry]) -> list[TimelineEntry]:
    """Return a session's history, newest first."""
    return [_entry_from_history(entry) for entry in reversed(entries)]


_REGION_KEYS = {"phone": "timeline", "sending": "timeline"}
"""Tables of the catalogue for regions whose state names make no sense alone, such as `none`."""


def _entry_from_history(entry: SessionHistoryEntry) -> TimelineEntry:
    return TimelineEntry(
        at=entry.at,
        severity=_get_region_severity(entry.region, entry.state),
        key=f"{_REGION_KEYS.get(entry.region, entry.region)}.{entry.state}",
        sentence=_get_history_sentence(entry),
    )


def _get_region_severity(region: str, state: str) -> Severity:
    match region:
        case "connection":
            return severity.CONNECTION_SEVERITY[ConnectionState(state)]
        case "phone":
            return severity.PHONE_SEVERITY[PhoneState(state)]
        case "sending":
            return severity.SENDING_SEVERITY[SendingState(state)]
        case _:
            return Severity.OFF


def _get_history_sentence(entry: SessionHistoryEntry) -> str:
    """Return the sentence of the reason; empty where it needs a time, which is not stored."""
    own = STATE_TEXTS[ConnectionState(entry.state)].sentence if entry.region == "connection" else ""
    sentence = REASON_SENTENCES.get(entry.reason_code, own)
    return "" if "{" in sentence else sentence


AUDIT_SEVERITY: Final = {
    "suppress": Severity.STOPPED,
    "lift_suppression": Severity.READY,
    "correct_prospect": Severity.OFF,
    "correct_number": Severity.OFF,
    "create_prospect": Severity.OFF,
    "approve_prospect": Severity.READY,
    "reject_prospect": Severity.STOPPED,
}
"""Actions of people that no other entry of the timeline shows, with their severity."""
_APPROVED_REASON: Final = "approved"
_SPOKEN_KINDS: Final = frozenset({EvidenceKind.INBOUND, EvidenceKind.OWN_MESSAGE})


def build_prospect_timeline(reader: Reader, prospect: ProspectRecord) -> list[TimelineEntry]:
    """Return everything that happened with a prospect, newest first."""
    # Causes before effects: entries of the same moment keep this order.
    entries = [
        *_import_entries(prospect),
        *_evidence_entries(reader, prospect.contact),
        *_score_entries(reader, prospect.id),
        *(
            _entry_from_move(move)
            for move in timeline_queries.list_contact_message_history(reader, prospect.contact)
        ),
        *_inbound_entries(reader, prospect.contact),
        *_audit_entries(reader, prospect),
    ]
    return sorted(entries, key=lambda entry: entry.at)[::-1]


def _import_entries(prospect: ProspectRecord) -> Iterator[TimelineEntry]:
    if prospect.import_id is not None:
        yield TimelineEntry(
            prospect.created_at,
            Severity.OFF,
            "timeline.imported",
            path=_get_import_path(prospect),
        )


def _get_import_path(prospect: ProspectRecord) -> str:
    return f"/prospects/imports/{prospect.import_id}"


def _evidence_entries(reader: Reader, contact: str) -> Iterator[TimelineEntry]:
    for each in reversed(evidence.list_contact_evidence(reader, contact)):
        if each.kind not in _SPOKEN_KINDS:
            level, key = (
                evidence_view.get_evidence_severity(each),
                evidence_view.get_evidence_key(each),
            )
            yield TimelineEntry(each.at, level, key, each.source, quote=each.quote, kind=each.kind)


def _score_entries(reader: Reader, prospect: str) -> Iterator[TimelineEntry]:
    for each in timeline_queries.list_score_changes(reader, prospect):
        yield TimelineEntry(
            each.at, Severity.OFF, "timeline.scored", each.sentence, score=each.score
        )


def _entry_from_move(move: MessageHistoryRecord) -> TimelineEntry:
    if move.reason_code == _APPROVED_REASON:
        return TimelineEntry(
            move.at,
            Severity.READY,
            "timeline.approved",
            who=move.who,
            quote=move.sentence,
        )
    return TimelineEntry(
        at=move.at,
        severity=severity.MESSAGE_SEVERITY[move.state],
        key=f"message.{move.state}",
        sentence=move.sentence,
        who=move.who,
        path=f"/messages/{move.message}",
    )


def _inbound_entries(reader: Reader, contact: str) -> Iterator[TimelineEntry]:
    for each in inbound.list_contact_inbound(reader, contact):
        yield _entry_from_inbound(each)


def _entry_from_inbound(record: InboundRecord) -> TimelineEntry:
    if record.own:
        imported = record.origin == Origin.IMPORTED
        key = "timeline.sent_before" if imported else "timeline.typed"
        return TimelineEntry(record.at, Severity.WAITING, key)
    is_text = record.kind == InboundKind.TEXT
    key = "timeline.answered" if is_text else f"said.{record.kind}"
    return TimelineEntry(record.at, Severity.READY, key, quote=record.text)


def _audit_entries(reader: Reader, prospect: ProspectRecord) -> Iterator[TimelineEntry]:
    entries = (
        *audit.list_subject_audit_entries(reader, prospect.id),
        *audit.list_subject_audit_entries(reader, prospect.contact),
    )
    for entry in entries:
        if entry.action in AUDIT_SEVERITY:
            yield _entry_from_audit(entry)


def _entry_from_audit(entry: AuditEntry) -> TimelineEntry:
    return TimelineEntry(
        entry.at,
        AUDIT_SEVERITY[entry.action],
        f"timeline.{entry.action}",
        who=entry.who,
        quote=entry.reason,
    )
