"""When a number may be asked about: budgets, age, halt, patience, and who is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.api.transport import OnWhatsApp
from daemon.errors import Unavailable
from daemon.settings import PacingSettings, Settings
from daemon.validation.room import RETRY
from statemachines.prospect import ValidationState as State
from storage import halts, prospects
from tests.helpers.checks import ANA, BETO, Checks, linked, opened
from tests.helpers.importing import SETTINGS


@pytest.fixture
async def checks(tmp_path: Path) -> AsyncIterator[Checks]:
    """Open the room for one test."""
    async with opened(tmp_path) as room:
        yield room


async def test_the_budget_is_the_numbers(tmp_path: Path) -> None:
    """Each question is booked before it is asked; a spent budget comes back after 24 hours."""
    settings = Settings(pacing=PacingSettings(number_checks=2))
    async with opened(tmp_path, settings=settings) as checks:
        await checks.check(ANA)
        await checks.check(ANA)
        with pytest.raises(Unavailable):
            await checks.check(ANA)
        assert await checks.spent() == 2
        await checks.room.clock.advance(timedelta(hours=24).total_seconds())
        await checks.check(ANA)


async def test_a_budget_ends_in_the_middle_of_a_question(tmp_path: Path) -> None:
    """Two wait and one check is left: one is asked about, the other waits on."""
    settings = Settings(pacing=PacingSettings(number_checks=1))
    async with opened(tmp_path, settings=settings) as checks:
        for phone in (ANA, BETO):
            await checks.wait_for_check(phone)
        assert await checks.validation.check_waiting() == 1
        assert [phones for _, phones in checks.line.asked] == [(ANA,)]


async def test_a_young_number_asks_nothing(tmp_path: Path) -> None:
    """None in a number's first 14 days here."""
    async with opened(tmp_path, days=13) as checks:
        with pytest.raises(Unavailable, match="No session may check"):
            await checks.check(ANA)
        await checks.room.clock.advance(timedelta(days=1).total_seconds())
        await checks.check(ANA)


async def test_another_number_helps_out(tmp_path: Path) -> None:
    """Where the first session's budget is spent, the next one that may is asked."""
    settings = Settings(pacing=PacingSettings(number_checks=1))
    async with opened(tmp_path, settings=settings) as checks:
        at = checks.room.clock.now()
        await checks.room.database.write(
            lambda tx: linked(tx, at, days=20, name="second", phone="+5491150002222")
        )
        await checks.check(ANA)
        await checks.check(BETO)
        assert [name for name, _ in checks.line.asked] == ["main", "second"]


async def test_a_line_that_never_answers_is_given_up(checks: Checks) -> None:
    """After the time that a send may take, silence is an unknown."""
    asked = asyncio.Event()

    async def hang() -> None:
        asked.set()
        await asyncio.Event().wait()

    checks.line.meanwhile = hang
    checking = asyncio.create_task(checks.check(ANA))
    await asked.wait()
    await checks.room.clock.advance(SETTINGS.sending.answer_seconds)
    assert await checking is OnWhatsApp.UNKNOWN


async def test_a_halt_stops_checks_too(checks: Checks) -> None:
    """While sending is halted nobody is asked about."""
    at = checks.room.clock.now()
    await checks.room.database.write(
        lambda tx: halts.begin(tx, at=at, who="ana", reason="something is wrong")
    )
    with pytest.raises(Unavailable):
        await checks.check(ANA)
    assert checks.line.asked == []


async def test_who_is_waited_for_is_checked_and_told(checks: Checks) -> None:
    """Only those whose messages wait are asked about, in one question, and each is told of."""
    waiting = {await checks.wait_for_check(ANA), await checks.wait_for_check(BETO)}
    checks.line.say(ANA, "yes")
    assert await checks.validation.check_waiting() == 2
    assert len(checks.line.asked) == 1
    assert set(checks.woken) == waiting
    assert (await checks.of(ANA)).validation is State.VALIDATED
    assert (await checks.of(BETO)).check_attempts == 1


async def test_an_unknown_is_asked_again_later(checks: Checks) -> None:
    """Not at once: ten minutes later, so that three unknowns take a while."""
    await checks.wait_for_check(ANA)
    assert await checks.validation.check_waiting() == 1
    assert await checks.validation.check_waiting() == 0
    await checks.room.clock.advance(RETRY.total_seconds())
    assert await checks.validation.check_waiting() == 1


async def test_it_runs_beside_and_hears_the_bell(checks: Checks) -> None:
    """Running, it looks when woken."""
    checks.room.clock.busy.append(lambda: not checks.woken)
    async with checks.validation.running():
        await checks.wait_for_check(ANA)
        checks.line.say(ANA, "yes")
        checks.validation.wake()
        await checks.room.clock.settle()
    assert (await checks.of(ANA)).validation is State.VALIDATED


async def test_a_failure_does_not_end_it(checks: Checks) -> None:
    """Whoever hears of an answer may fail; the next look finds who is still waiting."""
    heard: list[str] = []

    async def fail_once(contact: str) -> None:
        heard.append(contact)
        if len(heard) == 1:
            raise OSError

    checks.validation.on_checked = fail_once
    await checks.wait_for_check(ANA)
    checks.room.clock.busy.append(lambda: not heard)
    async with checks.validation.running():
        await checks.room.clock.settle()
        checks.room.clock.busy[:] = [lambda: len(heard) < 2]
        await checks.wait_for_check(BETO)
        checks.validation.wake()
        await checks.room.clock.settle()
    assert len(heard) == 2


async def test_a_check_that_a_crash_cut_short_lapses(checks: Checks) -> None:
    """Checking does not last: after five minutes without an answer it says nothing."""
    prospect, now = await checks.of(ANA), checks.room.clock.now()
    await checks.room.database.write(
        lambda tx: prospects.update(tx, prospect.id, at=now, validation="checking")
    )
    assert await checks.validation.sweep() == 0
    await checks.room.clock.advance(300)
    assert await checks.validation.sweep() == 1
    after = await checks.of(ANA)
    assert (after.validation, after.check_attempts) == (State.UNCHECKED, 1)


async def test_a_message_that_missed_the_answer_is_woken(checks: Checks) -> None:
    """A message deferred while the answer came in is found by the sweep."""
    checks.line.say(ANA, "yes")
    await checks.check(ANA)
    checks.woken.clear()
    contact = await checks.wait_for_check(ANA)
    await checks.validation.sweep()
    assert checks.woken == [contact]


async def test_every_move_is_news(checks: Checks) -> None:
    """Checking, then the answer: each is published with its reason, once."""
    checks.room.published.clear()
    checks.line.say(ANA, "no")
    await checks.check(ANA)
    told = [event.data for event in checks.room.published if event.type == "prospect.changed"]
    assert [each["validation"] for each in told] == ["checking", "not_reachable"]
    assert [each["reason_code"] for each in told] == ["check_started", "check_no"]
