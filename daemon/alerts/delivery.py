"""Sends the notices that are due, again where somebody did not take one, and stores how it went."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from msgspec import Struct
from msgspec.structs import replace

from daemon.alerts.requests import OutgoingNotice, SendAnswer, TargetResult, ask_to_send
from daemon.api.clock import Clock
from daemon.errors import LeadMasterError
from daemon.settings import Settings
from statemachines.vocabulary import AlertCode, NoticeKind
from storage import alerts
from storage.alerts import NoticeRecord
from storage.db import Database
from storage.errors import StorageError
from storage.tx import Tx

log = structlog.get_logger("alerts")

NO_TARGET_SENTENCE: Final = "Nobody is notified, because no target is set."
GIVEN_UP_AFTER: Final = timedelta(hours=24)
_AT_ONCE: Final = 20
"""How many notices one request carries; the others go with the next."""
_RETRY_SECONDS: Final = (15, 30, 60, 120, 300, 900)
_NEVER_QUIET: Final = frozenset(
    {
        AlertCode.NUMBER_BANNED,
        AlertCode.NEW_CHATS_STOPPED,
        AlertCode.HALT,
        AlertCode.WRITES_REFUSED,
    }
)
"""What wakes people in their quiet hours too."""
_QUIET_KINDS: Final = frozenset({NoticeKind.MORNING, NoticeKind.TEST, NoticeKind.ENDED})


class Attempt(Struct, frozen=True):
    """How one attempt to send a notice ended: who has it now, when to try again, what failed."""

    targets: tuple[str, ...]
    due_at: datetime | None
    failure: str


class _MadeAttempt(Struct, frozen=True):
    """An attempt that was made, of a notice as it was then; `at` is when it ended."""

    notice: NoticeRecord
    attempt: Attempt
    at: datetime


class Delivery:
    """Sends notices through the program that has a network; one request at a time."""

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._turn = asyncio.Lock()
        self._unrecorded: dict[int, _MadeAttempt] = {}

    async def send_due(self) -> None:
        """Send what is due. A failure is stored with the notice, and never raised."""
        await self._record_attempts()
        try:
            due = await self._list_due()
        except StorageError as error:
            log.error("notices_not_read", error_code=error.code)
            return
        if not due:
            return
        answer = await self._ask(tuple(build_outgoing(notice) for notice in due))
        at = self._clock.now()
        for notice in due:
            self._unrecorded[notice.id] = _MadeAttempt(
                notice, judge_attempt(notice, answer, at), at
            )
        await self._record_attempts()

    async def _list_due(self) -> list[NoticeRecord]:
        """Return what is to be sent now, as it is after the attempts that could not be stored."""
        now = self._clock.now()
        only = _NEVER_QUIET if is_quiet(self._settings.alerts.quiet, self._get_local(now)) else None
        stored = await self._database.read(
            # Those whose attempt could not be stored are listed too, and may be due no more.
            lambda reader: alerts.list_due_notices(
                reader, now, _AT_ONCE + len(self._unrecorded), only=only
            )
        )
        found = (self._add_attempt(notice, now) for notice in stored)
        return [each for each in found if each is not None][:_AT_ONCE]

    def _add_attempt(self, notice: NoticeRecord, now: datetime) -> NoticeRecord | None:
        """Return a notice as the last attempt left it; None where nothing of it is due then."""
        if (made := self._unrecorded.get(notice.id)) is None:
            return notice
        due_at = made.attempt.due_at
        if due_at is None or due_at > now:
            return None
        attempts = made.notice.attempts + 1
        return replace(notice, attempts=attempts, targets=made.attempt.targets, due_at=due_at)

    async def _record_attempts(self) -> None:
        """Store how the attempts ended; what the database refuses is stored by the next call."""
        if not (made := list(self._unrecorded.values())):
            return
        try:
            await self._database.write(partial(_record_attempts, made=made), urgent=True)
        except StorageError as error:
            # Kept: who has a notice must not get it again each time.
            log.error("notice_attempts_not_stored", error_code=error.code, notices=len(made))
        else:
            self._unrecorded.clear()

    async def send(self, notice: OutgoingNotice) -> SendAnswer:
        """Send one notice now. Raises :class:`LeadMasterError` where the program does not."""
        async with self._turn:
            return await ask_to_send(self._settings, (notice,))

    def _get_local(self, now: datetime) -> datetime:
        return now.astimezone(ZoneInfo(self._settings.daemon.time_zone))

    async def _ask(self, notices: tuple[OutgoingNotice, ...]) -> SendAnswer | LeadMasterError:
        try:
            async with self._turn:
                return await ask_to_send(self._settings, notices)
        except LeadMasterError as error:
            log.error("alert_not_sent", error_code=error.code)
            return error


def _record_attempts(tx: Tx, made: Sequence[_MadeAttempt]) -> None:
    for each in made:
        alerts.record_attempt(
            tx,
            each.notice.id,
            at=each.at,
            targets=each.attempt.targets,
            due_at=each.attempt.due_at,
            failure=each.attempt.failure,
        )


def is_quiet(hours: str, local: datetime) -> bool:
    """Return whether a local moment is in hours such as 22:00-07:00, which may span midnight."""
    if not hours:
        return False
    begins, ends = hours.split("-")
    time = f"{local:%H:%M}"
    return begins <= time < ends if begins <= ends else not ends <= time < begins


def build_outgoing(notice: NoticeRecord) -> OutgoingNotice:
    """Return a notice as the program gets it."""
    urgent = notice.kind not in _QUIET_KINDS
    return OutgoingNotice(notice.id, notice.title, notice.text, urgent, notice.targets)


def judge_attempt(
    notice: NoticeRecord, answer: SendAnswer | LeadMasterError, at: datetime
) -> Attempt:
    """Return how an attempt ended: tried again while a target lacks it, for a day at most."""
    pause = _RETRY_SECONDS[min(notice.attempts, len(_RETRY_SECONDS) - 1)]
    again = at + timedelta(seconds=pause)
    due_at = again if again - notice.at < GIVEN_UP_AFTER else None
    if isinstance(answer, LeadMasterError):
        return Attempt(notice.targets, due_at, describe_refusal(answer))
    if not answer.targets:
        return Attempt(notice.targets, None, NO_TARGET_SENTENCE)
    results = [each for each in answer.results if each.notice == notice.id]
    taken = tuple(each.fingerprint for each in results if not each.failure)
    failure = describe_failures(results)
    return Attempt((*notice.targets, *taken), due_at if failure else None, failure)


def describe_refusal(error: LeadMasterError) -> str:
    """Return why nothing was sent, with what to do where that is special to it."""
    return str(error) if error.hint == type(error).hint else f"{error} {error.hint}"


def describe_failures(results: Sequence[TargetResult]) -> str:
    """Return a sentence for each target that did not take a notice."""
    return " ".join(
        f"Target {each.target} did not take it. {each.failure}" for each in results if each.failure
    )
