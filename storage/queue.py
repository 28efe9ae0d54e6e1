"""The message queue: the next message, due and expired messages, leases, and the review list."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from statemachines.message import (
    BUSY_STATES,
    LEASED_STATES,
    LEFT_STATES,
    MANUAL_QUEUE_STATES,
    WAITING_STATES,
    MessageState,
    TransitionActor,
)
from statemachines.session import CAN_SEND_STATES, SendingState
from statemachines.vocabulary import BuiltinChannel, MessageKind, WaitsFor
from storage.column_formats import format_timestamp, parse_timestamp
from storage.halts import ANSWER_KINDS
from storage.messages import MessageRecord, message_from_row, require_message, transition_message
from storage.sessions import IS_OF_NUMBER
from storage.sql_text import format_sql_list

if TYPE_CHECKING:
    from storage.tx import Reader, Tx

_CLOCK_ACTOR = TransitionActor.CLOCK
_IS_WAITING = f"state IN {format_sql_list(WAITING_STATES)}"
# Words sort behind the digits of every moment.
_IS_UNREADABLE = "(due_at > '3' OR not_before > '3' OR not_after > '3')"
_IS_LEASED = f"state IN {format_sql_list(LEASED_STATES)}"
_IS_BUSY = f"state IN {format_sql_list(BUSY_STATES)}"
_HAS_LEFT = f"state IN {format_sql_list(LEFT_STATES)}"
_REJUDGED_STATES = {
    MessageState.CLEARED,
    MessageState.DEFERRED,
    MessageState.HELD,
    MessageState.TAKEN,
}
_MAYBE_SENT_BY_HAND = format_sql_list({MessageState.REVEALED, MessageState.IN_DOUBT})
# FALSE sorts before TRUE, so what is not commercial comes first.
_REPLIES_FIRST = f"ORDER BY kind = '{MessageKind.COMMERCIAL}', created_at, id"
NEEDS_REVIEW = (
    f"(m.state = '{MessageState.HELD}'"
    f" OR (m.state = '{MessageState.DEFERRED}' AND m.needs_review = 1))"
)
"""SQL for a message ``m`` that needs a person's decision."""


def list_queued_messages(reader: Reader, limit: int) -> list[MessageRecord]:
    """Return queued messages, replies first, then the oldest."""
    rows = reader.all(
        f"SELECT * FROM messages WHERE state = '{MessageState.QUEUED}' {_REPLIES_FIRST} LIMIT ?",
        (limit,),
    )
    return [message_from_row(row) for row in rows]


class SkippedMessages(Struct, frozen=True):
    """What a session passes over for a moment: messages, and all messages of contacts; by id."""

    messages: set[str]
    contacts: set[str]


def get_next_cleared_message(
    reader: Reader,
    session: str,
    at: datetime,
    *,
    new_chats: bool = True,
    skipped: SkippedMessages | None = None,
    answers_only: bool = False,
) -> MessageRecord | None:
    """Return the message that a session should send next, or None.

    Replies come first. Contacts with a message in flight or in doubt are left out. Without
    ``new_chats`` so are first contacts where nothing was sent to the contact yet, and with
    ``answers_only`` everything that answers nobody.
    """
    messages, contacts = (skipped.messages, skipped.contacts) if skipped else ((), ())
    row = reader.one(
        f"SELECT * FROM messages AS m WHERE state = '{MessageState.CLEARED}' AND session = ?"
        f" AND channel <> '{BuiltinChannel.MANUAL}'"
        " AND coalesce(not_before, '') <= ? AND not_after > ?"
        " AND (? OR first_contact = 0 OR EXISTS (SELECT 1 FROM messages AS o"
        f" WHERE o.contact = m.contact AND o.{_HAS_LEFT}))"
        f" AND (NOT ? OR kind IN {format_sql_list(ANSWER_KINDS)})"
        f" AND id NOT IN ({', '.join('?' * len(messages))})"
        f" AND contact NOT IN ({', '.join('?' * len(contacts))})"
        " AND NOT EXISTS (SELECT 1 FROM messages AS o"
        f" WHERE o.contact = m.contact AND o.{_IS_BUSY})"
        f" {_REPLIES_FIRST} LIMIT 1",
        (
            *(session, format_timestamp(at), format_timestamp(at)),
            *(new_chats, answers_only, *messages, *contacts),
        ),
    )
    return message_from_row(row) if row else None


def is_contact_busy(reader: Reader, contact: str, other_than: str) -> bool:
    """Return whether another message of the contact is in flight or in doubt."""
    return bool(
        reader.value(
            f"SELECT 1 FROM messages WHERE contact = ? AND id <> ? AND {_IS_BUSY}",
            (contact, other_than),
        )
    )


def requeue_due_messages(tx: Tx, at: datetime) -> int:
    """Queue deferred messages that are due, to be judged again; return how many."""
    return _requeue_messages(
        tx, at, "due_at <= ?", (format_timestamp(at),), "due", "It is time to send it."
    )


def requeue_unreadable_messages(tx: Tx, at: datetime) -> int:
    """Queue waiting messages in whose times another program wrote no moment; return how many.

    None of them would ever be due, or expire; the evaluation holds them for a person.
    """
    return _requeue_messages(
        tx, at, _IS_UNREADABLE, (), "row_unreadable", "Its row was altered.", cleared=True
    )


def requeue_waiting_messages(
    tx: Tx, at: datetime, waits_for: WaitsFor, *, contact: str = ""
) -> int:
    """Queue deferred messages whose ``waits_for`` has just happened; return how many."""
    return _requeue_messages(
        tx,
        at,
        "waits_for = ? AND (? = '' OR contact = ?)",
        (waits_for, contact, contact),
        f"{waits_for}_happened",
        "What it waited for has happened.",
    )


def requeue_sendable_messages(tx: Tx, at: datetime) -> int:
    """Queue messages that wait for a session which can send now; return how many.

    Messages with ``blocked_by`` are left to
    :func:`storage.session_queue.refresh_blocked_messages`.
    """
    # Sent by hand needs no connection; with restricted sending only first contacts wait on.
    return _requeue_messages(
        tx,
        at,
        f"waits_for = '{WaitsFor.SESSION}' AND blocked_by IS NULL"
        f" AND (channel = '{BuiltinChannel.MANUAL}' OR EXISTS ("
        f"SELECT 1 FROM sessions AS s WHERE s.name = session AND s.deleted_at IS NULL"
        f" AND s.connection IN {format_sql_list(CAN_SEND_STATES)}"
        f" AND (s.sending = '{SendingState.ALL}'"
        f" OR (s.sending = '{SendingState.REPLY_ONLY}' AND first_contact = 0))))",
        (),
        f"{WaitsFor.SESSION}_happened",
        "What it waited for has happened.",
    )


def requeue_all_messages(tx: Tx, at: datetime) -> int:
    """Queue everything deferred or cleared, because the rules changed; return how many."""
    return _requeue_messages(
        tx, at, "1", (), "rules_changed", "The rules changed; it is checked again.", cleared=True
    )


def requeue_contact_messages(
    tx: Tx, at: datetime, contact: str, *, reason_code: str, sentence: str, who: str
) -> int:
    """Queue all messages of a contact whose sending has not begun; return how many.

    These include messages that an operator has taken, but not revealed.
    """
    rows = tx.all(
        "SELECT id, state FROM messages WHERE contact = ?"
        f" AND state IN {format_sql_list(_REJUDGED_STATES)} ORDER BY id",
        (contact,),
    )
    steps = {MessageState.TAKEN: (MessageState.CLEARED, MessageState.QUEUED)}
    for row in rows:
        for target in steps.get(row["state"], (MessageState.QUEUED,)):
            transition_message(
                tx, row["id"], target, at=at, reason_code=reason_code, sentence=sentence, who=who
            )
    return len(rows)


def _requeue_messages(
    tx: Tx,
    at: datetime,
    where: str,
    params: tuple[object, ...],
    reason_code: str,
    sentence: str,
    *,
    cleared: bool = False,
) -> int:
    states = {MessageState.DEFERRED, MessageState.CLEARED} if cleared else {MessageState.DEFERRED}
    rows = tx.all(
        f"SELECT id FROM messages WHERE state IN {format_sql_list(states)} AND {where} ORDER BY id",
        params,
    )
    for row in rows:
        transition_message(
            tx,
            row["id"],
            MessageState.QUEUED,
            at=at,
            reason_code=reason_code,
            sentence=sentence,
            who=_CLOCK_ACTOR,
        )
    return len(rows)


def expire_messages(tx: Tx, at: datetime) -> int:
    """Expire every waiting message that is past its window; return how many."""
    rows = tx.all(
        f"SELECT id, waits_for FROM messages WHERE {_IS_WAITING} AND not_after <= ?",
        (format_timestamp(at),),
    )
    for row in rows:
        unchecked = row["waits_for"] == WaitsFor.CHECKED
        transition_message(
            tx,
            row["id"],
            MessageState.EXPIRED,
            at=at,
            reason_code="past_its_window",
            sentence="It expired: nobody checked or validated its number in time."
            if unchecked
            else "It expired: it could not go out in time.",
            who=_CLOCK_ACTOR,
        )
    return len(rows)


def end_expired_leases(tx: Tx, at: datetime) -> int:
    """End the leases that are over; return how many.

    A taken message is free again. A revealed one is in doubt: it may have been sent.
    """
    rows = tx.all(
        f"SELECT id, state FROM messages WHERE {_IS_LEASED} AND lease_until <= ?",
        (format_timestamp(at),),
    )
    for row in rows:
        revealed = row["state"] == MessageState.REVEALED
        transition_message(
            tx,
            row["id"],
            MessageState.IN_DOUBT if revealed else MessageState.CLEARED,
            at=at,
            reason_code="lease_over",
            sentence="The link was shown and nobody said whether it was sent."
            if revealed
            else "Nobody finished it in time; it is back in the queue.",
            who=_CLOCK_ACTOR,
        )
    return len(rows)


def return_taken_messages(tx: Tx, at: datetime, *, who: str) -> None:
    """Return every taken message to the queue of messages by hand, because sending was halted."""
    # Revealed ones stay with their operators: the link was shown, they may be sending already.
    for row in tx.all(f"SELECT id FROM messages WHERE state = '{MessageState.TAKEN}'"):
        transition_message(
            tx,
            row["id"],
            MessageState.CLEARED,
            at=at,
            reason_code="halted",
            sentence="Sending was halted; the message went back to the queue.",
            who=who,
        )


def mark_sending_in_doubt(tx: Tx, at: datetime) -> int:
    """Mark every message in ``sending`` as in doubt, after a crash; return how many."""
    # Never back to `queued`: it may have left, and a second attempt would be a second message.
    rows = tx.all(f"SELECT id FROM messages WHERE state = '{MessageState.SENDING}'")
    for row in rows:
        transition_message(
            tx,
            row["id"],
            MessageState.IN_DOUBT,
            at=at,
            reason_code="daemon_stopped_while_sending",
            sentence="LeadMaster stopped while it was being sent; it is not sent again.",
            who="daemon",
        )
    return len(rows)


def get_next_due_time(reader: Reader) -> datetime | None:
    """Return the next moment at which a message is due, expires or ends its lease, or None."""
    text = reader.value(
        "SELECT min(t) FROM ("
        f" SELECT min(due_at) AS t FROM messages WHERE state = '{MessageState.DEFERRED}'"
        f" UNION ALL SELECT min(not_after) FROM messages WHERE {_IS_WAITING}"
        f" UNION ALL SELECT min(lease_until) FROM messages WHERE {_IS_LEASED}) WHERE t < '3'"
    )
    return parse_timestamp(text) if text else None


def list_sessions_with_newly_due(reader: Reader, since: datetime, at: datetime) -> list[str]:
    """Return the sessions with a cleared message whose ``not_before`` is in (since, at]."""
    rows = reader.all(
        "SELECT DISTINCT session FROM messages"
        f" WHERE state = '{MessageState.CLEARED}' AND not_before > ? AND not_before <= ?",
        (format_timestamp(since), format_timestamp(at)),
    )
    return [row["session"] for row in rows]


def list_sessions_with_cleared(reader: Reader, contact: str) -> list[str]:
    """Return the sessions with a cleared message for this contact."""
    rows = reader.all(
        f"SELECT DISTINCT session FROM messages WHERE state = '{MessageState.CLEARED}'"
        " AND contact = ?",
        (contact,),
    )
    return [row["session"] for row in rows]


def list_messages_for_review(reader: Reader, limit: int) -> list[MessageRecord]:
    """Return the messages that need a person's decision, longest waiting first."""
    rows = reader.all(
        f"SELECT * FROM messages AS m WHERE {NEEDS_REVIEW} ORDER BY created_at, id LIMIT ?",
        (limit,),
    )
    return [message_from_row(row) for row in rows]


def set_review_lease(
    tx: Tx, message: str, who: str | None, until: datetime | None
) -> MessageRecord:
    """Set or end the lease of the person who reviews a message; its state does not change."""
    tx.execute(
        "UPDATE messages SET taken_by = ?, lease_until = ? WHERE id = ?",
        (who, until and format_timestamp(until), message),
    )
    return require_message(tx, message)


def mark_message_reviewed(tx: Tx, message: str) -> MessageRecord:
    """Mark a message as reviewed that still waits for something else."""
    tx.execute(
        "UPDATE messages SET needs_review = 0, taken_by = NULL, lease_until = NULL WHERE id = ?",
        (message,),
    )
    return require_message(tx, message)


def list_manual_messages(reader: Reader, limit: int) -> list[MessageRecord]:
    """Return the messages by hand to take, taken or in doubt, longest waiting first."""
    rows = reader.all(
        f"SELECT * FROM messages WHERE channel = '{BuiltinChannel.MANUAL}'"
        f" AND state IN {format_sql_list(MANUAL_QUEUE_STATES)}"
        " ORDER BY created_at, id LIMIT ?",
        (limit,),
    )
    return [message_from_row(row) for row in rows]


def list_opened_links(
    reader: Reader, contact: str, phone: str
) -> list[tuple[MessageRecord, datetime]]:
    """Return messages by hand that may have been sent to a contact from a number (``phone``).

    Each with the time at which its link was opened. Their outcome is still open.
    """
    rows = reader.all(
        "SELECT m.*, (SELECT max(h.at) FROM message_history AS h WHERE h.message = m.id"
        f" AND h.state = '{MessageState.REVEALED}') AS opened_at"
        " FROM messages AS m JOIN sessions AS s ON s.name = m.session"
        f" WHERE m.contact = ? AND m.channel = '{BuiltinChannel.MANUAL}'"
        f" AND m.state IN {_MAYBE_SENT_BY_HAND} AND coalesce(s.phone, s.name) = ?",
        (contact, phone),
    )
    return [
        (message_from_row(row), parse_timestamp(row["opened_at"]))
        for row in rows
        if row["opened_at"]
    ]


def list_sends_of_other_sessions(reader: Reader, contact: str, session: str) -> list[MessageRecord]:
    """Return what another session of this number is sending to a contact, or may have sent."""
    rows = reader.all(
        "SELECT * FROM messages WHERE contact = :contact AND session <> :session"
        f" AND state IN ('{MessageState.SENDING}', '{MessageState.IN_DOUBT}')"
        f" AND channel <> '{BuiltinChannel.MANUAL}' AND {IS_OF_NUMBER}",
        {"contact": contact, "session": session},
    )
    return [message_from_row(row) for row in rows]


def find_open_manual_message(reader: Reader, operator: str) -> str | None:
    """Return the id of the message that an operator has taken and not finished, or None."""
    message: str | None = reader.value(
        f"SELECT id FROM messages WHERE {_IS_LEASED} AND taken_by = ?",
        (operator,),
    )
    return message
