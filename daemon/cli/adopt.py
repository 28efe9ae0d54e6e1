"""Halts sending and cancels what is pending in an adopted copy of a database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from daemon.outbox import halt
from statemachines.message import CANCELLABLE_STATES, MessageState
from storage import halts, messages, queue
from storage.tx import Tx

WHO: Final = "doctor"
_BATCH_SIZE: Final = 500


def halt_and_cancel_pending(tx: Tx, *, reason: str) -> None:
    """Halt, doubt what was on its way, and cancel what waits: the original may have sent it."""
    at = datetime.now(UTC)
    if halts.get_current_halt(tx) is None:
        halt.begin_halt(tx, at=at, who=WHO, reason=f"adopted: {reason}")
    queue.mark_sending_in_doubt(tx, at)
    while waiting := messages.list_messages(tx, states=CANCELLABLE_STATES, limit=_BATCH_SIZE):
        for message in waiting:
            messages.transition_message(
                tx,
                message.id,
                MessageState.CANCELLED,
                at=at,
                reason_code="database_adopted",
                sentence="It waited in a copy; the original may have sent it.",
                who=WHO,
            )
