"""What wakes somebody: each is raised once and ended once, by a clock that the test moves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from daemon.alerts.delivery import NO_TARGET_SENTENCE, is_quiet
from daemon.api.signals import ConnectionRefused, PhoneSeen, RefusalKind
from daemon.backup.status import BackupFailure, BackupStatus, SealedCopy, write_status
from daemon.numbers.breaker import stop_new_chats
from daemon.settings import Settings
from statemachines.message import MessageState
from statemachines.vocabulary import AlertCode, BreakerCause, NoticeKind
from storage import alerts
from storage.errors import DiskFull
from storage.tx import Reader, Tx
from tests.helpers.clock import FakeClock
from tests.helpers.process_limits import limit_file_size
from tests.helpers.puppet_channel import PuppetChannel
from tests.helpers.services.messaging import (
    OUR_NUMBER,
    MessagingServices,
    open_messaging_services,
)

HOUR = 3600.0
MINUTE = 60.0


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[MessagingServices]:
    """The daemon with one phone, whose clock stands still."""
    async with open_messaging_services(tmp_path) as opened:
        await opened.add_session()
        yield opened


async def list_open(services: MessagingServices) -> list[tuple[str, str]]:
    """Look twice, as the periodic job does, and return code and subject of what is open."""
    for _ in range(2):
        await services.alerts.look()
    return [(each.code, each.subject) for each in await services.alerts.list_open()]


async def list_notices(services: MessagingServices) -> list[tuple[object, ...]]:
    """Return the kind of every notice, and the code of its alert, the oldest first."""
    return await services.query_rows(
        "SELECT n.kind, a.code FROM notices AS n JOIN alerts AS a ON a.id = n.alert ORDER BY n.id"
    )


async def require_one_alert(
    services: MessagingServices,
    code: AlertCode,
    subject: str,
    words: str,
    mend: Callable[[], Awaitable[object]],
) -> None:
    """Require that this alone is raised, once, in these words, and that mending it ends it."""
    assert await list_open(services) == [(code, subject)]
    [alert] = await services.alerts.list_open()
    assert words in alert.sentence
    assert await list_notices(services) == [("began", code)]
    await mend()
    assert await list_open(services) == [(code, subject)]  # it may come back at once
    await services.clock.leap(MINUTE)
    assert await list_open(services) == []
    assert await list_notices(services) == [("began", code), ("ended", code)]


async def test_the_breaker_wakes_until_a_person_resumes(services: MessagingServices) -> None:
    """The alert is of the session whose number it is, and names no number."""
    assert await list_open(services) == []

    def stop(tx: Tx) -> None:
        now = services.clock.now()
        stop_new_chats(tx, OUR_NUMBER, at=now, cause=BreakerCause.OPT_OUTS, detail="3 of 3")

    await services.database.write(stop)
    await require_one_alert(
        services,
        AlertCode.NEW_CHATS_STOPPED,
        "main",
        "main: ",
        lambda: services.breaker.resume(OUR_NUMBER, "eva", "we changed the text"),
    )


async def test_a_phone_that_is_not_online_for_days_wakes(services: MessagingServices) -> None:
    """At three days, since the phone unlinks us at fourteen; it ends when the phone is online."""
    await services.clock.leap(71 * HOUR)
    assert await list_open(services) == []
    await services.clock.leap(HOUR)

    async def open_phone() -> None:
        services.wire.lines["main"].report(PhoneSeen(services.clock.now()))
        await services.clock.settle()

    await require_one_alert(services, AlertCode.PHONE_UNSEEN, "main", "phone", open_phone)


async def test_a_session_that_keeps_reconnecting_wakes_after_half_an_hour(
    services: MessagingServices,
) -> None:
    """Since it was last connected, however often it tried; not again for days, nor as a phone."""
    await services.bring_line_down()
    await services.clock.advance(30 * MINUTE - 1)
    assert await list_open(services) == []
    await services.clock.advance(1)
    assert await list_open(services) == [(AlertCode.SESSION_DISCONNECTED, "main")]
    [alert] = await services.alerts.list_open()
    assert services.clock.now() - alert.began_at == timedelta(minutes=30)
    await services.clock.leap(72 * HOUR)

    async def reconnect() -> None:
        await services.bring_line_up()
        services.wire.lines["main"].report(PhoneSeen(services.clock.now()))
        await services.clock.settle()

    words = "main: Not connected for more than 30 minutes"
    await require_one_alert(services, AlertCode.SESSION_DISCONNECTED, "main", words, reconnect)


async def test_a_session_that_nobody_wants_running_or_linked_wakes_nobody(
    services: MessagingServices,
) -> None:
    """One that a person stopped, and one without a phone; a person's start counts anew."""
    await services.bring_line_down()
    await services.sessions.create("new", "simulated", "UTC", {}, who="eva")
    await services.sessions.start("new", "eva")
    await services.sessions.stop("main", "eva")
    await services.clock.advance(2 * HOUR)
    assert await list_open(services) == []
    await services.sessions.start("main", "eva")
    await services.clock.advance(30 * MINUTE - 1)
    assert await list_open(services) == []
    await services.clock.advance(1)
    assert await list_open(services) == [(AlertCode.SESSION_DISCONNECTED, "main")]


async def test_a_refusal_and_its_retry_are_of_the_same_trouble(services: MessagingServices) -> None:
    """A refused session waits for its one retry: the time before it counts on."""
    await services.bring_line_down()
    await services.clock.advance(10 * MINUTE)
    services.wire.lines["main"].report(ConnectionRefused(RefusalKind.REJECTED))
    await services.clock.advance(20 * MINUTE)
    assert services.sessions.view("main").reason_code != "connection_refused"  # it tried again
    assert await list_open(services) == [(AlertCode.SESSION_DISCONNECTED, "main")]


async def test_a_restart_does_not_put_the_alert_of_a_session_off(tmp_path: Path) -> None:
    """A daemon that restarts again and again would never notify anybody."""
    clock = FakeClock()
    wire = PuppetChannel(clock)
    async with open_messaging_services(tmp_path, clock=clock, wire=wire) as services:
        await services.add_session()
        await services.bring_line_down()
        await clock.advance(29 * MINUTE)
    async with open_messaging_services(tmp_path, clock=clock, wire=wire) as services:
        await clock.advance(MINUTE - 1)
        assert await list_open(services) == []
        await clock.advance(1)
        assert await list_open(services) == [(AlertCode.SESSION_DISCONNECTED, "main")]


def store_copies(
    settings: Settings, made_at: datetime, failure: BackupFailure | None = None
) -> None:
    """Write what the backup's program would, after a copy of that moment."""
    copy = SealedCopy("copy.age", made_at, 1, made_at, {}, 1)
    status = BackupStatus(
        recipient="age1",
        key_made_at=made_at,
        key_confirmed_at=made_at,
        burns_with_server=False,
        copies=(copy,),
        failure=failure,
    )
    write_status(settings, status)


async def test_a_backup_that_failed_wakes_until_one_is_made(services: MessagingServices) -> None:
    """In the words of the failure, of which a number is left out."""
    now = services.clock.now()
    store_copies(services.settings, now)
    assert await list_open(services) == []
    store_copies(services.settings, now, BackupFailure(now, "+5491155550101 takes nothing."))

    async def back_up() -> None:
        store_copies(services.settings, now)

    await require_one_alert(
        services, AlertCode.BACKUP_FAILED, "installation", "failed: … takes nothing.", back_up
    )


async def test_a_backup_that_is_late_wakes_until_one_is_made(services: MessagingServices) -> None:
    """A day and two hours, which a slow disk may need, and not before."""
    store_copies(services.settings, services.clock.now())
    await services.clock.leap(26 * HOUR)
    assert await list_open(services) == []
    await services.clock.leap(1)

    async def back_up() -> None:
        store_copies(services.settings, services.clock.now())

    await require_one_alert(
        services, AlertCode.BACKUP_LATE, "installation", "The last backup is of 2026-03-03", back_up
    )


async def test_a_queue_that_nobody_can_send_wakes_after_a_quarter_of_an_hour(
    services: MessagingServices,
) -> None:
    """Somebody stopped the session, which is no alert by itself; it ends when all has left."""
    await services.add_prospect()
    await services.sessions.stop("main", "eva")
    message = await services.enqueue_and_settle()
    assert await services.get_state(message) is MessageState.DEFERRED
    await services.clock.leap(15 * MINUTE - 1)
    assert await list_open(services) == []
    await services.clock.leap(1)

    async def start() -> None:
        await services.sessions.start("main", "eva")
        await services.clock.advance(1)
        assert await services.get_state(message) is MessageState.SENT

    await require_one_alert(services, AlertCode.QUEUE_BLOCKED, "main", "main", start)


async def test_what_waits_in_the_review_wakes_after_four_hours(services: MessagingServices) -> None:
    """Not a second before; a decision ends it."""
    await services.add_prospect(permission="relationship")
    message = await services.enqueue_and_settle()
    assert await services.get_state(message) is MessageState.HELD
    await services.clock.leap(4 * HOUR - 1)
    assert await list_open(services) == []
    await services.clock.leap(1)
    await require_one_alert(
        services,
        AlertCode.REVIEW_LATE,
        "installation",
        "more than 4 h",
        lambda: services.review.reject(message, "eva", "not this one"),
    )


@pytest.mark.usefixtures("capsys")  # what is logged meanwhile must not need a file
async def test_a_disk_that_takes_nothing_is_notified_without_it(
    services: MessagingServices,
) -> None:
    """The notice goes out before anything is stored, and is stored once there is room."""
    await services.halt.halt("eva", "a test")
    began = services.clock.now()
    with limit_file_size(10):
        await services.alerts.look()
        await services.clock.leap(HOUR)
        services.database.refuse_writes(DiskFull("The disk is full.", "Free some space."))
        await services.alerts.look()
    assert await services.query_rows("SELECT code FROM alerts") == []
    await services.alerts.look()
    services.database.accept_writes()
    [since] = [each.began_at for each in await services.alerts.list_open() if each.code != "halt"]
    assert since == began
    assert {(each.code, each.subject) for each in await services.alerts.list_open()} == {
        (AlertCode.WRITES_REFUSED, "installation"),
        (AlertCode.HALT, "installation"),
    }
    notified = await services.query_rows(
        "SELECT n.kind, n.targets, n.failure, n.due_at IS NULL FROM notices AS n JOIN alerts AS a"
        " ON a.id = n.alert WHERE a.code = 'writes_refused'"
    )
    assert notified == [("began", "", NO_TARGET_SENTENCE, 1)]
    await services.alerts.look()
    await services.clock.leap(MINUTE)
    assert await list_open(services) == [(AlertCode.HALT, "installation")]
    codes = [row for row in await list_notices(services) if row[1] == AlertCode.WRITES_REFUSED]
    assert codes == [("began", AlertCode.WRITES_REFUSED), ("ended", AlertCode.WRITES_REFUSED)]


@pytest.mark.usefixtures("capsys")  # what is logged meanwhile must not need a file
async def test_a_disk_that_takes_again_is_over_where_nothing_else_changed(
    services: MessagingServices,
) -> None:
    """What was known is told no second time, and nothing is left that would keep it open."""
    await services.halt.halt("eva", "a test")
    services.database.refuse_writes(DiskFull("The disk is full.", "Free some space."))
    assert len(await list_open(services)) == 2
    await services.halt.resume("eva", "a test")
    with limit_file_size(10):
        await services.alerts.look()
    await services.halt.halt("eva", "a test")
    services.database.accept_writes()
    await services.alerts.look()
    await services.clock.leap(MINUTE)
    assert await list_open(services) == [(AlertCode.HALT, "installation")]


async def test_that_something_is_over_is_not_told_before_that_it_began(
    services: MessagingServices,
) -> None:
    """Of a target that was out of reach: the last word that it gets is the last one."""
    at = services.clock.now()
    later = at + timedelta(minutes=15)

    def fill(tx: Tx) -> tuple[int, int, int]:
        alert = alerts.insert_alert(
            tx, code=AlertCode.HALT, subject="x", sentence="It stopped.", began_at=at, at=at
        )
        insert = partial(alerts.insert_notice, tx, at=at, title="t", text="t")
        began = insert(kind=NoticeKind.BEGAN, alert=alert)
        alerts.record_attempt(tx, began, at=at, targets=(), due_at=later, failure="No answer.")
        other = insert(kind=NoticeKind.TEST)
        alerts.record_attempt(tx, other, at=at, targets=(), due_at=at, failure="No answer.")
        return other, began, insert(kind=NoticeKind.ENDED, alert=alert)

    def list_due(reader: Reader) -> list[int]:
        return [each.id for each in alerts.list_due_notices(reader, at, 20)]

    other, began, ended = await services.database.write(fill)
    assert await services.database.read(list_due) == [began, ended, other]
    record = partial(alerts.record_attempt, at=at, targets=(), failure="No answer.")
    await services.database.write(lambda tx: record(tx, ended, due_at=at))
    assert await services.database.read(list_due) == [began, other, ended]
    await services.database.write(lambda tx: record(tx, ended, due_at=later))
    assert await services.database.read(list_due) == [other]


async def test_what_nobody_was_sent_yet_goes_before_what_is_sent_again(
    services: MessagingServices,
) -> None:
    """A night of notices for a target that is dead must not hold back a new one from the others."""
    at = services.clock.now()

    def fill(tx: Tx) -> int:
        for _ in range(25):
            old = alerts.insert_notice(tx, kind=NoticeKind.TEST, at=at, title="t", text="t")
            alerts.record_attempt(tx, old, at=at, targets=(), due_at=at, failure="No answer.")
        return alerts.insert_notice(tx, kind=NoticeKind.TEST, at=at, title="t", text="t")

    new = await services.database.write(fill)
    due = await services.database.read(lambda reader: alerts.list_due_notices(reader, at, 20))
    assert due[0].id == new


@pytest.mark.parametrize(
    ("hours", "quiet", "loud"),
    [
        ("", "", "00:00 12:00 23:59"),
        ("22:00-07:00", "22:00 23:59 00:00 06:59", "07:00 12:00 21:59"),
        ("13:00-15:30", "13:00 15:29", "12:59 15:30 00:00"),
        ("08:00-08:00", "", "00:00 08:00 23:59"),
    ],
)
def test_quiet_hours_may_span_midnight(hours: str, quiet: str, loud: str) -> None:
    """From the first minute up to the last one, which is not among them."""
    midnight = datetime(2026, 3, 3, tzinfo=UTC)
    for times, expected in ((quiet, True), (loud, False)):
        for time in times.split():
            hour, minute = map(int, time.split(":"))
            moment = midnight + timedelta(hours=hour, minutes=minute)
            assert is_quiet(hours, moment) is expected
