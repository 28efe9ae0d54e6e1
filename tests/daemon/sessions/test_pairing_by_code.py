"""A code to be typed on the phone: its countdown, its end, and who may not know it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from daemon.api.signals import (
    Connected,
    Paired,
    PairingCodeIssued,
    PairingFailed,
    QrIssued,
    Scanned,
    Synced,
)
from daemon.api.transport import Capabilities, Pairing
from daemon.errors import BadRequest, Conflict
from daemon.events import SessionPairingCodeShown
from statemachines.qr import PairingMethod
from statemachines.session import ConnectionState
from storage.tx import Reader
from tests.helpers.clock import MIDDAY
from tests.helpers.services.sessions import (
    SESSION_NAME,
    SESSION_PHONE,
    SessionServices,
    build_stored_session,
    leave_stored_sessions,
    open_session_services,
)

CODE = PairingCodeIssued("ABCD1234", 160)


async def ask_for_code(services: SessionServices, phone: str = SESSION_PHONE) -> None:
    """Create session ``ventas`` and ask for a code; the line has not answered yet."""
    await services.sessions.create(SESSION_NAME, "puppet", "America/Bogota", {})
    await services.sessions.request_pairing_code(SESSION_NAME, phone, "ana")
    await services.clock.settle()


def dump_everything(reader: Reader) -> str:
    """Return every row of every table as one text."""
    tables = reader.all("SELECT name FROM sqlite_master WHERE type = 'table'")
    rows = [reader.all(f"SELECT * FROM {table['name']}") for table in tables]
    return str([tuple(row) for each in rows for row in each])


async def test_the_channel_is_told_the_number_and_the_code_is_shown_in_halves(
    tmp_path: Path,
) -> None:
    """The number goes to the channel alone; nothing that is stored has it, or the code."""
    async with open_session_services(tmp_path) as services:
        await ask_for_code(services)
        assert services.puppet.context.session.pairing_phone == SESSION_PHONE
        assert SESSION_PHONE not in repr(services.puppet.context.session)
        assert services.view.pairing_method is PairingMethod.CODE
        await services.report_signals(CODE)
        shown = services.sessions.pairing_code(SESSION_NAME)
        now = services.clock.now()
        expires_at = now + timedelta(seconds=160)
        assert shown == SessionPairingCodeShown(SESSION_NAME, now, "ABCD-1234", expires_at)
        assert services.view.user_action == "enter_code"
        stored = await services.database.read(dump_everything)
        assert "ABCD" not in stored
        assert SESSION_PHONE not in stored


async def test_a_code_expires_after_160_seconds_whatever_the_line_says(tmp_path: Path) -> None:
    """It is hidden, the connection is closed, and a person asks for another."""
    async with open_session_services(tmp_path) as services:
        await ask_for_code(services)
        await services.report_signals(CODE)
        await services.clock.advance(159)
        assert services.sessions.pairing_code(SESSION_NAME)
        await services.clock.advance(2)
        view = services.view
        assert (view.state, view.reason_code) == ("qr_expired", "pairing_code_expired")
        assert view.user_action == "restart_pairing"
        assert services.sessions.pairing_code(SESSION_NAME) is None
        assert services.puppet.closed
        await services.sessions.restart(SESSION_NAME, "ana")
        await services.clock.settle()
        assert services.puppet.context.session.pairing_phone is None
        assert services.view.pairing_method is PairingMethod.QR


async def test_a_line_that_breaks_off_asks_for_a_code_again(tmp_path: Path) -> None:
    """The number is kept as long as a person waits for its code, and no longer."""
    async with open_session_services(tmp_path) as services:
        await ask_for_code(services)
        await services.report_signals(CODE, ConnectionResetError())
        assert services.view.state == "backoff"
        assert services.sessions.pairing_code(SESSION_NAME) is None
        await services.clock.advance(5)
        assert services.puppet.context.session.pairing_phone == SESSION_PHONE
        await services.sessions.stop(SESSION_NAME, "ana")
        await services.sessions.start(SESSION_NAME, "ana")
        await services.clock.settle()
        assert services.puppet.context.session.pairing_phone is None


async def test_one_that_is_starting_begins_anew_with_the_number(tmp_path: Path) -> None:
    """Its connection was opened for QR codes."""
    async with open_session_services(tmp_path) as services:
        await services.start_session()
        first = services.puppet
        await services.sessions.request_pairing_code(SESSION_NAME, SESSION_PHONE, "ana")
        await services.clock.settle()
        assert first.closed
        assert services.puppet.context.session.pairing_phone == SESSION_PHONE


async def test_another_number_is_unlinked_at_once(tmp_path: Path) -> None:
    """The sentence says so, and the row knows no number."""
    async with open_session_services(tmp_path) as services:
        await ask_for_code(services)
        await services.report_signals(
            CODE, Scanned(), Paired("+5491100000002"), Connected(), Synced()
        )
        view = services.view
        assert (view.state, view.reason_code) == ("qr_expired", "paired_other_number")
        assert "Another number was linked" in view.sentence
        assert view.phone is None
        assert services.puppet.logged_out
        assert services.puppet.closed


async def test_a_linked_session_and_a_channel_without_codes_are_refused(tmp_path: Path) -> None:
    """With a sentence that says what to do instead."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        with pytest.raises(Conflict, match="linked to the session ventas already"):
            await services.sessions.request_pairing_code(SESSION_NAME, SESSION_PHONE, "ana")
        await services.sessions.create("a-mano", "manual", "America/Bogota", {})
        with pytest.raises(BadRequest, match="can't link a phone by a code"):
            await services.sessions.request_pairing_code("a-mano", SESSION_PHONE, "ana")


async def test_a_ban_is_confirmed_before_a_code_is_asked_for(tmp_path: Path) -> None:
    """As before any start."""
    await leave_stored_sessions(
        tmp_path, build_stored_session(ConnectionState.BLOCKED, phone_state="unlinked")
    )
    async with open_session_services(tmp_path) as services:
        await services.sessions.restore()
        with pytest.raises(Conflict, match="acknowledged"):
            await services.sessions.request_pairing_code(SESSION_NAME, SESSION_PHONE, "ana")
        assert services.opened == []


async def test_after_a_restart_of_the_daemon_the_code_is_over(tmp_path: Path) -> None:
    """Its number was not stored, so no other code can be asked for by itself."""
    await leave_stored_sessions(
        tmp_path,
        build_stored_session(
            ConnectionState.AWAITING_SCAN,
            due_at=MIDDAY + timedelta(seconds=90),
            phone_state="unlinked",
            pairing_method=PairingMethod.CODE,
        ),
    )
    async with open_session_services(tmp_path) as services:
        await services.sessions.restore()
        view = services.view
        assert (view.state, view.reason_code) == ("qr_expired", "pairing_code_expired")
        await services.clock.advance(600)
        assert services.opened == []


async def test_a_number_that_gets_no_code_is_told_so(tmp_path: Path) -> None:
    """The platform gives none: that is no failure of the phone."""
    async with open_session_services(tmp_path) as services:
        await ask_for_code(services)
        await services.report_signals(PairingFailed(code_refused=True))
        view = services.view
        assert (view.state, view.reason_code) == ("qr_expired", "pairing_code_refused")


async def test_a_channel_shows_only_the_codes_that_it_declares(tmp_path: Path) -> None:
    """A QR code from one that links by a typed code alone is refused, and the other way round."""
    for pairing, signal in (
        (Pairing.CODE, QrIssued("secret", 1, 6, 60)),
        (Pairing.QR, CODE),
    ):
        capabilities = Capabilities(pairing=pairing)
        folder = tmp_path / pairing.value
        async with open_session_services(folder, capabilities=capabilities) as services:
            await services.start_session()
            await services.report_signals(signal)
            [rejected] = services.rejected
            assert rejected.reason_code == "not_declared"
            assert "secret" not in repr(rejected.kept)
            assert "ABCD" not in repr(rejected.kept)
