"""One vocabulary: events that come back as they went, errors with a code of their own."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, get_type_hints

import msgspec
import pytest

from daemon import errors
from daemon.errors import BadRequest, LeadMasterError
from daemon.events import (
    EVENT_CLASSES,
    DomainEvent,
    MessageChanged,
    SessionQrShown,
    decode_event,
    list_data_fields,
)
from statemachines.message import MessageState
from storage.messages import MessageStateEvent
from tests.helpers.clock import MIDDAY

EXAMPLES = {
    str: "x",
    int: 3,
    float: 0.5,
    bool: True,
    datetime: MIDDAY,
    str | None: None,
    int | None: 7,
    bool | None: None,
    datetime | None: MIDDAY,
    tuple[str, ...]: ("a", "b"),
}


def example(kind: type[DomainEvent]) -> DomainEvent:
    """Return an event of a class with plausible values."""
    hints = get_type_hints(kind)
    return kind(
        subject="s", at=MIDDAY, **{name: EXAMPLES[hints[name]] for name in list_data_fields(kind)}
    )


@pytest.mark.parametrize("name", sorted(EVENT_CLASSES))
def test_an_event_comes_back_from_the_log_as_it_went_in(name: str) -> None:
    """Through JSON, under its type word."""
    event = example(EVENT_CLASSES[name])
    stored = msgspec.json.decode(msgspec.json.encode(event.data))
    assert decode_event(name, event.subject, event.at, stored) == event


def test_type_words_say_who_and_what_happened() -> None:
    """`subject.verb` in the past tense, one class each."""
    assert all(
        kind.event_type == name and name.count(".") == 1 for name, kind in EVENT_CLASSES.items()
    )


def test_a_qr_is_a_secret_in_every_log_line() -> None:
    """Its code is not in its repr."""
    shown = SessionQrShown(
        subject="main", at=MIDDAY, code="SECRET", index=1, maximum=6, expires_at=MIDDAY
    )
    assert "SECRET" not in repr(shown)


def test_what_storage_writes_of_a_move_fits_the_public_event() -> None:
    """The two declarations are one vocabulary."""
    assert MessageStateEvent(MIDDAY, "msg_1", {}).type == MessageChanged.event_type
    assert set(list_data_fields(MessageChanged)) >= {"state", "previous", "decision", "due_at"}
    assert MessageState("sent") == "sent"


def every_error() -> list[type[LeadMasterError]]:
    """Return every error class of the tree's own module."""
    return [
        each for each in LeadMasterError.registry.values() if each.__module__ == errors.__name__
    ]


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.code)
def test_every_error_has_a_code_a_status_and_a_hint(kind: type[LeadMasterError]) -> None:
    """What a client and a person need."""
    problem = kind("What happened.").to_problem()
    assert problem["code"] == kind.code
    assert 400 <= kind.status < 600
    assert problem["hint"]
    assert problem["detail"] == "What happened."


def test_a_code_belongs_to_one_error() -> None:
    """A second class of the same code is a defect at import."""
    with pytest.raises(TypeError, match="used twice"):

        class Copy(LeadMasterError):
            code: ClassVar[str] = "bad_request"

    assert LeadMasterError.registry["bad_request"] is BadRequest


def test_a_hint_of_its_own_replaces_the_usual_one() -> None:
    """Where the place knows better."""
    assert BadRequest("x", hint="Do this.").hint == "Do this."
    assert BadRequest("x").hint == BadRequest.hint
