"""What becomes of a message once the transport has answered, or has not."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from daemon.api.transport import Acknowledged, Refused, SendResult, Unknown
from daemon.settings import SendingSettings
from statemachines.message import MessageState
from storage import messages, receipts
from storage.messages import MessageRecord
from storage.tx import Tx

TRANSPORT_ACTOR = "transport"
_FIRST_RETRY_SECONDS = 30.0
_LONGEST_RETRY_SECONDS = 3600.0


def apply_send_result(
    tx: Tx,
    message: MessageRecord,
    result: SendResult,
    at: datetime,
    settings: SendingSettings,
    *,
    waits_for: str | None = None,
) -> MessageRecord:
    """Move a ``sending`` message to where the answer puts it, in the open transaction.

    Only an acknowledgement makes it ``sent``. A certain refusal gives its budget back.
    ``waits_for`` names what must happen before a retry (a halt that is lifted) in place of a time.
    """
    match result:
        case Acknowledged(wire_id, acknowledged_at):
            return _mark_sent(tx, message, wire_id, acknowledged_at, at)
        case Unknown(reason_code, sentence):
            after = _move_message(tx, message, MessageState.IN_DOUBT, at, reason_code, sentence)
            return receipts.settle_doubt(tx, after.contact, at) or after
        case Refused():
            if waits_for:
                return _defer_message(tx, message, result, at, waits_for=waits_for)
            return _apply_refusal(tx, message, result, at, settings.retries)


def _apply_refusal(
    tx: Tx, message: MessageRecord, result: Refused, at: datetime, retries: int
) -> MessageRecord:
    """Try again later, so many times; then it has failed, with the last reason."""
    attempts = message.attempts + 1
    if result.retryable and attempts <= retries:
        due = at + compute_retry_wait(message.id, attempts)
        return _defer_message(tx, message, result, at, attempts=attempts, due_at=due)
    target, code, sentence = MessageState.FAILED, result.reason_code, result.sentence
    return _move_message(tx, message, target, at, code, sentence, attempts=attempts)


def _defer_message(
    tx: Tx, message: MessageRecord, result: Refused, at: datetime, **columns: object
) -> MessageRecord:
    target, code, sentence = MessageState.DEFERRED, result.reason_code, result.sentence
    return _move_message(tx, message, target, at, code, sentence, **columns)


def compute_retry_wait(message: str, attempts: int) -> timedelta:
    """Return how long to wait before attempt ``attempts + 1``: doubling, up to an hour.

    The jitter spreads messages that failed together; it is the same at each asking.
    """
    base = min(_LONGEST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2 ** (attempts - 1))
    spread = random.Random(f"{message}:{attempts}").uniform(0.5, 1.0)  # noqa: S311 - no secret
    return timedelta(seconds=base * spread)


def _mark_sent(
    tx: Tx, message: MessageRecord, wire_id: str, acknowledged_at: datetime, at: datetime
) -> MessageRecord:
    after = _move_message(
        tx,
        message,
        MessageState.SENT,
        at,
        "acknowledged",
        "WhatsApp acknowledged it.",
        wire_id=wire_id,
        sent_at=acknowledged_at,
    )
    return receipts.apply_early_receipts(tx, after, at) or after


def _move_message(
    tx: Tx,
    message: MessageRecord,
    target: MessageState,
    at: datetime,
    reason_code: str,
    sentence: str,
    **columns: object,
) -> MessageRecord:
    return messages.transition_message(
        tx,
        message.id,
        target,
        at=at,
        reason_code=reason_code,
        sentence=sentence,
        who=TRANSPORT_ACTOR,
        **columns,
    )
