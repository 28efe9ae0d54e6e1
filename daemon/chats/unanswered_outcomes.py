"""Records what came of messages without an answer: by the clock, a receipt, a check, or by hand."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Final

from daemon.api.clock import Clock
from daemon.chats.outcome_service import (
    UNDO_WINDOW,
    OutcomeResult,
    build_changes,
    emit_change,
    keep_columns,
)
from daemon.contacts.prospects import require_known_prospect
from daemon.contacts.validation import UNDELIVERED_AFTER
from daemon.contacts.validation_transitions import ValidationTransitions
from daemon.errors import BadRequest, Conflict, require_reason
from daemon.gate.recipient_locale import load_libraries, locale_from_phone
from statemachines.message import MessageState
from storage import audit, outcome_queries, prospects
from storage.db import Database
from storage.outcome_queries import UnansweredMessage
from storage.outcomes import NEXT_ACTIONS, UNANSWERED_OUTCOMES, Outcome, insert_outcome
from storage.prospects import ProspectRecord
from storage.tx import Reader, Tx

ANSWER_BUSINESS_DAYS: Final = 5
"""`no_reply` is recorded at the end of this business day after a commercial message."""
UNDELIVERED_BOUNCE: Final = 2
"""So many messages in a row that did not arrive mean that the number does not work."""
CLOCK: Final = "clock"
_ARRIVED: Final = frozenset({MessageState.DELIVERED, MessageState.READ})
_BATCH: Final = 100
_Due = tuple[UnansweredMessage, Outcome]


class UnansweredOutcomes:
    """Records `no_reply`, `not_delivered` and `number_does_not_exist`.

    ``channels`` are those that report delivery: through any other one nobody knows what arrived. A
    later answer or receipt takes the record back with a row of its own.
    """

    def __init__(
        self,
        database: Database,
        transitions: ValidationTransitions,
        channels: Collection[str],
        clock: Clock,
    ) -> None:
        self._database = database
        self._transitions = transitions
        self._channels = channels
        self._clock = clock

    async def sweep(self) -> int:
        """Record what is due by now; return how many outcomes there were."""
        await load_libraries()
        now = self._clock.now()
        due = await self._database.read(lambda reader: self._list_due(reader, now))
        done = 0
        for begin in range(0, len(due), _BATCH):
            batch = due[begin : begin + _BATCH]
            done += await self._database.write(self._build_job(batch, now))
        return done

    def _build_job(self, batch: list[_Due], now: datetime) -> Callable[[Tx], int]:
        def job(tx: Tx) -> int:
            # Read again: an answer or a receipt may have come since the list was made.
            still = [each for each in batch if each in self._list_due(tx, now, each[0].id)]
            for message, outcome in still:
                self._store(tx, message.contact, outcome, who=CLOCK, at=now, message=message.id)
            return len(still)

        return job

    def _list_due(self, reader: Reader, now: datetime, message: str = "") -> list[_Due]:
        silent = outcome_queries.list_silent_messages(
            reader, now, left_before=now - timedelta(days=ANSWER_BUSINESS_DAYS), message=message
        )
        undelivered = outcome_queries.list_undelivered_messages(
            reader,
            now,
            left_before=now - UNDELIVERED_AFTER,
            channels=self._channels,
            message=message,
        )
        refused = outcome_queries.list_messages_to_no_number(reader, now, message=message)
        missing = {each.id for each in undelivered}
        return [
            *((each, Outcome.NUMBER_DOES_NOT_EXIST) for each in refused),
            *((each, Outcome.NOT_DELIVERED) for each in undelivered),
            # Who did not get it did not leave it unanswered.
            *(
                (each, Outcome.NO_REPLY)
                for each in silent
                if each.id not in missing and find_reply_deadline(each) <= now
            ),
        ]

    async def record(self, prospect: str, outcome: Outcome, who: str, reason: str) -> OutcomeResult:
        """Store an outcome that a person knows of, with their reason.

        Raises NotFound, BadRequest without a reason or for an outcome that is read from a message
        of theirs, and Conflict where it is not so: nothing left to them, they have answered, or a
        receipt says that it arrived.
        """
        if outcome not in UNANSWERED_OUTCOMES:
            raise BadRequest(
                f"outcome: {outcome.value} is read from a message of theirs.",
                hint="Record it in their chat: leadmaster chats outcome CHAT OUTCOME",
            )
        stated = require_reason(reason, hint="Say how you know; it is recorded.")
        now = self._clock.now()

        def job(tx: Tx) -> OutcomeResult:
            found = require_known_prospect(tx, prospect)
            message = _find_message(tx, found, outcome)
            detail = {"outcome": outcome.value, "message": message}
            audit.insert_audit_entry(
                tx, now, who, "outcome_recorded", found.contact, stated, detail
            )
            id_ = self._store(
                tx, found.contact, outcome, who=who, at=now, message=message, reason=stated
            )
            return OutcomeResult(
                contact=found.contact,
                id=id_,
                outcome=outcome,
                next_action=NEXT_ACTIONS[outcome].value,
                cancelled_messages=0,
                erased=False,
                undo_until=now + UNDO_WINDOW,
            )

        return await self._database.write(job, urgent=True)

    def _store(
        self,
        tx: Tx,
        contact: str,
        outcome: Outcome,
        *,
        who: str,
        at: datetime,
        message: str | None,
        reason: str = "",
    ) -> int:
        before = prospects.find_prospect_by_contact(tx, contact)
        id_ = insert_outcome(
            tx,
            contact,
            outcome,
            at=at,
            who=who,
            changed=build_changes(prospect=keep_columns(before)),
            message=message,
            reason=reason,
        )
        if before is not None:
            self._reject_number(tx, before, outcome, who=who, reason=reason, now=at)
        emit_change(tx, contact, "outcome", who, at)
        return id_

    def _reject_number(
        self,
        tx: Tx,
        prospect: ProspectRecord,
        outcome: Outcome,
        *,
        who: str,
        reason: str,
        now: datetime,
    ) -> None:
        """Set the number to not reachable where the outcome says so."""
        if outcome is Outcome.NUMBER_DOES_NOT_EXIST and who != CLOCK:
            self._transitions.apply_operator_decision(
                tx, prospect, validated=False, who=who, reason=reason, now=now
            )
        elif outcome is Outcome.NUMBER_DOES_NOT_EXIST:
            self._transitions.apply_bounce(tx, prospect, "not_on_whatsapp", now)
        elif outcome is Outcome.NOT_DELIVERED and who == CLOCK:
            most = UNDELIVERED_BOUNCE
            if outcome_queries.count_undelivered_in_a_row(tx, prospect.contact, most) >= most:
                self._transitions.apply_bounce(tx, prospect, "undelivered_72h", now)


def find_reply_deadline(message: UnansweredMessage) -> datetime:
    """Return the end of the fifth business day after a message left, where its number is."""
    locale = locale_from_phone(message.recipient, message.time_zone)
    return locale.find_end_of_business_day(message.left_at, ANSWER_BUSINESS_DAYS)


def _find_message(reader: Reader, prospect: ProspectRecord, outcome: Outcome) -> str | None:
    """Return the message that a person's outcome is of; raise Conflict where it can't be so."""
    last = outcome_queries.get_latest_left(reader, prospect.contact)
    if outcome is Outcome.NUMBER_DOES_NOT_EXIST:
        return last.id if last else None
    if last is None:
        raise Conflict("No message to them has left.", hint="Without one nothing came of it.")
    if outcome_queries.is_answered(reader, last.id):
        raise Conflict("They have answered since.", hint="Record what their answer says.")
    if outcome is Outcome.NOT_DELIVERED and last.state in _ARRIVED:
        raise Conflict("A receipt says that the last message arrived.")
    return last.id
