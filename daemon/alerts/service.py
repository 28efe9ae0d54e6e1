"""The alerts of the daemon: sees what is wrong, notifies people once, and of its end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from msgspec import Struct
from msgspec.structs import replace

from daemon.alerts.conditions import (
    AlertCondition,
    DaemonState,
    find_conditions,
    find_unstored_conditions,
)
from daemon.alerts.delivery import (
    NO_TARGET_SENTENCE,
    Delivery,
    build_outgoing,
    describe_failures,
    describe_refusal,
    judge_attempt,
)
from daemon.alerts.notices import NoticeText, NoticeWriter, Words
from daemon.alerts.requests import (
    CheckAnswer,
    OutgoingNotice,
    SendAnswer,
    ask_to_check,
    ask_to_ping,
)
from daemon.api.clock import Clock
from daemon.backup.service import BackupService
from daemon.errors import LeadMasterError
from daemon.events import AlertChanged
from daemon.morning import MorningService
from daemon.outbox.halt import Halt
from daemon.sessions import Sessions
from daemon.sessions.status import SessionView
from daemon.settings import Settings
from statemachines.vocabulary import AlertCode, NoticeKind
from storage import alerts, audit
from storage.alerts import AlertRecord, NoticeRecord
from storage.db import Database
from storage.errors import StorageError
from storage.halts import HaltRecord
from storage.tx import Reader, Tx

log = structlog.get_logger("alerts")

GONE_FOR: Final = timedelta(seconds=60)
"""What is not there for so long is over: what comes and goes is one alert."""
MORNING_WINDOW: Final = timedelta(hours=4)
"""A daemon that was down at the time of the morning line sends it for so long after it."""
_PING_ABSENT_SECONDS: Final = 3600.0
"""Where there is no address to ping, the program is asked for one again after this."""


class PingStatus(Struct, frozen=True):
    """The last ping: when, and why it did not arrive; empty where it did."""

    at: datetime
    failure: str


class AlertStatus(Struct, frozen=True):
    """Whether people are notified: what is open and pending, the last success and failure.

    ``failure`` says why the last notice did not reach everybody; empty where it did. ``ping`` is
    None until one was sent since the start.
    """

    open: int
    pending: int
    last_success: datetime | None
    last_failure: datetime | None
    failure: str
    next_morning: datetime | None
    ping: PingStatus | None


class TargetAnswer(Struct, frozen=True):
    """Whether a target took a test; ``failure`` is empty where it did."""

    target: str
    failure: str


class _UnstoredNotice(Struct, frozen=True):
    """A condition that could not be stored, and its notice as the last attempt left it."""

    condition: AlertCondition
    notice: NoticeRecord


class AlertService:
    """Looks at what is wrong, notifies people once, and once more when it is over."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Clock,
        sessions: Sessions,
        halt: Halt,
        backups: BackupService,
        morning: MorningService,
        load_words: Callable[[], Words],
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._sessions = sessions
        self._halt = halt
        self._backups = backups
        self._morning = morning
        self._load_words = load_words
        self._zone = ZoneInfo(settings.daemon.time_zone)
        self._delivery = Delivery(settings, database, clock)
        self._known: Sequence[AlertRecord] = ()
        self._unstored: dict[tuple[AlertCode, str], _UnstoredNotice] = {}
        self._looked = False
        self._ping: PingStatus | None = None
        self._next_ping = 0.0

    async def look(self) -> None:
        """Store what is wrong and what is over, with the notices of both, and the morning line.

        Where the database refuses that, people are notified all the same.
        """
        looked = False
        try:
            state = DaemonState(
                views=self._sessions.views(),
                halt=await self._read_halt(),
                concerns=self._backups.list_concerns(),
                refusal=self._database.refusal,
            )
            try:
                await self._look_with_database(state)
                looked = True
            except StorageError as error:
                await self._tell_unstored(state, error)
        finally:
            self._looked = looked  # else no ping may say that all is fine

    async def send_due(self) -> None:
        """Send the notices that are due."""
        await self._delivery.send_due()

    async def ping(self) -> None:
        """Ask for the ping's address, if what is wrong could be notified now."""
        if not self._looked or self._database.refusal is not None or monotonic() < self._next_ping:
            return
        try:
            answer = await ask_to_ping(self._settings)
        except LeadMasterError as error:
            self._ping = PingStatus(self._clock.now(), str(error))
            return
        if answer.wanted:
            self._ping = PingStatus(self._clock.now(), answer.failure)
        else:
            self._ping = None  # one that failed before was of an address that is gone
            self._next_ping = monotonic() + _PING_ABSENT_SECONDS

    async def send_test(self, who: str) -> list[TargetAnswer]:
        """Tell every target that this is a test; return what each answered.

        Raises :class:`LeadMasterError` where nobody can be notified.
        """
        now = self._clock.now()
        text = self._open_writer().write_test(now)
        self._next_ping = 0.0  # the file may have been changed
        store = partial(_store_test, text=text, who=who, at=now)
        try:
            notice = OutgoingNotice(0, text.title, text.text, urgent=False)
            answer = await self._delivery.send(notice)
        except LeadMasterError as refused:
            failure = describe_refusal(refused)
            await self._database.write(partial(store, taken=(), failure=failure), urgent=True)
            raise
        taken = tuple(each.fingerprint for each in answer.results if not each.failure)
        failure = describe_failures(answer.results) if answer.targets else NO_TARGET_SENTENCE
        await self._database.write(partial(store, taken=taken, failure=failure), urgent=True)
        return [TargetAnswer(each.target, each.failure) for each in answer.results]

    async def check_targets(self) -> CheckAnswer:
        """Return how many targets there are, by the file as it is now; nothing is sent.

        Raises :class:`LeadMasterError` where nobody can be notified.
        """
        return await ask_to_check(self._settings)

    async def read_status(self) -> AlertStatus:
        """Return whether people are notified."""

        def query(reader: Reader) -> AlertStatus:
            success = alerts.find_last_notice(reader, sent=True)
            failed = alerts.find_last_notice(reader, sent=False)
            is_worse = failed is not None and (success is None or failed.id >= success.id)
            return AlertStatus(
                open=len(alerts.list_open_alerts(reader)),
                pending=alerts.count_pending_notices(reader),
                last_success=success.sent_at if success else None,
                last_failure=failed.at if failed else None,
                failure=failed.failure if failed is not None and is_worse else "",
                next_morning=self._find_next_morning(reader),
                ping=self._ping,
            )

        return await self._database.read(query)

    async def list_open(self) -> list[AlertRecord]:
        """Return what is wrong now, the oldest first."""
        return await self._database.read(alerts.list_open_alerts)

    def _open_writer(self) -> NoticeWriter:
        return NoticeWriter(self._load_words(), self._zone)

    async def _read_halt(self) -> HaltRecord | None:
        try:
            return await self._halt.get_current()
        except StorageError:
            return None  # that the database can't be read is notified by its own refusal

    async def _look_with_database(self, state: DaemonState) -> None:
        now = self._clock.now()

        def query(reader: Reader) -> tuple[list[AlertCondition], list[AlertRecord], bool]:
            found = find_conditions(reader, state, self._settings.alerts, now)
            return found, alerts.list_open_alerts(reader), self._is_morning_due(reader, now)

        found, known, is_morning = await self._database.read(query)
        self._known = known
        conditions = {(each.code, each.subject): each for each in found}
        # What was notified while nothing could be stored: since that moment, and over like any
        # other once it is stored.
        for each in known:
            self._unstored.pop((each.code, each.subject), None)
        conditions |= {key: notice.condition for key, notice in self._unstored.items()}
        changes = _compare(conditions, known)
        if changes.is_empty and not is_morning:
            return
        await self._database.write(
            partial(self._store, changes=changes, views=state.views, is_morning=is_morning, at=now),
            urgent=True,
        )
        self._unstored.clear()

    def _store(
        self,
        tx: Tx,
        *,
        changes: _Changes,
        views: Sequence[SessionView],
        is_morning: bool,
        at: datetime,
    ) -> None:
        writer = self._open_writer()
        for condition in changes.begun:
            self._store_begin(tx, writer, condition, at)
        for alert in changes.known:
            alerts.mark_alert_seen(tx, alert.id)
        for alert in changes.gone:
            _store_gone(tx, writer, alert, at)
        if is_morning:
            report = self._morning.build_report(tx, at)
            text = writer.write_morning(report, alerts.list_open_alerts(tx), views)
            _insert_notice(tx, NoticeKind.MORNING, text, at)
            alerts.delete_old_alerts(tx, at)

    def _store_begin(
        self, tx: Tx, writer: NoticeWriter, condition: AlertCondition, at: datetime
    ) -> None:
        alert = alerts.insert_alert(
            tx,
            code=condition.code,
            subject=condition.subject,
            sentence=condition.sentence,
            began_at=condition.since,
            at=at,
        )
        if alert is None:
            return
        text = writer.write_begin(condition.code, condition.sentence, condition.since)
        notice = _insert_notice(tx, NoticeKind.BEGAN, text, at, alert)
        if (sent := self._unstored.get((condition.code, condition.subject))) is not None:
            alerts.record_attempt(
                tx,
                notice,
                at=at,
                targets=sent.notice.targets,
                due_at=sent.notice.due_at,
                failure=sent.notice.failure,
            )
        _emit_change(tx, condition.code, condition.subject, condition.sentence, at, ended=False)

    async def _tell_unstored(self, state: DaemonState, error: StorageError) -> None:
        """Tell people what is wrong while nothing can be stored; each once while that lasts."""
        log.error("alerts_not_stored", error_code=error.code)
        now, writer = self._clock.now(), self._open_writer()
        known = {(each.code, each.subject) for each in await self._read_known()}
        for condition in find_unstored_conditions(state, error, now):
            key = (condition.code, condition.subject)
            if key not in known:
                sent = self._unstored.get(key) or _build_unstored(condition, writer, now)
                self._unstored[key] = await self._send_unstored(sent, now)

    async def _send_unstored(self, sent: _UnstoredNotice, now: datetime) -> _UnstoredNotice:
        """Send a notice where it is due, to the targets that do not have it."""
        notice = sent.notice
        if notice.due_at is None or notice.due_at > now:
            return sent
        answer: SendAnswer | LeadMasterError
        try:
            answer = await self._delivery.send(build_outgoing(notice))
        except LeadMasterError as refused:
            log.error("alert_not_sent", error_code=refused.code)
            answer = refused
        attempt = judge_attempt(notice, answer, self._clock.now())
        tried = replace(
            notice,
            attempts=notice.attempts + 1,
            targets=attempt.targets,
            due_at=attempt.due_at,
            failure=attempt.failure,
        )
        return replace(sent, notice=tried)

    async def _read_known(self) -> Sequence[AlertRecord]:
        """Return the open alerts; where they can't be read, those of the last look."""
        with contextlib.suppress(StorageError):
            self._known = await self._database.read(alerts.list_open_alerts)
        return self._known

    def _get_morning(self, local: datetime) -> datetime | None:
        """Return the moment of the morning line on the day of a local moment; None without one."""
        if not self._settings.alerts.morning:
            return None
        hour, minute = map(int, self._settings.alerts.morning.split(":"))
        return local.replace(hour=hour, minute=minute, second=0, microsecond=0)

    def _is_morning_due(self, reader: Reader, now: datetime) -> bool:
        local = now.astimezone(self._zone)
        morning, last = self._get_morning(local), alerts.find_last_morning(reader)
        if morning is None or not morning <= local < morning + MORNING_WINDOW:
            return False
        return last is None or last.astimezone(self._zone).date() < local.date()

    def _find_next_morning(self, reader: Reader) -> datetime | None:
        now = self._clock.now()
        local = now.astimezone(self._zone)
        morning = self._get_morning(local)
        if morning is None or local < morning or self._is_morning_due(reader, now):
            return morning
        return self._get_morning(local + timedelta(days=1))


class _Changes(Struct, frozen=True):
    """What began, what is there again after it seemed to be gone, and what is not there."""

    begun: list[AlertCondition]
    known: list[AlertRecord]
    gone: list[AlertRecord]

    @property
    def is_empty(self) -> bool:
        """Return whether everything is as it was."""
        return not (self.begun or self.known or self.gone)


def _compare(
    conditions: dict[tuple[AlertCode, str], AlertCondition], known: Sequence[AlertRecord]
) -> _Changes:
    open_alerts = {(alert.code, alert.subject): alert for alert in known}
    return _Changes(
        begun=[each for key, each in conditions.items() if key not in open_alerts],
        known=[each for key, each in open_alerts.items() if key in conditions and each.gone_at],
        gone=[each for key, each in open_alerts.items() if key not in conditions],
    )


def _build_unstored(
    condition: AlertCondition, writer: NoticeWriter, at: datetime
) -> _UnstoredNotice:
    text = writer.write_begin(condition.code, condition.sentence, condition.since)
    notice = NoticeRecord(
        id=0,
        kind=NoticeKind.BEGAN,
        at=at,
        title=text.title,
        text=text.text,
        targets=(),
        attempts=0,
        due_at=at,
        sent_at=None,
        failure="",
    )
    return _UnstoredNotice(condition, notice)


def _store_gone(tx: Tx, writer: NoticeWriter, alert: AlertRecord, at: datetime) -> None:
    """Store that an alert is not there; where that ends it, its notice and event too."""
    if (ended_at := alerts.mark_alert_gone(tx, alert.id, at, GONE_FOR)) is None:
        return
    text = writer.write_end(alert.code, alert.sentence, alert.began_at, ended_at)
    _insert_notice(tx, NoticeKind.ENDED, text, at, alert.id)
    _emit_change(tx, alert.code, alert.subject, alert.sentence, at, ended=True)


def _insert_notice(
    tx: Tx, kind: NoticeKind, text: NoticeText, at: datetime, alert: int | None = None
) -> int:
    return alerts.insert_notice(tx, kind=kind, at=at, title=text.title, text=text.text, alert=alert)


def _emit_change(
    tx: Tx, code: AlertCode, subject: str, sentence: str, at: datetime, *, ended: bool
) -> None:
    tx.emit(AlertChanged(subject=subject, at=at, code=code, sentence=sentence, ended=ended))


def _store_test(
    tx: Tx, *, text: NoticeText, taken: tuple[str, ...], failure: str, who: str, at: datetime
) -> None:
    notice = _insert_notice(tx, NoticeKind.TEST, text, at)
    alerts.record_attempt(tx, notice, at=at, targets=taken, due_at=None, failure=failure)
    audit.insert_audit_entry(tx, at=at, who=who, action="test_alerts", subject="installation")
