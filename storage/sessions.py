"""The `sessions` and `session_history` tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from sqlite3 import Row
from typing import Any, Final

from msgspec import Struct

from statemachines.qr import PairingMethod, QrState
from statemachines.session import (
    RESTING_STATES,
    ConnectionState,
    PhoneState,
    SendingState,
    find_session_block,
)
from statemachines.vocabulary import BlockedBy
from storage.column_formats import format_timestamp, parse_timestamp
from storage.numbers import store_number_link
from storage.sql_text import format_sql_list
from storage.tx import Reader, Tx

# A message sent through one session of a number is reported by its other sessions too.
IS_OF_NUMBER: Final = (
    "session IN (SELECT name FROM sessions WHERE name = :session"
    " OR phone = (SELECT phone FROM sessions WHERE name = :session))"
)
"""SQL for whether a row belongs to a session with the same number as ``:session``."""


class SessionRecord(Struct, frozen=True):
    """A session as stored. ``due_at`` is the connection's deadline.

    ``reason_code`` is that of the last change of any region; ``since`` is when the connection
    entered its state; ``attempts`` counts reconnects without a minute of stable uptime;
    ``pairing`` is how far the latest attempt to link a phone came, and ``pairing_method`` how it
    is, or was, to be linked. ``fault`` is why its channel can't be opened, in one sentence.
    """

    name: str
    channel: str
    phone: str | None
    time_zone: str
    options: Mapping[str, object]
    desired: str
    connection: ConnectionState
    phone_state: PhoneState
    sending: SendingState
    reason_code: str
    since: datetime
    created_at: datetime
    due_at: datetime | None = None
    phone_seen_at: datetime | None = None
    sending_until: datetime | None = None
    banned_until: datetime | None = None
    attempts: int = 0
    pairing: QrState = QrState.NONE
    pairing_method: PairingMethod = PairingMethod.QR
    fault: str = ""

    @property
    def block(self) -> BlockedBy | None:
        """Why this session can't send; None where it can, now or soon."""
        return find_session_block(
            self.connection, self.phone_state, self.sending, has_number=self.phone is not None
        )


class SessionHistoryEntry(Struct, frozen=True):
    """One transition of one region of a session."""

    at: datetime
    region: str
    previous: str
    state: str
    reason_code: str


SESSION_REGIONS = (
    ("connection", "connection"),
    ("phone", "phone_state"),
    ("sending", "sending"),
    ("desired", "desired"),
)
"""Each region as the history names it, with its column and field."""

_RESTING: Final = format_sql_list(RESTING_STATES)
_COLUMNS = SessionRecord.__struct_fields__
_IMMUTABLE_COLUMNS = {"name", "channel", "time_zone", "options", "created_at"}
_MUTABLE_COLUMNS = tuple(column for column in _COLUMNS if column not in _IMMUTABLE_COLUMNS)
_TIME_COLUMNS = {
    "since", "created_at", "due_at", "phone_seen_at", "sending_until", "banned_until"
}  # fmt: skip


def insert_session(tx: Tx, record: SessionRecord) -> None:
    """Store a new session, and its number where it already has one."""
    # The number first: the session's row refers to it.
    if record.phone:
        store_number_link(tx, record.phone, record.name, record.time_zone, record.created_at)
    names = ", ".join(_COLUMNS)
    places = ", ".join(f":{column}" for column in _COLUMNS)
    tx.execute(
        f"INSERT INTO sessions ({names}) VALUES ({places})",
        _session_to_row(record),
    )


def update_session(tx: Tx, before: SessionRecord, after: SessionRecord, at: datetime) -> None:
    """Store a changed session, with a row of history for each region that changed."""
    linked = before.phone_state is PhoneState.UNLINKED and before.phone_state != after.phone_state
    if after.phone and (linked or after.phone != before.phone):
        store_number_link(tx, after.phone, after.name, after.time_zone, at)
    settings = ", ".join(f"{column} = :{column}" for column in _MUTABLE_COLUMNS)
    tx.execute(
        f"UPDATE sessions SET {settings} WHERE name = :name",
        _session_to_row(after),
    )
    for region, column in SESSION_REGIONS:
        previous, state = getattr(before, column), getattr(after, column)
        if previous != state:
            tx.execute(
                "INSERT INTO session_history (session, at, region, previous, state, reason_code)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (after.name, format_timestamp(at), region, previous, state, after.reason_code),
            )


def get_session(reader: Reader, name: str) -> SessionRecord | None:
    """Return a session that was not deleted, or None."""
    row = reader.one("SELECT * FROM sessions WHERE name = ? AND deleted_at IS NULL", (name,))
    return None if row is None else _session_from_row(row)


def get_session_budget_key(reader: Reader, name: str) -> str:
    """Return the key of a session's budgets: its phone number, or its name before pairing."""
    record = get_session(reader, name)
    return (record and record.phone) or name


def find_session(reader: Reader, name: str) -> SessionRecord | None:
    """Return a session, also one that was deleted, or None."""
    row = reader.one("SELECT * FROM sessions WHERE name = ?", (name,))
    return None if row is None else _session_from_row(row)


def list_sessions(reader: Reader) -> list[SessionRecord]:
    """Return all sessions that were not deleted, in the order in which they were made."""
    rows = reader.all("SELECT * FROM sessions WHERE deleted_at IS NULL ORDER BY created_at, name")
    return [_session_from_row(row) for row in rows]


def is_session_name_used(reader: Reader, name: str) -> bool:
    """Return whether a session of this name exists or ever existed."""
    # A deleted one counts: its messages refer to it by name.
    return reader.one("SELECT 1 FROM sessions WHERE name = ?", (name,)) is not None


def mark_session_deleted(tx: Tx, name: str, at: datetime) -> None:
    """Mark a session as deleted."""
    # The row stays, because messages refer to it.
    tx.execute("UPDATE sessions SET deleted_at = ? WHERE name = ?", (format_timestamp(at), name))


def list_session_history(reader: Reader, name: str) -> list[SessionHistoryEntry]:
    """Return every transition of a session, oldest first."""
    rows = reader.all("SELECT * FROM session_history WHERE session = ? ORDER BY id", (name,))
    return [
        SessionHistoryEntry(
            parse_timestamp(row["at"]),
            row["region"],
            row["previous"],
            row["state"],
            row["reason_code"],
        )
        for row in rows
    ]


def find_reconnecting_since(reader: Reader, name: str) -> datetime | None:
    """Return when a session that tries to connect was last in a state that may last.

    Such as connected, or stopped by a person. The wait for the retry after a refusal is none, and
    a restart in between changes nothing.
    """
    row = reader.one(
        "SELECT at FROM session_history WHERE session = ? AND region = 'connection'"
        f" AND previous IN {_RESTING} AND reason_code <> 'retrying' ORDER BY id DESC LIMIT 1",
        (name,),
    )
    return None if row is None else parse_timestamp(row["at"])


def _session_to_row(record: SessionRecord) -> dict[str, Any]:
    row: dict[str, Any] = {column: getattr(record, column) for column in _COLUMNS}
    row["options"] = json.dumps(dict(record.options))
    for column in _TIME_COLUMNS:
        row[column] = None if row[column] is None else format_timestamp(row[column])
    return row


def _session_from_row(row: Row) -> SessionRecord:
    values = {column: row[column] for column in _COLUMNS}
    for column in _TIME_COLUMNS:
        values[column] = None if values[column] is None else parse_timestamp(values[column])
    values["options"] = json.loads(values["options"])
    values["connection"] = ConnectionState(values["connection"])
    values["phone_state"] = PhoneState(values["phone_state"])
    values["sending"] = SendingState(values["sending"])
    values["pairing"] = QrState(values["pairing"])
    values["pairing_method"] = PairingMethod(values["pairing_method"])
    return SessionRecord(**values)
