"""What waits for a person's look: messages that were held, and numbers that no check can settle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from storage.listings import ListedMessage
from storage.messages import record
from storage.prospects import ProspectRecord, built

if TYPE_CHECKING:
    from storage.tx import Reader

UNKNOWN_ANSWERS: Final = 3
"""After so many answers that say nothing only a person's word helps."""

_WAITS: Final = "(m.state = 'held' OR (m.state = 'deferred' AND m.needs_review = 1))"
_UNSETTLED: Final = (
    "p.validation IN ('unchecked', 'expired')"
    f" AND (p.check_attempts >= {UNKNOWN_ANSWERS} OR p.line_type = 'fixed_line')"
    " AND p.permission NOT IN ('none', 'refused')"
    " AND NOT EXISTS (SELECT 1 FROM suppressions AS s WHERE s.contact = p.contact"
    " AND s.lifted_at IS NULL)"
    f" AND NOT EXISTS (SELECT 1 FROM messages AS m WHERE m.contact = p.contact AND {_WAITS})"
)


@dataclass(frozen=True, slots=True)
class Queue:
    """The longest waiting of both kinds, and how many there are in all."""

    messages: list[ListedMessage]
    numbers: list[ProspectRecord]
    messages_in_all: int
    numbers_in_all: int


def queue(reader: Reader, limit: int) -> Queue:
    """Return what waits for a person, of each kind `limit` at most, longest waiting first.

    A number whose message waits is not listed a second time; nor is one that nobody may write to.
    """
    waiting = reader.all(
        "SELECT m.*, coalesce(p.name, '') AS prospect_name FROM messages AS m"
        f" LEFT JOIN prospects AS p ON p.contact = m.contact WHERE {_WAITS}"
        " ORDER BY m.created_at, m.id LIMIT ?",
        (limit,),
    )
    numbers = reader.all(
        f"SELECT p.* FROM prospects AS p WHERE {_UNSETTLED} ORDER BY p.id LIMIT ?", (limit,)
    )
    return Queue(
        [ListedMessage(record(row), row["prospect_name"]) for row in waiting],
        [built(row) for row in numbers],
        reader.value(f"SELECT count(*) FROM messages AS m WHERE {_WAITS}"),
        reader.value(f"SELECT count(*) FROM prospects AS p WHERE {_UNSETTLED}"),
    )
