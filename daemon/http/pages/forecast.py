"""When a message will go: what it waits for now, and until when, as far as anybody can know."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from daemon.http.house import House
from daemon.pacing import Pacing
from statemachines.message import MANUAL, MessageState
from storage import circumstances, halts
from storage.messages import MessageRecord
from storage.tx import Reader


@dataclass(frozen=True, slots=True)
class Forecast:
    """`key` names the words; `at` is the moment, where there is one; `sentence` is the server's."""

    key: str
    at: datetime | None = None
    sentence: str = ""


_PLAIN = {
    MessageState.QUEUED: "judged",
    MessageState.HELD: "approval",
    MessageState.SENDING: "on_its_way",
    MessageState.TAKEN: "in_hands",
    MessageState.REVEALED: "in_hands",
    MessageState.IN_DOUBT: "in_doubt",
}


def forecast(
    reader: Reader, house: House, message: MessageRecord, now: datetime
) -> Forecast | None:
    """Return what a message waits for; None for one that waits for nothing any more."""
    if message.state is MessageState.DEFERRED:
        waits = message.waits_for
        return Forecast(f"waits_for.{waits}") if waits else Forecast("due", message.due_at)
    if message.state is MessageState.CLEARED:
        return _cleared(reader, house, message, now)
    plain = _PLAIN.get(message.state)
    return Forecast(plain) if plain else None


def _cleared(reader: Reader, house: House, message: MessageRecord, now: datetime) -> Forecast:
    if halts.current(reader) is not None:
        return Forecast("waits_for.halt")
    if message.channel == MANUAL:
        return Forecast("by_hand")
    if message.not_before is not None and message.not_before > now:
        return Forecast("due", message.not_before)
    if not house.sessions.can_send(message.session, message.first_contact):
        return Forecast("waits_for.session")
    slot = Pacing(house.settings.pacing).slot(
        reader,
        circumstances.of_session(reader, message.session, now),
        now,
        first_contact=message.first_contact,
        by_hand=False,
    )
    if slot.is_open(now):
        return Forecast("any_moment")
    return Forecast("paced" if slot.at else "stopped", slot.at, slot.sentence)
