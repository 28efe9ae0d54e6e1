"""Whatever happens in whatever order: never stuck, never two tasks, the row is the machine."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.api.signals import (
    REFUSAL_KINDS,
    Connected,
    ConnectionRefused,
    Disconnected,
    KeepAlive,
    KeepAliveLost,
    KeepAliveRestored,
    Paired,
    PairingFailed,
    PhoneSeen,
    QrExhausted,
    QrIssued,
    Scanned,
    SendingReopened,
    SendingRestricted,
    Signal,
    StreamErrorUnknown,
    Synced,
    TransportDied,
)
from daemon.errors import LeadMasterError
from statemachines.session import TRANSIENT_STATES, ConnectionState
from tests.helpers.clock import MIDDAY
from tests.helpers.hypothesis_profiles import examples
from tests.helpers.services.sessions import (
    SESSION_NAME,
    SESSION_PHONE,
    SessionServices,
    open_session_services,
)

pytestmark = pytest.mark.slow

SIGNALS: list[Signal] = [
    QrIssued("secret", 1, 6, 60),
    QrExhausted(),
    Scanned(),
    Paired(SESSION_PHONE),
    PairingFailed(),
    PairingFailed(passkey_requested=True),
    Connected(),
    Synced(),
    KeepAlive(),
    KeepAliveLost(),
    KeepAliveRestored(),
    Disconnected(),
    StreamErrorUnknown(),
    TransportDied(),
    PhoneSeen(MIDDAY),
    SendingRestricted("reach_out_timelock"),
    SendingRestricted("new_chat_cap", MIDDAY + timedelta(hours=1)),
    SendingReopened(),
    ConnectionRefused.from_code(499),
    *(ConnectionRefused.from_code(code) for code in REFUSAL_KINDS),
]
GOOD_WAY: list[Signal] = [SIGNALS[0], Scanned(), Paired(SESSION_PHONE), Connected(), Synced()]
ORDERS = ("start", "stop", "restart", "logout", "acknowledge")
STEPS = st.one_of(
    st.sampled_from(SIGNALS).map(lambda signal: [signal]),
    st.just(GOOD_WAY),
    st.sampled_from(ORDERS),
    st.sampled_from([0.5, 5.0, 50.0, 200.0, 1000.0, 5000.0]),
)
PERSON = ("acknowledge", "restart")


async def step(services: SessionServices, what: list[Signal] | str | float) -> None:
    """Do one thing to session ``ventas``."""
    if isinstance(what, float):
        await services.clock.advance(what)
    elif isinstance(what, str):
        try:
            asked = asyncio.create_task(getattr(services.sessions, what)(SESSION_NAME, "ana"))
            await services.clock.advance(20)
            await asked
        except LeadMasterError:
            return
    elif services.opened:
        await services.report_signals(*what)


async def holds(services: SessionServices) -> None:
    """Check what must be true at every moment."""
    view, row = services.view, await services.get_row()
    session = services.sessions._sessions[SESSION_NAME]  # noqa: SLF001 - the machines are nobody's business
    assert session.transitions.get_states() == (row.connection, row.phone_state, row.sending)
    assert (view.state, view.deadline) == (row.connection, row.due_at)
    assert sum(not puppet.closed for puppet in services.opened) <= 1
    tasks = [task for task in asyncio.all_tasks() if task.get_name() == f"session {SESSION_NAME}"]
    assert len(tasks) <= 1
    if view.state in TRANSIENT_STATES:
        assert view.deadline is not None
        assert session.is_running
    if view.state in {"banned_temporarily", "blocked"}:
        assert view.sending == "none"
    assert not services.sessions.can_send(SESSION_NAME, new_chat=False) or view.state == "ready"


async def comes_up(services: SessionServices) -> None:
    """Show that a person and a good line bring the session to ready from wherever it is."""
    for _ in range(6):
        for order in PERSON:
            await step(services, order)
        await services.clock.advance(
            25 * 3600.0 if services.view.state == "banned_temporarily" else 1
        )
        if services.opened:
            await services.report_signals(*GOOD_WAY)
        if services.view.state == "ready":
            return
    raise AssertionError(services.view.state)


@examples(40)
@given(steps=st.lists(STEPS, max_size=14))
def test_no_order_of_things_gets_a_session_stuck(steps: list[list[Signal] | str | float]) -> None:
    """After anything, the row is the machine, and there is a way back to ready."""

    async def life() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with open_session_services(Path(folder)) as services:
                await services.start_session()
                for each in steps:
                    await step(services, each)
                    await holds(services)
                assert services.sessions.failures[SESSION_NAME] == 0
                await comes_up(services)
                await holds(services)

    asyncio.run(life())


@examples(20)
@given(steps=st.lists(STEPS, max_size=8))
def test_every_stored_state_survives_a_restart(steps: list[list[Signal] | str | float]) -> None:
    """A killed daemon goes on from whatever it had stored, and nothing moves by itself to ready."""

    async def life() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with open_session_services(Path(folder)) as services:
                await services.start_session()
                for each in steps:
                    await step(services, each)
                before, clock = await services.get_row(), services.clock
            clock.busy.clear()
            async with open_session_services(Path(folder), clock) as services:
                await services.sessions.restore()
                after = await services.get_row()
                assert after.connection is not ConnectionState.READY
                assert (after.desired, after.phone, after.sending) == (
                    before.desired, before.phone, before.sending
                )  # fmt: skip
                await comes_up(services)

    asyncio.run(life())
