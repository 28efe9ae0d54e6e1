"""What an adopted database may still send: nothing, until a person has looked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from daemon import halt
from statemachines.message import CANCELLABLE, MessageState
from storage import halts, messages, queue
from storage.tx import Tx

WHO: Final = "doctor"
_BATCH: Final = 500


def settle(tx: Tx, *, reason: str) -> None:
    """Halt, doubt what was on its way, and cancel what waits: the original may have sent it."""
    at = datetime.now(UTC)
    if halts.current(tx) is None:
        halt.begin(tx, at=at, who=WHO, reason=f"adopted: {reason}")
    queue.doubt_all_sending(tx, at)
    while waiting := messages.page(tx, states=CANCELLABLE, limit=_BATCH):
        for message in waiting:
            messages.move(
                tx,
                message.id,
                MessageState.CANCELLED,
                at=at,
                reason_code="database_adopted",
                sentence="It waited in a copy; the original may have sent it.",
                who=WHO,
            )
