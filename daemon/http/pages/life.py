"""A prospect's life as one line: brought, checked, scored, held, approved, sent, answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from daemon.http.pages import proof, tones
from daemon.http.pages.story import Beat
from daemon.http.pages.tones import Tone
from storage import audit, evidence, inbound, lives
from storage.audit import AuditEntry
from storage.evidence import EvidenceKind
from storage.lives import Move
from storage.prospects import ProspectRecord
from storage.tx import Reader

_DEEDS: Final = {
    "suppress": Tone.STOPPED,
    "lift_suppression": Tone.READY,
    "correct_prospect": Tone.OFF,
    "correct_number": Tone.OFF,
    "create_prospect": Tone.OFF,
    "approve_prospect": Tone.READY,
    "reject_prospect": Tone.STOPPED,
}
"""What people did, where nothing else in the line tells of it."""
_APPROVED: Final = "approved"
_SPOKEN: Final = frozenset({EvidenceKind.INBOUND, EvidenceKind.OWN_MESSAGE})


def of_prospect(reader: Reader, prospect: ProspectRecord) -> list[Beat]:
    """Return everything that happened with a prospect, newest first."""
    causes_first = [
        *_brought(prospect),
        *_found_out(reader, prospect.contact),
        *_scored(reader, prospect.id),
        *(_moved(move) for move in lives.moves(reader, prospect.contact)),
        *_wrote(reader, prospect.contact),
        *_done(reader, prospect),
    ]
    return sorted(causes_first, key=lambda beat: beat.at)[::-1]


def _brought(prospect: ProspectRecord) -> Iterator[Beat]:
    if prospect.import_id is not None:
        yield Beat(prospect.created_at, Tone.OFF, "life.imported", "imported", path=_list(prospect))


def _list(prospect: ProspectRecord) -> str:
    return f"/prospects/imports/{prospect.import_id}"


def _found_out(reader: Reader, contact: str) -> Iterator[Beat]:
    for each in reversed(evidence.of_contact(reader, contact)):
        if each.kind not in _SPOKEN:
            tone, key = proof.tone_of(each), proof.key_of(each)
            yield Beat(each.at, tone, key, each.value, each.source, quote=each.quote)


def _scored(reader: Reader, prospect: str) -> Iterator[Beat]:
    for each in lives.scores(reader, prospect):
        yield Beat(each.at, Tone.OFF, "life.scored", "scored", each.sentence, score=each.score)


def _moved(move: Move) -> Beat:
    if move.reason_code == _APPROVED:
        return Beat(
            move.at, Tone.READY, "life.approved", _APPROVED, who=move.who, quote=move.sentence
        )
    return Beat(
        at=move.at,
        tone=tones.MESSAGES[move.state],
        key=f"message.{move.state}",
        state=move.state,
        sentence=move.sentence,
        who=move.who,
        path=f"/messages/{move.message}",
    )


def _wrote(reader: Reader, contact: str) -> Iterator[Beat]:
    for each in inbound.of_contact(reader, contact):
        key = "life.typed" if each.own else "story.answered"
        tone = Tone.WAITING if each.own else Tone.READY
        yield Beat(each.at, tone, key, each.wish, quote=each.text)


def _done(reader: Reader, prospect: ProspectRecord) -> Iterator[Beat]:
    entries = (*audit.of_subject(reader, prospect.id), *audit.of_subject(reader, prospect.contact))
    for entry in entries:
        if entry.action in _DEEDS:
            yield _deed(entry)


def _deed(entry: AuditEntry) -> Beat:
    return Beat(
        entry.at,
        _DEEDS[entry.action],
        f"life.{entry.action}",
        entry.action,
        who=entry.who,
        quote=entry.reason,
    )
