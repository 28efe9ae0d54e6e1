"""Colour is for state alone: each state has one tone, and none is forgotten."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from daemon.http.pages import tones
from daemon.http.pages.tones import Tone
from daemon.sessions.view import view_of
from rules.verdict import Verdict
from statemachines.message import MessageState
from statemachines.session import NEEDS_PERSON, ConnectionState, PhoneState, SendingState
from tests.daemon.sessions.test_restoring import stored
from tests.helpers.clock import MIDDAY

UI = Path(tones.__file__).parent / "templates" / "pieces" / "ui.html"


def test_every_state_has_a_tone() -> None:
    """A new state without a tone is noticed here, not by a person in front of a broken page."""
    assert tones.CONNECTIONS.keys() == set(ConnectionState)
    assert tones.MESSAGES.keys() == set(MessageState)
    assert tones.VERDICTS.keys() == set(Verdict)
    assert tones.SENDING.keys() == set(SendingState)
    assert tones.PHONES.keys() == set(PhoneState)


@pytest.mark.parametrize("tone", Tone)
def test_every_tone_has_an_icon(tone: Tone) -> None:
    """Nothing is said by colour alone."""
    assert f'"{tone}": ' in UI.read_text(encoding="utf-8")


@pytest.mark.parametrize("state", sorted(NEEDS_PERSON))
def test_what_needs_a_person_looks_like_it(state: ConnectionState) -> None:
    """No session that stands still until a person acts is shown as waiting or ready."""
    assert tones.CONNECTIONS[state] in {Tone.NEEDS_YOU, Tone.STOPPED}


def test_a_ready_session_that_may_only_reply_is_not_green() -> None:
    """Green means that everything may go."""
    ready = stored(ConnectionState.READY, reason_code="ready")
    closed = replace(ready, sending=SendingState.REPLY_ONLY)
    assert tones.of_session(view_of(ready)) is Tone.READY
    assert tones.of_session(view_of(closed)) is Tone.NEEDS_YOU
    until = replace(closed, sending_until=MIDDAY)
    assert tones.of_session(view_of(until)) is Tone.WAITING
