"""The breaker of a phone number: stops its new chats when its first contacts go badly.

Replies go on. What it counts are the number's first contacts since a person last resumed them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from daemon.api.clock import Clock
from daemon.errors import Conflict, NotFound, require_reason
from daemon.events import NewChatsResumed, NewChatsStopped, NewChatsWarned
from statemachines.vocabulary import BreakerCause
from storage import audit, breaker_trips, campaigns, numbers
from storage.db import Database
from storage.first_contacts import BreakerCounts, FirstContactShare, get_breaker_counts
from storage.numbers import PhoneNumberRecord
from storage.tx import Reader, Tx

MAX_OPT_OUTS: Final = 3
MAX_COMPLAINTS: Final = 2
MAX_UNDELIVERED_PERCENT: Final = 25
MIN_ANSWERED_PERCENT: Final = 5
WARN_ANSWERED_PERCENT: Final = 15
MIN_DELIVERABLE: Final = 10
"""Of fewer first contacts the share that was not delivered says nothing."""
MIN_ANSWERABLE: Final = 30
"""Of fewer first contacts the share that was answered says nothing."""

STOP_SENTENCES: Final[Mapping[BreakerCause, str]] = MappingProxyType(
    {
        BreakerCause.OPT_OUTS: "Too many of the latest first contacts asked for no more messages.",
        BreakerCause.COMPLAINTS: "Too many of the latest first contacts complained.",
        BreakerCause.UNDELIVERED: "Too many of the latest first contacts were not delivered.",
        BreakerCause.UNANSWERED: "Too few of the latest first contacts answered.",
        BreakerCause.RESTRICTED: "WhatsApp closed new chats of this number, or warned it.",
        BreakerCause.BANNED: "New chats are stopped since this number was banned.",
    }
)
"""Why the new chats of a number are stopped, for people."""
WARNING_SENTENCE: Final = "Few of the latest first contacts answered. Nothing is stopped."


class BreakerFinding(Struct, frozen=True):
    """Why the counts of a number stop its new chats."""

    cause: BreakerCause
    share: FirstContactShare

    @property
    def detail(self) -> str:
        """Return the count and its total, such as ``3 of 20``."""
        return f"{self.share.count} of {self.share.total}"


def find_trip(counts: BreakerCounts) -> BreakerFinding | None:
    """Return what these counts stop new chats for, or None."""
    checks = (
        (BreakerCause.OPT_OUTS, counts.opted_out, counts.opted_out.count >= MAX_OPT_OUTS),
        (BreakerCause.COMPLAINTS, counts.complained, counts.complained.count >= MAX_COMPLAINTS),
        (BreakerCause.UNDELIVERED, counts.undelivered, _is_undelivered(counts.undelivered)),
        (
            BreakerCause.UNANSWERED,
            counts.answered,
            _is_answered_below(counts.answered, MIN_ANSWERED_PERCENT),
        ),
    )
    return next((BreakerFinding(cause, share) for cause, share, over in checks if over), None)


def is_warned(counts: BreakerCounts) -> bool:
    """Return whether few people answer, which is said and stops nothing."""
    return _is_answered_below(counts.answered, WARN_ANSWERED_PERCENT)


def _is_undelivered(share: FirstContactShare) -> bool:
    return (
        share.total >= MIN_DELIVERABLE
        and share.count * 100 >= share.total * MAX_UNDELIVERED_PERCENT
    )


def _is_answered_below(share: FirstContactShare, percent: int) -> bool:
    return share.total >= MIN_ANSWERABLE and share.count * 100 < share.total * percent


def count_for_breaker(reader: Reader, number: PhoneNumberRecord, at: datetime) -> BreakerCounts:
    """Return what the breaker counts of a number now."""
    return get_breaker_counts(reader, number.phone, at, after=number.counted_after)


def stop_new_chats(tx: Tx, phone: str, *, at: datetime, cause: BreakerCause, detail: str) -> None:
    """Stop the new chats of a number until a person resumes them; store each cause once."""
    numbers.stop_new_chats(tx, phone, at)
    trip = breaker_trips.insert_breaker_trip(tx, phone, at=at, cause=cause, detail=detail)
    if trip is not None:
        # In the transaction of the stop: nobody's turn comes in between.
        campaigns.pause_campaigns_of_number(
            tx, phone, at=at, reason=STOP_SENTENCES[cause], trip=trip
        )
        tx.emit(
            NewChatsStopped(
                subject=phone,
                at=at,
                cause=cause,
                detail=detail,
                sentence=STOP_SENTENCES[cause],
            )
        )


class Breaker:
    """Stops the new chats of numbers by their counts, and resumes them for a person."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def review(self) -> None:
        """Stop or warn every number whose counts ask for it."""
        at = self._clock.now()
        # Read first: nearly always there is nothing to store, and writes are one at a time.
        if await self._database.read(lambda reader: any(_list_changes(reader, at))):
            await self._database.write(lambda tx: review_numbers(tx, at), urgent=True)

    async def resume(self, phone: str, who: str, reason: str) -> PhoneNumberRecord:
        """Resume the new chats of a number, with a reason; its counts start at 0. Return it.

        Raises :class:`NotFound`, and :class:`Conflict` where they are not stopped by the breaker.
        """
        at, stated_reason = self._clock.now(), require_reason(reason)

        def job(tx: Tx) -> PhoneNumberRecord:
            number = require_number(tx, phone)
            if number.new_chats_stopped_at is None:
                raise Conflict(
                    "The new chats of this number are not stopped.",
                    hint="See what it may send: leadmaster budgets",
                )
            breaker_trips.mark_trips_resumed(tx, phone, at=at, who=who, reason=stated_reason)
            numbers.resume_new_chats(tx, phone)
            audit.insert_audit_entry(tx, at, who, "new_chats_resumed", phone, reason=stated_reason)
            tx.emit(NewChatsResumed(subject=phone, at=at, who=who, reason=stated_reason))
            return require_number(tx, phone)

        return await self._database.write(job, urgent=True)


def require_number(reader: Reader, phone: str) -> PhoneNumberRecord:
    """Return a number that was linked here; raise :class:`NotFound` for another."""
    number = numbers.find_number(reader, phone)
    if number is None:
        raise NotFound("No phone with that number was linked here.", hint="leadmaster budgets")
    return number


def review_numbers(tx: Tx, at: datetime) -> None:
    """Store every stop and warning that the counts of the numbers ask for."""
    for number, finding, warned in _list_changes(tx, at):
        if finding is not None:
            stop_new_chats(tx, number.phone, at=at, cause=finding.cause, detail=finding.detail)
        if warned != (number.warned_at is not None):
            numbers.set_number_warning(tx, number.phone, at if warned else None)
            if warned:
                tx.emit(NewChatsWarned(subject=number.phone, at=at, sentence=WARNING_SENTENCE))


def _list_changes(
    reader: Reader, at: datetime
) -> list[tuple[PhoneNumberRecord, BreakerFinding | None, bool]]:
    """Return the numbers that have to be stopped or warned, or need no warning any more."""
    changes = []
    for number in numbers.list_numbers(reader):
        counts = count_for_breaker(reader, number, at)
        # One that is stopped already is not stopped again, by whatever cause.
        finding = find_trip(counts) if number.new_chats_stopped_at is None else None
        warned = is_warned(counts)
        if finding is not None or warned != (number.warned_at is not None):
            changes.append((number, finding, warned))
    return changes
