"""The append-only `outcomes` table: what came of a conversation, as a person says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field

from storage.column_formats import encode_json, format_timestamp, parse_timestamp

if TYPE_CHECKING:
    import sqlite3

    from storage.tx import Reader, Tx


class Outcome(StrEnum):
    """What came of a conversation, or of a message of ours."""

    INTERESTED = "interested"
    NOT_INTERESTED = "not_interested"
    THIRD_PARTY = "third_party"
    NUMBER_CHANGED_OWNER = "number_changed_owner"
    MINOR = "minor"
    NO_REPLY = "no_reply"
    NOT_DELIVERED = "not_delivered"
    NUMBER_DOES_NOT_EXIST = "number_does_not_exist"


class NextAction(StrEnum):
    """What follows from an outcome unless a person decides otherwise."""

    HAND_OVER = "hand_over"
    CLOSE = "close"
    INVALIDATE_PHONE = "invalidate_phone"
    DO_NOT_CONTACT = "do_not_contact"
    TECHNICAL_RETRY = "technical_retry"


NEXT_ACTIONS: Final[Mapping[Outcome, NextAction]] = MappingProxyType(
    {
        Outcome.INTERESTED: NextAction.HAND_OVER,
        Outcome.NOT_INTERESTED: NextAction.CLOSE,
        Outcome.THIRD_PARTY: NextAction.CLOSE,
        Outcome.NUMBER_CHANGED_OWNER: NextAction.INVALIDATE_PHONE,
        Outcome.MINOR: NextAction.DO_NOT_CONTACT,
        Outcome.NO_REPLY: NextAction.CLOSE,
        Outcome.NOT_DELIVERED: NextAction.TECHNICAL_RETRY,
        Outcome.NUMBER_DOES_NOT_EXIST: NextAction.INVALIDATE_PHONE,
    }
)
READ_OUTCOMES: Final = (
    Outcome.INTERESTED,
    Outcome.NOT_INTERESTED,
    Outcome.THIRD_PARTY,
    Outcome.NUMBER_CHANGED_OWNER,
    Outcome.MINOR,
)
"""What a person reads from a message of theirs, in the order of the keys 1 to 5."""
UNANSWERED_OUTCOMES: Final = (
    Outcome.NO_REPLY,
    Outcome.NOT_DELIVERED,
    Outcome.NUMBER_DOES_NOT_EXIST,
)
"""What comes of a message without an answer: by the clock, a receipt or a check, or by hand."""
SILENT_OUTCOMES: Final = frozenset({Outcome.NO_REPLY, Outcome.NOT_DELIVERED})
"""What the clock says of somebody who wrote nothing: a conversation has another one."""
IS_STANDING: Final = (
    "(o.undoes IS NULL AND NOT EXISTS (SELECT 1 FROM outcomes AS u WHERE u.undoes = o.id))"
)
"""SQL for whether a row ``o`` of `outcomes` is an outcome that nothing took back."""


class OutcomeRecord(Struct, frozen=True, kw_only=True):
    """One outcome. ``inbound`` is the message that shows it, and ``quote`` what it says.

    ``undoes`` is the id of an earlier one that this row takes back: a person did, or an answer or a
    receipt came later. ``changed`` is what the outcome changed, which taking it back restores.
    ``message`` is the message of ours that it is the outcome of; ``reason`` is why a person set it
    by hand.
    """

    id: int
    contact: str
    at: datetime
    outcome: Outcome
    next_action: NextAction
    who: str
    inbound: str | None
    quote: str
    undoes: int | None
    changed: Mapping[str, Any] = field(default_factory=dict)
    message: str | None = None
    reason: str = ""

    def __repr__(self) -> str:
        """Keep the words out of logs."""
        return f"OutcomeRecord({self.id}, {self.outcome.value})"


def insert_outcome(
    tx: Tx,
    contact: str,
    outcome: Outcome,
    *,
    at: datetime,
    who: str,
    inbound: str | None = None,
    quote: str = "",
    undoes: int | None = None,
    changed: Mapping[str, object] | None = None,
    message: str | None = None,
    reason: str = "",
) -> int:
    """Append an outcome, or the taking back of one, and return its id."""
    cursor = tx.execute(
        "INSERT INTO outcomes (contact, at, outcome, next_action, who, inbound, quote, undoes,"
        " changed, message, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(contact, format_timestamp(at), outcome, NEXT_ACTIONS[outcome], who, inbound, quote),
            *(undoes, encode_json(changed or {}), message, reason),
        ),
    )
    return int(cursor.lastrowid or 0)


def get_outcome(reader: Reader, id_: int) -> OutcomeRecord | None:
    """Return one row by its id, or None."""
    row = reader.one("SELECT * FROM outcomes WHERE id = ?", (id_,))
    return None if row is None else _outcome_from_row(row)


def list_contact_outcomes(reader: Reader, contact: str) -> list[OutcomeRecord]:
    """Return the outcomes of a contact that were not taken back, newest first."""
    rows = reader.all(
        f"SELECT o.* FROM outcomes AS o WHERE o.contact = ? AND {IS_STANDING} ORDER BY o.id DESC",
        (contact,),
    )
    return [_outcome_from_row(row) for row in rows]


def end_unanswered_outcomes(
    tx: Tx,
    contact: str,
    *,
    at: datetime,
    who: str,
    inbound: str | None = None,
    message: str = "",
    of: Sequence[Outcome] = UNANSWERED_OUTCOMES,
) -> None:
    """Take back the outcomes of silence of a contact, because something came after all.

    With ``message``, what is said of this message of ours alone. Each taking back is a new row,
    which names the answer (``inbound``).
    """
    for each in reversed(list_contact_outcomes(tx, contact)):
        if each.outcome not in of or message not in {"", each.message}:
            continue
        insert_outcome(
            tx,
            contact,
            each.outcome,
            at=at,
            who=who,
            inbound=inbound,
            undoes=each.id,
            message=each.message,
        )


def _outcome_from_row(row: sqlite3.Row) -> OutcomeRecord:
    return OutcomeRecord(
        id=row["id"],
        contact=row["contact"],
        at=parse_timestamp(row["at"]),
        outcome=Outcome(row["outcome"]),
        next_action=NextAction(row["next_action"]),
        who=row["who"],
        inbound=row["inbound"],
        quote=row["quote"],
        undoes=row["undoes"],
        changed=json.loads(row["changed"]),
        message=row["message"],
        reason=row["reason"],
    )
