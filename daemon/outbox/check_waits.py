"""Updates messages that wait for a number check, and announces those that will expire.

A number is checked by a session, or validated by a person. Where neither happens in time, the
message expires, which is announced a day before, once for each message.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from daemon.contacts.number_checks import CheckObstacle
from daemon.events import ExpiryAnnounced
from statemachines.message import MessageState, TransitionActor
from storage import messages, validation_queries
from storage.console_queries import WaitingCount
from storage.tx import Reader, Tx

ANNOUNCED_BEFORE: Final = timedelta(hours=24)
EXPIRY_SENTENCE: Final = (
    "It expires within a day, because nobody has checked its number yet. Validate the number "
    "yourself, or call."
)
_BATCH_SIZE: Final = 500
"""How many messages one transaction moves; the outbox's timer does the rest."""


def requeue_outdated_check_waits(tx: Tx, obstacle: CheckObstacle | None, at: datetime) -> int:
    """Queue messages whose stored date or reason is out of date for the gate; return how many.

    Both change when phones are linked or unlinked, and when the first days of one have passed.
    """
    block, due_at = (obstacle.block, obstacle.at) if obstacle else (None, None)
    outdated = validation_queries.list_messages_with_outdated_check_block(
        tx, block, due_at, _BATCH_SIZE
    )
    for message in outdated:
        messages.transition_message(
            tx,
            message,
            MessageState.QUEUED,
            at=at,
            reason_code="number_checks_changed",
            sentence="The date from which its number may be checked changed; it is checked again.",
            who=TransitionActor.SESSION,
        )
    return len(outdated)


def announce_expiries(tx: Tx, at: datetime) -> int:
    """Announce each message that expires within a day and was not announced; return how many."""
    expiring = validation_queries.list_unannounced_expiries(tx, at + ANNOUNCED_BEFORE, _BATCH_SIZE)
    for message in expiring:
        validation_queries.mark_expiry_announced(tx, message.id, at)
        tx.emit(
            ExpiryAnnounced(
                subject=message.id,
                at=at,
                session=message.session,
                contact=message.contact,
                expires_at=message.not_after,
                reason_code="nobody_checked_the_number",
                sentence=EXPIRY_SENTENCE,
            )
        )
    return len(expiring)


def count_expiring_messages(reader: Reader, at: datetime) -> WaitingCount:
    """Return how many messages that wait for a check expire within a day, and since when."""
    return validation_queries.count_expiring_messages(reader, at + ANNOUNCED_BEFORE)
