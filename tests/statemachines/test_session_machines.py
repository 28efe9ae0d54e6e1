"""The session's three machines: the table of signals, deadlines, and what a ban forbids."""

from __future__ import annotations

import pytest

from statemachines.machine import IllegalTransition, fire_event, restore_machine
from statemachines.qr import PAIRING_WINDOW_SECONDS
from statemachines.session import (
    ACTIVE_STATES,
    CAN_SEND_STATES,
    CONNECTION_DEADLINES,
    MUST_ACKNOWLEDGE_STATES,
    NEEDS_PERSON_STATES,
    RESTING_STATES,
    SENDING_DEADLINES,
    STREAM_ERROR_DEADLINE,
    TRANSIENT_STATES,
    ConnectionEvent,
    ConnectionMachine,
    ConnectionState,
    PhoneEvent,
    PhoneMachine,
    PhoneState,
    SendingEvent,
    SendingMachine,
    SendingState,
)
from tests.helpers.machine_walks import is_accepted, list_reachable_states

SIGNALS = """
stopped            start                starting
starting           qr_issued            awaiting_scan
awaiting_scan      qr_issued            awaiting_scan
awaiting_scan      qr_exhausted         qr_expired
awaiting_scan      scanned              pairing
awaiting_scan      paired               connecting
awaiting_scan      pairing_failed       qr_expired
pairing            pairing_failed       qr_expired
pairing            passkey_requested    failed
pairing            paired               connecting
pairing            deadline_passed      starting
starting           device_found         connecting
starting           deadline_passed      backoff
connecting         connected            syncing
connecting         deadline_passed      backoff
pairing            connected            syncing
backoff            connected            syncing
syncing            synced               ready
syncing            deadline_passed      ready
ready              keepalive_lost       degraded
degraded           deadline_passed      starting
ready              disconnected         backoff
backoff            retry_due            starting
ready              stream_error_unknown degraded
ready              replaced_by_other    replaced
ready              logged_out_remotely  logged_out
ready              blocked_by_platform  blocked
ready              banned               banned_temporarily
banned_temporarily ban_expired          banned_temporarily
banned_temporarily acknowledge          stopped
blocked            acknowledge          stopped
connecting         version_refused      outdated
connecting         refused              failed
failed             retry_due            starting
ready              worker_died          backoff
backoff            crashed_too_often    failed
qr_expired         restart              starting
logged_out         restart              starting
ready              restart              starting
ready              stop                 stopped
"""


@pytest.mark.parametrize(
    ("state", "event", "target"), [tuple(line.split()) for line in SIGNALS.strip().splitlines()]
)
def test_signal_leads_where_the_design_says(state: str, event: str, target: str) -> None:
    """Each row of the table of signals is a move of the machine."""
    assert fire_event(restore_machine(ConnectionMachine, state), ConnectionEvent(event)) == target


def test_a_session_is_resting_or_moving_never_both() -> None:
    """Every state rests or moves, and each moving one is active."""
    assert set(ConnectionState) == TRANSIENT_STATES | RESTING_STATES
    assert not TRANSIENT_STATES & RESTING_STATES
    assert {ConnectionState.READY} == ACTIVE_STATES - TRANSIENT_STATES
    assert MUST_ACKNOWLEDGE_STATES < NEEDS_PERSON_STATES
    assert {ConnectionState.READY} == CAN_SEND_STATES


@pytest.mark.parametrize("state", sorted(TRANSIENT_STATES))
def test_a_moving_state_leaves_when_its_deadline_passes(state: ConnectionState) -> None:
    """No moving state lasts: its own deadline's event leads out of it."""
    machine = restore_machine(ConnectionMachine, state)
    assert is_accepted(machine, CONNECTION_DEADLINES[state].event)
    assert machine.model.state is not state


@pytest.mark.parametrize("state", sorted(set(CONNECTION_DEADLINES) - TRANSIENT_STATES))
def test_a_deadline_of_a_resting_state_is_an_event_that_it_accepts(state: ConnectionState) -> None:
    """The one retry of `failed` and the end of a ban are moves too."""
    assert is_accepted(restore_machine(ConnectionMachine, state), CONNECTION_DEADLINES[state].event)


def test_the_codes_deadline_is_that_of_the_qr() -> None:
    """Awaiting a scan lasts as long as the six codes together, 160 seconds."""
    assert (
        CONNECTION_DEADLINES[ConnectionState.AWAITING_SCAN].seconds == PAIRING_WINDOW_SECONDS == 160
    )


@pytest.mark.parametrize("verdict", [ConnectionState.BANNED_TEMPORARILY, ConnectionState.BLOCKED])
def test_only_a_person_ends_a_ban_or_a_block(verdict: ConnectionState) -> None:
    """Without an acknowledgement no event leads out, neither time nor stop and start."""
    assert (
        list_reachable_states(ConnectionMachine, verdict, without="acknowledge")
        <= MUST_ACKNOWLEDGE_STATES
    )


@pytest.mark.parametrize("state", sorted(set(ConnectionState) - {ConnectionState.BLOCKED}))
def test_a_ban_is_heard_in_every_state(state: ConnectionState) -> None:
    """A temporary ban is never missed; only the harder block stands above it."""
    assert is_accepted(restore_machine(ConnectionMachine, state), ConnectionEvent.BANNED)


def test_a_keepalive_makes_silence_good_again() -> None:
    """A session that was only silent is ready as soon as it is heard."""
    machine = restore_machine(ConnectionMachine, "ready")
    fire_event(machine, ConnectionEvent.KEEPALIVE_LOST)
    assert fire_event(machine, ConnectionEvent.KEEPALIVE_RESTORED) is ConnectionState.READY


@pytest.mark.parametrize(
    "events",
    [["stream_error_unknown"], ["keepalive_lost", "stream_error_unknown"]],
)
def test_a_keepalive_proves_nothing_without_a_login(events: list[str]) -> None:
    """After an unknown stream error a keep-alive does not lead back to ready; a new login does."""
    machine = restore_machine(ConnectionMachine, "ready")
    for event in events:
        fire_event(machine, ConnectionEvent(event))
    with pytest.raises(IllegalTransition):
        fire_event(machine, ConnectionEvent.KEEPALIVE_RESTORED)
    assert machine.model.state is ConnectionState.DEGRADED
    assert fire_event(machine, STREAM_ERROR_DEADLINE.event) is ConnectionState.STARTING


def test_a_keepalive_is_not_believed_after_a_restart() -> None:
    """A session restored as degraded has no worker any more: it logs in anew."""
    machine = restore_machine(ConnectionMachine, "degraded")
    assert not is_accepted(machine, ConnectionEvent.KEEPALIVE_RESTORED)
    assert fire_event(machine, ConnectionEvent.RESTART) is ConnectionState.STARTING


def test_a_phone_is_unlinked_until_it_was_seen() -> None:
    """A phone begins unlinked, is seen, missed, seen again, and can be unlinked."""
    machine = restore_machine(PhoneMachine, "unlinked")
    assert PhoneMachine.states_map[PhoneState.UNLINKED].initial
    assert fire_event(machine, PhoneEvent.PHONE_SEEN) is PhoneState.SEEN
    assert fire_event(machine, PhoneEvent.PHONE_MISSED) is PhoneState.UNSEEN
    assert fire_event(machine, PhoneEvent.PHONE_SEEN) is PhoneState.SEEN
    assert fire_event(machine, PhoneEvent.PHONE_UNLINKED) is PhoneState.UNLINKED


def test_sending_is_opened_step_by_step() -> None:
    """After a silence replies come first, and a restriction cannot soften the silence."""
    machine = restore_machine(SendingMachine, "all")
    fire_event(machine, SendingEvent.SILENCED)
    assert fire_event(machine, SendingEvent.RESTRICTED) is SendingState.NONE
    assert not is_accepted(machine, SendingEvent.RESTRICTION_ENDED)
    assert fire_event(machine, SendingEvent.REPLIES_ALLOWED) is SendingState.REPLY_ONLY
    assert SENDING_DEADLINES[SendingState.REPLY_ONLY].event is SendingEvent.RESTRICTION_ENDED
    assert fire_event(machine, SendingEvent.RESTRICTION_ENDED) is SendingState.ALL
