"""Pacing: when a message may be sent, by the phone number's budgets over rolling time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.settings import PacingSettings
from storage import spends
from storage.evaluation_context import SessionContext
from storage.spends import SpendKind
from storage.tx import Reader, Tx

_DAY = timedelta(hours=24)
_MINUTE = timedelta(minutes=1)
_WEEK_DAYS, _MONTH_DAYS = 7, 30


@dataclass(frozen=True, slots=True)
class PacingSlot:
    """The moment from which a message may be sent; None: a person has to change something first."""

    at: datetime | None
    reason_code: str
    sentence: str

    def is_open(self, now: datetime) -> bool:
        """Return whether the moment has come."""
        return self.at is not None and self.at <= now


# The stop is of the number, so it holds for sending by hand, too.
_NEW_CHATS_STOPPED = PacingSlot(None, "new_chats_stopped", "New chats of this number are stopped.")


class Pacing:
    """Computes slots from the ledger of spends, which outlives restarts and new pairings."""

    def __init__(self, settings: PacingSettings) -> None:
        self._settings = settings

    def find_slot(
        self,
        reader: Reader,
        session: SessionContext,
        now: datetime,
        *,
        first_contact: bool,
        by_hand: bool,
    ) -> PacingSlot:
        """Return the slot of a message of this kind through this session."""
        # By hand only first contacts are limited: a person can't send many a minute.
        if by_hand:
            return (
                self._find_manual_slot(reader, session, now) if first_contact else _open_slot(now)
            )
        slots = [self._find_minute_slot(reader, session, now)]
        if first_contact:
            slots.append(self._find_new_chat_slot(reader, session, now))
        # The last to open; a slot without a time is later than any.
        return max(slots, key=lambda slot: (slot.at is None, slot.at or now))

    def record_spends(
        self,
        tx: Tx,
        session: SessionContext,
        message: str,
        now: datetime,
        *,
        first_contact: bool,
        by_hand: bool,
    ) -> None:
        """Record what a message spends, in the transaction that releases it."""
        phone = get_budget_key(session)
        spends.insert_spend(
            tx, phone, SpendKind.MESSAGE, session=session.name, message=message, at=now
        )
        if first_contact:
            kind = SpendKind.MANUAL_NEW_CHAT if by_hand else SpendKind.NEW_CHAT
            spends.insert_spend(tx, phone, kind, session=session.name, message=message, at=now)

    def count_new_chats_left(self, reader: Reader, session: SessionContext, now: datetime) -> int:
        """Return how many new chats the number has left in the rolling 24 hours."""
        if session.new_chats_stopped:
            return 0
        used = spends.count_spends(reader, get_budget_key(session), SpendKind.NEW_CHAT, now - _DAY)
        return max(0, self.get_new_chat_budget(session, now) - used)

    def get_new_chat_budget(self, session: SessionContext, now: datetime) -> int:
        """Return the number's new chats a day by its age here; an unlinked one counts as new."""
        days = (now - session.linked_at).days if session.linked_at else 0
        if days < _WEEK_DAYS:
            return self._settings.new_chats_first_week
        if days < _MONTH_DAYS:
            return self._settings.new_chats_to_day_30
        return self._settings.new_chats_later

    def _find_minute_slot(
        self, reader: Reader, session: SessionContext, now: datetime
    ) -> PacingSlot:
        newest = spends.get_nth_newest_spend(
            reader, "session", session.name, SpendKind.MESSAGE, self._settings.messages_per_minute
        )
        return _slot_after(
            newest,
            _MINUTE,
            now,
            "messages_per_minute",
            f"Waiting its turn: at most {self._settings.messages_per_minute} messages a minute.",
        )

    def _find_new_chat_slot(
        self, reader: Reader, session: SessionContext, now: datetime
    ) -> PacingSlot:
        phone = get_budget_key(session)
        if session.new_chats_stopped:
            return _NEW_CHATS_STOPPED
        budget = self.get_new_chat_budget(session, now)
        if budget == 0:
            return PacingSlot(None, "no_new_chats", "No new chats are allowed for this number.")
        # With a budget of n, the next is free a day after the n-th newest one was spent.
        full = spends.get_nth_newest_spend(reader, "phone", phone, SpendKind.NEW_CHAT, budget)
        gap = timedelta(minutes=self._settings.new_chat_gap_minutes)
        newest = spends.get_nth_newest_spend(reader, "phone", phone, SpendKind.NEW_CHAT, 1)
        return max(
            _slot_after(
                full, _DAY, now, "new_chat_budget", "Today's new chats of this number are used up."
            ),
            _slot_after(
                newest,
                gap,
                now,
                "new_chat_gap",
                f"Waiting its turn: one new chat every {self._settings.new_chat_gap_minutes} min.",
            ),
            key=lambda slot: slot.at or now,
        )

    def _find_manual_slot(
        self, reader: Reader, session: SessionContext, now: datetime
    ) -> PacingSlot:
        if session.new_chats_stopped:
            return _NEW_CHATS_STOPPED
        budget = self._settings.manual_new_chats
        if budget == 0:
            return PacingSlot(
                None, "no_manual_new_chats", "No new chats by hand are allowed for this number."
            )
        full = spends.get_nth_newest_spend(
            reader, "phone", get_budget_key(session), SpendKind.MANUAL_NEW_CHAT, budget
        )
        return _slot_after(
            full, _DAY, now, "manual_new_chat_budget", "Today's new chats by hand are used up."
        )


def get_budget_key(session: SessionContext) -> str:
    """Return the key of a session's budgets: its phone number, or its name before pairing."""
    return session.phone or session.name


def _open_slot(now: datetime) -> PacingSlot:
    return PacingSlot(now, "open", "It may go now.")


def _slot_after(
    spent: datetime | None, wait: timedelta, now: datetime, reason_code: str, sentence: str
) -> PacingSlot:
    if spent is None or spent + wait <= now:
        return _open_slot(now)
    return PacingSlot(spent + wait, reason_code, sentence)
