"""Forecasts when a message will be sent: what it waits for, and until when, if that is known."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct

from daemon.outbox.pacing import Pacing
from daemon.sessions import Sessions
from statemachines.message import MessageState
from statemachines.vocabulary import BlockedBy, BuiltinChannel, NumberCheckBlock, WaitsFor
from storage import evaluation_context, halts
from storage.messages import MessageRecord
from storage.tx import Reader


class SendForecast(Struct, frozen=True):
    """What a message waits for first; `at` is when that ends, if known. More waits may follow."""

    code: str
    sentence: str
    at: datetime | None = None


WAIT_SENTENCES: Final[Mapping[str, str]] = {
    "judged": "The rules check it in a moment.",
    "approval": "It goes out when a person approves it.",
    "on_its_way": "It is on its way now.",
    "in_hands": "A person is sending it by hand.",
    "in_doubt": (
        "We can't tell whether it left; it is never sent again by itself. Say how it ended."
    ),
    "due": "Then it is checked again.",
    WaitsFor.CHECKED: "It continues once it is known whether the number is on WhatsApp.",
    NumberCheckBlock.PHONE_LINKED_RECENTLY: (
        "Then its number can be checked, unless a person validates it before."
    ),
    NumberCheckBlock.NO_PHONE_CHECKS: (
        "It continues once a person validates the number, or a phone that checks numbers is linked."
    ),
    "expires_unchecked": (
        "It expires then, before a phone can check its number. Validate the number yourself, or "
        "call."
    ),
    "expires_waiting": "It expires then, before it may go out.",
    WaitsFor.SESSION: "It goes out once its session can send.",
    WaitsFor.HALT: "It goes out once a person resumes sending.",
    WaitsFor.REGISTER: "It continues once a newer do-not-call register is imported.",
    "by_hand": "It goes out when a person takes it and sends it by hand.",
    "any_moment": "It goes out any moment now.",
    "stopped": "It does not go out until a person changes something.",
}
"""The sentence for each thing that a message waits for; those of budgets are in `pacing`."""

_ENDLESS_BLOCKS: Final = frozenset({BlockedBy.SESSION_DELETED, BlockedBy.NUMBER_BANNED})
"""Blocks that no change of the session ends: a person moves the message, or cancels it."""

_CHECK_BLOCKS: Final = frozenset(NumberCheckBlock)
_WAIT_BY_STATE: Final[Mapping[MessageState, str]] = {
    MessageState.QUEUED: "judged",
    MessageState.HELD: "approval",
    MessageState.SENDING: "on_its_way",
    MessageState.TAKEN: "in_hands",
    MessageState.REVEALED: "in_hands",
    MessageState.IN_DOUBT: "in_doubt",
}


def forecast_message(
    reader: Reader,
    sessions: Sessions,
    pacing: Pacing,
    message: MessageRecord,
    now: datetime,
) -> SendForecast | None:
    """Return what a message waits for, or None where it waits for nothing any more."""
    if message.state is MessageState.CLEARED:
        return _forecast_cleared(reader, sessions, pacing, message, now)
    if message.blocked_by in _ENDLESS_BLOCKS:
        return _build_forecast("stopped")
    if message.blocked_by in _CHECK_BLOCKS:
        return _forecast_unchecked(message)
    if message.state is MessageState.DEFERRED:
        return _forecast_deferred(message)
    plain = _WAIT_BY_STATE.get(message.state)
    return _build_forecast(plain) if plain else None


def _forecast_unchecked(message: MessageRecord) -> SendForecast:
    """Say when its number may be checked, or that it expires before."""
    if message.due_at is not None and message.due_at >= message.not_after:
        return _build_forecast("expires_unchecked", message.not_after)
    return _build_forecast(str(message.blocked_by), message.due_at)


def _forecast_deferred(message: MessageRecord) -> SendForecast:
    """Say what it waits for, or that it expires before."""
    if message.waits_for or message.due_at is None:
        return _build_forecast(message.waits_for or "due")
    if message.due_at >= message.not_after:
        return _build_forecast("expires_waiting", message.not_after)
    return _build_forecast("due", message.due_at)


def _forecast_cleared(
    reader: Reader,
    sessions: Sessions,
    pacing: Pacing,
    message: MessageRecord,
    now: datetime,
) -> SendForecast:
    if obstacle := _find_obstacle(reader, sessions, message, now):
        return _build_forecast(obstacle, message.not_before if obstacle == "due" else None)
    standing = evaluation_context.read_session_context(reader, message.session, now)
    by_hand = message.channel == BuiltinChannel.MANUAL
    slot = pacing.find_slot(
        reader, standing, now, first_contact=message.first_contact, by_hand=by_hand
    )
    if slot.is_open(now):
        return _build_forecast("by_hand" if by_hand else "any_moment")
    if slot.at is None:
        return SendForecast(slot.reason_code, f"{slot.sentence} {WAIT_SENTENCES['stopped']}")
    return SendForecast(slot.reason_code, slot.sentence, slot.at)


def _find_obstacle(
    reader: Reader, sessions: Sessions, message: MessageRecord, now: datetime
) -> str | None:
    """Return the wait that comes before any budget, in the order of the sender's checks."""
    halt = halts.get_current_halt(reader)
    if halt is not None and halt.stops(message.kind):
        return WaitsFor.HALT
    if message.not_before is not None and message.not_before > now:
        return "due"
    by_machine = message.channel != BuiltinChannel.MANUAL
    if by_machine and not sessions.can_send(message.session, message.first_contact):
        return WaitsFor.SESSION
    return None


def _build_forecast(code: str, at: datetime | None = None) -> SendForecast:
    return SendForecast(code, WAIT_SENTENCES[code], at)
