"""From stopped to ready: codes, scan, login, and what each step may last."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from daemon.api.signals import (
    Connected,
    Paired,
    PairingFailed,
    QrExhausted,
    QrIssued,
    Scanned,
    Synced,
)
from daemon.api.transport import CannotOpen
from storage.errors import DiskFull
from tests.helpers.services.sessions import SESSION_NAME, SESSION_PHONE, open_session_services

FIRST = QrIssued("secret-1", 1, 6, 60)


async def test_a_scan_leads_to_ready(tmp_path: Path) -> None:
    """Each step is a state of its own, stored and told with its reason."""
    async with open_session_services(tmp_path) as services:
        await services.start_session()
        states = [services.view.state]
        for signal in (FIRST, Scanned(), Paired(SESSION_PHONE), Connected(), Synced()):
            await services.report_signals(signal)
            states.append(services.view.state)
            assert (await services.get_row()).connection == services.view.state
        assert states == ["starting", "awaiting_scan", "pairing", "connecting", "syncing", "ready"]
        assert [event.data["status"] for event in services.events] == [
            "STOPPED", "STARTING", "SCAN_QR_CODE", "STARTING", "STARTING", "STARTING", "WORKING"
        ]  # fmt: skip
        assert (services.view.phone, services.view.phone_state) == (SESSION_PHONE, "seen")


async def test_a_code_is_shown_with_its_end_and_never_stored(tmp_path: Path) -> None:
    """It goes over the bus and to who asks, until it ends; no event and no row has it."""
    async with open_session_services(tmp_path) as services:
        await services.start_session()
        await services.report_signals(FIRST)
        current = services.sessions.qr(SESSION_NAME)
        assert current is not None
        assert current.expires_at == services.clock.now() + timedelta(seconds=60)
        assert "secret-1" not in repr(current)
        await services.clock.advance(60)
        assert services.sessions.qr(SESSION_NAME) is None
        await services.report_signals(QrIssued("secret-2", 2, 6, 20))
        assert [(each.code, each.index) for each in await services.list_shown_codes()] == [
            ("secret-1", 1),
            ("secret-2", 2),
        ]
        assert not any("secret" in str(event.data) for event in services.events)


async def test_codes_are_used_up_after_160_seconds_whatever_the_line_says(tmp_path: Path) -> None:
    """A refreshed code never postpones the end; a person restarts the pairing."""
    async with open_session_services(tmp_path) as services:
        await services.start_session()
        await services.report_signals(FIRST)
        await services.clock.advance(100)
        await services.report_signals(QrIssued("secret-4", 4, 6, 20))
        await services.clock.advance(59.9)
        assert services.view.state == "awaiting_scan"
        await services.clock.advance(0.1)
        view = services.view
        assert (view.state, view.reason_code) == ("qr_expired", "qr_expired")
        assert (view.status, view.user_action) == ("FAILED", "restart_pairing")
        assert services.puppet.closed
        assert services.sessions.qr(SESSION_NAME) is None


async def test_the_simulated_codes_run_out_exactly_on_time(tmp_path: Path) -> None:
    """Six codes at 0, 60, 80, 100, 120 and 140 seconds, and the end at 160."""
    options = {"simulated": {"seed": 3, "script": ""}}
    script = tmp_path / "script.json"
    script.write_text('{"scan_after": null}')
    options["simulated"]["script"] = str(script)
    async with open_session_services(tmp_path / "state", options=options) as services:
        await services.start_session("simulated")
        await services.clock.advance(0.5)
        begun = services.clock.now()
        await services.clock.advance(159.9)
        assert services.view.state == "awaiting_scan"
        await services.clock.advance(0.1)
        assert services.view.state == "qr_expired"
        shown = await services.list_shown_codes()
        assert [(each.at - begun).total_seconds() for each in shown] == [0, 60, 80, 100, 120, 140]
        assert [(each.expires_at - begun).total_seconds() for each in shown] == [
            60, 80, 100, 120, 140, 160
        ]  # fmt: skip


async def test_the_line_may_say_first_that_the_codes_are_used_up(tmp_path: Path) -> None:
    """Then the session need not wait."""
    async with open_session_services(tmp_path) as services:
        await services.start_session()
        await services.report_signals(FIRST, QrExhausted())
        assert services.view.state == "qr_expired"


async def test_a_restart_after_expired_codes_shows_new_ones(tmp_path: Path) -> None:
    """Starting again means a new line and a new attempt."""
    async with open_session_services(tmp_path) as services:
        await services.start_session()
        await services.report_signals(FIRST, QrExhausted())
        await services.sessions.start(SESSION_NAME, "ana")
        await services.clock.settle()
        assert len(services.opened) == 2
        await services.report_signals(QrIssued("secret-b", 1, 6, 60))
        assert services.view.state == "awaiting_scan"


@pytest.mark.parametrize(
    ("passkey", "state", "reason"),
    [(False, "qr_expired", "pairing_refused"), (True, "failed", "passkey_requested")],
)
async def test_a_failed_pairing_says_which(
    tmp_path: Path, *, passkey: bool, state: str, reason: str
) -> None:
    """A refusal asks for a new code; a passkey is something that this channel can't give."""
    async with open_session_services(tmp_path) as services:
        await services.start_session()
        await services.report_signals(FIRST, Scanned(), PairingFailed(passkey))
        assert (services.view.state, services.view.reason_code) == (state, reason)
        assert services.view.deadline is None


async def test_pairing_has_60_seconds_and_then_a_new_line(tmp_path: Path) -> None:
    """The stored login resumes without a code."""
    async with open_session_services(tmp_path) as services:
        await services.start_session()
        await services.report_signals(FIRST, Scanned())
        await services.clock.advance(60)
        assert (services.view.state, services.view.reason_code) == ("starting", "pairing_timed_out")
        assert len(services.opened) == 2
        await services.report_signals(Paired(SESSION_PHONE))
        assert (services.view.state, services.view.phone) == ("connecting", SESSION_PHONE)
        await services.report_signals(Connected())
        assert services.view.state == "syncing"


async def test_a_stored_login_needs_no_code(tmp_path: Path) -> None:
    """A linked session connects as soon as its line is open."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        await services.sessions.restart(SESSION_NAME, "ana")
        await services.clock.settle()
        assert services.view.state == "connecting"
        assert services.puppet.context.session.paired


async def test_a_code_for_a_linked_session_means_that_its_login_is_gone(tmp_path: Path) -> None:
    """Nobody is asked to scan by surprise: a person starts the pairing."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        await services.sessions.restart(SESSION_NAME, "ana")
        await services.clock.settle()
        await services.report_signals(FIRST)
        assert (services.view.state, services.view.reason_code) == ("logged_out", "login_missing")
        assert services.view.phone_state == "unlinked"


async def test_ready_comes_after_10_seconds_of_syncing_at_the_latest(tmp_path: Path) -> None:
    """A sync that never ends holds nothing up."""
    async with open_session_services(tmp_path) as services:
        await services.start_session()
        await services.report_signals(FIRST, Scanned(), Paired(SESSION_PHONE), Connected())
        await services.clock.advance(9.9)
        assert services.view.state == "syncing"
        await services.clock.advance(0.1)
        assert services.view.state == "ready"


@pytest.mark.parametrize(("linked", "seconds"), [(False, 60), (True, 120)])
async def test_a_line_that_says_nothing_is_given_up(
    tmp_path: Path, *, linked: bool, seconds: float
) -> None:
    """Without a code in 60 s, or a login in 120 s, there is a new line after a while."""
    async with open_session_services(tmp_path) as services:
        await (services.pair_session() if linked else services.start_session())
        if linked:
            await services.sessions.restart(SESSION_NAME, "ana")
        await services.clock.advance(seconds)
        assert services.view.state == "backoff"
        assert services.puppet.closed


async def test_a_channel_that_can_not_be_opened_says_why(tmp_path: Path) -> None:
    """It fails at once and is not tried again; event, answer and page have its own sentence."""
    async with open_session_services(tmp_path) as services:
        services.fail_to_open.append(CannotOpen("script.json: line[0].do: no such deed."))
        await services.start_session()
        assert (services.view.state, services.view.deadline) == ("failed", None)
        why = "script.json: line[0].do: no such deed."
        assert services.events[-1].data["sentence"] == services.view.sentence == why
        assert services.view.user_action == "acknowledge"
        assert (await services.get_row()).fault == why
        await services.sessions.start(SESSION_NAME, "ana")
        assert services.view.sentence == "Starting."


async def test_the_manual_channel_is_ready_at_once(tmp_path: Path) -> None:
    """It has no line; what is sent by hand is not sent here."""
    async with open_session_services(tmp_path) as services:
        await services.start_session("manual", phone=SESSION_PHONE)
        assert (services.view.state, services.view.phone) == ("ready", SESSION_PHONE)
        result = await services.sessions.send(
            SESSION_NAME, *services.permits.issue(), new_chat=True
        )
        assert result.reason_code == "not_connected"  # type: ignore[union-attr]
        await services.clock.advance(3600)
        assert services.view.state == "ready"


async def test_a_pairing_is_followed_from_the_first_code_to_the_linked_phone(
    tmp_path: Path,
) -> None:
    """Who looks, who listens and the row are told the same: none, issued, refreshed and so on."""
    async with open_session_services(tmp_path) as services:
        await services.start_session()
        seen = [services.view.pairing]
        second = QrIssued("secret-2", 2, 6, 20)
        for signal in (FIRST, second, Scanned(), Paired(SESSION_PHONE), Connected(), Synced()):
            await services.report_signals(signal)
            seen.append(services.view.pairing)
            assert (await services.get_row()).pairing == services.view.pairing
        assert seen == ["none", "issued", "refreshed", "scanned", "paired", "paired", "paired"]
        told = [event.data["pairing"] for event in services.events]
        assert list(dict.fromkeys(told)) == list(dict.fromkeys(seen))


async def test_a_phone_that_refuses_ends_the_pairing_as_expired(tmp_path: Path) -> None:
    """As codes do that nobody scanned: whoever wants to link begins again."""
    async with open_session_services(tmp_path) as services:
        await services.start_session()
        await services.report_signals(FIRST, Scanned(), PairingFailed())
        assert (services.view.state, services.view.pairing) == ("qr_expired", "expired")
        await services.sessions.restart(SESSION_NAME, "ana")
        await services.clock.settle()
        assert (services.view.state, services.view.pairing) == ("starting", "none")
        await services.report_signals(FIRST)
        assert services.view.pairing == "issued"


async def test_a_stop_cancels_the_pairing(tmp_path: Path) -> None:
    """The code is gone with it."""
    async with open_session_services(tmp_path) as services:
        await services.start_session()
        await services.report_signals(FIRST)
        await services.sessions.stop(SESSION_NAME, "ana")
        assert (services.view.state, services.view.pairing) == ("stopped", "cancelled")
        assert services.sessions.qr(SESSION_NAME) is None


async def test_a_stop_that_can_not_be_stored_cancels_nothing(tmp_path: Path) -> None:
    """The code is on show still, and can be scanned."""
    async with open_session_services(tmp_path) as services:
        await services.start_session()
        await services.report_signals(FIRST)
        services.database.refuses = True
        with pytest.raises(DiskFull):
            await services.sessions.stop(SESSION_NAME, "ana")
        services.database.refuses = False
        assert (services.view.state, services.view.pairing) == ("awaiting_scan", "issued")
        assert services.sessions.qr(SESSION_NAME) is not None


async def test_a_linked_phone_that_connects_again_is_no_pairing(tmp_path: Path) -> None:
    """A new start makes it none, unless the phone has scanned and is still being linked."""
    async with open_session_services(tmp_path) as services:
        await services.start_session()
        await services.report_signals(FIRST, Scanned())
        await services.clock.advance(60)
        assert (services.view.state, services.view.pairing) == ("starting", "scanned")
        await services.report_signals(FIRST)
        assert services.view.pairing == "issued"
        await services.report_signals(Scanned(), Paired(SESSION_PHONE), Connected(), Synced())
        await services.sessions.restart(SESSION_NAME, "ana")
        await services.clock.settle()
        assert services.view.pairing == "none"
