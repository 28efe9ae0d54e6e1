"""The halt: nothing is sent, replies included, until a person resumes sending."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Final

import structlog

from daemon.api.clock import Clock
from daemon.errors import Conflict, require_reason
from daemon.events import SendingHalted, SendingResumed
from statemachines.message import (
    CANCELLABLE_STATES,
    DOUBTED_AT_RESTORE_STATES,
    MessageState,
)
from statemachines.vocabulary import WaitsFor
from storage import audit, campaigns, halts, messages, queue
from storage.db import Database
from storage.errors import WriteFailed
from storage.halts import HaltRecord
from storage.tx import Reader, Tx

HALT_SUBJECT = "installation"
_ADOPTED_BY: Final = "doctor"
_RESTORED_BY: Final = "restore"
_CAMPAIGN_SENTENCE: Final = "People may have been written to since this copy was made."
_BATCH_SIZE: Final = 500


log = structlog.get_logger("outbox")


class Halt:
    """Stops and resumes all sending. The state is a row, so it holds after a restart, too.

    Where the disk refuses the row, the halt holds in memory: nothing is released until the row is
    stored or a person resumes.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._unstored: HaltRecord | None = None

    async def get_current(self) -> HaltRecord | None:
        """Return the halt in force, or None."""
        return self._unstored or await self._database.read(halts.get_current_halt)

    def read_current(self, reader: Reader) -> HaltRecord | None:
        """Return the halt in force, or None, within another query."""
        return self._unstored or halts.get_current_halt(reader)

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

        try:
            # Urgent: in front of an import, say, that fills the other lane of the writer.
            found = await self._database.write(job, urgent=True, uses_ballast=True)
        except WriteFailed as error:
            return self._hold_in_memory(HaltRecord(at, who, stated_reason, stored=False), error)
        self._unstored = None
        return found

    def _hold_in_memory(self, halt: HaltRecord, error: WriteFailed) -> HaltRecord:
        """Refuse every release until the halt is stored; return the halt in force."""
        if self._database.refusal is None:
            self._database.refuse_writes(error)
        self._unstored = self._unstored or halt
        log.critical("halt_not_stored", error=error)
        return self._unstored

    async def store_unstored(self) -> bool:
        """Store the halt that the disk refused; return False where it refuses again."""
        unstored = self._unstored
        if unstored is None:
            return True
        try:
            await self._database.write(partial(_store_halt, halt=unstored), urgent=True)
        except WriteFailed:
            return False
        self._forget(unstored)
        return True

    def _forget(self, stored: HaltRecord | None) -> None:
        if self._unstored is stored:  # another one may have been held meanwhile
            self._unstored = None

    async def resume(self, who: str, reason: str) -> None:
        """Lift the halt, with a reason; messages that waited for it are judged again.

        Raises :class:`Conflict` where sending is not halted.
        """
        at, stated_reason, unstored = self._clock.now(), require_reason(reason), self._unstored

        def job(tx: Tx) -> None:
            if unstored is not None:
                _store_halt(tx, halt=unstored)
            if not halts.lift_halt(tx, at=at, who=who, reason=stated_reason):
                raise Conflict("Sending is not halted.", hint="There is nothing to resume.")
            audit.insert_audit_entry(
                tx, at=at, who=who, action="resume", subject=HALT_SUBJECT, reason=stated_reason
            )
            tx.emit(SendingResumed(subject=HALT_SUBJECT, at=at, who=who, reason=stated_reason))
            queue.requeue_waiting_messages(tx, at, WaitsFor.HALT)

        await self._database.write(job, urgent=True)
        self._forget(unstored)


def _store_halt(tx: Tx, *, halt: HaltRecord) -> None:
    begin_halt(tx, at=halt.at, who=halt.who, reason=halt.reason)


def begin_halt(tx: Tx, *, at: datetime, who: str, reason: str, replies_go: bool = False) -> None:
    """Begin a halt in the open transaction; taken messages return to ``cleared``.

    With ``replies_go``, messages that answer somebody are sent all the same.
    """
    if not halts.begin_halt(tx, at=at, who=who, reason=reason, replies_go=replies_go):
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
    campaigns.pause_all_campaigns(tx, at=at, who=_ADOPTED_BY, reason=_CAMPAIGN_SENTENCE)
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


def settle_restored_queue(tx: Tx, *, reason: str) -> None:
    """Settle a restored backup: only replies go until a person resumes; the queue is in doubt.

    Any message that waited when the backup was made may have been sent since.
    """
    at = datetime.now(UTC)
    campaigns.pause_all_campaigns(tx, at=at, who=_RESTORED_BY, reason=_CAMPAIGN_SENTENCE)
    # In doubt first: beginning the halt would return what a person has taken to the queue.
    while waiting := messages.list_messages(
        tx, states=DOUBTED_AT_RESTORE_STATES, limit=_BATCH_SIZE
    ):
        for message in waiting:
            messages.transition_message(
                tx,
                message.id,
                MessageState.IN_DOUBT,
                at=at,
                reason_code="backup_restored",
                sentence="It waited in a restored backup; it may have been sent since.",
                who=_RESTORED_BY,
            )
    begin_halt(tx, at=at, who=_RESTORED_BY, reason=f"restored: {reason}", replies_go=True)
