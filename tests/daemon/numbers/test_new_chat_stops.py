"""Stops of a number's new chats: after its ban or another number's, after a link that follows one.

Days pass by a moved clock; nothing that ends a process, a session or a pairing ends a stop.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from daemon.api.signals import ConnectionRefused
from daemon.errors import Conflict
from daemon.outbox.pacing import PacingSlot
from statemachines.message import MessageState
from statemachines.vocabulary import NumberAge, ReportedBan
from storage import evaluation_context
from storage.bans import BanRecord, list_bans
from storage.tx import Reader
from tests.helpers.clock import FakeClock
from tests.helpers.puppet_channel import PuppetChannel
from tests.helpers.services.messaging import (
    OUR_NUMBER,
    MessagingServices,
    build_phone,
    open_messaging_services,
)

pytestmark = pytest.mark.slow

S = MessageState
SECOND_NUMBER, THIRD_NUMBER = "+5491144440001", "+5491144440002"
HOUR, DAY = 3600.0, 86_400.0


async def ban(services: MessagingServices, session: str, hours: float = 5) -> None:
    """Let the platform ban a session's number for some hours."""
    until = services.clock.now() + timedelta(hours=hours)
    services.wire.lines[session].report(ConnectionRefused.from_code(402, 101, until))
    await services.clock.settle()


async def find_slot(
    services: MessagingServices, session: str, *, by_hand: bool = False
) -> PacingSlot:
    """Return the slot of a first contact through a session."""
    now = services.clock.now()

    def query(reader: Reader) -> PacingSlot:
        context = evaluation_context.read_session_context(reader, session, now)
        return services.pacing.find_slot(reader, context, now, first_contact=True, by_hand=by_hand)

    return await services.database.read(query)


async def list_all_bans(services: MessagingServices) -> list[BanRecord]:
    """Return every ban."""
    return await services.database.read(list_bans)


async def send_to(services: MessagingServices, number: int, session: str) -> MessageState:
    """Enqueue a first contact through a session; return where it came to at once."""
    await services.add_prospect(build_phone(number))
    message = await services.enqueue_and_settle(build_phone(number), f"a{number}", session=session)
    return await services.get_state(message)


async def test_after_a_ban_every_other_number_begins_no_chats_for_72_hours(tmp_path: Path) -> None:
    """Not 31 seconds later, and not by hand; to the minute."""
    async with open_messaging_services(tmp_path) as services:
        await services.add_session("main")
        await services.add_session("other", number=SECOND_NUMBER)
        assert await send_to(services, 1, "other") is S.SENT
        banned_at = services.clock.now()
        await ban(services, "main")
        await services.clock.advance(31)
        assert await send_to(services, 2, "other") is S.CLEARED
        for by_hand in (False, True):
            slot = await find_slot(services, "other", by_hand=by_hand)
            assert slot.reason_code == "other_number_banned"
            assert slot.at == banned_at + timedelta(hours=72)
        await services.clock.leap(72 * HOUR - 32)
        assert not (await find_slot(services, "other")).is_open(services.clock.now())
        await services.clock.leap(60)
        assert (await find_slot(services, "other")).is_open(services.clock.now())


async def test_a_block_counts_as_a_ban(tmp_path: Path) -> None:
    """403 and 406 lock the account for good."""
    async with open_messaging_services(tmp_path) as services:
        await services.add_session("main")
        await services.add_session("other", number=SECOND_NUMBER)
        services.wire.lines["main"].report(ConnectionRefused.from_code(406))
        await services.clock.settle()
        assert (await find_slot(services, "other")).reason_code == "other_number_banned"
        [stored] = await list_all_bans(services)
        assert (stored.phone, stored.reason_code) == (OUR_NUMBER, "blocked")


async def test_a_number_that_is_linked_after_a_ban_only_replies_for_14_days(
    tmp_path: Path,
) -> None:
    """By hand, too; linking it again, deleting its session or a second one prolongs nothing."""
    async with open_messaging_services(tmp_path) as services:
        await services.add_session("main")
        await ban(services, "main")
        await services.clock.leap(4 * DAY)
        await services.add_session("fresh", number=THIRD_NUMBER, linked_days=0)
        until = services.clock.now() + timedelta(days=14)
        for by_hand in (False, True):
            slot = await find_slot(services, "fresh", by_hand=by_hand)
            assert slot.reason_code == "reply_only_after_ban"
            assert slot.at is not None
            assert abs(slot.at - until) < timedelta(seconds=5)
        assert await send_to(services, 1, "fresh") is S.DEFERRED
        await services.clock.leap(5 * DAY)
        await services.add_session("again", number=THIRD_NUMBER, linked_days=0)
        assert (await find_slot(services, "again")).at == slot.at
        await services.clock.leap(9 * DAY + 10)
        assert (await find_slot(services, "again")).is_open(services.clock.now())


async def test_after_its_own_ban_a_number_needs_two_words_of_a_person_and_14_days(
    tmp_path: Path,
) -> None:
    """Acknowledged it may reply, also by hand; 14 days later new chats go, once resumed."""
    async with open_messaging_services(tmp_path) as services:
        await services.add_session("main")
        await services.sessions.create(
            "hand", "manual", "America/Bogota", {"phone": OUR_NUMBER}, who="ana"
        )
        await services.sessions.start("hand", "ana")
        await ban(services, "main")
        assert (await find_slot(services, "hand", by_hand=True)).at is None
        with pytest.raises(Conflict, match="lasts until"):
            await services.sessions.acknowledge("hand", "ana")
        await services.clock.leap(6 * HOUR)
        # The session that was told of the ban is gone; the number is still banned.
        await services.sessions.delete("main", "ana")
        await services.sessions.acknowledge("hand", "ana")
        [stored] = await list_all_bans(services)
        assert stored.acknowledged_at == services.clock.now()
        await services.breaker.resume(OUR_NUMBER, "ana", "fewer people from now on")
        slot = await find_slot(services, "hand", by_hand=True)
        assert slot.reason_code == "reply_only_after_ban"
        assert slot.at == services.clock.now() + timedelta(days=14)
        await services.clock.leap(14 * DAY)
        assert (await find_slot(services, "hand", by_hand=True)).is_open(services.clock.now())


async def test_a_reported_ban_counts_like_one_that_was_seen(tmp_path: Path) -> None:
    """From the end of its day on, for every number; of an unknown day, from now on."""
    async with open_messaging_services(tmp_path) as services:
        await services.add_session("main")
        await services.sessions.answer_linking_questions(
            "main", NumberAge.LONGER, ReportedBan.YES, date(2026, 3, 1), "ana"
        )
        [stored] = await list_all_bans(services)
        # The day ends at midnight in Buenos Aires.
        assert (stored.phone, stored.at) == (None, datetime(2026, 3, 2, 3, tzinfo=UTC))
        await services.sessions.answer_linking_questions(
            "main", NumberAge.LONGER, ReportedBan.YES, None, "ana"
        )
        slot = await find_slot(services, "main")
        assert slot.reason_code == "other_number_banned"
        assert slot.at == services.clock.now() + timedelta(hours=72)


async def test_no_restart_ends_a_stop(tmp_path: Path) -> None:
    """Ban, link, breaker: all are rows."""
    clock = FakeClock()
    wire = PuppetChannel(clock)
    async with open_messaging_services(tmp_path, clock=clock, wire=wire) as services:
        await services.add_session("main")
        await services.add_session("other", number=SECOND_NUMBER)
        await ban(services, "main")
        before = [await find_slot(services, name) for name in ("main", "other")]
    async with open_messaging_services(tmp_path, clock=clock, wire=wire) as services:
        assert [await find_slot(services, name) for name in ("main", "other")] == before
