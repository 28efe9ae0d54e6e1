"""Codes, scan, login: how a simulated line comes up."""

from __future__ import annotations

import re
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.api.signals import (
    Connected,
    KeepAlive,
    Paired,
    PairingCodeIssued,
    PairingFailed,
    QrExhausted,
    QrIssued,
    Scanned,
    Synced,
)
from tests.helpers.clock import FakeClock
from tests.helpers.transport import open_test_transport

NUMBER = "+5491155550001"


async def test_codes_last_60_and_then_five_times_20_seconds(tmp_path: Path) -> None:
    """Unscanned, six different codes are shown and are used up after 160 seconds."""
    clock = FakeClock()
    async with open_test_transport(tmp_path, clock, {"scan_after": None}) as line:
        await line.transport.connect()
        await clock.advance(0.5)
        shown: list[int] = []
        for second in range(170):
            shown += [second] * (len(line.signals_of(QrIssued)) - len(shown))
            if line.signals_of(QrExhausted):
                assert second == 160
                break
            await clock.advance(1)
        codes = line.signals_of(QrIssued)
    assert shown == [0, 60, 80, 100, 120, 140]
    assert [code.valid_seconds for code in codes] == [60, 20, 20, 20, 20, 20]
    assert [(code.index, code.maximum) for code in codes] == [(n, 6) for n in range(1, 7)]
    assert len({code.code for code in codes}) == 6


async def test_a_scan_pairs_connects_and_syncs(tmp_path: Path) -> None:
    """The steps come in the order in which a real line reports them."""
    clock = FakeClock()
    async with open_test_transport(tmp_path, clock, {"scan_after": 3}) as line:
        await line.connect_until_ready()
        kinds = [type(signal) for signal in line.received_signals]
    assert kinds[:5] == [QrIssued, Scanned, Paired, Connected, Synced]


async def test_a_line_comes_up_as_fast_as_its_script_says(tmp_path: Path) -> None:
    """A step is half a second; a script may have others: four of them before it is synced."""
    for script, seconds in (({"scan_after": 0}, 2.0), ({"scan_after": 0, "step": 0.01}, 0.04)):
        clock = FakeClock()
        folder = tmp_path / str(seconds)
        async with open_test_transport(folder, clock, script) as line:
            await line.transport.connect()
            await clock.advance(seconds - 0.005)
            assert not line.signals_of(Synced)
            await clock.advance(0.01)
            assert line.signals_of(Synced)


async def test_a_code_is_typed_on_the_phone_whose_number_was_given(tmp_path: Path) -> None:
    """One code of eight characters, which no QR goes with; the number is the one that was given."""
    clock = FakeClock()
    async with open_test_transport(tmp_path, clock, pairing_phone=NUMBER) as line:
        await line.connect_until_ready()
        kinds = [type(signal) for signal in line.received_signals]
        [issued] = line.signals_of(PairingCodeIssued)
        assert [paired.phone for paired in line.signals_of(Paired)] == [NUMBER]
    assert kinds[:5] == [PairingCodeIssued, Scanned, Paired, Connected, Synced]
    assert re.fullmatch("[1-9A-HJ-NP-TV-Z]{8}", issued.code)
    assert issued.valid_seconds == 160


async def test_a_code_that_nobody_types_expires_with_the_qr_codes_behind_it(tmp_path: Path) -> None:
    """After 160 seconds, and not before."""
    clock = FakeClock()
    script = {"scan_after": None}
    async with open_test_transport(tmp_path, clock, script, pairing_phone=NUMBER) as line:
        await line.transport.connect()
        await clock.advance(160.4)
        assert not line.signals_of(QrExhausted)
        await clock.advance(0.2)
        assert line.signals_of(QrExhausted)


async def test_linking_by_a_code_can_fail(tmp_path: Path) -> None:
    """No code is given for the number; or another phone is linked than the one that was meant."""
    clock = FakeClock()
    script: dict[str, object] = {"scan_after": 1, "pairing": "no_code"}
    async with open_test_transport(tmp_path, clock, script, pairing_phone=NUMBER) as line:
        await line.connect_until_ready()
        assert line.signals_of(PairingFailed) == [PairingFailed(code_refused=True)]
    script = {"scan_after": 1, "pairing": "other_number"}
    async with open_test_transport(tmp_path, clock, script, pairing_phone=NUMBER) as line:
        await line.connect_until_ready()
        assert [paired.phone for paired in line.signals_of(Paired)] != [NUMBER]


async def test_the_login_is_private_and_resumes_without_a_code(tmp_path: Path) -> None:
    """The stored login is a 0600 file; a line opened over it shows no code."""
    clock = FakeClock()
    async with open_test_transport(tmp_path, clock) as line:
        await line.connect_until_ready()
        phone = line.signals_of(Paired)[0].phone
    mode = (tmp_path / "ventas" / "login.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    async with open_test_transport(tmp_path, clock, paired=True) as again:
        await again.connect_until_ready()
        assert not again.signals_of(QrIssued)
        assert not again.signals_of(Paired)
        assert again.signals_of(Synced)
    async with open_test_transport(tmp_path, clock, paired=False) as forgotten:
        await forgotten.connect_until_ready()
        assert [paired.phone for paired in forgotten.signals_of(Paired)] == [phone]


@pytest.mark.parametrize(("pairing", "passkey"), [("refuse", False), ("passkey", True)])
async def test_a_pairing_can_fail(tmp_path: Path, pairing: str, passkey: bool) -> None:  # noqa: FBT001
    """A refused pairing and a wanted passkey are told apart; nothing connects."""
    clock = FakeClock()
    async with open_test_transport(tmp_path, clock, {"scan_after": 1, "pairing": pairing}) as line:
        await line.connect_until_ready()
        assert line.signals_of(PairingFailed) == [PairingFailed(passkey)]
        assert not line.signals_of(Connected)


async def test_logout_forgets_the_login(tmp_path: Path) -> None:
    """After a logout the next line begins with a code."""
    clock = FakeClock()
    async with open_test_transport(tmp_path, clock) as line:
        await line.connect_until_ready()
        await line.transport.logout()
    async with open_test_transport(tmp_path, clock) as again:
        await again.transport.connect()
        await clock.advance(1)
        assert again.signals_of(QrIssued)


async def test_keep_alives_come_every_20_seconds(tmp_path: Path) -> None:
    """A living line shows that it lives."""
    clock = FakeClock()
    async with open_test_transport(tmp_path, clock) as line:
        await line.connect_until_ready()
        await clock.advance(timedelta(minutes=1).total_seconds())
        assert len(line.signals_of(KeepAlive)) == 3


async def test_close_is_idempotent(tmp_path: Path) -> None:
    """Closing twice does nothing the second time."""
    clock = FakeClock()
    async with open_test_transport(tmp_path, clock) as line:
        await line.transport.close()
        await line.transport.close()
    assert clock.sleepers == 0
