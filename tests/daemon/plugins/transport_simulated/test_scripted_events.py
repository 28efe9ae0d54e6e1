"""What a script lets happen on a simulated transport.

Each action once, at its moment after the first ready.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from daemon.api.identity import Identity, parse_identity
from daemon.api.signals import (
    Connected,
    ConnectionRefused,
    Disconnected,
    InboundKind,
    InboundMessage,
    KeepAlive,
    KeepAliveRestored,
    Origin,
    OwnMessage,
    Receipt,
    SendingReopened,
    SendingRestricted,
    Signal,
    StreamErrorUnknown,
    Synced,
    TransportDied,
)
from daemon.api.text import hash_folded_text
from daemon.api.transport import Acknowledged, OnWhatsApp, Refused, Unknown
from daemon.plugins.transport_simulated.contacts import SimulatedContacts
from daemon.plugins.transport_simulated.script import SimulationScript
from tests.helpers.clock import MIDDAY, FakeClock
from tests.helpers.transport import ANA, open_test_transport

ANA_NUMBER = parse_identity(ANA)
LID = SimulatedContacts(SimulationScript(), 7).lid(ANA)
TOLD_AT = MIDDAY + timedelta(seconds=6)
"""A second after the session was ready for the first time."""


@pytest.mark.parametrize(
    ("event", "signal"),
    [
        ({"do": "disconnect"}, Disconnected("connection reset")),
        ({"do": "server_error"}, ConnectionRefused.from_code(503)),
        ({"do": "server_error", "code": 500}, ConnectionRefused.from_code(500)),
        ({"do": "stream_error"}, StreamErrorUnknown()),
        ({"do": "block"}, ConnectionRefused.from_code(403)),
        ({"do": "log_out"}, ConnectionRefused.from_code(401)),
        ({"do": "replace"}, ConnectionRefused.from_code(440)),
        ({"do": "outdate"}, ConnectionRefused.from_code(405)),
        ({"do": "refuse"}, ConnectionRefused.from_code(400)),
        ({"do": "refuse", "code": 409}, ConnectionRefused.from_code(409)),
        ({"do": "die"}, TransportDied("killed by the script")),
    ],
)
async def test_a_deed_is_told_and_the_line_is_down(
    tmp_path: Path, event: dict[str, object], signal: Signal
) -> None:
    """Ten seconds after ready it happens, and nothing can be sent any more."""
    clock = FakeClock()
    async with open_test_transport(tmp_path, clock, {"line": [{"at": 10, **event}]}) as line:
        await line.transport.connect()
        await clock.advance(5)
        assert line.signals_of(Synced)
        await clock.advance(9.9)
        assert signal not in line.received_signals
        await clock.advance(0.1)
        assert line.received_signals[-1] == signal
        result = await line.send()
        assert isinstance(result, Refused)
        assert result.retryable


async def test_a_deed_happens_once_in_a_sessions_life(tmp_path: Path) -> None:
    """A line that reconnects is not cut again by the same deed."""
    clock = FakeClock()
    script = {"line": [{"at": 5, "do": "disconnect"}, {"at": 60, "do": "die"}]}
    async with open_test_transport(tmp_path, clock, script) as line:
        await line.connect_until_ready()
        assert line.signals_of(Disconnected)
    async with open_test_transport(tmp_path, clock, script, paired=True) as again:
        await again.connect_until_ready()
        await clock.advance(30)
        assert not again.signals_of(Disconnected)
        assert not again.signals_of(TransportDied)
        await clock.advance(30)
        assert again.signals_of(TransportDied)


async def test_a_deed_may_be_for_one_session_only(tmp_path: Path) -> None:
    """Two sessions can share a script and not a fate."""
    clock = FakeClock()
    script = {"line": [{"at": 1, "do": "die", "session": "soporte"}]}
    async with open_test_transport(tmp_path, clock, script) as line:
        await line.connect_until_ready()
        assert not line.signals_of(TransportDied)


async def test_a_ban_lasts_over_new_lines_until_it_ends(tmp_path: Path) -> None:
    """Who reconnects too early hears of it again."""
    clock = FakeClock()
    script = {"line": [{"at": 1, "do": "ban", "code": 104, "seconds": 600}]}
    async with open_test_transport(tmp_path, clock, script) as line:
        await line.transport.connect()
        await clock.advance(6)
        (ban,) = line.signals_of(ConnectionRefused)
        assert (ban.code, ban.ban_code) == (402, 104)
        assert ban.until is not None
        assert ban.until > clock.now() + timedelta(seconds=590)
    async with open_test_transport(tmp_path, clock, script, paired=True) as early:
        await early.connect_until_ready()
        assert [refused.until for refused in early.signals_of(ConnectionRefused)] == [ban.until]
    await clock.advance(600)
    async with open_test_transport(tmp_path, clock, script, paired=True) as late:
        await late.connect_until_ready()
        assert late.signals_of(Connected)


@pytest.mark.parametrize("deed", ["log_out", "block"])
async def test_a_login_that_the_platform_ended_is_gone(tmp_path: Path, deed: str) -> None:
    """The next line shows a code."""
    clock = FakeClock()
    async with open_test_transport(tmp_path, clock, {"line": [{"at": 1, "do": deed}]}) as line:
        await line.connect_until_ready()
    assert not (tmp_path / "ventas" / "login.json").exists()


async def test_silence_is_deaf_until_it_is_restored(tmp_path: Path) -> None:
    """No keep-alive, no receipt, no acknowledgement; afterwards all of it comes."""
    clock = FakeClock()
    script = {"line": [{"at": 20, "do": "silence"}, {"at": 200, "do": "restore"}]}
    async with open_test_transport(tmp_path, clock, script) as line:
        await line.connect_until_ready()
        await clock.advance(20)
        alive = len(line.signals_of(KeepAlive))
        result = await line.send()
        assert isinstance(result, Unknown)
        checking = await line.check_numbers(ANA)
        assert [answer.answer for answer in checking] == [OnWhatsApp.UNKNOWN]
        assert len(line.signals_of(KeepAlive)) == alive
        assert not line.signals_of(Receipt)
        await clock.advance(180)
        assert line.signals_of(KeepAliveRestored)
        assert len(line.signals_of(Receipt)) == 2


async def test_chats_close_and_open_again(tmp_path: Path) -> None:
    """A timelock has an end, and the platform may lift it early."""
    clock = FakeClock()
    script = {
        "line": [{"at": 1, "do": "restrict", "seconds": 900}, {"at": 60, "do": "reopen"}],
    }
    async with open_test_transport(tmp_path, clock, script) as line:
        await line.connect_until_ready()
        (closed,) = line.signals_of(SendingRestricted)
        assert closed.until is not None
        assert isinstance(await line.send(), Refused)
        await clock.advance(60)
        assert line.signals_of(SendingReopened)
        assert isinstance(await line.send(), Acknowledged)


async def test_people_write_and_the_owner_types_out_of_the_blue(tmp_path: Path) -> None:
    """Each is told once, also when the reader dies over it; who wrote may be answered."""
    clock = FakeClock()
    script = {
        "line": [
            {"at": 1, "do": "write", "contact": ANA, "text": "Hola", "from_lid": True},
            {"at": 2, "do": "type", "contact": ANA},
            {"at": 3, "do": "restrict"},
        ]
    }
    async with open_test_transport(tmp_path, clock, script) as line:
        await line.connect_until_ready()
        (inbound,) = line.signals_of(InboundMessage)
        ana = parse_identity(ANA)
        assert (inbound.text, inbound.aliases) == ("Hola", (ana,))
        assert [own.recipient for own in line.signals_of(OwnMessage)] == [ana]
        assert isinstance(await line.send(ANA), Acknowledged)


@pytest.mark.parametrize(
    ("event", "signal"),
    [
        (
            {"contact": ANA, "from_lid": True, "kind": "voice", "automatic": True},
            InboundMessage(
                "id", LID, "", TOLD_AT, InboundKind.VOICE, aliases=(ANA_NUMBER,), automatic=True
            ),
        ),
        (
            {"contact": ANA, "text": "no", "kind": "edit", "quoted_id": "old", "push_name": "Ana"},
            InboundMessage(
                "id",
                ANA_NUMBER,
                "no",
                TOLD_AT,
                InboundKind.EDIT,
                aliases=(ANA_NUMBER,),
                push_name="Ana",
                quoted_id="old",
            ),
        ),
        (
            {"contact": ANA, "text": "hola", "origin": "history", "written_ago": 86_400},
            InboundMessage(
                "id",
                ANA_NUMBER,
                "hola",
                TOLD_AT - timedelta(days=1),
                origin=Origin.HISTORY,
                aliases=(ANA_NUMBER,),
            ),
        ),
        (
            {"address": "1234@lid", "contact": ANA, "text": "hola \ud83d", "without_zone": True},
            InboundMessage(
                "id",
                cast("Identity", "1234@lid"),
                "hola \ud83d",
                TOLD_AT.replace(tzinfo=None),
                aliases=(ANA_NUMBER,),
            ),
        ),
        (
            {"address": "status@broadcast", "text": "baja"},
            InboundMessage("id", cast("Identity", "status@broadcast"), "baja", TOLD_AT),
        ),
        (
            {"do": "type", "contact": ANA, "text": "Hola,  Ana", "origin": "offline"},
            OwnMessage("id", ANA_NUMBER, TOLD_AT, hash_folded_text("hola, ana"), Origin.OFFLINE),
        ),
        (
            {"do": "type", "address": "5491145550001@c.us", "written_ago": -60},
            OwnMessage(
                "id", cast("Identity", "5491145550001@c.us"), TOLD_AT + timedelta(minutes=1)
            ),
        ),
    ],
)
async def test_a_script_says_all_that_a_channel_may_tell_of_a_message(
    tmp_path: Path, event: dict[str, object], signal: Signal
) -> None:
    """Kind, origin, time of writing, quotation, names in any form, and what no port should take."""
    clock = FakeClock()
    events = [{"at": 1, "do": "write", "wire_id": "id", "times": 3, **event}]
    async with open_test_transport(tmp_path, clock, {"line": events}) as line:
        await line.connect_until_ready()
        assert line.signals_of(type(signal)) == [signal] * 3


@pytest.mark.parametrize(
    ("order", "kinds"),
    [
        ("in_order", ["delivered", "read"]),
        ("reversed", ["read", "delivered"]),
        ("early", ["delivered", "read"]),
    ],
)
async def test_receipts_come_in_the_order_of_the_script(
    tmp_path: Path, order: str, kinds: list[str]
) -> None:
    """Early ones are there before the acknowledgement."""
    clock = FakeClock()
    contacts = {ANA: {"receipts": order, "ack_delay": 5}}
    async with open_test_transport(tmp_path, clock, {"contacts": contacts}) as line:
        await line.connect_until_ready()
        sending = asyncio.create_task(line.transport.send(*line.permits.issue(ANA)))
        await clock.advance(4)
        assert len(line.signals_of(Receipt)) == (2 if order == "early" else 0)
        await clock.advance(1)
        assert isinstance(await sending, Acknowledged)
        await clock.advance(60)
        assert [str(each.kind) for each in line.signals_of(Receipt)] == kinds


async def test_a_contact_may_never_get_it_or_fail_late(tmp_path: Path) -> None:
    """No receipt at all, or the platform's word that it failed."""
    clock = FakeClock()
    contacts = {ANA: {"deliver_rate": 0}, "+5491145550009": {"fail_after": 2}}
    async with open_test_transport(tmp_path, clock, {"contacts": contacts}) as line:
        await line.connect_until_ready()
        await line.send(ANA)
        await line.send("+5491145550009")
        await clock.advance(60)
        assert [(each.kind, each.reason_code) for each in line.signals_of(Receipt)] == [
            ("failed", "undeliverable")
        ]


async def test_a_fault_of_the_line_itself_is_a_dead_worker(tmp_path: Path) -> None:
    """A folder that can't be written is told as a death, with the kind of the fault alone."""
    clock = FakeClock()
    async with open_test_transport(tmp_path, clock) as line:
        (tmp_path / "ventas" / "login.new").mkdir()
        await line.connect_until_ready()
        assert [died.detail for died in line.signals_of(TransportDied)] == ["IsADirectoryError"]
