"""What a person says about a number before it is linked: kept with who and when, and it counts."""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial
from pathlib import Path

import pytest

from daemon.api.signals import (
    Connected,
    Paired,
    QrIssued,
    Scanned,
    SendingReopened,
    SendingRestricted,
    Synced,
)
from daemon.errors import BadRequest, NotFound
from statemachines.session import SendingState
from statemachines.vocabulary import NumberAge, ReportedBan
from storage import audit
from storage.linking_answers import LinkingAnswers, list_linking_answers
from tests.helpers.clock import MIDDAY
from tests.helpers.services.sessions import (
    SESSION_NAME,
    SESSION_PHONE,
    SessionServices,
    open_session_services,
)

DAY = date(2026, 1, 5)
FORTNIGHT = timedelta(days=14)
LINKED = (QrIssued("secret", 1, 6, 60), Scanned(), Paired(SESSION_PHONE), Connected(), Synced())


async def answer(services: SessionServices, banned: ReportedBan, day: date | None = None) -> None:
    """Answer the questions about the number of session ``ventas``."""
    await services.sessions.answer_linking_questions(
        SESSION_NAME, NumberAge.UNDER_A_MONTH, banned, day, "ana"
    )


async def create(services: SessionServices) -> None:
    """Create session ``ventas``, which nobody has linked yet."""
    await services.sessions.create(SESSION_NAME, "puppet", "America/Bogota", {})


async def link(services: SessionServices) -> None:
    """Start session ``ventas`` and link it."""
    await services.sessions.start(SESSION_NAME, "ana")
    await services.clock.settle()
    await services.report_signals(*LINKED)
    assert services.view.state == "ready"


async def test_answers_are_kept_with_who_and_when_and_the_latest_count(tmp_path: Path) -> None:
    """Nothing is overwritten; the audit has it too."""
    async with open_session_services(tmp_path) as services:
        await create(services)
        await answer(services, ReportedBan.UNKNOWN)
        await services.clock.advance(60)
        await answer(services, ReportedBan.YES, DAY)
        found = await services.database.read(partial(list_linking_answers, session=SESSION_NAME))
        age, later = NumberAge.UNDER_A_MONTH, services.clock.now()
        assert found == [
            LinkingAnswers(later, "ana", age, ReportedBan.YES, DAY),
            LinkingAnswers(later - timedelta(seconds=60), "ana", age, ReportedBan.UNKNOWN),
        ]
        entries = await services.database.read(
            lambda reader: audit.list_subject_audit_entries(reader, SESSION_NAME)
        )
        assert [entry.action for entry in entries].count("linking_questions_answered") == 2


async def test_after_a_reported_ban_a_number_only_replies_for_14_days(tmp_path: Path) -> None:
    """From its first link on; then new chats open by themselves."""
    async with open_session_services(tmp_path) as services:
        await create(services)
        await answer(services, ReportedBan.YES)
        await link(services)
        view = services.view
        assert view.sending is SendingState.REPLY_ONLY
        assert view.sending_until == services.clock.now() + FORTNIGHT
        assert "New chats are closed until" in view.sentence
        assert services.sessions.can_send(SESSION_NAME, new_chat=False)
        assert not services.sessions.can_send(SESSION_NAME, new_chat=True)


async def test_linking_it_again_does_not_prolong_or_shorten_that(tmp_path: Path) -> None:
    """The days belong to the number, whatever session it is linked to next."""
    async with open_session_services(tmp_path) as services:
        await create(services)
        await answer(services, ReportedBan.YES)
        await link(services)
        until = services.view.sending_until
        await services.sessions.logout(SESSION_NAME, "ana")
        await services.clock.advance(3600)
        await link(services)
        assert services.view.sending is SendingState.REPLY_ONLY
        assert services.view.sending_until == until


@pytest.mark.parametrize("by_person", [True, False])
async def test_the_end_of_a_restriction_does_not_end_the_14_days(
    tmp_path: Path, *, by_person: bool
) -> None:
    """Neither the platform's word nor a person's opens new chats before the number's own date."""
    async with open_session_services(tmp_path) as services:
        await create(services)
        await answer(services, ReportedBan.YES)
        await link(services)
        until = services.view.sending_until
        await services.report_signals(SendingRestricted("reach_out_timelock"))
        if by_person:
            await services.sessions.acknowledge(SESSION_NAME, "ana")
        else:
            await services.report_signals(SendingReopened())
        view = services.view
        assert (view.sending, view.sending_until) == (SendingState.REPLY_ONLY, until)
        assert "only replies for 14 days" in view.sentence
        assert not services.sessions.can_send(SESSION_NAME, new_chat=True)


@pytest.mark.parametrize("banned", [ReportedBan.NO, ReportedBan.UNKNOWN])
async def test_without_a_reported_ban_nothing_is_closed(
    tmp_path: Path, banned: ReportedBan
) -> None:
    """The age of the number alone closes nothing here."""
    async with open_session_services(tmp_path) as services:
        await create(services)
        await answer(services, banned)
        await link(services)
        assert services.view.sending is SendingState.ALL


async def test_a_ban_that_is_reported_later_counts_too(tmp_path: Path) -> None:
    """Also of a number that is linked already; a longer restriction stays as long."""
    async with open_session_services(tmp_path) as services:
        await create(services)
        await link(services)
        assert services.sessions.can_send(SESSION_NAME, new_chat=True)
        await answer(services, ReportedBan.YES, DAY)
        assert services.view.sending is SendingState.REPLY_ONLY
        assert not services.sessions.can_send(SESSION_NAME, new_chat=True)
        longer = MIDDAY + timedelta(days=60)
        await services.report_signals(SendingRestricted("reach_out_timelock", longer))
        await answer(services, ReportedBan.YES, DAY)
        assert services.view.sending_until == longer


async def test_a_day_that_can_not_be_right_is_refused(tmp_path: Path) -> None:
    """Tomorrow, or the day of a ban that nobody had; and a session that nobody made."""
    async with open_session_services(tmp_path) as services:
        await create(services)
        tomorrow = services.clock.now().date() + timedelta(days=1)
        for banned, day in ((ReportedBan.YES, tomorrow), (ReportedBan.NO, DAY)):
            with pytest.raises(BadRequest, match="can't be right"):
                await answer(services, banned, day)
        found = await services.database.read(partial(list_linking_answers, session=SESSION_NAME))
        assert found == []
        with pytest.raises(NotFound):
            await services.sessions.answer_linking_questions(
                "nobody", NumberAge.LONGER, ReportedBan.NO, None, "ana"
            )
