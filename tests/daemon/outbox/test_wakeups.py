"""Committed events wake whoever has something to do; where none is heard, the rows decide."""

from __future__ import annotations

from pathlib import Path

from structlog.testing import capture_logs

from daemon.events import MessageChanged
from daemon.rulesets.active import ActiveRulesets
from daemon.settings import RulesSettings
from statemachines.message import MessageState
from tests.helpers.clock import FakeClock
from tests.helpers.services.messaging import (
    ANA,
    OUR_NUMBER,
    MessagingServices,
    open_messaging_services,
)

S = MessageState

NO_BARGAINS = """\
format: leadmaster/gate@1
vetoes: [{id: no_bargains, reason: No bargains, when: {message.text|contains: ganga}}]
"""
EVENING = 8 * 3600


async def test_what_waits_is_evaluated_again_when_other_rules_go_live(tmp_path: Path) -> None:
    """Deferred at night by the old rules; the new ones block it, and do not wait for the day."""
    folder = tmp_path / "rules.d"
    folder.mkdir()
    settings = RulesSettings(dir=str(folder))
    rules = ActiveRulesets.load(settings)
    async with open_messaging_services(
        tmp_path / "state", rules=settings, rulesets=rules
    ) as services:
        await services.add_session()
        await services.add_prospect()
        await services.clock.leap(EVENING)
        message = await services.enqueue_and_settle(ANA, "Una ganga")
        assert await services.get_state(message) is S.DEFERRED
        (folder / "gate.yaml").write_text(NO_BARGAINS, encoding="utf-8")
        state = await services.ruleset_service.reload("eva")
        assert state.rejected is None, state.rejected
        await services.clock.settle()
        after = await services.get_message(message)
        assert (after.state, after.reason_code) == (S.BLOCKED, "no_bargains")


async def test_new_chats_that_open_again_let_first_contacts_go(services: MessagingServices) -> None:
    """The session was connected all the while: that it may send again is news enough."""
    await services.restrict_session()
    message = await services.enqueue_and_settle()
    assert (await services.get_message(message)).waits_for == "session"
    await services.breaker.resume(OUR_NUMBER, "eva", "it was a mistake of theirs")
    assert await services.get_state(message) is S.DEFERRED
    await services.reopen_session()
    await services.clock.settle()
    assert await services.get_state(message) is S.SENT


async def test_new_chats_that_a_person_resumes_let_first_contacts_go(
    services: MessagingServices,
) -> None:
    """The platform's restriction is over; the number waited for a person."""
    await services.restrict_session()
    await services.reopen_session()
    message = await services.enqueue_and_settle()
    assert await services.get_state(message) is S.CLEARED
    await services.breaker.resume(OUR_NUMBER, "eva", "it was a mistake of theirs")
    await services.clock.settle()
    assert await services.get_state(message) is S.SENT


async def test_a_session_that_came_back_while_no_daemon_ran_is_seen_at_the_start(
    tmp_path: Path,
) -> None:
    """No event is heard twice; the row says that its messages need not wait any more."""
    clock = FakeClock()
    async with open_messaging_services(tmp_path, clock=clock) as services:
        await services.add_session()
        await services.add_prospect()
        await services.restrict_session()
        message = await services.enqueue_and_settle()
        assert await services.get_state(message) is S.DEFERRED
    async with open_messaging_services(tmp_path, clock=clock, started=False) as services:
        await services.update_session(sending="all")
        await services.breaker.resume(OUR_NUMBER, "eva", "it was a mistake of theirs")
    async with open_messaging_services(tmp_path, clock=clock) as services:
        await services.clock.advance(1)
        assert await services.get_state(message) is S.SENT


async def test_a_queue_of_events_that_ran_full_is_begun_anew(services: MessagingServices) -> None:
    """The one subscription is closed and replaced; what comes next is heard."""
    with capture_logs() as lines:
        publish_more_than_anybody_keeps(services)
        await services.clock.settle()
    assert [line["event"] for line in lines] == ["wakeups_lagged"]
    assert services.bus.subscriber_count == 1
    assert await services.get_state(await services.enqueue_and_settle()) is S.SENT


async def test_events_that_were_lost_are_made_up_by_a_look_at_everything(
    services: MessagingServices,
) -> None:
    """A row that can't be read keeps the subscriber from looking; meanwhile the line is back."""
    await services.bring_line_down()
    message = await services.enqueue_and_settle()
    await services.execute_sql(
        "INSERT INTO sessions (name, channel, time_zone, options, since, created_at)"
        " VALUES ('broken', 'simulated', 'UTC', 'no json', '', '')"
    )
    publish_more_than_anybody_keeps(services)
    await services.clock.settle()
    await services.bring_line_up()
    await services.clock.settle()
    assert services.sessions.view("main").ready
    assert await services.get_state(message) is S.CLEARED
    await services.execute_sql("DELETE FROM sessions WHERE name = 'broken'")
    await services.clock.advance(1)
    assert await services.get_state(message) is S.SENT


def publish_more_than_anybody_keeps(services: MessagingServices) -> None:
    """Publish so many events at once that whoever listens loses some."""
    event = MessageChanged(
        subject="msg_of_nobody",
        at=services.clock.now(),
        state=S.HELD,
        previous=S.QUEUED,
        reason_code="a_drill",
        sentence="A drill.",
        session="main",
        channel="simulated",
        contact="con_of_nobody",
    )
    for _ in range(5000):
        services.bus.publish(event)
