"""The `messages` table: inserts messages, changes their states and reads them.

Every change of state goes through :func:`transition_message`, which writes the new state, its
history row and its event together, and moves the person of a campaign whose message it is. Triggers
(storage/triggers.py) refuse what the state machine does not allow.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypedDict

from msgspec import Struct

from statemachines.message import (
    CANCELLABLE_STATES,
    IN_FLIGHT_STATES,
    LEASED_STATES,
    MAYBE_LEFT_STATES,
    NOT_SENT_STATES,
    MessageState,
    is_legal_transition,
)
from statemachines.vocabulary import MessageKind
from storage import campaign_people, contacts, spends
from storage.campaign_people import FollowedMessage
from storage.column_formats import format_timestamp, parse_timestamp
from storage.errors import StorageError
from storage.sql_text import format_sql_list

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

    from storage.tx import Cell, Reader, Tx


_TIME_COLUMNS = frozenset(
    {"created_at", "changed_at", "not_before", "not_after", "due_at", "sent_at", "lease_until"}
)
TEST_MESSAGE: Final = "test_message"
"""The campaign of a test message, which goes to the own number of a user."""
UNREADABLE_MOMENT: Final = datetime(9000, 1, 1, tzinfo=UTC)
"""What is read where another program wrote no moment into the column of one."""
_FLAG_COLUMNS = frozenset({"expires_by_default", "first_contact", "needs_review"})
_IS_NO_CONFIRMATION = f"kind <> '{MessageKind.OPT_OUT_CONFIRMATION}'"
_IS_CANCELLABLE = f"state IN {format_sql_list(CANCELLABLE_STATES)}"


class MessageRecord(Struct, frozen=True, kw_only=True):
    """A message as stored. Times are aware UTC; ``text`` is sent exactly as it is."""

    id: str
    contact: str
    recipient: str
    session: str
    channel: str
    text: str
    body_hash: str
    created_at: datetime
    changed_at: datetime
    not_after: datetime
    expires_by_default: bool = False
    """``not_after`` is by the settings, for a commercial message of which nobody said it."""
    kind: str = MessageKind.COMMERCIAL
    not_before: datetime | None = None
    idempotency_key: str | None = None
    request_hash: str = ""
    template: str | None = None
    typed: str | None = None
    campaign: str | None = None
    first_contact: bool = False
    state: MessageState = MessageState.QUEUED
    reason_code: str = "queued"
    sentence: str = "Waiting for the rules to check it."
    due_at: datetime | None = None
    waits_for: str | None = None
    blocked_by: str | None = None
    needs_review: bool = False
    attempts: int = 0
    faults: int = 0
    in_flight_key: str | None = None
    decision: str | None = None
    permit: str | None = None
    wire_id: str | None = None
    sent_at: datetime | None = None
    taken_by: str | None = None
    lease_until: datetime | None = None

    def list_unreadable_columns(self) -> list[str]:
        """Return the columns in which another program wrote no moment."""
        return sorted(name for name in _TIME_COLUMNS if getattr(self, name) == UNREADABLE_MOMENT)

    def __repr__(self) -> str:
        """Keep body and number out of logs."""
        return f"MessageRecord({self.id!r}, {self.state.value})"


_FIELDS = MessageRecord.__struct_fields__
_COLUMNS = ", ".join(_FIELDS)


class _Cause(TypedDict):
    """When and why messages are cancelled, and by which actor."""

    at: datetime
    reason_code: str
    sentence: str
    who: str


class MessageStateEvent(Struct, frozen=True):
    """The event of a transition, as stored; `MessageChanged` is its public form."""

    at: datetime
    subject: str
    data: Mapping[str, object]
    type: str = "message.changed"


class MessageStateConflict(StorageError):
    """A transition is not legal from the message's state, often because another came first."""

    code = "moved_on"

    def __init__(self, message: str, state: str, target: str) -> None:
        """Take the message's id, its present state and the target that was refused."""
        super().__init__(
            f"The message {message} is {state}, so it can't become {target}.",
            "Look at the message again; it has changed meanwhile.",
        )
        self.state = state


def message_from_row(row: sqlite3.Row) -> MessageRecord:
    """Turn a row with every column into a record."""
    values = {name: _message_value_from_column(name, row[name]) for name in _FIELDS}
    return MessageRecord(**values)


def _message_value_from_column(name: str, stored: Cell) -> Cell:
    if stored is None:
        return None
    if name in _TIME_COLUMNS:
        return _parse_moment(str(stored))
    if name in _FLAG_COLUMNS:
        return bool(stored)
    return MessageState(str(stored)) if name == "state" else stored


def _parse_moment(stored: str) -> datetime:
    # One altered row must not keep every other message from being read.
    try:
        return parse_timestamp(stored)
    except ValueError:
        return UNREADABLE_MOMENT


def _message_value_to_column(value: object) -> object:
    return format_timestamp(value) if isinstance(value, datetime) else value


def find_same_text(reader: Reader, contact: str, body_hash: str) -> str | None:
    """Return the id of the latest message to a contact with this very text, or None."""
    found: str | None = reader.value(
        "SELECT id FROM messages WHERE contact = ? AND body_hash = ? ORDER BY id DESC LIMIT 1",
        (contact, body_hash),
    )
    return found


def insert_message(tx: Tx, message: MessageRecord, *, who: str) -> MessageRecord:
    """Store a queued message, with its first row of history and its event."""
    marks = ", ".join("?" for _ in _FIELDS)
    tx.execute(
        f"INSERT INTO messages ({_COLUMNS}) VALUES ({marks})",
        [_message_value_to_column(getattr(message, name)) for name in _FIELDS],
    )
    _record_transition(tx, message, previous=None, who=who)
    return message


def get_message(reader: Reader, message: str) -> MessageRecord | None:
    """Return one message, or None."""
    row = reader.one("SELECT * FROM messages WHERE id = ?", (message,))
    return message_from_row(row) if row else None


def require_message(reader: Reader, message: str) -> MessageRecord:
    """Return a message that must exist. Raises KeyError, a defect of the caller, otherwise."""
    found = get_message(reader, message)
    if found is None:
        raise KeyError(message)
    return found


def find_message_by_idempotency_key(reader: Reader, key: str) -> MessageRecord | None:
    """Return the message that was enqueued under this idempotency key, or None."""
    row = reader.one("SELECT * FROM messages WHERE idempotency_key = ?", (key,))
    return message_from_row(row) if row else None


def transition_message(
    tx: Tx,
    message: str,
    target: MessageState,
    *,
    at: datetime,
    reason_code: str,
    sentence: str,
    who: str,
    **columns: object,
) -> MessageRecord:
    """Move a message to another state, set ``columns`` with it, and return it.

    Clears columns that do not belong to the new state, and refunds the budget of a message that was
    in flight and was not sent. Raises :class:`MessageStateConflict` where it is not legal.
    """
    before = require_message(tx, message)
    # The new channel where it changes: legal is what the message may do by the way it goes now.
    channel = str(columns.get("channel", before.channel))
    if not is_legal_transition(before.state, target, channel):
        raise MessageStateConflict(message, before.state, target)
    changes: dict[str, object] = {
        "state": target.value,
        "changed_at": at,
        "reason_code": reason_code,
        "sentence": sentence,
        **_reset_columns(before, target),
        **columns,
    }
    assignments = ", ".join(f"{name} = ?" for name in changes)
    tx.execute(
        f"UPDATE messages SET {assignments} WHERE id = ?",
        [*map(_message_value_to_column, changes.values()), message],
    )
    # In the same transaction, so that no crash can leave a message unsent and its budget spent.
    _apply_departure(tx, before, target)
    after = require_message(tx, message)
    _record_transition(tx, after, previous=before.state, who=who)
    return after


def _apply_departure(tx: Tx, before: MessageRecord, target: MessageState) -> None:
    """Do what follows where a message may leave now, or has certainly not left."""
    if target in MAYBE_LEFT_STATES and before.state not in MAYBE_LEFT_STATES:
        # An evaluation of another message to the contact has not counted this one.
        contacts.bump_contact_revision(tx, before.contact)
    if before.state in IN_FLIGHT_STATES and target in NOT_SENT_STATES:
        spends.refund_message_spends(tx, before.id)


def _reset_columns(before: MessageRecord, target: MessageState) -> dict[str, object]:
    flying = target in IN_FLIGHT_STATES
    # Kept while in flight, also when the contact was merged. It is UNIQUE, so that one message per
    # contact is in flight at a time.
    key = (before.in_flight_key or before.contact) if flying else None
    changes: dict[str, object] = {"in_flight_key": key}
    if target is not MessageState.DEFERRED:
        changes |= {"due_at": None, "waits_for": None, "blocked_by": None}
    if target not in LEASED_STATES | {MessageState.IN_DOUBT}:
        changes |= {"lease_until": None}
    if target in {MessageState.CLEARED, MessageState.QUEUED}:
        changes |= {"taken_by": None, "needs_review": 0}
    return changes


def _record_transition(
    tx: Tx, message: MessageRecord, *, previous: MessageState | None, who: str
) -> None:
    why = message.reason_code, message.sentence
    tx.execute(
        "INSERT INTO message_history (message, at, previous, state, reason_code, sentence, who)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (message.id, format_timestamp(message.changed_at), previous, message.state, *why, who),
    )
    _move_campaign_person(tx, message, previous, who)
    tx.emit(
        MessageStateEvent(
            message.changed_at,
            message.id,
            {
                "state": message.state.value,
                "previous": previous.value if previous else None,
                "reason_code": message.reason_code,
                "sentence": message.sentence,
                "session": message.session,
                "channel": message.channel,
                "contact": message.contact,
                "decision": message.decision,
                "due_at": format_timestamp(message.due_at) if message.due_at else None,
                "waits_for": message.waits_for,
                "blocked_by": message.blocked_by,
            },
        )
    )


def _move_campaign_person(
    tx: Tx, message: MessageRecord, previous: MessageState | None, who: str
) -> None:
    """Move the person of a campaign whose message has just moved, if it is one of those."""
    key = message.idempotency_key
    if key is None or not campaign_people.is_message_key(key):
        return
    moved = FollowedMessage(
        id=message.id,
        key=key,
        state=message.state,
        previous=previous,
        at=message.changed_at,
        who=who,
        reason_code=message.reason_code,
        sentence=message.sentence,
        taken_by=message.taken_by,
        lease_until=message.lease_until,
    )
    campaign_people.follow_message(tx, moved)


def cancel_unsent_messages(
    tx: Tx,
    contact: str,
    *,
    at: datetime,
    reason_code: str,
    sentence: str,
    who: str,
    commercial_only: bool,
    queued_by: datetime | None = None,
    confirmations: bool = False,
) -> int:
    """Cancel a contact's messages that have certainly not left; return how many.

    With ``commercial_only`` replies and confirmations stay; without ``confirmations`` the
    confirmation of an opt-out stays; with ``queued_by`` what was asked for later stays.
    """
    kinds = "TRUE" if confirmations else _IS_NO_CONFIRMATION
    if commercial_only:
        kinds = f"kind = '{MessageKind.COMMERCIAL}'"
    found = tx.all(
        f"SELECT id FROM messages WHERE contact = :contact AND {kinds} AND {_IS_CANCELLABLE}"
        " AND (:queued_by IS NULL OR created_at <= :queued_by)",
        {"contact": contact, "queued_by": queued_by and format_timestamp(queued_by)},
    )
    why: _Cause = {"at": at, "reason_code": reason_code, "sentence": sentence, "who": who}
    for row in found:
        transition_message(tx, row["id"], MessageState.CANCELLED, **why)
    # Before somebody's turn in a campaign there is no message yet, so their place goes.
    campaign_people.withdraw_contact(tx, contact, **why, started_by=queued_by)
    return len(found)


def list_message_history(reader: Reader, message: str) -> list[sqlite3.Row]:
    """Return the rows of a message's history, oldest first."""
    return reader.all(
        "SELECT at, previous, state, reason_code, sentence, who FROM message_history"
        " WHERE message = ? ORDER BY id",
        (message,),
    )


def list_messages(
    reader: Reader, *, states: Iterable[MessageState] = (), after: str = "", limit: int = 50
) -> list[MessageRecord]:
    """Return messages, newest first, past the id ``after``."""
    chosen = f"state IN {format_sql_list(states)}" if (states := tuple(states)) else "1"
    rows = reader.all(
        f"SELECT * FROM messages WHERE {chosen} AND (? = '' OR id < ?) ORDER BY id DESC LIMIT ?",
        (after, after, limit),
    )
    return [message_from_row(row) for row in rows]


def list_contact_messages(
    reader: Reader, contact: str, states: Iterable[MessageState]
) -> list[MessageRecord]:
    """Return a contact's messages in any of these states, oldest first."""
    rows = reader.all(
        f"SELECT * FROM messages WHERE contact = ? AND state IN {format_sql_list(states)}"
        " ORDER BY id",
        (contact,),
    )
    return [message_from_row(row) for row in rows]


def count_messages_by_state(reader: Reader) -> dict[str, int]:
    """Return how many messages are in each state that has any."""
    rows = reader.all("SELECT state, count(*) AS n FROM messages GROUP BY state")
    return {row["state"]: row["n"] for row in rows}


def count_cancellable_messages(reader: Reader, contact: str) -> int:
    """Return how many messages to a contact an opt-out would cancel."""
    n: int = reader.value(
        "SELECT count(*) FROM messages WHERE contact = ?"
        f" AND {_IS_NO_CONFIRMATION} AND {_IS_CANCELLABLE}",
        (contact,),
    )
    return n
