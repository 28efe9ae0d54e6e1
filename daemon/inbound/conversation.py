"""Cancels the commercial messages that wait for somebody who is in a conversation with us."""

from __future__ import annotations

from datetime import datetime

from storage import messages
from storage.tx import Tx


def cancel_commercial(tx: Tx, contact: str, now: datetime, reason_code: str) -> int:
    """Cancel the commercial messages that wait for the contact; return how many."""
    return messages.cancel_unsent_messages(
        tx,
        contact,
        at=now,
        reason_code=reason_code,
        sentence="A conversation with them has begun, so it is not sent on top of it.",
        who="inbound",
        commercial_only=True,
    )
