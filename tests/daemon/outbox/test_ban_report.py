"""What a ban's page says: each figure right before the last first contact, and at its worst."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from daemon.api.effects import ContactRequest
from daemon.api.signals import ConnectionRefused
from daemon.errors import NotFound
from daemon.outbox.ban_report import BanReport, load_ban_report
from daemon.settings import PacingSettings
from statemachines.vocabulary import NumberAge, ReportedBan
from storage.bans import list_bans
from tests.helpers.services.messaging import (
    MessagingServices,
    build_phone,
    open_messaging_services,
)
from tests.helpers.services.messaging_scenarios import add_receipt, send_first_messages

pytestmark = pytest.mark.slow

HOUR = 3600.0
PACING = PacingSettings(new_chat_gap_minutes=0, messages_per_minute=1000)


async def ban(services: MessagingServices) -> BanReport:
    """Let the platform ban the number; return the report."""
    until = services.clock.now() + timedelta(hours=5)
    services.wire.lines["main"].report(ConnectionRefused.from_code(402, 101, until))
    await services.clock.settle()
    return await load_latest(services)


async def load_latest(services: MessagingServices) -> BanReport:
    """Return the report of the latest ban."""
    [latest, *_] = await services.database.read(list_bans)
    return await load_ban_report(services.database, services.pacing, latest.id)


async def test_each_figure_is_the_limit_that_would_have_stopped_the_last_contact(
    tmp_path: Path,
) -> None:
    """Four were begun in the day before the last one: a budget of four would have been over."""
    async with open_messaging_services(tmp_path, pacing=PACING) as services:
        await services.add_session()
        sent = await send_first_messages(services, 3)
        await add_receipt(services, sent[2], "delivered")
        contact = (await services.get_message(sent[0])).contact
        await services.add_inbound(contact, ContactRequest.OPT_OUT)
        await services.clock.advance(600)
        await send_first_messages(services, 1, start=3)
        await services.clock.advance(90)
        last_at = services.clock.now()
        await send_first_messages(services, 1, start=4)
        await services.clock.advance(60)
        # After the last first contact: it would not have stopped that one.
        other = (await services.get_message(sent[1])).contact
        await services.add_inbound(other, ContactRequest.OPT_OUT)
        report = await ban(services)
        figures = {each.figure: each for each in report.figures}
        assert (report.first_contacts, report.last_first_contact_at) == (5, last_at)
        assert (figures["new_chats"].last, figures["new_chats"].limit) == (4, 10)
        assert (figures["new_chat_gap"].last, figures["new_chat_gap"].worst) == (1.5, 0)
        assert (figures["opt_outs"].last, figures["opt_outs"].limit) == (1, 3)
        assert (figures["complaints"].last, figures["complaints"].would_stop) == (0, False)
        # Of fewer than ten that were due, the share says nothing.
        assert (figures["undelivered"].last, figures["undelivered"].would_stop) == (None, False)


async def test_the_worst_of_the_72_hours_is_said_and_older_ones_are_not(tmp_path: Path) -> None:
    """Six on one day, one on the next; what was a week ago is no part of it."""
    async with open_messaging_services(tmp_path, pacing=PACING) as services:
        await services.add_session()
        for start, count, hours in ((0, 9, 7 * 24), (10, 6, 26)):
            for message in await send_first_messages(services, count, start=start):
                await add_receipt(services, message, "delivered")
            await services.clock.leap(hours * HOUR)
        await send_first_messages(services, 1, start=20)
        report = await ban(services)
        [new_chats] = [each for each in report.figures if each.figure == "new_chats"]
        assert (new_chats.last, new_chats.worst) == (0, 5)
        assert report.first_contacts == 7


async def test_people_with_open_conversations_are_named(tmp_path: Path) -> None:
    """Who waits, and who wrote in the last day; not who opted out, nor whom nobody knows of."""
    async with open_messaging_services(tmp_path) as services:
        await services.add_session()
        await send_first_messages(services, 3)
        waiting, answered, gone = [
            await services.resolve_contact(build_phone(number)) for number in range(3)
        ]
        for contact in (waiting, answered, gone):
            await services.add_inbound(contact)
        await services.clock.advance(60)
        await services.enqueue_and_settle(build_phone(1), "Sí, claro")
        await services.suppress(build_phone(2))
        report = await ban(services)
        assert {each.contact: each.answered for each in report.conversations} == {
            waiting: False,
            answered: True,
        }


async def test_a_reported_ban_has_no_figures(tmp_path: Path) -> None:
    """Its number was never here; an unknown id is said."""
    async with open_messaging_services(tmp_path) as services:
        await services.add_session()
        await services.sessions.answer_linking_questions(
            "main", NumberAge.LONGER, ReportedBan.YES, None, "ana"
        )
        report = await load_latest(services)
        assert (report.ban.phone, report.figures, report.conversations) == (None, (), ())
        with pytest.raises(NotFound):
            await load_ban_report(services.database, services.pacing, "ban_0")
