"""The four lines of the morning: phones, the night, who waits, and what leaves today by itself.

Today shows them, and the alerts send them as the morning's report.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from daemon.api.clock import Clock
from daemon.backup.service import BackupService
from daemon.backup.status import UNREADABLE_CODE
from daemon.outbox.pacing import Pacing, get_budget_key
from statemachines.session import CAN_SEND_STATES, ConnectionState, DesiredState, SendingState
from storage import evaluation_context
from storage.db import Database
from storage.halts import get_current_halt
from storage.morning import (
    Departures,
    MorningRecord,
    NightTrouble,
    NightTroubleKind,
    WaitingPeople,
    read_morning,
)
from storage.sessions import SessionRecord
from storage.tx import Reader

EVENING: Final = time(20)
"""When the night begins, by the clock of the installation."""
_MISSING_COPY: Final = frozenset({"backup_failed", "backup_late", UNREADABLE_CODE})


class MorningPhone(Struct, frozen=True, kw_only=True):
    """A session that no person stopped: its state since when, and whether it sends.

    ``new_chats``: whether it begins chats too, and not only answers.
    """

    session: str
    state: ConnectionState
    since: datetime
    can_send: bool
    new_chats: bool


class LeavingToday(Struct, frozen=True):
    """How many messages leave by themselves before midnight, and the first one not before when."""

    count: int
    first_at: datetime | None


class MorningReport(Struct, frozen=True, kw_only=True):
    """The four answers at one moment; the night began at ``since``."""

    at: datetime
    since: datetime
    halted: bool
    phones: tuple[MorningPhone, ...]
    troubles: tuple[NightTrouble, ...]
    waiting: WaitingPeople
    leaving: LeavingToday


class MorningService:
    """Reads the four answers, for pages, programs and alerts alike."""

    def __init__(
        self,
        database: Database,
        pacing: Pacing,
        backups: BackupService,
        clock: Clock,
        zone: ZoneInfo,
    ) -> None:
        self._database = database
        self._pacing = pacing
        self._backups = backups
        self._clock = clock
        self._zone = zone

    async def read_report(self) -> MorningReport:
        """Return the four answers of now."""
        now = self._clock.now()
        return await self._database.read(lambda reader: self.build_report(reader, now))

    def build_report(self, reader: Reader, now: datetime) -> MorningReport:
        """Return the four answers, in a read that has begun."""
        since, until = self._find_night(now)
        found = read_morning(reader, since=since, now=now, until=until)
        halt = get_current_halt(reader)
        return MorningReport(
            at=now,
            since=since,
            halted=halt is not None,
            phones=_list_phones(found),
            troubles=(*found.troubles, *self._list_backup_troubles()),
            waiting=found.waiting,
            leaving=self._count_leaving(reader, found.departures, now, until),
        )

    def _find_night(self, now: datetime) -> tuple[datetime, datetime]:
        """Return when the night before this day began, and when this day ends."""
        today = now.astimezone(self._zone).date()
        evening = datetime.combine(today - timedelta(days=1), EVENING, self._zone)
        return evening, datetime.combine(today + timedelta(days=1), time(), self._zone)

    def _list_backup_troubles(self) -> list[NightTrouble]:
        concerns = [each for each in self._backups.list_concerns() if each.code in _MISSING_COPY]
        return [NightTrouble(NightTroubleKind.BACKUP, 1, each.since, "") for each in concerns[:1]]

    def _count_leaving(
        self, reader: Reader, departures: tuple[Departures, ...], now: datetime, until: datetime
    ) -> LeavingToday:
        """Return what leaves today; of new chats no more than their number has left for today."""
        left: dict[str, int] = {}
        count, moments = 0, []
        for each in departures:
            standing = evaluation_context.read_session_context(reader, each.session, now)
            slot = self._pacing.find_slot(
                reader, standing, now, first_contact=each.first_contact, by_hand=False
            )
            if slot.at is None or max(slot.at, each.first_at) >= until:
                continue
            number = each.count
            if each.first_contact:
                key = get_budget_key(standing)
                rest = left.get(key, self._pacing.count_new_chats_until(reader, standing, until))
                number = min(number, rest)
                left[key] = rest - number
            if number:
                count += number
                moments.append(max(slot.at, each.first_at))
        return LeavingToday(count, min(moments, default=None))


def _list_phones(found: MorningRecord) -> tuple[MorningPhone, ...]:
    return tuple(_build_phone(each) for each in found.phones if not _is_off(each))


def _is_off(record: SessionRecord) -> bool:
    """Return whether a person stopped it; one that ended by itself is something to know."""
    return record.connection is ConnectionState.STOPPED and record.desired == DesiredState.OFF


def _build_phone(record: SessionRecord) -> MorningPhone:
    can_send = record.connection in CAN_SEND_STATES
    return MorningPhone(
        session=record.name,
        state=record.connection,
        since=record.since,
        can_send=can_send,
        new_chats=can_send and record.sending is SendingState.ALL,
    )
