"""What goes wrong around a session: the disk, the transport, its news, and a close that hangs."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.api.permit import PermitRefused, PermitVerifier
from daemon.api.signals import (
    Connected,
    ConnectionRefused,
    Disconnected,
    InboundMessage,
    LidLearned,
    OwnMessage,
    Receipt,
    ReceiptKind,
    Signal,
    Synced,
)
from daemon.api.transport import (
    Acknowledged,
    OnWhatsApp,
    OpenContext,
    Refused,
    SendResult,
    SessionInfo,
    Transport,
    Unknown,
)
from daemon.sessions.line import Line
from storage.errors import WriteFailed
from tests.helpers.clock import MIDDAY, FakeClock
from tests.helpers.lines import ANA, Pen
from tests.helpers.sessions import NAME, Room, sessions_room

BAJA = InboundMessage("in-1", "1234@lid", ANA, "BAJA", MIDDAY)


class Meteor(Signal):
    """A signal that no session knows."""


async def test_what_must_not_be_lost_goes_to_its_room_in_order(tmp_path: Path) -> None:
    """Inbound, receipts, own messages and hidden ids, each with the session's name."""
    news = (
        LidLearned("1234@lid", ANA),
        BAJA,
        Receipt("wire-1", ANA, ReceiptKind.READ, MIDDAY),
        OwnMessage("own-1", ANA, MIDDAY),
    )
    async with sessions_room(tmp_path) as room:
        await room.paired()
        await room.says(*news)
        assert room.stored == [(NAME, signal) for signal in news]


async def test_the_next_signal_waits_until_the_last_one_is_stored(tmp_path: Path) -> None:
    """A slow room slows the line down, and loses nothing."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        room.fail_to_store += [OSError("full")] * 2
        await room.says(BAJA, Disconnected())
        assert room.stored == []
        assert room.view.state == "ready"
        await room.clock.advance(6)
        assert room.stored == [(NAME, BAJA)]
        assert room.view.state == "backoff"


async def test_a_session_that_can_not_store_what_people_write_stops_sending(
    tmp_path: Path,
) -> None:
    """After four tries the line is given up: the news may have been an opt-out."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        room.fail_to_store += [OSError("full")] * 4
        await room.says(BAJA)
        await room.clock.advance(21)
        assert (room.view.state, room.view.reason_code) == ("backoff", "worker_died")
        assert not room.sessions.can_send(NAME, new_chat=False)


async def test_a_signal_that_makes_no_sense_is_counted_and_nothing_else(tmp_path: Path) -> None:
    """An illegal move and an unknown signal leave the session as it was, and alive."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        before = room.view
        await room.says(Connected(), Synced(), Meteor())
        assert room.view == before
        assert room.sessions.refused[NAME] == 3
        await room.says(Disconnected())
        assert room.view.state == "backoff"


async def test_a_fault_of_our_own_is_counted_and_the_session_goes_on(tmp_path: Path) -> None:
    """A restriction with a naive end can't be compared: one signal is lost, not the session."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        naive = MIDDAY.replace(tzinfo=None)
        await room.says(ConnectionRefused(402, 101, naive))
        assert room.sessions.failures[NAME] == 1
        assert (room.view.state, room.view.sending) == ("ready", "all")
        await room.says(ConnectionRefused(402, 101, MIDDAY + timedelta(hours=1)))
        assert room.view.state == "banned_temporarily"


async def test_what_the_platform_did_counts_although_the_disk_refuses(tmp_path: Path) -> None:
    """A ban stops all sending at once, and is stored again every second until it is stored."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        room.database.refuses = True
        await room.says(ConnectionRefused(402))
        assert room.view.state == "banned_temporarily"
        assert (await room.row()).connection == "ready"
        await room.clock.advance(5)
        room.database.refuses = False
        await room.clock.advance(1)
        row = await room.row()
        assert (row.connection, row.sending) == ("banned_temporarily", "none")
        assert room.events[-1].data["state"] == "banned_temporarily"


async def test_what_is_not_stored_is_not_sent_upon(tmp_path: Path) -> None:
    """Ready counts once the disk knows it."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        await room.says(Disconnected())
        await room.clock.advance(3)
        await room.says(Connected())
        room.database.refuses = True
        await room.says(Synced())
        assert room.view.state == "ready"
        assert not room.sessions.can_send(NAME, new_chat=False)
        room.database.refuses = False
        await room.clock.advance(1)
        assert room.sessions.can_send(NAME, new_chat=False)


async def test_an_order_that_can_not_be_stored_has_not_happened(tmp_path: Path) -> None:
    """The person is told, and the session is as before."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        before = room.view
        room.database.refuses = True
        with pytest.raises(WriteFailed):
            await room.sessions.stop(NAME, "ana")
        assert room.view == before
        assert not room.puppet.closed
        room.database.refuses = False
        await room.sessions.stop(NAME, "ana")
        assert room.view.state == "stopped"


async def sent(room: Room) -> SendResult:
    """Send a message through session ``ventas``."""
    return await room.sessions.send(NAME, *room.pen.permit())


async def test_only_a_ready_session_sends(tmp_path: Path) -> None:
    """Anything else is certainly not sent, and may be tried again."""
    async with sessions_room(tmp_path) as room:
        await room.begun()
        refused = await sent(room)
        assert isinstance(refused, Refused)
        assert refused.retryable
        assert room.puppet.sent == []
        unknown = await room.sessions.check_numbers(NAME, [ANA])
        assert [answer.answer for answer in unknown] == [OnWhatsApp.UNKNOWN]
        await room.sessions.stop(NAME, "ana")
        await room.sessions.delete(NAME, "ana")


async def test_a_ready_session_sends_and_checks(tmp_path: Path) -> None:
    """The acknowledgement is the return value."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        assert isinstance(await sent(room), Acknowledged)
        answers = await room.sessions.check_numbers(NAME, [ANA])
        assert [answer.answer for answer in answers] == [OnWhatsApp.YES]


async def test_a_fault_while_sending_is_doubt_and_a_refused_permit_is_certain(
    tmp_path: Path,
) -> None:
    """Nobody sends again blindly after a fault."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        room.puppet.answer = OSError("broken pipe")
        assert isinstance(await sent(room), Unknown)
        answers = await room.sessions.check_numbers(NAME, [ANA])
        assert [answer.answer for answer in answers] == [OnWhatsApp.UNKNOWN]
        room.puppet.answer = PermitRefused("permit_expired", "The permit has expired.")
        refused = await sent(room)
        assert refused == Refused("permit_expired", "The permit has expired.")


async def test_a_line_that_breaks_leaves_the_message_in_doubt(tmp_path: Path) -> None:
    """Whoever waits for an acknowledgement is told at once."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        room.puppet.answer = None
        sending = asyncio.create_task(sent(room))
        await room.says(Disconnected())
        result = await sending
        assert isinstance(result, Unknown)
        assert result.reason_code == "line_closed"


async def test_a_stop_gives_what_is_on_the_wire_a_moment(tmp_path: Path) -> None:
    """Five seconds; afterwards the message is in doubt, and the stop is done."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        room.puppet.answer = None
        sending = asyncio.create_task(sent(room))
        await room.clock.settle()
        stopping = asyncio.create_task(room.sessions.stop(NAME, "ana"))
        await room.clock.advance(4.9)
        assert not sending.done()
        assert not room.sessions.can_send(NAME, new_chat=False)
        await room.clock.advance(0.1)
        await stopping
        assert isinstance(await sending, Unknown)


async def test_a_close_that_hangs_is_bounded(tmp_path: Path) -> None:
    """Ten seconds, and the session goes on without that line."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        room.puppet.close_hangs = True
        stopping = asyncio.create_task(room.sessions.stop(NAME, "ana"))
        await room.clock.advance(10)
        await stopping
        assert room.view.state == "stopped"


async def test_a_caller_who_gives_up_a_send_gives_up_the_call(tmp_path: Path) -> None:
    """The bound of a send is its caller's."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        room.puppet.answer = None
        sending = asyncio.create_task(sent(room))
        await room.clock.settle()
        sending.cancel()
        await room.clock.settle()
        assert sending.cancelled()
        await room.sessions.stop(NAME, "ana")
        assert room.view.state == "stopped"


async def test_a_line_that_is_not_open_yet_knows_and_sends_nothing(tmp_path: Path) -> None:
    """A slow worker is no reason to guess."""
    clock = FakeClock()
    never = asyncio.Event()

    async def slow(_: OpenContext) -> Transport:
        await never.wait()
        raise AssertionError

    async def hear(_: Line, __: Signal) -> None:
        raise AssertionError

    pen = Pen(clock)
    info = SessionInfo(NAME, paired=True, phone=None, folder=tmp_path)
    line = Line(slow, OpenContext(info, clock, PermitVerifier(pen.signer.public_key)), hear)
    assert isinstance(await line.send(*pen.permit()), Refused)
    assert [each.answer for each in await line.check_numbers([ANA])] == [OnWhatsApp.UNKNOWN]
    await line.logout()
    await line.close()
    await line.close()


async def test_a_transport_that_fails_to_close_is_left_behind(tmp_path: Path) -> None:
    """Its error is logged, and the session goes on."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        room.puppet.close_fails = OSError("broken pipe")
        await room.sessions.stop(NAME, "ana")
        assert room.view.state == "stopped"
