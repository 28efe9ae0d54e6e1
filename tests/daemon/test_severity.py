"""Colour is for state alone: each state has one severity, and none is forgotten."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from msgspec.structs import replace

from daemon import severity
from daemon.cli.console import STATE_COLOURS
from daemon.gate.consent import Permission
from daemon.http import console
from daemon.outbox.message_check import SendOutlook
from daemon.phases import PhaseState
from daemon.sessions.status import build_session_view
from daemon.severity import Severity
from rules.verdict import Verdict, VetoEffect
from statemachines.message import MessageState
from statemachines.prospect import ValidationState
from statemachines.session import NEEDS_PERSON_STATES, ConnectionState, PhoneState, SendingState
from tests.helpers.clock import MIDDAY
from tests.helpers.services.sessions import build_stored_session

UI = Path(console.__file__).parent / "templates" / "pieces" / "ui.html"


def test_every_state_has_a_tone() -> None:
    """A new state without a severity is noticed here, not by a person in front of a broken page."""
    assert severity.CONNECTION_SEVERITY.keys() == set(ConnectionState)
    assert severity.MESSAGE_SEVERITY.keys() == set(MessageState)
    assert severity.VERDICT_SEVERITY.keys() == set(Verdict)
    assert severity.SENDING_SEVERITY.keys() == set(SendingState)
    assert severity.PHONE_SEVERITY.keys() == set(PhoneState)
    assert severity.VALIDATION_SEVERITY.keys() == set(ValidationState)
    assert severity.PERMISSION_SEVERITY.keys() == set(Permission)
    assert severity.OUTLOOK_SEVERITY.keys() == set(SendOutlook)
    assert severity.PHASE_SEVERITY.keys() == set(PhaseState)
    assert severity.EFFECT_SEVERITY.keys() == set(VetoEffect)


@pytest.mark.parametrize("tone", Severity)
def test_every_tone_has_an_icon(tone: Severity) -> None:
    """Nothing is said by colour alone."""
    assert f'"{tone}": ' in UI.read_text(encoding="utf-8")


@pytest.mark.parametrize("state", sorted(NEEDS_PERSON_STATES))
def test_what_needs_a_person_looks_like_it(state: ConnectionState) -> None:
    """No session that stands still until a person acts is shown as waiting or ready."""
    assert severity.CONNECTION_SEVERITY[state] in {Severity.NEEDS_YOU, Severity.STOPPED}


def test_a_ready_session_that_may_only_reply_is_not_green() -> None:
    """Green means that everything may go."""
    ready = build_stored_session(ConnectionState.READY, reason_code="ready")
    closed = replace(ready, sending=SendingState.REPLY_ONLY)
    assert severity.get_session_severity(build_session_view(ready)) is Severity.READY
    assert severity.get_session_severity(build_session_view(closed)) is Severity.NEEDS_YOU
    until = replace(closed, sending_until=MIDDAY)
    assert severity.get_session_severity(build_session_view(until)) is Severity.WAITING


def test_a_terminal_has_the_colours_of_the_pages() -> None:
    """One word has one severity, in whichever of the maps that the command line paints."""
    maps = (severity.CONNECTION_SEVERITY, severity.MESSAGE_SEVERITY, severity.VERDICT_SEVERITY)
    for one, other in itertools.combinations(maps, 2):
        assert all(one[word] is other[word] for word in one.keys() & other.keys())
    assert STATE_COLOURS.keys() == {word for each in maps for word in each}
    expected = {"ready": "green", "backoff": "blue", "held": "yellow", "replaced": "red"}
    assert {word: STATE_COLOURS[word] for word in expected} == expected
