"""The halt: nothing is sent, replies included, until a person resumes sending."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from daemon.api.clock import Clock
from daemon.errors import Conflict, require_reason
from daemon.events import SendingHalted, SendingResumed
from statemachines.message import CANCELLABLE_STATES, MessageState
from statemachines.vocabulary import WaitsFor
from storage import audit, halts, messages, queue
from storage.db import Database
from storage.halts import HaltRecord
from storage.tx import Tx

HALT_SUBJECT = "installation"
_ADOPTED_BY: Final = "doctor"
_BATCH_SIZE: Final = 500


class Halt:
    """Stops and resumes all sending. The state is a row, so it holds after a restart, too."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def get_current(self) -> HaltRecord | None:
        """Return the halt in force, or None."""
        return await self._database.read(halts.get_current_halt)

    async def halt(self, who: str, reason: str) -> HaltRecord:
        """Halt sending, and return the halt in force; a second halt leaves the first as it is.

        Messages that an operator has taken go back; the answers of those on the wire are awaited.
        """
        at, stated_reason = self._clock.now(), require_reason(reason)

        def job(tx: Tx) -> HaltRecord:
            begin_halt(tx, at=at, who=who, reason=stated_reason)
            found = halts.get_current_halt(tx)
            if found is None:
                raise Conflict("The halt could not be stored.")
            return found

        # Urgent: in front of an import, say, that fills the other lane of the writer.
        return await self._database.write(job, urgent=True)

    async def resume(self, who: str, reason: str) -> None:
        """Lift the halt, with a reason; messages that waited for it are judged again.

        Raises :class:`Conflict` where sending is not halted.
        """
        at, stated_reason = self._clock.now(), require_reason(reason)

        def job(tx: Tx) -> None:
            if not halts.lift_halt(tx, at=at, who=who, reason=stated_reason):
                raise Conflict("Sending is not halted.", hint="There is nothing to resume.")
            audit.insert_audit_entry(
                tx, at=at, who=who, action="resume", subject=HALT_SUBJECT, reason=stated_reason
            )
            tx.emit(SendingResumed(subject=HALT_SUBJECT, at=at, who=who, reason=stated_reason))
            queue.requeue_waiting_messages(tx, at, WaitsFor.HALT)

        await self._database.write(job, urgent=True)


def begin_halt(tx: Tx, *, at: datetime, who: str, reason: str) -> None:
    """Begin a halt in the open transaction; taken messages return to ``cleared``."""
    if not halts.begin_halt(tx, at=at, who=who, reason=reason):
        return
    audit.insert_audit_entry(tx, at=at, who=who, action="halt", subject=HALT_SUBJECT, reason=reason)
    tx.emit(SendingHalted(subject=HALT_SUBJECT, at=at, who=who, reason=reason))
    queue.return_taken_messages(tx, at, who=who)


def halt_and_cancel_pending(tx: Tx, *, reason: str) -> None:
    """Settle an adopted copy of a database: halt, mark what was on its way as in doubt, cancel.

    The original may have sent any of its messages.
    """
    at = datetime.now(UTC)
    if halts.get_current_halt(tx) is None:
        begin_halt(tx, at=at, who=_ADOPTED_BY, reason=f"adopted: {reason}")
    queue.mark_sending_in_doubt(tx, at)
    # Cancelled, not in doubt: there is no transition to `in_doubt` from a state before the wire.
    while waiting := messages.list_messages(tx, states=CANCELLABLE_STATES, limit=_BATCH_SIZE):
        for message in waiting:
            messages.transition_message(
                tx,
                message.id,
                MessageState.CANCELLED,
                at=at,
                reason_code="database_adopted",
                sentence="It was waiting in a copied database; the original may have sent it.",
                who=_ADOPTED_BY,
            )
