"""Committed events wake whoever has something to do; where none is heard, the rows decide."""

from __future__ import annotations

from pathlib import Path

from structlog.testing import capture_logs

from daemon.events import SendingHalted
from daemon.rulesets.active import ActiveRulesets
from daemon.settings import RulesSettings
from statemachines.message import MessageState
from tests.helpers.clock import FakeClock
from tests.helpers.services.messaging import ANA, MessagingServices, open_messaging_services
from tests.helpers.transport import FakeSendingPort

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
    await services.update_session(sending="reply_only")
    message = await services.enqueue_and_settle()
    assert (await services.get_message(message)).waits_for == "session"
    await services.update_session(reason_code="phone_seen")
    await services.clock.settle()
    assert await services.get_state(message) is S.DEFERRED
    await services.update_session(sending="all")
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
        await services.update_session(sending="none")
        message = await services.enqueue_and_settle()
        assert await services.get_state(message) is S.DEFERRED
    async with open_messaging_services(tmp_path, clock=clock, started=False) as services:
        await services.update_session(sending="all")
    async with open_messaging_services(tmp_path, clock=clock) as services:
        await services.clock.settle()
        assert await services.get_state(message) is S.SENT


async def test_events_that_were_lost_are_made_up_by_a_look_at_everything(tmp_path: Path) -> None:
    """The subscriber's queue ran full: what it missed is found in the rows."""
    clock = FakeClock()
    wire = FakeSendingPort(clock)
    async with open_messaging_services(tmp_path, clock=clock, wire=wire) as services:
        await services.add_session()
        await services.add_prospect()
        wire.up = False
        message = await services.enqueue_and_settle()
        assert await services.get_state(message) is S.CLEARED
        wire.up = True
        event = SendingHalted(subject="installation", at=clock.now(), who="eva", reason="x")
        with capture_logs() as lines:
            for _ in range(5000):
                services.bus.publish(event)
            await clock.settle()
        assert [line["event"] for line in lines] == ["wakeups_lagged"]
        assert await services.get_state(message) is S.SENT
        assert services.bus.subscriber_count == 1


async def test_a_fault_in_between_loses_nothing(services: MessagingServices) -> None:
    """The disk refuses just when an event is looked at: a moment later everything is."""
    services.bring_line_down()
    message = await services.enqueue_and_settle()
    services.wire.up = True
    event = SendingHalted(subject="installation", at=services.clock.now(), who="eva", reason="x")
    await services.execute_sql("ALTER TABLE sessions RENAME TO gone")
    for _ in range(5000):
        services.bus.publish(event)
    await services.clock.settle()
    await services.execute_sql("ALTER TABLE gone RENAME TO sessions")
    assert await services.get_state(message) is S.CLEARED
    await services.clock.advance(2)
    assert await services.get_state(message) is S.SENT
