"""When a number may be asked about: budgets, age, halt, patience, and who is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from daemon.api.transport import OnWhatsApp
from daemon.contacts.validation import RETRY_AFTER
from daemon.errors import Unavailable
from daemon.settings import PacingSettings, SendingSettings
from statemachines.prospect import ValidationState as State
from storage import halts, prospects
from tests.helpers.services.contacts import ANA, BETO
from tests.helpers.services.validation import ValidationServices, open_validation_services


@pytest.fixture
async def checks(tmp_path: Path) -> AsyncIterator[ValidationServices]:
    """Open the room for one test."""
    async with open_validation_services(tmp_path) as room:
        yield room


async def test_the_budget_is_the_numbers(tmp_path: Path) -> None:
    """Each question is booked before it is asked; a spent budget comes back after 24 hours."""
    pacing = PacingSettings(number_checks=2)
    async with open_validation_services(tmp_path, pacing=pacing) as checks:
        await checks.check_number(ANA)
        await checks.check_number(ANA)
        with pytest.raises(Unavailable):
            await checks.check_number(ANA)
        assert await checks.count_checks() == 2
        await checks.services.clock.leap(timedelta(hours=24).total_seconds())
        await checks.check_number(ANA)


async def test_a_budget_ends_in_the_middle_of_a_question(tmp_path: Path) -> None:
    """Two wait and one check is left: one is asked about, the other waits on."""
    pacing = PacingSettings(number_checks=1)
    async with open_validation_services(tmp_path, pacing=pacing) as checks:
        for phone in (ANA, BETO):
            await checks.defer_until_checked(phone)
        assert await checks.validation.check_waiting() == 1
        assert [phones for _, phones in checks.wire.checks] == [(ANA,)]


async def test_a_young_number_asks_nothing(tmp_path: Path) -> None:
    """None in a number's first 14 days here."""
    async with open_validation_services(tmp_path, days=13) as checks:
        with pytest.raises(Unavailable, match="may check numbers from 2026-03-04 on"):
            await checks.check_number(ANA)
        await checks.services.clock.leap(timedelta(days=1).total_seconds())
        await checks.check_number(ANA)


async def test_another_number_helps_out(tmp_path: Path) -> None:
    """Where the first session's budget is spent, the next one that may is asked."""
    pacing = PacingSettings(number_checks=1)
    async with open_validation_services(tmp_path, pacing=pacing) as checks:
        await checks.services.add_session("second", number="+5491150002222", linked_days=20)
        await checks.check_number(ANA)
        await checks.check_number(BETO)
        assert [name for name, _ in checks.wire.checks] == ["main", "second"]


async def test_a_line_that_never_answers_is_given_up(checks: ValidationServices) -> None:
    """After the time that a send may take, silence is an unknown."""
    asked = asyncio.Event()

    async def hang() -> None:
        asked.set()
        await asyncio.Event().wait()

    checks.wire.before_check_answer = hang
    checking = asyncio.create_task(checks.check_number(ANA))
    await asked.wait()
    await checks.services.clock.advance(SendingSettings().answer_seconds)
    assert await checking is OnWhatsApp.UNKNOWN


async def test_a_halt_stops_checks_too(checks: ValidationServices) -> None:
    """While sending is halted nobody is asked about."""
    at = checks.services.clock.now()
    await checks.services.database.write(
        lambda tx: halts.begin_halt(tx, at=at, who="ana", reason="something is wrong")
    )
    with pytest.raises(Unavailable):
        await checks.check_number(ANA)
    assert checks.wire.checks == []


async def test_who_is_waited_for_is_checked_and_told(checks: ValidationServices) -> None:
    """Only those whose messages wait are asked about, in one question, and each is told of."""
    waiting = {await checks.defer_until_checked(ANA), await checks.defer_until_checked(BETO)}
    checks.set_answer(ANA, "yes")
    assert await checks.validation.check_waiting() == 2
    assert len(checks.wire.checks) == 1
    assert set(checks.requeued_contacts) == waiting
    assert (await checks.get_prospect(ANA)).validation is State.VALIDATED
    assert (await checks.get_prospect(BETO)).check_attempts == 1


async def test_an_unknown_is_asked_again_later(checks: ValidationServices) -> None:
    """Not at once: ten minutes later, so that three unknowns take a while."""
    await checks.defer_until_checked(ANA)
    assert await checks.validation.check_waiting() == 1
    assert await checks.validation.check_waiting() == 0
    await checks.defer_until_checked(ANA)  # as the gate does
    await checks.services.clock.advance(RETRY_AFTER.total_seconds())
    assert await checks.validation.check_waiting() == 1


async def test_it_runs_beside_and_hears_the_bell(checks: ValidationServices) -> None:
    """Running, it looks when woken."""
    checks.services.clock.busy.append(lambda: not checks.requeued_contacts)
    async with checks.validation.running():
        await checks.defer_until_checked(ANA)
        checks.set_answer(ANA, "yes")
        checks.validation.wake()
        await checks.services.clock.settle()
    assert (await checks.get_prospect(ANA)).validation is State.VALIDATED


async def test_a_failure_does_not_end_it(checks: ValidationServices) -> None:
    """The ledger can't be read for a while; the next look finds who is still waiting."""
    services = checks.services
    await services.database.write(lambda tx: tx.execute("ALTER TABLE spends RENAME TO gone"))
    await checks.defer_until_checked(ANA)
    with capture_logs() as lines:
        services.clock.busy.append(lambda: not lines)
        async with checks.validation.running():
            await services.clock.settle()
            await services.database.write(
                lambda tx: tx.execute("ALTER TABLE gone RENAME TO spends")
            )
            services.clock.busy[:] = [lambda: not checks.wire.checks]
            checks.validation.wake()
            await services.clock.settle()
    assert [line["event"] for line in lines] == ["checks_failed"]


async def test_a_check_that_a_crash_cut_short_lapses(checks: ValidationServices) -> None:
    """Checking does not last: after five minutes without an answer it says nothing."""
    prospect, now = await checks.get_prospect(ANA), checks.services.clock.now()
    await checks.services.database.write(
        lambda tx: prospects.update_prospect(tx, prospect.id, at=now, validation="checking")
    )
    assert await checks.validation.sweep() == 0
    await checks.services.clock.advance(300)
    assert await checks.validation.sweep() == 1
    after = await checks.get_prospect(ANA)
    assert (after.validation, after.check_attempts) == (State.UNCHECKED, 1)


async def test_a_message_that_missed_the_answer_is_woken(checks: ValidationServices) -> None:
    """A message deferred while the answer came in is found by the sweep."""
    checks.set_answer(ANA, "yes")
    await checks.check_number(ANA)
    contact = await checks.defer_until_checked(ANA)
    await checks.validation.sweep()
    assert checks.requeued_contacts == [contact]


async def test_every_move_is_news(checks: ValidationServices) -> None:
    """Checking, then the answer: each is published with its reason, once."""
    checks.services.published.clear()
    checks.set_answer(ANA, "no")
    await checks.check_number(ANA)
    told = [event.data for event in checks.services.published if event.type == "prospect.changed"]
    assert [each["validation"] for each in told] == ["checking", "not_reachable"]
    assert [each["reason_code"] for each in told] == ["check_started", "check_no"]


async def test_while_no_session_may_ask_nothing_is_read_through_or_written(tmp_path: Path) -> None:
    """It is called after each evaluation; once a phone may ask, whoever waits is asked about."""
    async with open_validation_services(tmp_path, days=13) as checks:
        await checks.defer_until_checked(ANA)
        before = checks.services.database.commits
        assert await checks.validation.check_waiting() == 0
        assert checks.services.database.commits == before
        await checks.services.clock.leap(timedelta(days=1).total_seconds())
        assert await checks.validation.check_waiting() == 1
