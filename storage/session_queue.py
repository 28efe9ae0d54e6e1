"""The unsent messages of a session: blocks by the session's state, moves to another session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

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
"""How many messages of a session one transaction moves; the outbox's timer does the rest."""
_IS_BY_HAND: Final = f"(channel = '{BuiltinChannel.MANUAL}')"
_IS_UNSENT: Final = f"state IN {format_sql_list(CANCELLABLE_STATES)}"
_SESSIONS: Final = (
    "SELECT s.name, s.connection, s.phone_state, s.sending, s.phone, s.deleted_at, n.banned_at"
    " FROM sessions AS s LEFT JOIN numbers AS n ON n.phone = s.phone"
)


class DescribeBlock(Protocol):
    """A function that describes for people why a session can't send, and what to do about it."""

    def __call__(self, block: BlockedBy, session: str) -> str:
        """Return the sentence for a block of the session of this name."""
        ...


class BlockedCount(Struct, frozen=True):
    """How many messages of a session wait for one reason, and since when the first of them does."""

    session: str
    blocked_by: BlockedBy
    messages: int
    since: datetime


def session_block_from_row(row: sqlite3.Row) -> BlockedBy | None:
    """Return why a session can't send, or None; the row needs the columns of ``_SESSIONS``."""
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
    """Return the block that holds for messages sent by hand, or automatically, or None."""
    if block is not None and (not by_hand or block in MANUAL_BLOCKS):
        return block
    # Another session of the number may be connected still.
    return BlockedBy.NUMBER_BANNED if number_banned else None


def refresh_blocked_messages(
    tx: Tx, at: datetime, describe: DescribeBlock, *, session: str = ""
) -> int:
    """Bring messages in line with what their sessions can do now; return how many changed.

    Cleared messages that can't be sent any more are deferred. Deferred ones whose reason is out of
    date are queued to be judged again. ``session``: only this one's messages.
    """
    moved = 0
    for row in tx.all(f"{_SESSIONS} WHERE ? = '' OR s.name = ?", (session, session)):
        block, banned = session_block_from_row(row), row["banned_at"] is not None
        for by_hand in (False, True):
            found = get_channel_block(block, by_hand=by_hand, number_banned=banned)
            # Before deferring: what is deferred below already has the present reason.
            moved += _requeue_outdated(tx, at, row["name"], found, by_hand=by_hand)
            if found is not None:
                sentence = describe(found, row["name"])
                moved += _defer_cleared(tx, at, row["name"], found, sentence, by_hand=by_hand)
    return moved


def _defer_cleared(
    tx: Tx, at: datetime, session: str, block: BlockedBy, sentence: str, *, by_hand: bool
) -> int:
    """Defer the cleared messages of a blocked session; with ``reply_only``, first contacts only."""
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
    """Queue deferred messages whose stored reason is not the session's present one."""
    # Also those that wait for a time, where the session stops everything: people should see that.
    # But not after a gate fault (`faults`): the growing pauses between its retries would be lost.
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
            sentence="Its session changed; it is checked again.",
            who=TransitionActor.SESSION,
        )
    return len(rows)


def list_blocked_counts(reader: Reader) -> list[BlockedCount]:
    """Return how many messages wait for each session and reason, the most first."""
    rows = reader.all(
        "SELECT session, blocked_by, count(*) AS n, min(changed_at) AS since FROM messages"
        f" WHERE blocked_by IS NOT NULL AND waits_for = '{WaitsFor.SESSION}'"
        " GROUP BY session, blocked_by"
        " ORDER BY n DESC, session, blocked_by"
    )
    return [
        BlockedCount(
            row["session"], BlockedBy(row["blocked_by"]), row["n"], parse_timestamp(row["since"])
        )
        for row in rows
    ]


def count_unsent_messages(reader: Reader, session: str) -> int:
    """Return how many messages of a session are still to be sent and certainly have not left."""
    n: int = reader.value(
        f"SELECT count(*) FROM messages WHERE session = ? AND {_IS_UNSENT}", (session,)
    )
    return n


def cancel_unsent_messages(tx: Tx, session: str, at: datetime, *, who: str) -> int:
    """Cancel the unsent messages of a session that is deleted; return how many."""
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
    """Move the unsent messages of a session to another one; return how many."""
    unsent = _list_unsent_messages(tx, session)
    for message in unsent:
        move_message(tx, message, to, at, who=who)
    return len(unsent)


def move_message(
    tx: Tx, message: str, to: SessionRecord, at: datetime, *, who: str
) -> MessageRecord:
    """Move an unsent message to another session, and queue it to be judged again; return it.

    Raises :class:`MessageStateConflict` for one that may have left.
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
            sentence=f"It goes out by the session {to.name} now.",
            who=who,
            **columns,
        )

    # There is no transition from `taken` to `queued`.
    if before.state is MessageState.TAKEN:
        move(MessageState.CLEARED)
    # A message by hand stays one; any other goes by the channel of its new session.
    channel = before.channel if by_hand else to.channel
    return move(MessageState.QUEUED, session=to.name, channel=channel)


def _list_unsent_messages(reader: Reader, session: str) -> list[str]:
    rows = reader.all(
        f"SELECT id FROM messages WHERE session = ? AND {_IS_UNSENT} ORDER BY created_at, id",
        (session,),
    )
    return [row["id"] for row in rows]
