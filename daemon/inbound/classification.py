"""Messages of contacts that a person reads: which ones these are, and what the person says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from msgspec import Struct

from daemon.api.clock import Clock
from daemon.api.effects import ContactRequest
from daemon.errors import BadRequest, Conflict, NotFound, require_reason
from daemon.events import InboundClassified
from daemon.inbound.classification_effects import (
    ClassificationCommand,
    ClassificationEffects,
    ClassificationResult,
)
from daemon.inbound.contact_requests import Finding
from daemon.inbound.context import InboundContext
from storage import audit, evidence, inbound, inbound_reviews, prospects
from storage.db import Database
from storage.evidence import EvidenceKind
from storage.inbound_reviews import (
    STOP_CAUSES,
    InboundForReview,
    InboundReview,
    Meaning,
    ReviewCause,
)
from storage.tx import Reader, Tx

OPT_OUT_SENTENCE: Final = "It was read as an opt-out."

_ANSWERS: Final = (Meaning.WELCOME, Meaning.NO, Meaning.NEITHER)
MEANINGS: Final[Mapping[ReviewCause, tuple[Meaning, ...]]] = {
    ReviewCause.COMPLAINT: (*_ANSWERS, Meaning.SUPPRESS),
    ReviewCause.MINOR: (Meaning.MINOR, *_ANSWERS),
    ReviewCause.DECEASED: (Meaning.DECEASED, *_ANSWERS),
    ReviewCause.WRONG_PERSON: (Meaning.NUMBER_CHANGED_OWNER, Meaning.THIRD_PARTY, *_ANSWERS),
    ReviewCause.MAY_ASK_TO_STOP: _ANSWERS,
    ReviewCause.ABOUT_US: _ANSWERS,
    ReviewCause.NOT_UNDERSTOOD: _ANSWERS,
    ReviewCause.OPT_OUT: _ANSWERS,
}
"""What a message may mean by why a person reads it, in the order of the keys 1, 2, 3 …"""

_CAUSES: Final[Mapping[ContactRequest, ReviewCause]] = {
    ContactRequest.COMPLAINT: ReviewCause.COMPLAINT,
    ContactRequest.MINOR: ReviewCause.MINOR,
    ContactRequest.DECEASED: ReviewCause.DECEASED,
    ContactRequest.WRONG_PERSON: ReviewCause.WRONG_PERSON,
}
_STRICTEST_FIRST: Final = (
    ReviewCause.MINOR,
    ReviewCause.DECEASED,
    ReviewCause.COMPLAINT,
    ReviewCause.WRONG_PERSON,
    ReviewCause.MAY_ASK_TO_STOP,
    ReviewCause.ABOUT_US,
    ReviewCause.NOT_UNDERSTOOD,
)
_ListQuery: TypeAlias = Callable[[Reader, int], list[InboundForReview]]
ONCE: Final = STOP_CAUSES | {ReviewCause.OPT_OUT}
"""What was done at once, and is confirmed or corrected by a person once."""

REVOCABLE: Final = frozenset(_ANSWERS)
"""Meanings that can be changed into each other later, except in what is answered once."""


class WaitingInbound(Struct, frozen=True, kw_only=True):
    """A message that a person reads, and what it may mean."""

    message: InboundForReview
    meanings: tuple[Meaning, ...]


def list_possible_meanings(message: InboundForReview) -> tuple[Meaning, ...]:
    """Return what a message may be classified as now; empty where nobody can change it any more."""
    if message.listed:
        return ()
    if message.meaning is None:
        return MEANINGS[message.cause]
    if message.cause in ONCE or message.meaning not in REVOCABLE:
        return ()
    return tuple(each for each in _ANSWERS if each is not message.meaning)


def build_inbound_review(context: InboundContext) -> InboundReview | None:
    """Return why a person reads this message, or may correct its reading; None where nobody does.

    The strictest cause comes first, with the words that show it.
    """
    reading = context.reading
    found = {
        cause: finding
        for finding in sorted(reading.words.findings, key=lambda each: each.quote)
        if (cause := _find_cause(finding))
    }
    cause = next((each for each in _STRICTEST_FIRST if each in found), None)
    sentence = reading.review_reason
    if sentence is None or cause is None:
        if not reading.words.says(ContactRequest.OPT_OUT):
            return None
        cause, sentence = ReviewCause.OPT_OUT, OPT_OUT_SENTENCE
    return InboundReview(
        inbound=context.record.id,
        contact=context.contact,
        cause=cause,
        sentence=sentence,
        quote=found[cause].quote,
        listed=found[cause].listed,
        asked_at=context.now,
    )


def _find_cause(finding: Finding) -> ReviewCause | None:
    if finding.request is ContactRequest.OPT_OUT:
        return ReviewCause.OPT_OUT
    if finding.may_ask_to_stop:
        return ReviewCause.MAY_ASK_TO_STOP
    if finding.about_us:
        return ReviewCause.ABOUT_US
    if finding.request is ContactRequest.UNCLEAR:
        return ReviewCause.NOT_UNDERSTOOD
    return _CAUSES.get(finding.request)


class ClassificationService:
    """Lists the messages that a person reads, and stores what they say that each means."""

    def __init__(self, database: Database, effects: ClassificationEffects, clock: Clock) -> None:
        self._database = database
        self._effects = effects
        self._clock = clock

    async def list_waiting(self, limit: int = 100) -> Sequence[WaitingInbound]:
        """Return the messages that wait for a person: complaints first, then longest waiting."""
        return await self._list(inbound_reviews.list_waiting_reviews, limit)

    async def list_changeable(self, limit: int = 100) -> Sequence[WaitingInbound]:
        """Return the messages whose answer can still be changed, the latest answer first."""
        return await self._list(list_changeable_reviews, limit)

    async def list_correctable(self, limit: int = 100) -> Sequence[WaitingInbound]:
        """Return the messages read as an opt-out whose reading a person may correct."""
        return await self._list(inbound_reviews.list_correctable_reviews, limit)

    async def classify(
        self,
        message: str,
        meaning: Meaning,
        *,
        who: str,
        reason: str = "",
        confirmed: bool = False,
    ) -> ClassificationResult:
        """Store what a message means, with all that follows from it.

        The same meaning again changes nothing. Welcome, no and neither can be changed into each
        other; everything else is final, and the correction of an opt-out, a minor or a death needs
        a reason. That somebody is a minor, or died, has to be ``confirmed``. Raises
        :class:`NotFound`, :class:`BadRequest` and :class:`Conflict`.
        """
        now = self._clock.now()

        def job(tx: Tx) -> tuple[ClassificationResult, list[str]]:
            review = _require_review(tx, message)
            if review.meaning is meaning:
                return ClassificationResult(inbound=review.inbound, meaning=meaning), []
            stated = _check_meaning(tx, review, meaning, reason)
            _require_confirmation(meaning, confirmed=confirmed)
            command = ClassificationCommand(
                review=review, meaning=meaning, who=who, reason=stated, at=now
            )
            return self._store(tx, command)

        result, lifted = await self._database.write(job, urgent=True)
        await self._effects.journal_lifted(lifted)
        return result

    def _store(
        self, tx: Tx, command: ClassificationCommand
    ) -> tuple[ClassificationResult, list[str]]:
        inbound_id, meaning = command.review.inbound, command.meaning
        prospect = prospects.find_prospect_by_contact(tx, command.contact)
        inbound_reviews.classify_inbound_review(
            tx, inbound_id, meaning, who=command.who, reason=command.reason, at=command.at
        )
        result, lifted = self._effects.apply(tx, command)
        detail = {"meaning": meaning.value, "cause": command.review.cause.value}
        if prospect:
            detail["prospect"] = prospect.id
        audit.insert_audit_entry(
            tx, command.at, command.who, "classify", inbound_id, command.reason, detail
        )
        tx.emit(
            InboundClassified(
                subject=inbound_id,
                at=command.at,
                contact=command.contact,
                prospect=prospect.id if prospect else None,
                meaning=meaning.value,
                who=command.who,
                released_messages=result.released_messages,
                cancelled_messages=result.cancelled_messages,
            )
        )
        return result, lifted

    async def _list(self, query: _ListQuery, limit: int) -> Sequence[WaitingInbound]:
        found = await self._database.read(lambda reader: query(reader, limit))
        return [
            WaitingInbound(message=each, meanings=list_possible_meanings(each)) for each in found
        ]


def list_changeable_reviews(reader: Reader, limit: int) -> list[InboundForReview]:
    """Return the messages whose answer can still be changed, the latest answer first."""
    return inbound_reviews.list_answered_reviews(reader, REVOCABLE, set(ReviewCause) - ONCE, limit)


def _require_review(tx: Tx, message: str) -> InboundReview:
    """Return the review of a message. Raises NotFound, or Conflict where nobody is to read it."""
    review = inbound_reviews.get_inbound_review(tx, message)
    if review is not None:
        return review
    if inbound.get_inbound(tx, message) is None:
        raise NotFound(f"There is no message {message} of a contact.")
    raise Conflict(
        f"The message {message} does not wait for a person.",
        hint="Those that do: leadmaster review meanings",
    )


def _check_meaning(tx: Tx, review: InboundReview, meaning: Meaning, reason: str) -> str:
    """Return the reason as stated. Raises Conflict where the message can't mean that any more."""
    allowed = MEANINGS[review.cause]
    if meaning not in allowed:
        raise Conflict(
            f"This message can't be classified as {meaning}.",
            hint=f"What it may mean: {', '.join(allowed)}.",
        )
    if review.listed:
        raise Conflict(
            "The whole message is a listed word for an opt-out, so it was not misread.",
            hint="Only a message from them, such as START or ALTA, ends the opt-out.",
        )
    is_final = review.cause in ONCE or not {review.meaning, meaning} <= REVOCABLE
    if review.meaning is not None and is_final:
        raise Conflict(
            f"{review.who} has classified it already, as {review.meaning}.",
            hint="That can't be changed any more.",
        )
    if review.cause is ReviewCause.OPT_OUT:
        _require_only_opt_out(tx, review)
    elif meaning is Meaning.WELCOME and _has_asked_to_stop(tx, review.inbound, review.contact):
        raise Conflict(
            "They also ask us to stop in this message, so it is no welcome.",
            hint="Classify it as a no.",
        )
    corrects = review.cause in ONCE and meaning in REVOCABLE
    return require_reason(reason, hint="Say what they really wrote.") if corrects else reason


def _require_confirmation(meaning: Meaning, *, confirmed: bool) -> None:
    if meaning is Meaning.MINOR and not confirmed:
        raise BadRequest(
            "confirmed: a minor's data is erased for ever, which a person confirms.",
            hint="Confirm it, if they really are under 18.",
        )
    if meaning is Meaning.DECEASED and not confirmed:
        raise BadRequest(
            "confirmed: nobody writes again to somebody who died, which a person confirms.",
            hint="Confirm it, if they really died.",
        )


def _require_only_opt_out(tx: Tx, review: InboundReview) -> None:
    """Raise Conflict where another opt-out of theirs stands, or one was corrected before."""
    others = inbound_reviews.list_contact_reviews(tx, review.contact)
    if any(each.cause is ReviewCause.OPT_OUT and each.meaning for each in others):
        raise Conflict(
            "An opt-out of theirs was corrected once already; a second one stands.",
            hint="Only a message from them, such as START or ALTA, ends it.",
        )
    known = evidence.drop_withdrawn(evidence.list_contact_evidence(tx, review.contact))
    if any(
        each.kind is EvidenceKind.INBOUND
        and each.value == ContactRequest.OPT_OUT
        and each.inbound != review.inbound
        for each in known
    ):
        raise Conflict(
            "They asked us to stop in another message too, and that one stands.",
            hint="Only a message from them, such as START or ALTA, ends it.",
        )


def _has_asked_to_stop(tx: Tx, message: str, contact: str) -> bool:
    return any(
        each.inbound == message
        and each.kind is EvidenceKind.INBOUND
        and each.value == ContactRequest.OPT_OUT
        for each in evidence.list_contact_evidence(tx, contact)
    )
