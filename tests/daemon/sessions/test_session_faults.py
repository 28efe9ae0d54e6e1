"""What goes wrong around a session: the disk, the transport, its news, and a close that hangs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from typing import cast

import pytest
from msgspec.structs import replace

from daemon.api.identity import Identity, parse_identity
from daemon.api.permit import PermitRefused, PermitVerifier
from daemon.api.signals import (
    AliasLearned,
    Connected,
    ConnectionRefused,
    Disconnected,
    InboundMessage,
    OwnMessage,
    Paired,
    QrIssued,
    Receipt,
    ReceiptKind,
    RefusalKind,
    Scanned,
    Signal,
    Synced,
)
from daemon.api.transport import (
    Acknowledged,
    Capabilities,
    Channel,
    KnownContact,
    Media,
    OnWhatsApp,
    OpenContext,
    Pairing,
    Refused,
    SendResult,
    SessionInfo,
    Transport,
    Unknown,
)
from daemon.sessions.connection import SessionConnection
from daemon.worker_launcher import launch_worker
from storage.errors import WriteFailed
from tests.helpers.clock import MIDDAY, FakeClock
from tests.helpers.services.notes_database import hold_writer, yield_to_tasks
from tests.helpers.services.sessions import SESSION_NAME, SessionServices, open_session_services
from tests.helpers.transport import ANA, PermitFactory

BAJA = InboundMessage(
    "in-1", parse_identity("1234@lid"), "BAJA", MIDDAY, aliases=(parse_identity(ANA),)
)


class UnknownSignal(Signal, frozen=True):
    """A signal that no session knows."""


async def test_what_must_not_be_lost_goes_to_its_room_in_order(tmp_path: Path) -> None:
    """Inbound, receipts, own messages and hidden ids, each with the session's name."""
    news = (
        AliasLearned(parse_identity("1234@lid"), parse_identity(ANA)),
        BAJA,
        Receipt("wire-1", parse_identity(ANA), ReceiptKind.READ, MIDDAY),
        OwnMessage("own-1", parse_identity(ANA), MIDDAY),
    )
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        await services.report_signals(*news)
        assert services.stored == [(SESSION_NAME, signal) for signal in news]


async def test_the_next_signal_waits_until_the_last_one_is_stored(tmp_path: Path) -> None:
    """A slow room slows the line down, and loses nothing."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        services.fail_to_store += [OSError("full")] * 2
        await services.report_signals(BAJA, Disconnected())
        assert services.stored == []
        assert services.view.state == "ready"
        await services.clock.advance(6)
        assert services.stored == [(SESSION_NAME, BAJA)]
        assert services.view.state == "backoff"


async def test_a_session_that_can_not_store_what_people_write_stops_sending(
    tmp_path: Path,
) -> None:
    """Where the quarantine fails too, the line is given up: the news may have been an opt-out."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        services.fail_to_store += [OSError("full")] * 4
        services.fail_to_quarantine += [OSError("full")] * 5
        await services.report_signals(BAJA)
        await services.clock.advance(42)
        assert (services.view.state, services.view.reason_code) == ("backoff", "worker_died")
        assert not services.sessions.can_send(SESSION_NAME, new_chat=False)


async def test_a_signal_that_makes_no_sense_is_counted_and_nothing_else(tmp_path: Path) -> None:
    """An illegal move leaves the session as it was, and alive."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        before = services.view
        await services.report_signals(Connected(), Synced())
        assert services.view == before
        assert services.sessions.refused_signals[SESSION_NAME] == 2
        await services.report_signals(Disconnected())
        assert services.view.state == "backoff"


async def test_a_state_is_shown_once_it_is_stored(tmp_path: Path) -> None:
    """A power cut never takes back what was shown; sending stops before, at the signal."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        async with hold_writer(services.database):
            services.puppet.report(ConnectionRefused(RefusalKind.LOGGED_OUT))
            await yield_to_tasks(100)
            assert not services.sessions.can_send(SESSION_NAME, new_chat=False)
            assert services.view.state == "ready"
        await services.clock.settle()
        assert services.view.state == "logged_out"


class FaultyRandom(Random):
    """Chance that fails at the first wait it is asked for."""

    failed = False

    def uniform(self, a: float, b: float) -> float:
        """Fail, once."""
        if not self.failed:
            self.failed = True
            raise OSError
        return super().uniform(a, b)


async def test_a_fault_of_our_own_is_counted_and_the_session_goes_on(tmp_path: Path) -> None:
    """The signal at which it happened changes nothing; the next one is taken as ever."""
    async with open_session_services(tmp_path, rng=FaultyRandom(7)) as services:
        await services.pair_session()
        await services.report_signals(Disconnected())
        assert services.sessions.failures[SESSION_NAME] == 1
        assert services.view.state == "ready"
        await services.report_signals(Disconnected())
        assert services.view.state == "backoff"


@pytest.mark.parametrize(
    ("poison", "reason_code"),
    [
        (replace(BAJA, text="hola \ud83d"), "text_unstorable"),
        (replace(BAJA, written_at=MIDDAY.replace(tzinfo=None)), "time_without_zone"),
        (None, "not_a_signal"),
        (UnknownSignal(), "signal_unknown"),
    ],
)
async def test_what_comes_behind_a_signal_that_can_not_be_stored_is_heard(
    tmp_path: Path, poison: Signal, reason_code: str
) -> None:
    """The one is quarantined and counted, the other stored; the line lives."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        await services.report_signals(poison)
        await services.report_signals(BAJA)
        assert [each.reason_code for each in services.rejected] == [reason_code]
        assert services.rejected[0].channel == "puppet"
        assert services.stored == [(SESSION_NAME, BAJA)]
        assert services.sessions.refused_signals[SESSION_NAME] == 1
        assert services.view.state == "ready"


async def test_what_the_disk_takes_and_the_handler_does_not_is_quarantined(tmp_path: Path) -> None:
    """After four tries; the fault is named, and what comes behind it is heard."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        services.fail_to_store += [ValueError("poison")] * 4
        services.fail_to_quarantine += [ValueError("poison")] * 4
        later = replace(BAJA, wire_id="in-2")
        await services.report_signals(BAJA, later)
        await services.clock.advance(42)
        (rejected,) = services.rejected
        assert (rejected.signal, rejected.reason_code) == ("InboundMessage", "not_stored")
        assert rejected.sentence.endswith("which could not be stored; the log says why.")
        assert rejected.kept == {}  # it may be what did not go in
        assert services.stored == [(SESSION_NAME, later)]
        assert services.view.state == "ready"


async def test_a_group_is_nobody_and_is_only_counted(tmp_path: Path) -> None:
    """Its words are no contact's."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        raw = cast("Identity", "120363041234567890@g.us")
        await services.report_signals(replace(BAJA, sender=raw))
        assert (services.stored, services.rejected) == ([], [])
        assert services.sessions.refused_signals[SESSION_NAME] == 1


async def test_a_ban_with_an_end_that_can_not_be_read_is_a_ban(tmp_path: Path) -> None:
    """It stops the session, and the channel's fault is told."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        naive = MIDDAY.replace(tzinfo=None)
        await services.report_signals(ConnectionRefused.from_code(402, 101, naive))
        assert services.view.state == "banned_temporarily"
        assert [each.reason_code for each in services.rejected] == ["time_without_zone"]


async def test_what_the_platform_did_counts_although_the_disk_refuses(tmp_path: Path) -> None:
    """A ban stops all sending at once, and is stored again every second until it is stored."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        services.database.refuses = True
        await services.report_signals(ConnectionRefused.from_code(402))
        assert services.view.state == "banned_temporarily"
        assert (await services.get_row()).connection == "ready"
        await services.clock.advance(5)
        services.database.refuses = False
        await services.clock.advance(1)
        row = await services.get_row()
        assert (row.connection, row.sending) == ("banned_temporarily", "none")
        assert services.events[-1].data["state"] == "banned_temporarily"


async def test_what_is_not_stored_is_not_sent_upon(tmp_path: Path) -> None:
    """Ready counts once the disk knows it."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        await services.report_signals(Disconnected())
        await services.clock.advance(3)
        await services.report_signals(Connected())
        services.database.refuses = True
        await services.report_signals(Synced())
        assert services.view.state == "ready"
        assert not services.sessions.can_send(SESSION_NAME, new_chat=False)
        services.database.refuses = False
        await services.clock.advance(1)
        assert services.sessions.can_send(SESSION_NAME, new_chat=False)


async def test_an_order_that_can_not_be_stored_has_not_happened(tmp_path: Path) -> None:
    """The person is told, and the session is as before."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        before = services.view
        services.database.refuses = True
        with pytest.raises(WriteFailed):
            await services.sessions.stop(SESSION_NAME, "ana")
        assert services.view == before
        assert not services.puppet.closed
        services.database.refuses = False
        await services.sessions.stop(SESSION_NAME, "ana")
        assert services.view.state == "stopped"


async def sent(services: SessionServices) -> SendResult:
    """Send a message through session ``ventas``."""
    return await services.sessions.send(SESSION_NAME, *services.permits.issue(), new_chat=True)


async def test_only_a_ready_session_sends(tmp_path: Path) -> None:
    """Anything else is certainly not sent, and may be tried again."""
    async with open_session_services(tmp_path) as services:
        await services.start_session()
        refused = await sent(services)
        assert isinstance(refused, Refused)
        assert refused.retryable
        assert services.puppet.sent == []
        unknown = await services.sessions.check_numbers(SESSION_NAME, [ANA])
        assert [answer.answer for answer in unknown] == [OnWhatsApp.UNKNOWN]
        await services.sessions.stop(SESSION_NAME, "ana")
        await services.sessions.delete(SESSION_NAME, "ana")


async def test_a_ready_session_sends_and_checks(tmp_path: Path) -> None:
    """The acknowledgement is the return value."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        assert isinstance(await sent(services), Acknowledged)
        answers = await services.sessions.check_numbers(SESSION_NAME, [ANA])
        assert [answer.answer for answer in answers] == [OnWhatsApp.YES]


async def test_a_fault_while_sending_is_doubt_and_a_refused_permit_is_certain(
    tmp_path: Path,
) -> None:
    """Nobody sends again blindly after a fault."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        services.puppet.answer = OSError("broken pipe")
        assert isinstance(await sent(services), Unknown)
        answers = await services.sessions.check_numbers(SESSION_NAME, [ANA])
        assert [answer.answer for answer in answers] == [OnWhatsApp.UNKNOWN]
        services.puppet.answer = PermitRefused("permit_expired", "The permit has expired.")
        refused = await sent(services)
        assert refused == Refused("permit_expired", "The permit has expired.")


async def test_what_a_transport_answers_is_checked_before_it_counts(tmp_path: Path) -> None:
    """Nonsense is a doubt, and so is a call that its own transport cancelled."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        services.puppet.answer = cast("SendResult", "done")
        assert isinstance(await sent(services), Unknown)
        services.puppet.answer = asyncio.CancelledError()
        assert isinstance(await sent(services), Unknown)


async def test_the_contacts_of_an_account_are_those_that_can_be_read(tmp_path: Path) -> None:
    """Nobody while it is not connected, or where the channel fails."""
    async with open_session_services(tmp_path) as services:
        await services.start_session()
        assert await services.sessions.list_contacts(SESSION_NAME) == []
        await services.report_signals(QrIssued("secret", 1, 6, 60), Scanned(), Paired(ANA))
        await services.report_signals(Connected(), Synced())
        ana = KnownContact((parse_identity(ANA),), "Ana")
        services.puppet.known = [ana, KnownContact((cast("Identity", "120363041@g.us"),))]
        assert await services.sessions.list_contacts(SESSION_NAME) == [ana]
        services.puppet.answer = OSError("broken pipe")
        assert await services.sessions.list_contacts(SESSION_NAME) == []


async def test_a_channel_is_asked_for_nothing_that_it_does_not_declare(tmp_path: Path) -> None:
    """No number is checked, no file goes out, and an acknowledgement proves nothing."""
    declared = Capabilities(pairing=Pairing.QR)
    async with open_session_services(tmp_path, capabilities=declared) as services:
        await services.pair_session()
        answers = await services.sessions.check_numbers(SESSION_NAME, [ANA])
        assert [each.answer for each in answers] == [OnWhatsApp.UNKNOWN]
        assert services.puppet.checked == []
        doubt = await sent(services)
        assert isinstance(doubt, Unknown)
        assert doubt.reason_code == "acknowledgement_not_declared"
        permit, outgoing = services.permits.issue()
        file = replace(outgoing, content=Media(tmp_path / "a.png", "image/png", "00"))
        refused = await services.sessions.send(SESSION_NAME, permit, file, new_chat=True)
        assert isinstance(refused, Refused)
        assert refused.reason_code == "content_not_supported"
        assert len(services.puppet.sent) == 1


async def test_a_line_that_breaks_leaves_the_message_in_doubt(tmp_path: Path) -> None:
    """Whoever waits for an acknowledgement is told at once."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        services.puppet.answer = None
        sending = asyncio.create_task(sent(services))
        await services.report_signals(Disconnected())
        result = await sending
        assert isinstance(result, Unknown)
        assert result.reason_code == "line_closed"


async def test_a_stop_gives_what_is_on_the_wire_a_moment(tmp_path: Path) -> None:
    """A second and a half; afterwards the message is in doubt, and the stop is done."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        services.puppet.answer = None
        sending = asyncio.create_task(sent(services))
        await services.clock.settle()
        stopping = asyncio.create_task(services.sessions.stop(SESSION_NAME, "ana"))
        await services.clock.advance(1.4)
        assert not sending.done()
        assert not services.sessions.can_send(SESSION_NAME, new_chat=False)
        await services.clock.advance(0.1)
        await stopping
        assert isinstance(await sending, Unknown)


async def test_a_close_that_hangs_is_bounded(tmp_path: Path) -> None:
    """Ten seconds, and the session goes on without that line."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        services.puppet.close_hangs = True
        stopping = asyncio.create_task(services.sessions.stop(SESSION_NAME, "ana"))
        await services.clock.advance(10)
        await stopping
        assert services.view.state == "stopped"


async def test_a_caller_who_gives_up_a_send_gives_up_the_call(tmp_path: Path) -> None:
    """The bound of a send is its caller's."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        services.puppet.answer = None
        sending = asyncio.create_task(sent(services))
        await services.clock.settle()
        sending.cancel()
        await services.clock.settle()
        assert sending.cancelled()
        await services.sessions.stop(SESSION_NAME, "ana")
        assert services.view.state == "stopped"


async def test_a_line_that_is_not_open_yet_knows_and_sends_nothing(tmp_path: Path) -> None:
    """A slow worker is no reason to guess."""
    clock = FakeClock()
    never = asyncio.Event()

    async def slow(_: OpenContext) -> Transport:
        await never.wait()
        raise AssertionError

    async def hear(*_: object) -> None:
        raise AssertionError

    pen = PermitFactory(clock)
    info = SessionInfo(SESSION_NAME, paired=True, phone=None, folder=tmp_path)
    context = OpenContext(info, clock, PermitVerifier(pen.signer.public_key), launch_worker)
    line = SessionConnection(Channel("slow", "", slow), context, on_signal=hear, on_fault=hear)
    assert isinstance(await line.send(*pen.issue()), Refused)
    assert [each.answer for each in await line.check_numbers([ANA])] == [OnWhatsApp.UNKNOWN]
    await line.logout()
    await line.close()
    await line.close()


async def test_a_transport_that_fails_to_close_is_left_behind(tmp_path: Path) -> None:
    """Its error is logged, and the session goes on."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        services.puppet.close_fails = OSError("broken pipe")
        await services.sessions.stop(SESSION_NAME, "ana")
        assert services.view.state == "stopped"
