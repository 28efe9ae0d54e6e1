"""The list on the Today page of what needs a person, oldest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from daemon import severity
from daemon.outbox.check_waits import count_expiring_messages
from daemon.sessions.status import SessionView, describe_block
from daemon.severity import Severity
from statemachines.message import MessageState
from statemachines.vocabulary import BlockedBy, BuiltinChannel
from storage import console_queries, session_queue
from storage.console_queries import WaitingCount
from storage.tx import Reader

MAX_VISIBLE_ITEMS = 6


@dataclass(frozen=True, slots=True)
class TodoItem:
    """One thing that waits for a person. `key` is its catalogue key, `path` the page for it.

    `sentence` is the server's, if there is one.
    """

    key: str
    severity: Severity
    since: datetime
    path: str
    values: dict[str, object] = field(default_factory=dict)
    sentence: str = ""


def list_todo_items(reader: Reader, views: list[SessionView], now: datetime) -> list[TodoItem]:
    """Return everything that waits for a person, oldest first."""
    found = [
        *_session_items(views),
        *_message_items(reader),
        *_queue_item("expiring", count_expiring_messages(reader, now), "/review"),
        *_blocked_items(reader),
    ]
    return sorted(found, key=lambda item: item.since)


def _session_items(views: list[SessionView]) -> Iterator[TodoItem]:
    for view in views:
        if view.user_action != "none":
            yield TodoItem(
                f"session.{view.user_action}",
                severity.get_session_severity(view),
                view.since,
                f"/sessions/{view.name}",
                {"session": view.name},
                view.sentence,
            )


def _message_items(reader: Reader) -> Iterator[TodoItem]:
    queues = (
        ("held", (MessageState.HELD,), "", "/review"),
        ("in_doubt", (MessageState.IN_DOUBT,), "", "/messages?state=in_doubt"),
        ("by_hand", (MessageState.CLEARED,), BuiltinChannel.MANUAL, "/manual"),
    )
    for key, states, channel, path in queues:
        yield from _queue_item(
            key, console_queries.count_messages_in_states(reader, states, channel=channel), path
        )
    yield from _queue_item(
        "quarantined", console_queries.count_quarantined_signals(reader), "/quarantine"
    )
    yield from _queue_item(
        "unread", console_queries.count_unread_inbound(reader), "/review/meanings"
    )
    yield from _queue_item(
        "answers",
        console_queries.count_unanswered_contacts(reader),
        "/messages?state=delivered,read",
    )


def _blocked_items(reader: Reader) -> Iterator[TodoItem]:
    """Yield an item for each session with messages that wait because it can't send."""
    for found in session_queue.list_blocked_counts(reader):
        # A deleted session has no page to send the reader to.
        deleted = found.blocked_by is BlockedBy.SESSION_DELETED
        waiting = f"/messages?state=deferred&session={found.session}"
        yield TodoItem(
            "blocked",
            Severity.NEEDS_YOU,
            found.since,
            waiting if deleted else f"/sessions/{found.session}",
            {"n": found.messages, "session": found.session, "blocked_by": found.blocked_by},
            describe_block(found.blocked_by, found.session),
        )


def _queue_item(key: str, waiting: WaitingCount, path: str) -> Iterator[TodoItem]:
    if waiting.since is not None:
        yield TodoItem(key, Severity.NEEDS_YOU, waiting.since, path, {"n": waiting.count})
