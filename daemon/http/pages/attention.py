"""What needs a person, oldest first: the lines of Today."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from daemon.http.pages import tones
from daemon.http.pages.tones import Tone
from daemon.sessions.view import SessionView
from statemachines.message import MANUAL, MessageState
from storage import listings
from storage.listings import WaitingCount
from storage.tx import Reader

MOST_LINES = 6


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that waits for a person. `key` names its words, `path` where it is dealt with.

    `sentence` is the server's own, where it has one.
    """

    key: str
    tone: Tone
    since: datetime
    path: str
    values: dict[str, object] = field(default_factory=dict)
    sentence: str = ""


def lines(reader: Reader, views: list[SessionView]) -> list[Line]:
    """Return everything that waits for a person, oldest first."""
    found = [*_sessions(views), *_messages(reader)]
    return sorted(found, key=lambda line: line.since)


def _sessions(views: list[SessionView]) -> Iterator[Line]:
    for view in views:
        if view.user_action != "none":
            yield Line(
                f"session.{view.user_action}",
                tones.of_session(view),
                view.since,
                f"/sessions/{view.name}",
                {"session": view.name},
                view.sentence,
            )


def _messages(reader: Reader) -> Iterator[Line]:
    queues = (
        ("held", (MessageState.HELD,), "", "/review"),
        ("in_doubt", (MessageState.IN_DOUBT,), "", "/messages?state=in_doubt"),
        ("by_hand", (MessageState.CLEARED,), MANUAL, "/manual"),
    )
    for key, states, channel, path in queues:
        yield from _line(key, listings.standing(reader, states, channel=channel), path)
    yield from _line("answers", listings.unanswered(reader), "/messages?state=delivered,read")


def _line(key: str, waiting: WaitingCount, path: str) -> Iterator[Line]:
    if waiting.since is not None:
        yield Line(key, Tone.NEEDS_YOU, waiting.since, path, {"n": waiting.count})
