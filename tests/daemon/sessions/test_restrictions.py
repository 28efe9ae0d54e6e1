"""Bans, blocks, closed chats and a missing phone: what holds, for how long, and who ends it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from daemon.api.signals import (
    Connected,
    ConnectionRefused,
    PhoneSeen,
    SendingReopened,
    SendingRestricted,
    Synced,
)
from daemon.api.transport import Acknowledged
from daemon.errors import Conflict
from daemon.sessions import SessionUnavailable
from daemon.sessions.timers import SessionTimers
from daemon.sessions.transitions import SessionTransitions
from tests.helpers.clock import FakeClock
from tests.helpers.services.sessions import (
    SESSION_NAME,
    SESSION_PHONE,
    SessionServices,
    open_session_services,
)

HOUR = 3600.0
DAY = 24 * HOUR


async def banned(services: SessionServices, hours: float = 5, code: int = 101) -> None:
    """Let the platform ban session ``ventas``."""
    until = services.clock.now() + timedelta(hours=hours)
    await services.report_signals(ConnectionRefused.from_code(402, code, until))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (101, "do not know it"),
        (102, "blocked it"),
        (103, "groups"),
        (104, "same message"),
        (106, "broadcasts"),
        (199, "nothing is sent"),
    ],
)
async def test_a_ban_is_a_hard_stop_with_its_reason(tmp_path: Path, code: int, words: str) -> None:
    """Nothing goes out, the number is marked, and the sentence says why and until when."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        await banned(services, code=code)
        view = services.view
        assert (view.state, view.sending) == ("banned_temporarily", "none")
        assert view.deadline == view.banned_until == services.clock.now() + timedelta(hours=5)
        assert words in view.sentence
        assert "2026-03-03 15:00" in view.sentence  # Bogota
        at = await services.database.read(
            lambda reader: reader.value(
                "SELECT banned_at FROM numbers WHERE phone = ?", (SESSION_PHONE,)
            )
        )
        assert at is not None


async def test_a_ban_ends_by_time_and_then_by_a_person(tmp_path: Path) -> None:
    """Neither start, stop nor restart leads round it; afterwards replies come first."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        await banned(services)
        for attempt in (
            services.sessions.start,
            services.sessions.restart,
            services.sessions.acknowledge,
        ):
            with pytest.raises(Conflict):
                await attempt(SESSION_NAME, "ana")
        await services.sessions.stop(SESSION_NAME, "ana")
        assert (services.view.state, services.view.desired) == ("banned_temporarily", "off")
        await services.clock.advance(5 * HOUR)
        view = services.view
        assert (view.state, view.reason_code) == ("banned_temporarily", "ban_expired")
        assert (view.user_action, view.deadline) == ("acknowledge", None)
        with pytest.raises(Conflict):
            await services.sessions.start(SESSION_NAME, "ana")
        await services.sessions.acknowledge(SESSION_NAME, "ana")
        view = services.view
        assert (view.state, view.sending, view.desired) == ("stopped", "reply_only", "off")
        assert view.sending_until == services.clock.now() + timedelta(days=14)
        await services.sessions.start(SESSION_NAME, "ana")
        await services.clock.settle()
        await services.report_signals(Connected(), Synced())
        assert services.sessions.can_send(SESSION_NAME, new_chat=False)
        assert not services.sessions.can_send(SESSION_NAME, new_chat=True)


async def test_a_ban_without_an_end_lasts_a_day(tmp_path: Path) -> None:
    """Nobody guesses a shorter one."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        await services.report_signals(ConnectionRefused.from_code(402))
        assert services.view.deadline == services.clock.now() + timedelta(hours=24)


async def test_closed_chats_leave_replies_open_until_they_end(tmp_path: Path) -> None:
    """A later notice with an earlier end does not draw the end nearer."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        now = services.clock.now()
        await services.report_signals(
            SendingRestricted("reach_out_timelock", now + timedelta(seconds=40))
        )
        await services.report_signals(
            SendingRestricted("new_chat_cap", now + timedelta(seconds=10))
        )
        view = services.view
        assert (view.state, view.sending) == ("ready", "reply_only")
        assert view.sending_until == now + timedelta(seconds=40)
        assert (view.user_action, view.reason_code) == ("wait_until", "new_chat_cap")
        assert "replies still go" in view.sentence
        assert services.sessions.can_send(SESSION_NAME, new_chat=False)
        assert not services.sessions.can_send(SESSION_NAME, new_chat=True)
        await services.clock.advance(40)
        assert services.sessions.can_send(SESSION_NAME, new_chat=True)
        assert services.view.reason_code == "restriction_ended"


@pytest.mark.parametrize("by_person", [True, False])
async def test_closed_chats_without_an_end_are_opened_by_word(
    tmp_path: Path, *, by_person: bool
) -> None:
    """The platform's word, or a person's."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        await services.report_signals(SendingRestricted("reach_out_timelock"))
        assert services.view.user_action == "acknowledge"
        if by_person:
            await services.sessions.acknowledge(SESSION_NAME, "ana")
        else:
            await services.report_signals(SendingReopened())
        assert services.view.sending == "all"


async def test_a_restriction_changes_nothing_of_a_ban(tmp_path: Path) -> None:
    """None stays none."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        line = services.puppet
        await banned(services)
        line.report(SendingRestricted("reach_out_timelock"))
        await services.clock.settle()
        assert services.view.sending == "none"


async def test_a_missing_phone_is_warned_of_at_3_7_and_10_days(tmp_path: Path) -> None:
    """Each warning comes once, on its day, and is a change of its own."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        life, watches = SessionTransitions(await services.get_row(), Random(1)), SessionTimers()  # noqa: S311
        begun, warned = services.clock.now(), []
        for hours in range(12 * 24):
            now = begun + timedelta(hours=hours)
            watch = watches.find_next(life.record, now=now, last_signal_at=None, retry_at=None)
            if watch and watch.due <= now and (after := watch.action(life, now)):
                life.accept(after)
                warned += [(hours / 24, after.reason_code)] if "phone" in after.reason_code else []
        assert warned == [(days, f"phone_unseen_{days}_days") for days in (3, 7, 10)]


async def test_a_phone_that_was_missed_while_the_daemon_was_down_is_warned_of(
    tmp_path: Path,
) -> None:
    """Of several warnings that are due only the gravest is given, with the day of unlinking."""
    clock = FakeClock()
    async with open_session_services(tmp_path, clock) as services:
        await services.pair_session()
        seen = clock.now()
    await clock.advance(8 * DAY)
    async with open_session_services(tmp_path, clock) as services:
        await services.sessions.restore()
        await clock.advance(10)
        await services.report_signals(Connected(), Synced())
        view = services.view
        assert (view.phone_state, view.user_action) == ("unseen", "open_phone")
        assert (seen + timedelta(days=14)).strftime("%Y-%m-%d") in view.sentence
        given = [reason for reason in services.reason_codes() if reason.startswith("phone")]
        assert given == ["phone_unseen_7_days"]
        await services.report_signals(PhoneSeen(clock.now()))
        assert (services.view.phone_state, services.view.reason_code) == ("seen", "phone_seen")


async def test_a_phone_that_is_online_all_day_is_written_down_once_an_hour(tmp_path: Path) -> None:
    """What is no news costs nothing."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        commits = services.database.commits
        await services.report_signals(*[PhoneSeen(services.clock.now())] * 50)
        assert services.database.commits == commits
        await services.report_signals(PhoneSeen(services.clock.now() + timedelta(hours=1)))
        assert services.database.commits == commits + 1
        assert (await services.get_row()).phone_seen_at == services.clock.now() + timedelta(hours=1)


async def test_a_block_must_be_confirmed_before_a_new_pairing(tmp_path: Path) -> None:
    """Then the next start shows a code."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        await services.report_signals(ConnectionRefused.from_code(403))
        with pytest.raises(Conflict):
            await services.sessions.start(SESSION_NAME, "ana")
        await services.sessions.acknowledge(SESSION_NAME, "ana")
        await services.sessions.start(SESSION_NAME, "ana")
        await services.clock.settle()
        assert services.view.state == "starting"
        assert not services.puppet.context.session.paired


async def test_who_may_only_reply_refuses_a_new_chat_and_sends_to_others(tmp_path: Path) -> None:
    """Whoever sends says which it is; nothing of the refused one reaches the channel."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        await services.report_signals(SendingRestricted("restricted"))
        permit, outgoing = services.permits.issue()
        refused = await services.sessions.send(SESSION_NAME, permit, outgoing, new_chat=True)
        assert isinstance(refused, SessionUnavailable)
        assert (refused.retryable, services.puppet.sent) == (True, [])
        sent = await services.sessions.send(SESSION_NAME, permit, outgoing, new_chat=False)
        assert isinstance(sent, Acknowledged)


async def test_a_session_that_is_gone_refuses_for_certain(tmp_path: Path) -> None:
    """Unknown or deleted: no error and no doubt, and another session may try."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        await services.sessions.delete(SESSION_NAME, "eva")
        for name in (SESSION_NAME, "nobody"):
            refused = await services.sessions.send(name, *services.permits.issue(), new_chat=False)
            assert isinstance(refused, SessionUnavailable)
            assert (refused.reason_code, refused.retryable) == ("session_gone", True)
            assert name in refused.sentence
