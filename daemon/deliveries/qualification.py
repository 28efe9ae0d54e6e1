"""Decides which people may be handed to a client, and freezes what is known of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from daemon.api.effects import Intent
from daemon.gate.consent import Permission
from storage import delivery_queries, evidence, outcomes, suppressions
from storage.client_terms import NEEDED_COLUMNS, DeliveryColumn
from storage.deliveries import DeliveryEvidence, DeliveryFact, DeliveryGround, NewDeliveryRow
from storage.evidence import Evidence, EvidenceKind
from storage.inbound_reviews import Meaning
from storage.outcomes import READ_OUTCOMES, Outcome

if TYPE_CHECKING:
    from storage.clients import ClientRecord
    from storage.prospects import ProspectRecord
    from storage.tx import Reader

INTERESTED: Final = (Intent.CLEAR, Intent.ASKED)
"""The purchase intents that a delivery may be made of."""
_EVIDENCE_COLUMNS: Final = frozenset(
    {
        DeliveryColumn.VALIDATION,
        DeliveryColumn.PERMISSION,
        DeliveryColumn.INTENT,
        DeliveryColumn.QUOTE,
    }
)
_ANSWERS: Final = frozenset({EvidenceKind.MAY_SHARE, EvidenceKind.MAY_NOT_SHARE})


class LeftOutReason(StrEnum):
    """Why somebody is not in a delivery."""

    SUPPRESSED = "suppressed"
    REFUSED = "refused"
    NOT_VALIDATED = "not_validated"
    NO_INTENT = "no_intent"
    NOT_CONFIRMED = "not_confirmed"
    """What they wrote was read as interest, and nobody has confirmed it."""
    DELIVERED_BEFORE = "delivered_before"
    EXCLUSIVE = "exclusive"
    SHARING_REFUSED = "sharing_refused"
    SHARING_UNKNOWN = "sharing_unknown"


_SENTENCES: Final = {
    LeftOutReason.SUPPRESSED: "They opted out.",
    LeftOutReason.REFUSED: "They said no.",
    LeftOutReason.NOT_VALIDATED: "Their number is not validated.",
    LeftOutReason.NO_INTENT: "They have shown no clear intent to buy.",
    LeftOutReason.NOT_CONFIRMED: "Nobody has recorded that they are interested.",
    LeftOutReason.DELIVERED_BEFORE: "This client has them already.",
    LeftOutReason.SHARING_REFUSED: "They said that this client may not write to them.",
    LeftOutReason.SHARING_UNKNOWN: "They have not said that this client may write to them.",
}


class LeftOutPerson(Struct, frozen=True, kw_only=True):
    """Somebody who does not qualify. ``decidable``: a person may hand them over by a decision."""

    id: str
    name: str
    phone: str
    reason: LeftOutReason
    sentence: str
    decidable: bool

    def __repr__(self) -> str:
        """Keep name and number out of logs."""
        return f"LeftOutPerson({self.id!r}, {self.reason.value})"


class QualifiedPerson(Struct, frozen=True, kw_only=True):
    """Somebody who can be handed over, with the row as it would be frozen."""

    id: str
    row: NewDeliveryRow


class Qualification(Struct, frozen=True, kw_only=True):
    """For which client and day people are judged, and who is handed over by a decision.

    ``decided_by`` is who decides, and ``decision`` why.
    """

    client: ClientRecord
    columns: Sequence[DeliveryColumn]
    now: datetime
    today: date
    decided: frozenset[str]
    decided_by: str = ""
    decision: str = ""

    def judge(
        self, reader: Reader, people: Sequence[ProspectRecord]
    ) -> tuple[list[QualifiedPerson], list[LeftOutPerson]]:
        """Return who can be handed over, and who is left out and why, in the order given."""
        known = evidence.list_evidence_of_contacts(reader, [each.contact for each in people])
        taken: list[QualifiedPerson] = []
        left_out: list[LeftOutPerson] = []
        for prospect in people:
            pieces = evidence.drop_withdrawn(known[prospect.contact])
            if (found := self._find_obstacle(reader, prospect, pieces)) is not None:
                left_out.append(_leave_out(prospect, *found))
                continue
            taken.append(QualifiedPerson(id=prospect.id, row=self._freeze(prospect, pieces)))
        return taken, left_out

    def _find_obstacle(
        self, reader: Reader, prospect: ProspectRecord, pieces: Sequence[Evidence]
    ) -> tuple[LeftOutReason, str] | None:
        """Return the first reason to leave somebody out, with its sentence; None without one."""
        # What nobody can lift comes first, so that no decision is asked for in vain.
        checks: tuple[tuple[LeftOutReason, Callable[[], bool]], ...] = (
            (
                LeftOutReason.SUPPRESSED,
                lambda: suppressions.is_contact_suppressed(reader, prospect.contact),
            ),
            (LeftOutReason.REFUSED, lambda: prospect.permission == Permission.REFUSED),
            (LeftOutReason.NOT_VALIDATED, lambda: prospect.validado_tecnicamente is not True),
            (LeftOutReason.NO_INTENT, lambda: prospect.intent not in INTERESTED),
            (LeftOutReason.NOT_CONFIRMED, lambda: not _is_confirmed(reader, prospect.contact)),
            (
                LeftOutReason.SHARING_REFUSED,
                lambda: self._find_answer(pieces, EvidenceKind.MAY_NOT_SHARE) is not None,
            ),
        )
        for reason, applies in checks:
            if applies():
                return reason, _SENTENCES[reason]
        if taken := self._find_former_delivery(reader, prospect.contact):
            return taken
        if self._find_answer(pieces, EvidenceKind.MAY_SHARE) or prospect.id in self.decided:
            return None
        unknown = LeftOutReason.SHARING_UNKNOWN
        return unknown, _SENTENCES[unknown]

    def _find_former_delivery(
        self, reader: Reader, contact: str
    ) -> tuple[LeftOutReason, str] | None:
        former = delivery_queries.list_former_deliveries(reader, contact)
        if any(each.client == self.client.id for each in former):
            before = LeftOutReason.DELIVERED_BEFORE
            return before, _SENTENCES[before]
        for each in former:
            if each.exclusive_until is not None and each.exclusive_until >= self.today:
                sentence = (
                    f"They were handed to {each.client_name} alone, until {each.exclusive_until}."
                )
                return LeftOutReason.EXCLUSIVE, sentence
        return None

    def _find_answer(self, pieces: Sequence[Evidence], kind: EvidenceKind) -> Evidence | None:
        """Return their latest answer about the client where it is of this kind."""
        answers = (each for each in pieces if each.kind in _ANSWERS)
        latest = next((each for each in answers if each.value == self.client.id), None)
        return latest if latest is not None and latest.kind is kind else None

    def _freeze(self, prospect: ProspectRecord, pieces: Sequence[Evidence]) -> NewDeliveryRow:
        answer = self._find_answer(pieces, EvidenceKind.MAY_SHARE)
        ground = DeliveryGround.MAY_SHARE if answer else DeliveryGround.DECISION
        wanted = [
            each
            for each in self.columns
            if each not in _EVIDENCE_COLUMNS and each not in NEEDED_COLUMNS
        ]
        return NewDeliveryRow(
            contact=prospect.contact,
            name=prospect.name,
            phone=prospect.phone,
            cells={each.value: str(getattr(prospect, each) or "") for each in wanted},
            evidence=(
                _describe_validation(prospect, pieces),
                _describe_permission(prospect, pieces),
                _describe_intent(prospect, pieces),
                self._describe_sharing(answer),
            ),
            ground=ground,
        )

    def _describe_sharing(self, answer: Evidence | None) -> DeliveryEvidence:
        if answer is None:
            return DeliveryEvidence(
                fact=DeliveryFact.SHARING,
                value=DeliveryGround.DECISION,
                at=self.now,
                quote=self.decision,
                source=self.decided_by,
            )
        return _describe(DeliveryFact.SHARING, DeliveryGround.MAY_SHARE, answer)


def _is_confirmed(reader: Reader, contact: str) -> bool:
    """Return whether the last that a person read of what they wrote is that they are interested."""
    # A proposal is no row of `outcomes`: these five are a person's alone.
    read = (
        each.outcome
        for each in outcomes.list_contact_outcomes(reader, contact)
        if each.outcome in READ_OUTCOMES
    )
    return next(read, None) is Outcome.INTERESTED


def _leave_out(prospect: ProspectRecord, reason: LeftOutReason, sentence: str) -> LeftOutPerson:
    return LeftOutPerson(
        id=prospect.id,
        name=prospect.name,
        phone=prospect.phone,
        reason=reason,
        sentence=sentence,
        decidable=reason is LeftOutReason.SHARING_UNKNOWN,
    )


_VALIDATION_PIECES: Final = frozenset(
    {
        (EvidenceKind.VALIDATION, "validated"),
        (EvidenceKind.ON_WHATSAPP, "yes"),
        (EvidenceKind.GIVEN_AS_WHATSAPP, "given"),
    }
)


def _describe_validation(prospect: ProspectRecord, pieces: Sequence[Evidence]) -> DeliveryEvidence:
    """Return the newest sign that the number works: their own message counts."""
    for each in pieces:
        if (each.kind, each.value) in _VALIDATION_PIECES or each.kind is EvidenceKind.INBOUND:
            found = _describe(DeliveryFact.VALIDATION, each.kind, each)
            # What an operator wrote of a check is ours, and no word of the person.
            return found if each.kind is EvidenceKind.INBOUND else replace(found, quote="")
    return DeliveryEvidence(
        fact=DeliveryFact.VALIDATION,
        value=EvidenceKind.VALIDATION,
        at=prospect.validated_at,
        quote="",
        source="",
    )


def _describe_permission(prospect: ProspectRecord, pieces: Sequence[Evidence]) -> DeliveryEvidence:
    """Return on what ground we wrote to them, with the newest piece that may show it."""
    permission = prospect.permission
    piece = next((each for each in pieces if _shows_permission(each, permission)), None)
    if piece is not None:
        return _describe(DeliveryFact.PERMISSION, permission, piece)
    return DeliveryEvidence(
        fact=DeliveryFact.PERMISSION, value=permission, at=None, quote="", source=""
    )


def _shows_permission(piece: Evidence, permission: str) -> bool:
    match piece.kind:
        case EvidenceKind.PERMISSION:
            return piece.value == permission
        case EvidenceKind.CONSENT:
            return permission == Permission.OPTED_IN
        case EvidenceKind.INBOUND:
            return permission in {Permission.CONVERSATION, Permission.RELATIONSHIP}
        case EvidenceKind.CLASSIFICATION:
            return permission == Permission.RELATIONSHIP and piece.value == Meaning.WELCOME
    return False


def _describe_intent(prospect: ProspectRecord, pieces: Sequence[Evidence]) -> DeliveryEvidence:
    """Return the purchase intent with the words that show it."""
    for each in pieces:
        if each.kind is EvidenceKind.INTENT and each.value == prospect.intent:
            return _describe(DeliveryFact.INTENT, prospect.intent, each)
    return DeliveryEvidence(
        fact=DeliveryFact.INTENT, value=prospect.intent, at=None, quote="", source=""
    )


def _describe(fact: DeliveryFact, value: str, piece: Evidence) -> DeliveryEvidence:
    return DeliveryEvidence(
        fact=fact, value=str(value), at=piece.at, quote=piece.quote, source=piece.source
    )
