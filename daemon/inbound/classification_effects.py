"""What follows from what a message means: evidence, suppression, the queue and validation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from daemon.api.effects import ContactRequest, Intent
from daemon.api.signals import Origin
from daemon.contacts.erasure import ErasureCommand, erase_person
from daemon.contacts.suppression import SuppressionService
from daemon.contacts.validation_transitions import ValidationTransitions
from daemon.gate.consent import NOBODY_TO_WRITE_TO, REFUSALS, WELCOMES
from daemon.gate.scoring import Scoring
from storage import (
    contacts,
    evidence,
    inbound,
    inbound_reviews,
    messages,
    prospects,
    queue,
)
from storage.contacts import HoldScope
from storage.evidence import Evidence, EvidenceKind
from storage.inbound_reviews import STOP_CAUSES, InboundReview, Meaning, ReviewCause
from storage.suppressions import SuppressionSource
from storage.tx import Tx

CLASSIFIED: Final = "classified"
_RELEASED_SENTENCE: Final = "A person has read what they wrote; it is evaluated again."
_CANCELLED_SENTENCE: Final = "A person has read what they wrote, and it is not sent."
_MINOR_REASON: Final = "a minor; their data is erased"
_DECEASED_REASON: Final = "the person died"
_COMPLAINT_REASON: Final = "they complained"

_SETTLED_BY_READING: Final = REFUSALS | NOBODY_TO_WRITE_TO | WELCOMES
_CANCELS: Final = frozenset(Meaning) - {Meaning.WELCOME, Meaning.NEITHER}
_HOLDS_ALL: Final = ReviewCause.COMPLAINT


class ClassificationCommand(Struct, frozen=True, kw_only=True):
    """What a person says that a message means: who says it, when, and for what reason.

    ``reason`` is empty where none is needed and none was given.
    """

    review: InboundReview
    meaning: Meaning
    who: str
    reason: str
    at: datetime

    @property
    def contact(self) -> str:
        """Return the contact who wrote the message."""
        return self.review.contact

    @property
    def source(self) -> str:
        """Return where the evidence comes from that this becomes."""
        return f"classified by {self.who}"


class ClassificationResult(Struct, frozen=True, kw_only=True):
    """What followed from a classification; all is 0 or false for one that was stored before."""

    inbound: str
    meaning: Meaning
    released_messages: int = 0
    cancelled_messages: int = 0
    suppressed: bool = False
    lifted: bool = False
    """The opt-out was a misreading and is over."""
    erased: bool = False


class ClassificationEffects:
    """Applies a classification in the caller's transaction."""

    def __init__(
        self,
        suppression: SuppressionService,
        scoring: Scoring,
        transitions: ValidationTransitions,
    ) -> None:
        self._suppression = suppression
        self._scoring = scoring
        self._transitions = transitions

    def apply(
        self, tx: Tx, command: ClassificationCommand
    ) -> tuple[ClassificationResult, list[str]]:
        """Do what follows from a meaning; return it, and the hashes whose suppression it lifted.

        Give these to :meth:`journal_lifted` once this transaction is committed. Raises Conflict
        where it can't be done now.
        """
        if command.meaning is Meaning.MINOR:
            return self._erase(tx, command), []
        lifted: list[str] = []
        if command.review.cause is ReviewCause.OPT_OUT:
            lifted = self._suppression.correct_reading(
                tx, command.contact, who=command.who, reason=command.reason, at=command.at
            )
        cancelled = _cancel_messages(tx, command)
        _replace_reading(tx, command)
        _settle_stop(tx, command.review)
        suppressed = self._suppress(tx, command)
        self._reject_number(tx, command)
        if command.meaning is Meaning.NO:
            _clear_intent(tx, command)
        result = ClassificationResult(
            inbound=command.review.inbound,
            meaning=command.meaning,
            released_messages=self._release_messages(tx, command),
            cancelled_messages=cancelled,
            suppressed=suppressed,
            lifted=bool(lifted),
        )
        return result, lifted

    async def journal_lifted(self, hashes: Sequence[str]) -> None:
        """Write to the journal what a correction lifted, after its commit."""
        await self._suppression.journal_lifted(hashes)

    def _release_messages(self, tx: Tx, command: ClassificationCommand) -> int:
        """End the hold, and queue what waits for them to be evaluated again; return how many."""
        settle_hold(tx, command.contact, command.review.sentence)
        self._scoring.refresh_prospect(
            tx,
            command.contact,
            command.at,
            reason_code=CLASSIFIED,
            sentence=_RELEASED_SENTENCE,
        )
        return queue.requeue_contact_messages(
            tx,
            command.at,
            command.contact,
            reason_code=CLASSIFIED,
            sentence=_RELEASED_SENTENCE,
            who=command.who,
        )

    def _suppress(self, tx: Tx, command: ClassificationCommand) -> bool:
        reasons = {Meaning.SUPPRESS: _COMPLAINT_REASON, Meaning.DECEASED: _DECEASED_REASON}
        if command.meaning not in reasons:
            return False
        self._suppression.enter(
            tx,
            self._suppression.resolve_target(tx, command.contact),
            source=SuppressionSource.OPERATOR,
            reason=command.reason or reasons[command.meaning],
            who=command.who,
            at=command.at,
        )
        return True

    def _reject_number(self, tx: Tx, command: ClassificationCommand) -> None:
        """Take the number from the prospect where it has changed its owner."""
        prospect = prospects.find_prospect_by_contact(tx, command.contact)
        if command.meaning is not Meaning.NUMBER_CHANGED_OWNER or prospect is None:
            return
        self._transitions.apply_operator_decision(
            tx,
            prospect,
            validated=False,
            who=command.who,
            reason=command.reason or "the number has changed its owner",
            now=command.at,
        )

    def _erase(self, tx: Tx, command: ClassificationCommand) -> ClassificationResult:
        cancelled = self.erase_minor(tx, command.contact, who=command.who, at=command.at)
        return ClassificationResult(
            inbound=command.review.inbound,
            meaning=Meaning.MINOR,
            cancelled_messages=cancelled,
            suppressed=True,
            erased=True,
        )

    def erase_minor(self, tx: Tx, contact: str, *, who: str, at: datetime) -> int:
        """Suppress a minor for good, and erase all that is stored of them but the hash.

        Returns how many messages that cancelled. Raises Conflict while one is on its way.
        """
        command = ErasureCommand(
            who=who,
            at=at,
            reason=_MINOR_REASON,
            reason_code=CLASSIFIED,
            sentence=_CANCELLED_SENTENCE,
        )
        return erase_person(tx, self._suppression, contact, command)


def _replace_reading(tx: Tx, command: ClassificationCommand) -> None:
    """Withdraw what was read in the message as far as the person reads it otherwise.

    What they say is evidence of the time of writing.
    """
    review = command.review
    record = inbound.get_inbound(tx, review.inbound)
    known = evidence.list_contact_evidence(tx, review.contact)
    for piece in evidence.drop_withdrawn(known):
        if piece.inbound == review.inbound and _is_misread(piece, review, command.meaning):
            evidence.withdraw_evidence(
                tx, review.contact, piece, at=command.at, source=command.source
            )
    evidence.insert_evidence(
        tx,
        review.contact,
        EvidenceKind.CLASSIFICATION,
        command.meaning.value,
        at=record.at if record else review.asked_at,
        source=command.source,
        quote=review.quote,
        inbound=review.inbound,
        imported=record is not None and record.origin == Origin.IMPORTED,
    )


def _is_misread(piece: Evidence, review: InboundReview, meaning: Meaning) -> bool:
    """Tell whether a piece that was read from the message says something else than its meaning."""
    if piece.kind is EvidenceKind.CLASSIFICATION:
        return True
    if meaning not in {Meaning.WELCOME, Meaning.NO, Meaning.NEITHER}:
        return False  # a person confirms what was read
    if piece.value == ContactRequest.OPT_OUT:
        # An opt-out beside something else was obeyed, and stays.
        return review.cause is ReviewCause.OPT_OUT
    confirms = meaning is Meaning.NO and review.cause is ReviewCause.COMPLAINT
    refusal = piece.kind in {EvidenceKind.DECLINED, EvidenceKind.COMPLAINT}
    if refusal or (piece.kind is EvidenceKind.INBOUND and piece.value in REFUSALS):
        return not confirms
    return piece.kind is EvidenceKind.INBOUND and piece.value in _SETTLED_BY_READING


def _settle_stop(tx: Tx, review: InboundReview) -> None:
    """End the stop where no other message of theirs asks for it: a person has decided."""
    open_ = _list_open_reviews(tx, review.contact)
    if review.cause in STOP_CAUSES and not any(each.cause in STOP_CAUSES for each in open_):
        contacts.lift_contact_stop(tx, review.contact)


def settle_hold(tx: Tx, contact: str, sentence: str) -> None:
    """End the hold for this reason; what else of theirs is not read yet holds on."""
    contacts.end_contact_review(tx, contact, reason=sentence)
    for each in reversed(_list_open_reviews(tx, contact)):
        scope = HoldScope.ALL if each.cause is _HOLDS_ALL else HoldScope.COMMERCIAL
        contacts.request_contact_review(tx, contact, each.sentence, each.asked_at, scope=scope)


def _list_open_reviews(tx: Tx, contact: str) -> list[InboundReview]:
    return [
        each
        for each in inbound_reviews.list_contact_reviews(tx, contact)
        if each.meaning is None and each.cause is not ReviewCause.OPT_OUT
    ]


def _clear_intent(tx: Tx, command: ClassificationCommand) -> None:
    prospect = prospects.find_prospect_by_contact(tx, command.contact)
    if prospect is None or prospect.intent == Intent.NONE:
        return
    evidence.insert_evidence(
        tx,
        command.contact,
        EvidenceKind.INTENT,
        Intent.NONE.value,
        at=command.at,
        source=command.source,
        quote=command.review.quote,
        inbound=command.review.inbound,
    )
    prospects.update_prospect(tx, prospect.id, at=command.at, intent=Intent.NONE.value)


def _cancel_messages(tx: Tx, command: ClassificationCommand) -> int:
    """Cancel what waits for them, where it is a no; replies too where these were held."""
    if command.meaning not in _CANCELS:
        return 0
    return messages.cancel_unsent_messages(
        tx,
        command.contact,
        at=command.at,
        reason_code=CLASSIFIED,
        sentence=_CANCELLED_SENTENCE,
        who=command.who,
        commercial_only=command.meaning is Meaning.NO and command.review.cause is not _HOLDS_ALL,
    )
