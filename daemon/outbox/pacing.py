"""Pacing: when a message may be sent, by the phone number's budgets over rolling time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from daemon.numbers.budgets import Budgets
from daemon.settings import PacingSettings
from storage import spends
from storage.bans import OTHER_NUMBERS_STOPPED
from storage.evaluation_context import SessionContext
from storage.spends import SpendKind
from storage.tx import Reader, Tx

_DAY = timedelta(hours=24)
_MINUTE = timedelta(minutes=1)
_WEEK_DAYS, _MONTH_DAYS = 7, 30
NEW_CHATS_STOPPED_SENTENCE: Final = "New chats of this number are stopped."
NUMBER_BANNED_SENTENCE: Final = "WhatsApp banned this number."


class PacingSlot(Struct, frozen=True):
    """The moment from which a message may be sent; None: a person has to change something first."""

    at: datetime | None
    reason_code: str
    sentence: str

    def is_open(self, now: datetime) -> bool:
        """Return whether the moment has come."""
        return self.at is not None and self.at <= now


class Pacing:
    """Computes slots from the ledger of spends, which outlives restarts and new pairings."""

    def __init__(self, budgets: Budgets) -> None:
        self._budgets = budgets

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
        slots = [_open_slot(now)]
        # By hand only first contacts are limited: a person can't send many a minute.
        if not by_hand:
            slots.append(self._find_minute_slot(reader, session, now))
        if first_contact:
            find_budget_slot = self._find_manual_slot if by_hand else self._find_new_chat_slot
            # The stops are of the number, so they hold for sending by hand, too.
            slots += [*list_new_chat_stops(session, now), find_budget_slot(reader, session, now)]
        return get_last_slot(slots)

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
        if any(not stop.is_open(now) for stop in list_new_chat_stops(session, now)):
            return 0
        used = spends.count_spends(reader, get_budget_key(session), SpendKind.NEW_CHAT, now - _DAY)
        return max(0, self.get_new_chat_budget(reader, session, now) - used)

    def count_new_chats_until(
        self, reader: Reader, session: SessionContext, until: datetime
    ) -> int:
        """Return how many new chats the number may have begun by then that it has not begun yet."""
        since = until - _DAY  # what was begun before is free again by then
        used = spends.count_spends(reader, get_budget_key(session), SpendKind.NEW_CHAT, since)
        return max(0, self.get_new_chat_budget(reader, session, until) - used)

    def read_limits(self, reader: Reader, session: SessionContext, now: datetime) -> PacingSettings:
        """Return the budgets in force for a session's number, or for its channel without one."""
        if session.phone is None:
            return self._budgets.read(reader, session.channel)
        return self._budgets.read_of_number(reader, session.channel, session.phone, now)

    def get_new_chat_budget(self, reader: Reader, session: SessionContext, now: datetime) -> int:
        """Return the number's new chats a day by its age here; an unlinked one counts as new."""
        return self.choose_new_chat_budget(self.read_limits(reader, session, now), session, now)

    def choose_new_chat_budget(
        self, limits: PacingSettings, session: SessionContext, now: datetime
    ) -> int:
        """Return the new chats a day that budgets give a number of this age."""
        days = _get_age_days(session, now)
        if days < _WEEK_DAYS:
            return limits.new_chats_first_week
        if days < _MONTH_DAYS:
            return limits.new_chats_to_day_30
        return limits.new_chats_later

    def get_manual_budgets(
        self, reader: Reader, session: SessionContext, now: datetime
    ) -> tuple[int, int]:
        """Return the number's first contacts by hand in a day of its own, and in 24 hours."""
        return self.choose_manual_budgets(self.read_limits(reader, session, now), session, now)

    def choose_manual_budgets(
        self, limits: PacingSettings, session: SessionContext, now: datetime
    ) -> tuple[int, int]:
        """Return what budgets give a number of this age by hand: in its day, and in 24 hours."""
        if _get_age_days(session, now) < _MONTH_DAYS:
            return limits.manual_new_chats_first_month, limits.manual_new_chats_24h_first_month
        return limits.manual_new_chats_later, limits.manual_new_chats_24h_later

    def _find_minute_slot(
        self, reader: Reader, session: SessionContext, now: datetime
    ) -> PacingSlot:
        limit = self.read_limits(reader, session, now).messages_per_minute
        newest = spends.get_nth_newest_spend(
            reader, "session", session.name, SpendKind.MESSAGE, limit
        )
        sentence = f"Waiting its turn: at most {limit} messages a minute."
        return _slot_after(newest, _MINUTE, now, "messages_per_minute", sentence)

    def _find_new_chat_slot(
        self, reader: Reader, session: SessionContext, now: datetime
    ) -> PacingSlot:
        phone = get_budget_key(session)
        budget = self.get_new_chat_budget(reader, session, now)
        if budget == 0:
            return PacingSlot(None, "no_new_chats", "No new chats are allowed for this number.")
        # With a budget of n, the next is free a day after the n-th newest one was spent.
        full = spends.get_nth_newest_spend(reader, "phone", phone, SpendKind.NEW_CHAT, budget)
        minutes = self.read_limits(reader, session, now).new_chat_gap_minutes
        newest = spends.get_nth_newest_spend(reader, "phone", phone, SpendKind.NEW_CHAT, 1)
        waiting = f"Waiting its turn: one new chat every {minutes} min."
        used_up = "Today's new chats of this number are used up."
        return get_last_slot(
            [
                _slot_after(full, _DAY, now, "new_chat_budget", used_up),
                _slot_after(newest, timedelta(minutes=minutes), now, "new_chat_gap", waiting),
            ]
        )

    def _find_manual_slot(
        self, reader: Reader, session: SessionContext, now: datetime
    ) -> PacingSlot:
        per_day, per_24_hours = self.get_manual_budgets(reader, session, now)
        if not min(per_day, per_24_hours):
            return PacingSlot(
                None, "no_manual_new_chats", "No new chats by hand are allowed for this number."
            )
        phone, code = get_budget_key(session), "manual_new_chat_budget"
        rolling = spends.get_nth_newest_contact_by_hand(reader, phone, per_24_hours)
        daily = spends.get_nth_newest_contact_by_hand(reader, phone, per_day)
        opening = _find_next_midnight(daily, _get_time_zone(session)) if daily else now
        sentence = "Today's new chats by hand are used up."
        return get_last_slot(
            [
                _slot_after(rolling, _DAY, now, code, sentence),
                _open_slot(now) if opening <= now else PacingSlot(opening, code, sentence),
            ]
        )


def list_new_chat_stops(session: SessionContext, now: datetime) -> list[PacingSlot]:
    """Return what stops the new chats of a session's number now, whatever its budgets are."""
    stops = []
    number = session.number
    if number is not None and number.new_chats_stopped_at is not None:
        stops.append(PacingSlot(None, "new_chats_stopped", NEW_CHATS_STOPPED_SENTENCE))
    if number is not None and number.banned_at is not None:
        stops.append(PacingSlot(None, "number_banned", NUMBER_BANNED_SENTENCE))
    if number is not None and number.reply_only_until is not None:
        sentence = "After a ban, this number only replies for 14 days."
        stops.append(PacingSlot(number.reply_only_until, "reply_only_after_ban", sentence))
    if session.other_banned_at is not None:
        until = session.other_banned_at + OTHER_NUMBERS_STOPPED
        sentence = "Another number was banned: no number begins new chats for 72 hours."
        stops.append(PacingSlot(until, "other_number_banned", sentence))
    return [stop for stop in stops if not stop.is_open(now)]


def get_last_slot(slots: Sequence[PacingSlot]) -> PacingSlot:
    """Return the slot that opens last; one without a time is later than any."""
    latest = datetime.max.replace(tzinfo=UTC)
    return max(slots, key=lambda slot: slot.at or latest)


def get_budget_key(session: SessionContext) -> str:
    """Return the key of a session's budgets: its phone number, or its name before pairing."""
    return session.phone or session.name


def _get_age_days(session: SessionContext, now: datetime) -> int:
    return (now - session.linked_at).days if session.linked_at else 0


def _get_time_zone(session: SessionContext) -> ZoneInfo:
    """Return the zone whose days count; that of the number, whatever session it is linked to."""
    return ZoneInfo(session.number.time_zone if session.number else session.time_zone)


def get_day_start(session: SessionContext, now: datetime) -> datetime:
    """Return the beginning of the number's present day, whose first contacts are counted."""
    zone = _get_time_zone(session)
    return datetime.combine(now.astimezone(zone).date(), time(), zone).astimezone(UTC)


def _find_next_midnight(at: datetime, zone: ZoneInfo) -> datetime:
    tomorrow = at.astimezone(zone).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), zone).astimezone(UTC)


def _open_slot(now: datetime) -> PacingSlot:
    return PacingSlot(now, "open", "It may go now.")


def _slot_after(
    spent: datetime | None, wait: timedelta, now: datetime, reason_code: str, sentence: str
) -> PacingSlot:
    if spent is None or spent + wait <= now:
        return _open_slot(now)
    return PacingSlot(spent + wait, reason_code, sentence)
