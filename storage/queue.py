"""What the outbox asks of the queue: who is next, what has waited enough, what is over."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from statemachines.message import MessageState
from storage import receipts
from storage.messages import MessageRecord, move, must, record
from storage.times import parse, stamp

if TYPE_CHECKING:
    from storage.tx import Reader, Tx

_CLOCK = "clock"
_WAITING = "state IN ('queued', 'cleared', 'held', 'deferred')"
_ON_ITS_WAY = "('sending', 'taken', 'revealed', 'in_doubt')"
_LEFT = "('sent', 'delivered', 'read', 'confirmed_by_hand')"


def to_judge(reader: Reader, limit: int) -> list[MessageRecord]:
    """Return queued messages, replies first, then in the order they came."""
    rows = reader.all(
        "SELECT * FROM messages WHERE state = 'queued'"
        " ORDER BY kind = 'commercial', created_at, id LIMIT ?",
        (limit,),
    )
    return [record(row) for row in rows]


def next_cleared(
    reader: Reader,
    session: str,
    at: datetime,
    *,
    new_chats: bool = True,
    skip: tuple[str, ...] = (),
) -> MessageRecord | None:
    """Return the message that a session should send next, or None.

    Replies go first. A contact who has one on its way, or in doubt, waits. Without
    ``new_chats`` only those who have had a message of ours, or wrote to us, are considered.
    """
    marks = ", ".join("?" for _ in skip)
    row = reader.one(
        "SELECT * FROM messages AS m WHERE state = 'cleared' AND session = ?"
        " AND channel <> 'manual' AND coalesce(not_before, '') <= ? AND not_after > ?"
        " AND (? OR first_contact = 0 OR EXISTS (SELECT 1 FROM messages AS o"
        f" WHERE o.contact = m.contact AND o.state IN {_LEFT}))"
        f" AND id NOT IN ({marks}) AND NOT EXISTS (SELECT 1 FROM messages AS o"
        f" WHERE o.contact = m.contact AND o.state IN {_ON_ITS_WAY})"
        " ORDER BY kind = 'commercial', created_at, id LIMIT 1",
        (session, stamp(at), stamp(at), new_chats, *skip),
    )
    return record(row) if row else None


def contact_is_busy(reader: Reader, contact: str, but: str) -> bool:
    """Tell whether another message of the contact is on its way or in doubt."""
    return bool(
        reader.value(
            f"SELECT 1 FROM messages WHERE contact = ? AND id <> ? AND state IN {_ON_ITS_WAY}",
            (contact, but),
        )
    )


def requeue_due(tx: Tx, at: datetime) -> int:
    """Put deferred messages whose time has come back before the gate; return how many."""
    return _requeue(tx, at, "due_at <= ?", (stamp(at),), "due", "Its time has come.")


def requeue_waiting(
    tx: Tx, at: datetime, waits_for: str, *, session: str = "", contact: str = ""
) -> int:
    """Put deferred messages that wait for something that just happened back before the gate."""
    return _requeue(
        tx,
        at,
        "waits_for = ? AND (? = '' OR session = ?) AND (? = '' OR contact = ?)",
        (waits_for, session, session, contact, contact),
        f"{waits_for}_happened",
        "What it waited for has happened.",
    )


def requeue_all(tx: Tx, at: datetime) -> int:
    """Put everything deferred or cleared back before the gate, because the rules changed."""
    return _requeue(
        tx, at, "1", (), "rules_changed", "The rules changed; it is judged anew.", cleared=True
    )


def _requeue(
    tx: Tx,
    at: datetime,
    where: str,
    params: tuple[object, ...],
    reason_code: str,
    sentence: str,
    *,
    cleared: bool = False,
) -> int:
    states = "('deferred', 'cleared')" if cleared else "('deferred')"
    rows = tx.all(
        f"SELECT id FROM messages WHERE state IN {states} AND {where} ORDER BY id", params
    )
    for row in rows:
        move(
            tx,
            row["id"],
            MessageState.QUEUED,
            at=at,
            reason_code=reason_code,
            sentence=sentence,
            who=_CLOCK,
        )
    return len(rows)


def expire(tx: Tx, at: datetime) -> int:
    """End every waiting message that is past its window; it never fires late."""
    rows = tx.all(
        f"SELECT id FROM messages WHERE {_WAITING} AND not_after <= ?",
        (stamp(at),),
    )
    for row in rows:
        move(
            tx,
            row["id"],
            MessageState.EXPIRED,
            at=at,
            reason_code="past_its_window",
            sentence="It could not go within its time, and is not sent late.",
            who=_CLOCK,
        )
    return len(rows)


def end_leases(tx: Tx, at: datetime) -> int:
    """End manual leases that are over: unseen ones go back, revealed ones are in doubt."""
    rows = tx.all(
        "SELECT id, state FROM messages WHERE state IN ('taken', 'revealed') AND lease_until <= ?",
        (stamp(at),),
    )
    for row in rows:
        revealed = row["state"] == MessageState.REVEALED
        move(
            tx,
            row["id"],
            MessageState.IN_DOUBT if revealed else MessageState.CLEARED,
            at=at,
            reason_code="lease_over",
            sentence="The link was shown and nobody said whether it was sent."
            if revealed
            else "Nobody finished it in time; it is free to be taken again.",
            who=_CLOCK,
        )
    return len(rows)


def return_taken(tx: Tx, at: datetime, *, who: str) -> None:
    """Give every taken message back, because sending was halted."""
    for row in tx.all("SELECT id FROM messages WHERE state = 'taken'"):
        move(
            tx,
            row["id"],
            MessageState.CLEARED,
            at=at,
            reason_code="halted",
            sentence="Sending was halted; the message went back.",
            who=who,
        )


def doubt_all_sending(tx: Tx, at: datetime) -> int:
    """Turn every ``sending`` into ``in_doubt``: after a crash nobody knows what left.

    But where a receipt came before the crash, it tells.
    """
    rows = tx.all("SELECT id, contact FROM messages WHERE state = 'sending'")
    for row in rows:
        move(
            tx,
            row["id"],
            MessageState.IN_DOUBT,
            at=at,
            reason_code="daemon_stopped_while_sending",
            sentence="The daemon stopped while this was on its way; it is not sent again.",
            who="daemon",
        )
        receipts.settle_doubt(tx, row["contact"], at)
    return len(rows)


def next_due(reader: Reader) -> datetime | None:
    """Return the next moment at which the clock alone moves a message, or None."""
    text = reader.value(
        "SELECT min(t) FROM ("
        " SELECT min(due_at) AS t FROM messages WHERE state = 'deferred'"
        f" UNION ALL SELECT min(not_after) FROM messages WHERE {_WAITING}"
        " UNION ALL SELECT min(lease_until) FROM messages WHERE state IN ('taken', 'revealed'))"
    )
    return parse(text) if text else None


def began_between(reader: Reader, since: datetime, at: datetime) -> list[str]:
    """Return the sessions with a cleared message whose ``not_before`` came in this stretch."""
    rows = reader.all(
        "SELECT DISTINCT session FROM messages"
        " WHERE state = 'cleared' AND not_before > ? AND not_before <= ?",
        (stamp(since), stamp(at)),
    )
    return [row["session"] for row in rows]


def sessions_wanting(reader: Reader, contact: str) -> list[str]:
    """Return the sessions with a cleared message for a contact who has just become free."""
    rows = reader.all(
        "SELECT DISTINCT session FROM messages WHERE state = 'cleared' AND contact = ?", (contact,)
    )
    return [row["session"] for row in rows]


def for_review(reader: Reader, limit: int) -> list[MessageRecord]:
    """Return what needs a person's word, longest waiting first, deferred ones included."""
    rows = reader.all(
        "SELECT * FROM messages WHERE state = 'held' OR (state = 'deferred' AND needs_review = 1)"
        " ORDER BY created_at, id LIMIT ?",
        (limit,),
    )
    return [record(row) for row in rows]


def lease(tx: Tx, message: str, who: str | None, until: datetime | None) -> MessageRecord:
    """Note who looks at a waiting message, and until when; its state stays as it is."""
    tx.execute(
        "UPDATE messages SET taken_by = ?, lease_until = ? WHERE id = ?",
        (who, until and stamp(until), message),
    )
    return must(tx, message)


def looked_at(tx: Tx, message: str) -> MessageRecord:
    """Note that a person has decided about a message that goes on waiting for something else."""
    tx.execute(
        "UPDATE messages SET needs_review = 0, taken_by = NULL, lease_until = NULL WHERE id = ?",
        (message,),
    )
    return must(tx, message)


def by_hand(reader: Reader, limit: int) -> list[MessageRecord]:
    """Return what a person may take, or has taken, longest waiting first."""
    rows = reader.all(
        "SELECT * FROM messages WHERE channel = 'manual'"
        " AND state IN ('cleared', 'taken', 'revealed', 'in_doubt')"
        " ORDER BY created_at, id LIMIT ?",
        (limit,),
    )
    return [record(row) for row in rows]


def open_of(reader: Reader, operator: str) -> str | None:
    """Return the message that an operator has taken and not finished, or None."""
    message: str | None = reader.value(
        "SELECT id FROM messages WHERE state IN ('taken', 'revealed') AND taken_by = ?",
        (operator,),
    )
    return message
