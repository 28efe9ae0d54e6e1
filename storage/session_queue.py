"""The unsent messages of one session: what its state keeps back, and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from statemachines.message import CANCELLABLE_STATES, MessageState, TransitionActor
from statemachines.session import (
    MANUAL_BLOCKS,
    ConnectionState,
    PhoneState,
    SendingState,
    find_session_block,
)
from statemachines.vocabulary import BlockedBy, BuiltinChannel, WaitsFor
from storage.column_formats import parse_timestamp
from storage.messages import MessageRecord, require_message, transition_message
from storage.sql_text import format_sql_list

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from storage.sessions import SessionRecord
    from storage.tx import Reader, Tx


_BATCH_SIZE: Final = 500
"""Messages that one transaction moves at most; the outbox's timer goes on with the rest."""
_IS_BY_HAND: Final = f"(channel = '{BuiltinChannel.MANUAL}')"
_IS_UNSENT: Final = f"state IN {format_sql_list(CANCELLABLE_STATES)}"
_SESSIONS: Final = (
    "SELECT s.name, s.connection, s.phone_state, s.sending, s.phone, s.deleted_at, n.banned_at"
    " FROM sessions AS s LEFT JOIN numbers AS n ON n.phone = s.phone"
)


class DescribeBlock(Protocol):
    """Says in a sentence what keeps a session's messages back, and what to do about it."""

    def __call__(self, block: BlockedBy, session: str) -> str:
        """Return the sentence."""
        ...


@dataclass(frozen=True, slots=True)
class BlockedCount:
    """How many messages of a session wait because it can't send, why, and since when the first."""

    session: str
    blocked_by: BlockedBy
    messages: int
    since: datetime


def session_block_from_row(row: sqlite3.Row) -> BlockedBy | None:
    """Return what keeps back the messages of a session whose row has these columns."""
    if row["deleted_at"] is not None:
        return BlockedBy.SESSION_DELETED
    return find_session_block(
        ConnectionState(row["connection"]),
        PhoneState(row["phone_state"]),
        SendingState(row["sending"]),
        has_number=row["phone"] is not None,
    )


def get_channel_block(
    block: BlockedBy | None, *, by_hand: bool, number_banned: bool
) -> BlockedBy | None:
    """Return what a session's block, and a ban on its number, mean for messages sent so."""
    if not by_hand:
        return block
    if block in MANUAL_BLOCKS:
        return block
    return BlockedBy.NUMBER_BANNED if number_banned else None


def refresh_blocked_messages(
    tx: Tx, at: datetime, describe: DescribeBlock, *, session: str = ""
) -> int:
    """Make messages fit what their sessions can do now; return how many moved.

    What was cleared and can't go any more is deferred. What waits for a session, or for a time,
    and would now be told another reason goes before the gate again. ``session``: only this one's.
    """
    moved = 0
    for row in tx.all(f"{_SESSIONS} WHERE ? = '' OR s.name = ?", (session, session)):
        block, banned = session_block_from_row(row), row["banned_at"] is not None
        for by_hand in (False, True):
            found = get_channel_block(block, by_hand=by_hand, number_banned=banned)
            moved += _requeue_outdated(tx, at, row["name"], found, by_hand=by_hand)
            if found is not None:
                sentence = describe(found, row["name"])
                moved += _defer_cleared(tx, at, row["name"], found, sentence, by_hand=by_hand)
    return moved


def _defer_cleared(
    tx: Tx, at: datetime, session: str, block: BlockedBy, sentence: str, *, by_hand: bool
) -> int:
    """Defer what was cleared; where replies still go, the first contacts alone."""
    rows = tx.all(
        f"SELECT id FROM messages WHERE state = '{MessageState.CLEARED}' AND session = ?"
        f" AND {_IS_BY_HAND} = ? AND (first_contact = 1 OR ?) ORDER BY created_at, id LIMIT ?",
        (session, by_hand, block is not BlockedBy.SESSION_REPLY_ONLY, _BATCH_SIZE),
    )
    for row in rows:
        transition_message(
            tx,
            row["id"],
            MessageState.DEFERRED,
            at=at,
            reason_code=block.value,
            sentence=sentence,
            who=TransitionActor.SESSION,
            waits_for=WaitsFor.SESSION,
            blocked_by=block,
        )
    return len(rows)


def _requeue_outdated(
    tx: Tx, at: datetime, session: str, block: BlockedBy | None, *, by_hand: bool
) -> int:
    """Let the gate judge anew what waits for another reason than the session's present one.

    Messages that wait for a time are told of a session that stops all of them; but not those of
    which the gate could not judge: their pauses would be lost.
    """
    stops_all = block not in {None, BlockedBy.SESSION_REPLY_ONLY}
    rows = tx.all(
        f"SELECT id FROM messages WHERE state = '{MessageState.DEFERRED}' AND session = ?"
        f" AND {_IS_BY_HAND} = ? AND ((waits_for = '{WaitsFor.SESSION}' AND blocked_by IS NOT ?)"
        " OR (? AND waits_for IS NULL AND faults = 0)) ORDER BY created_at, id LIMIT ?",
        (session, by_hand, block, stops_all, _BATCH_SIZE),
    )
    for row in rows:
        transition_message(
            tx,
            row["id"],
            MessageState.QUEUED,
            at=at,
            reason_code="session_changed",
            sentence="Its session changed; it is judged anew.",
            who=TransitionActor.SESSION,
        )
    return len(rows)


def list_blocked_counts(reader: Reader) -> list[BlockedCount]:
    """Return by session how many messages wait because it can't send, the most first."""
    rows = reader.all(
        "SELECT session, blocked_by, count(*) AS n, min(changed_at) AS since FROM messages"
        " WHERE blocked_by IS NOT NULL GROUP BY session, blocked_by"
        " ORDER BY n DESC, session, blocked_by"
    )
    return [
        BlockedCount(
            row["session"], BlockedBy(row["blocked_by"]), row["n"], parse_timestamp(row["since"])
        )
        for row in rows
    ]


def count_unsent_messages(reader: Reader, session: str) -> int:
    """Return how many messages of a session have certainly not left, and still may."""
    n: int = reader.value(
        f"SELECT count(*) FROM messages WHERE session = ? AND {_IS_UNSENT}", (session,)
    )
    return n


def cancel_unsent_messages(tx: Tx, session: str, at: datetime, *, who: str) -> int:
    """Cancel what a session has not sent, because it is deleted; return how many these were."""
    unsent = _list_unsent_messages(tx, session)
    for message in unsent:
        transition_message(
            tx,
            message,
            MessageState.CANCELLED,
            at=at,
            reason_code=BlockedBy.SESSION_DELETED.value,
            sentence=f"The session {session} was deleted, and its messages cancelled.",
            who=who,
        )
    return len(unsent)


def move_unsent_messages(tx: Tx, session: str, to: SessionRecord, at: datetime, *, who: str) -> int:
    """Give what a session has not sent to another one; return how many messages these were."""
    unsent = _list_unsent_messages(tx, session)
    for message in unsent:
        move_message(tx, message, to, at, who=who)
    return len(unsent)


def move_message(
    tx: Tx, message: str, to: SessionRecord, at: datetime, *, who: str
) -> MessageRecord:
    """Give an unsent message to another session, where the gate judges it anew.

    One that a person has taken, and not seen, goes back first. Raises
    :class:`MessageStateConflict` for one that may have left.
    """
    before = require_message(tx, message)
    by_hand = before.channel == BuiltinChannel.MANUAL

    def move(target: MessageState, **columns: object) -> MessageRecord:
        return transition_message(
            tx,
            message,
            target,
            at=at,
            reason_code="session_moved",
            sentence=f"It goes by the session {to.name} now.",
            who=who,
            **columns,
        )

    if before.state is MessageState.TAKEN:
        move(MessageState.CLEARED)
    channel = before.channel if by_hand else to.channel
    return move(MessageState.QUEUED, session=to.name, channel=channel)


def _list_unsent_messages(reader: Reader, session: str) -> list[str]:
    rows = reader.all(
        f"SELECT id FROM messages WHERE session = ? AND {_IS_UNSENT} ORDER BY created_at, id",
        (session,),
    )
    return [row["id"] for row in rows]
