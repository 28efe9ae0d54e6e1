"""What people read: every state and reason has words, and secrets have none."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from msgspec.structs import replace

from daemon.api.signals import QrIssued
from daemon.sessions.linking import PairingInProgress
from daemon.sessions.signal_mapping import (
    BAN_REASONS,
    DEADLINE_REASONS,
    REFUSAL_TRIGGERS,
    SIGNAL_TRIGGERS,
)
from daemon.sessions.status import (
    REASON_SENTENCES,
    STATE_TEXTS,
    UserAction,
    build_session_view,
    describe_session,
)
from daemon.sessions.transitions import SessionTransitions
from daemon.settings import SessionSettings
from statemachines.qr import PAIRING_WINDOW_SECONDS
from statemachines.session import (
    CONNECTION_DEADLINES,
    NEEDS_PERSON_STATES,
    STREAM_ERROR_DEADLINE,
    ConnectionState,
    SendingState,
)
from tests.helpers.clock import MIDDAY
from tests.helpers.services.sessions import build_stored_session

WAHA = {"STOPPED", "STARTING", "SCAN_QR_CODE", "WORKING", "FAILED"}
OWN_WORDS = {
    "ready", "connected", "paired", "scanned", "qr_issued", "qr_expired", "login_found",
    "logged_out", "banned", "blocked", "outdated", "replaced", "reconnecting", "retrying",
}  # fmt: skip
"""Reasons that say no more than the state they lead to."""


@pytest.mark.parametrize("state", ConnectionState)
def test_every_state_has_words(state: ConnectionState) -> None:
    """A word for clients of WAHA, a sentence, and what to do; a person is called where needed."""
    words = describe_session(build_stored_session(state))
    assert words.status in WAHA
    assert words.sentence.endswith(".")
    assert "{" not in words.sentence
    if state in NEEDS_PERSON_STATES:
        assert words.status == "FAILED"
        assert words.action is not UserAction.NONE


def test_every_reason_has_a_sentence_or_its_states_own() -> None:
    """A new reason without words is noticed here."""
    reasons = {
        heard.reason_code for heard in (*SIGNAL_TRIGGERS.values(), *REFUSAL_TRIGGERS.values())
    }
    reasons |= {*BAN_REASONS.values(), *DEADLINE_REASONS.values()}
    assert reasons - set(REASON_SENTENCES) == OWN_WORDS
    for reason in REASON_SENTENCES:
        words = describe_session(
            build_stored_session(ConnectionState.BACKOFF, reason_code=reason, due_at=MIDDAY)
        )
        assert "{" not in words.sentence


def test_every_deadline_has_a_reason() -> None:
    """No state is left by time without a word on why."""
    assert set(DEADLINE_REASONS) == set(CONNECTION_DEADLINES)
    assert set(STATE_TEXTS) == set(ConnectionState)


def test_moments_are_told_in_the_sessions_own_time() -> None:
    """Bogota is five hours behind."""
    record = build_stored_session(
        ConnectionState.BACKOFF, due_at=MIDDAY, reason_code="disconnected"
    )
    assert "2026-03-03 10:00:00" in describe_session(record).sentence


def test_a_ready_session_says_what_is_closed_and_what_is_missing() -> None:
    """Closed chats and a missing phone are said beside the state."""
    record = build_stored_session(
        ConnectionState.READY,
        sending=SendingState.REPLY_ONLY,
        sending_until=MIDDAY,
        reason_code="ready",
    )
    words = describe_session(record)
    assert (
        words.sentence
        == "Ready. New chats are closed until 2026-03-03 10:00:00 Bogota; replies still go out."
    )
    assert words.action is UserAction.WAIT_UNTIL
    assert build_session_view(record).ready
    assert not build_session_view(replace(record, connection=ConnectionState.BACKOFF)).ready


def test_the_shipped_settings_are_the_deadlines_of_the_drawings() -> None:
    """The drawings are documentation; what runs are the settings."""
    shipped = SessionSettings()
    drawn = {state: each.seconds for state, each in CONNECTION_DEADLINES.items() if each.seconds}
    assert drawn == {
        ConnectionState.STARTING: shipped.start_seconds,
        ConnectionState.AWAITING_SCAN: PAIRING_WINDOW_SECONDS,
        ConnectionState.PAIRING: shipped.pairing_seconds,
        ConnectionState.CONNECTING: shipped.connect_seconds,
        ConnectionState.SYNCING: shipped.sync_seconds,
        ConnectionState.DEGRADED: shipped.degraded_seconds,
        ConnectionState.FAILED: shipped.refusal_retry_seconds,
    }
    assert STREAM_ERROR_DEADLINE.seconds == shipped.stream_error_seconds


def test_a_silenced_number_stays_silenced_by_a_milder_notice() -> None:
    """A restriction heard during a ban neither opens replies nor sets an end."""
    life = SessionTransitions(
        build_stored_session(ConnectionState.BANNED_TEMPORARILY, sending=SendingState.NONE),
        Random(1),  # noqa: S311
    )
    after = life.restrict_sending("new_chat_cap", MIDDAY + timedelta(hours=1))
    assert (after.sending, after.sending_until) == (SendingState.NONE, None)


def test_a_code_is_on_show_until_it_ends_or_is_scanned() -> None:
    """Its moment of ending is computed by our clock."""
    display = PairingInProgress()
    shown = display.show("ventas", QrIssued("secret", 1, 6, 60), MIDDAY)
    assert shown.expires_at == MIDDAY + timedelta(seconds=60)
    assert display.get_current(MIDDAY + timedelta(seconds=59)) == shown
    assert display.get_current(MIDDAY + timedelta(seconds=60)) is None
    display.hide()
    assert display.get_current(MIDDAY) is None
    assert "secret" not in repr(shown)
