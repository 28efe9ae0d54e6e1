"""Cancels the commercial messages that waited for somebody when a conversation began."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from storage import messages
from storage.tx import Tx

WRITING_TOLERANCE: Final = timedelta(seconds=2)
"""Platforms tell times in whole seconds, and their clocks are not ours."""


def cancel_commercial(
    tx: Tx, contact: str, *, written_at: datetime, now: datetime, reason_code: str
) -> int:
    """Cancel the contact's commercial messages that were queued before something was written.

    Returns how many. Whoever queued one later may have known of it.
    """
    return messages.cancel_unsent_messages(
        tx,
        contact,
        at=now,
        reason_code=reason_code,
        sentence="A conversation with them has started, so this is not sent.",
        who="inbound",
        commercial_only=True,
        queued_by=written_at + WRITING_TOLERANCE,
    )
