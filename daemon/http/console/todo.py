"""The list on the Today page of all that is not fine: what is wrong, and what needs a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct, field

from daemon import severity
from daemon.http.health import HealthWarning, ReadinessBlocker
from daemon.outbox.check_waits import count_expiring_messages
from daemon.rulesets.status import RulesetStatus
from daemon.sessions.status import SessionView, describe_block
from daemon.severity import Severity
from statemachines.message import MessageState
from statemachines.vocabulary import BlockedBy, BuiltinChannel
from storage import (
    bans,
    console_queries,
    delivery_queries,
    history,
    numbers,
    review_queries,
    session_queue,
)
from storage.console_queries import WaitingCount
from storage.data_requests import list_data_requests
from storage.halts import HaltRecord
from storage.tx import Reader
from storage.waiting import count_waiting

MAX_VISIBLE_ITEMS = 6
_COUNTED_HERE: Final = frozenset(
    {"history_unknown", "quarantine", "expiring", "new_chats_stopped", "number_banned"}
)
"""Warnings of readiness for which the list has an item of its own, that leads to the place."""
_PAGES: Final[Mapping[str, str]] = {"one_engine": "/rules", "budget_not_decided": "/sessions"}
"""The page of a warning that has one."""


class TodoItem(Struct, frozen=True):
    """One thing that is not fine. `key` is its catalogue key, `path` its page, empty without one.

    `since` is None for what has no beginning that is known. `sentence` is the server's, if there is
    one; an item with the key `condition` has nothing else, and `code` is that of readiness.
    """

    key: str
    severity: Severity
    since: datetime | None
    path: str
    values: dict[str, object] = field(default_factory=dict)
    sentence: str = ""
    code: str = ""


class DaemonCondition(Struct, frozen=True):
    """What the whole installation is like: its halt, what readiness names, and its rules."""

    halt: HaltRecord | None
    blockers: Sequence[ReadinessBlocker]
    warnings: Sequence[HealthWarning]
    rules: RulesetStatus

    @property
    def is_blocked(self) -> bool:
        """Return whether nothing can be sent at all, from whatever session."""
        return any(each.session is None for each in self.blockers)


def list_todo_items(
    reader: Reader,
    condition: DaemonCondition,
    views: list[SessionView],
    review_band: range,
    now: datetime,
) -> list[TodoItem]:
    """Return everything that is not fine: what concerns all first, then the oldest."""
    found = [
        *_session_items(views),
        *_number_items(reader, views),
        *_message_items(reader, now),
        *_review_items(reader, review_band, now),
        *_queue_item("expiring", count_expiring_messages(reader, now), "/review/numbers"),
        *_blocked_items(reader),
        *_history_item(reader),
        *_data_item(reader),
        *_opt_out_items(reader),
        *_rules_items(condition.rules),
    ]
    found.sort(key=lambda item: item.since or now)
    return [*_condition_items(condition), *found]


def _condition_items(condition: DaemonCondition) -> Iterator[TodoItem]:
    """Yield an item for the halt, and one for all that readiness names and nothing else shows.

    So what readiness names from tomorrow on is shown too.
    """
    for blocker in condition.blockers:
        if blocker.session is None:  # else it is among the blocked items
            yield _condition_item(Severity.STOPPED, blocker.code, blocker.sentence)
    if (halt := condition.halt) is not None:
        yield TodoItem("halt", Severity.STOPPED, halt.at, "#halt-banner")
    for warning in condition.warnings:
        if warning.code not in _COUNTED_HERE:
            yield _condition_item(Severity.NEEDS_YOU, warning.code, warning.sentence)


def _condition_item(level: Severity, code: str, sentence: str) -> TodoItem:
    path = _PAGES.get(code, "")
    return TodoItem("condition", level, None, path, sentence=sentence, code=code)


def _rules_items(rules: RulesetStatus) -> Iterator[TodoItem]:
    """Yield an item where the operator's rule files are not in force."""
    if rules.rejected is not None:
        yield TodoItem("rules_rejected", Severity.NEEDS_YOU, rules.rejected.at, "/rules")
    elif rules.waiting is not None:
        yield TodoItem("rules_waiting", Severity.NEEDS_YOU, rules.waiting.at, "/rules")


def _review_items(reader: Reader, band: range, now: datetime) -> Iterator[TodoItem]:
    """Yield an item for the numbers and one for the people that the review lists."""
    yield from _queue_item(
        "numbers", review_queries.count_numbers_to_validate(reader), "/review/numbers"
    )
    yield from _queue_item(
        "prospects", review_queries.count_waiting_prospects(reader, band, now), "/review"
    )


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


def _number_items(reader: Reader, views: list[SessionView]) -> Iterator[TodoItem]:
    """Yield an item for each number that is banned, or whose new chats the breaker stopped."""
    session_of = {view.phone: view.name for view in reversed(views) if view.phone is not None}
    for number in numbers.list_numbers(reader):
        session = session_of.get(number.phone)
        if session is None:
            continue
        ban = bans.find_latest_ban(reader, number.phone)
        if number.banned_at is not None and ban is not None:
            path = f"/bans/{ban.id}"
            yield TodoItem("ban", Severity.STOPPED, ban.at, path, {"session": session})
        elif number.new_chats_stopped_at is not None:
            since, path = number.new_chats_stopped_at, f"/sessions/{session}"
            values: dict[str, object] = {"session": session}
            yield TodoItem("new_chats_stopped", Severity.NEEDS_YOU, since, path, values)


def _message_items(reader: Reader, now: datetime) -> Iterator[TodoItem]:
    queues = (
        ("held", (MessageState.HELD,), "", "/review"),
        ("in_doubt", (MessageState.IN_DOUBT,), "", "/review/unconfirmed"),
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
        count_waiting(reader, now),
        "/chats",
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


def _history_item(reader: Reader) -> Iterator[TodoItem]:
    """Yield an item until the past was imported, or a person said that there is none."""
    if (since := history.find_unsettled_since(reader)) is not None:
        yield TodoItem("history", Severity.NEEDS_YOU, since, "/prospects/import/history")


def _data_item(reader: Reader) -> Iterator[TodoItem]:
    """Yield an item while somebody waits for the data that is stored of them."""
    if found := list_data_requests(reader):
        since, values = found[0].asked_at, {"n": len(found), "due": found[0].due_at}
        yield TodoItem("data_asked", Severity.NEEDS_YOU, since, "/chats?tab=data_asked", values)


def _opt_out_items(reader: Reader) -> Iterator[TodoItem]:
    """Yield an item for each client that does not know who opted out since a delivery."""
    for _, name, count in delivery_queries.count_unreported_opt_outs(reader):
        values: dict[str, object] = {"n": count, "client": name}
        yield TodoItem("later_opt_outs", Severity.NEEDS_YOU, None, "/deliveries", values)


def _queue_item(key: str, waiting: WaitingCount, path: str) -> Iterator[TodoItem]:
    if waiting.since is not None:
        yield TodoItem(key, Severity.NEEDS_YOU, waiting.since, path, {"n": waiting.count})
