"""Chooses the session that may check numbers, or finds when one may if none may yet."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from daemon.api.transport import Channel
from daemon.numbers.budgets import Budgets
from statemachines.vocabulary import NumberCheckBlock
from storage import halts, spends, validation_queries
from storage.spends import SpendKind
from storage.tx import Reader
from storage.validation_queries import CheckSession

_DAY: Final = timedelta(hours=24)

CHECK_BLOCK_SENTENCES: Final[Mapping[NumberCheckBlock, str]] = MappingProxyType(
    {
        NumberCheckBlock.PHONE_LINKED_RECENTLY: (
            "The session {session} may check numbers from {date} on, {days} days after its phone "
            "was linked. Until then validate the number yourself, or call."
        ),
        NumberCheckBlock.NO_PHONE_CHECKS: (
            "No linked phone can check numbers now. Validate the number yourself, or call."
        ),
    }
)
"""The sentence for each reason why no session may check a number, with what to do."""


class CheckObstacle(Struct, frozen=True):
    """Why no session may check numbers; `at` is when one may, None where time alone won't help."""

    block: NumberCheckBlock
    sentence: str
    at: datetime | None = None


class NumberCheckPolicy:
    """Applies the limits of number checks: the age of a phone's link, and its count in 24 hours."""

    def __init__(self, budgets: Budgets, channels: Mapping[str, Channel]) -> None:
        self._budgets = budgets
        self._channels = tuple(
            name for name, channel in channels.items() if channel.capabilities.number_check
        )

    def choose_session(self, reader: Reader, now: datetime) -> tuple[CheckSession | None, int]:
        """Return the first session that may check numbers, and how many; None during a halt."""
        if halts.get_current_halt(reader) is not None:
            return None, 0
        for session in validation_queries.list_check_sessions(reader, self._channels):
            spent = spends.count_spends(reader, session.phone, SpendKind.CHECK, now - _DAY)
            limits = self._budgets.read_of_number(reader, session.channel, session.phone, now)
            left = limits.number_checks - spent
            if session.connected and left > 0 and self._get_opening(reader, session) <= now:
                return session, left
        return None, 0

    def find_obstacle(self, reader: Reader, now: datetime) -> CheckObstacle | None:
        """Return why no session may check numbers, or None where one may, now or soon."""
        # A spent budget, a halt and a short loss of connection end soon, so they are no obstacles.
        linked = validation_queries.list_check_sessions(reader, self._channels)
        if not linked:
            block = NumberCheckBlock.NO_PHONE_CHECKS
            return CheckObstacle(block, CHECK_BLOCK_SENTENCES[block])
        first = linked[0]
        opening = self._get_opening(reader, first)
        return None if opening <= now else _build_age_obstacle(first, opening)

    def _get_opening(self, reader: Reader, session: CheckSession) -> datetime:
        days = self._budgets.read(reader, session.channel).number_check_min_age_days
        return session.linked_at + timedelta(days=days)


def _build_age_obstacle(session: CheckSession, opening: datetime) -> CheckObstacle:
    block = NumberCheckBlock.PHONE_LINKED_RECENTLY
    sentence = CHECK_BLOCK_SENTENCES[block].format(
        session=session.session,
        date=f"{opening.astimezone(ZoneInfo(session.time_zone)):%Y-%m-%d}",
        days=(opening - session.linked_at).days,
    )
    return CheckObstacle(block, sentence, opening)
