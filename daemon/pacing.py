"""When a message may go, never whether: budgets of the phone number over rolling time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.settings import PacingSettings
from storage import spends
from storage.circumstances import SessionCircumstances
from storage.spends import Spend
from storage.tx import Reader, Tx

_DAY = timedelta(hours=24)
_MINUTE = timedelta(minutes=1)
_WEEK_DAYS, _MONTH_DAYS = 7, 30


@dataclass(frozen=True, slots=True)
class Slot:
    """The moment from which a message may go; None: not before a person changes something."""

    at: datetime | None
    reason_code: str
    sentence: str

    def is_open(self, now: datetime) -> bool:
        """Tell whether that moment has come."""
        return self.at is not None and self.at <= now


_STOPPED = Slot(None, "new_chats_stopped", "New chats of this number are stopped.")
"""The breaker is the number's: a person's hand does not reach around it."""


class Pacing:
    """Counts spends in the ledger, so that a restart or a new pairing widens nothing."""

    def __init__(self, settings: PacingSettings) -> None:
        self._settings = settings

    def slot(
        self,
        reader: Reader,
        session: SessionCircumstances,
        now: datetime,
        *,
        first_contact: bool,
        by_hand: bool,
    ) -> Slot:
        """Return from when this kind of message may go through this session."""
        if by_hand:
            return self._by_hand(reader, session, now) if first_contact else _open(now)
        slots = [self._per_minute(reader, session, now)]
        if first_contact:
            slots.append(self._new_chat(reader, session, now))
        return max(slots, key=lambda slot: (slot.at is None, slot.at or now))

    def book(
        self,
        tx: Tx,
        session: SessionCircumstances,
        message: str,
        now: datetime,
        *,
        first_contact: bool,
        by_hand: bool,
    ) -> None:
        """Book what a message spends, in the transaction that commits it to the wire."""
        phone = budget_of(session)
        spends.add(tx, phone, Spend.MESSAGE, session=session.name, message=message, at=now)
        if first_contact:
            kind = Spend.MANUAL_NEW_CHAT if by_hand else Spend.NEW_CHAT
            spends.add(tx, phone, kind, session=session.name, message=message, at=now)

    def new_chats_left(self, reader: Reader, session: SessionCircumstances, now: datetime) -> int:
        """Return how many new chats the number may still begin in the rolling day."""
        if session.new_chats_stopped:
            return 0
        used = spends.count(reader, budget_of(session), Spend.NEW_CHAT, now - _DAY)
        return max(0, self.new_chat_budget(session, now) - used)

    def new_chat_budget(self, session: SessionCircumstances, now: datetime) -> int:
        """Return the number's budget by its age here; an unlinked number counts as new."""
        days = (now - session.linked_at).days if session.linked_at else 0
        if days < _WEEK_DAYS:
            return self._settings.new_chats_first_week
        if days < _MONTH_DAYS:
            return self._settings.new_chats_to_day_30
        return self._settings.new_chats_later

    def _per_minute(self, reader: Reader, session: SessionCircumstances, now: datetime) -> Slot:
        newest = spends.nth_newest(
            reader, "session", session.name, Spend.MESSAGE, self._settings.messages_per_minute
        )
        return _after(
            newest, _MINUTE, now, "messages_per_minute", "One after the other: so many a minute."
        )

    def _new_chat(self, reader: Reader, session: SessionCircumstances, now: datetime) -> Slot:
        phone = budget_of(session)
        if session.new_chats_stopped:
            return _STOPPED
        budget = self.new_chat_budget(session, now)
        if budget == 0:
            return Slot(None, "no_new_chats", "This number has no budget for new chats.")
        full = spends.nth_newest(reader, "phone", phone, Spend.NEW_CHAT, budget)
        gap = timedelta(minutes=self._settings.new_chat_gap_minutes)
        newest = spends.nth_newest(reader, "phone", phone, Spend.NEW_CHAT, 1)
        return max(
            _after(
                full, _DAY, now, "new_chat_budget", "Today's new chats of this number are spent."
            ),
            _after(newest, gap, now, "new_chat_gap", "New chats of a number keep their distance."),
            key=lambda slot: slot.at or now,
        )

    def _by_hand(self, reader: Reader, session: SessionCircumstances, now: datetime) -> Slot:
        if session.new_chats_stopped:
            return _STOPPED
        budget = self._settings.manual_new_chats
        if budget == 0:
            return Slot(
                None, "no_manual_new_chats", "This number has no budget for new chats by hand."
            )
        full = spends.nth_newest(reader, "phone", budget_of(session), Spend.MANUAL_NEW_CHAT, budget)
        return _after(
            full, _DAY, now, "manual_new_chat_budget", "Today's new chats by hand are spent."
        )


def budget_of(session: SessionCircumstances) -> str:
    """Return whose budget a session spends: its number's, or its own name's before pairing."""
    return session.phone or session.name


def _open(now: datetime) -> Slot:
    return Slot(now, "open", "It may go now.")


def _after(
    spent: datetime | None, wait: timedelta, now: datetime, reason_code: str, sentence: str
) -> Slot:
    if spent is None or spent + wait <= now:
        return _open(now)
    return Slot(spent + wait, reason_code, sentence)
