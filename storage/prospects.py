"""The `prospects` table: one row for each imported or added contact, with derived values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import replace

from statemachines.prospect import ValidationState
from storage.column_formats import format_timestamp, parse_timestamp
from storage.ids import new_id
from storage.tx import Cell, Reader, Tx

if TYPE_CHECKING:
    import sqlite3


_TIME_COLUMNS: Final = frozenset(
    {
        "conversation_until",
        "data_date",
        "checked_at",
        "validated_at",
        "expires_at",
        "created_at",
        "updated_at",
    }
)
_COLUMN_BY_FIELD: Final = {"import_id": "import"}  # `import` is a keyword in Python


TEST_MESSAGE_ORIGIN: Final = "test_message"
"""Of who is a prospect only because a test message went to their own number, as a user."""
CONVERSATION: Final = "conversation"
PERMISSION_AT: Final = (
    f"CASE WHEN p.conversation_until > :now THEN '{CONVERSATION}' ELSE p.permission END"
)
"""SQL for the permission of a prospect ``p`` at ``:now``, like :meth:`ProspectRecord.as_of`."""


class ProspectRecord(Struct, frozen=True, kw_only=True):
    """A prospect as stored. Times are aware UTC.

    ``score_explanation`` is the id of its row in `score_explanations`; ``permission`` is that
    outside a conversation; :meth:`as_of` also counts the conversation.
    """

    id: str
    contact: str
    phone: str
    whatsapp_id: str | None
    name: str
    trade: str
    notes: str
    email: str
    city: str
    cartera_origen: str
    country: str | None
    line_type: str
    permission: str
    conversation_until: datetime | None
    intent: str
    data_date: datetime | None
    on_whatsapp: str
    checked_at: datetime | None
    check_attempts: int
    validation: ValidationState
    validado_tecnicamente: bool | None
    validated_at: datetime | None
    expires_at: datetime | None
    score_contactabilidad: int | None
    score_explanation: int | None
    import_id: str | None
    record: int | None
    created_at: datetime
    updated_at: datetime

    def as_of(self, now: datetime) -> ProspectRecord:
        """Return the record with the permission that it gives at ``now``."""
        if self.conversation_until is None or self.conversation_until <= now:
            return self
        return replace(self, permission=CONVERSATION)

    def __repr__(self) -> str:
        """Keep name and number out of logs."""
        return f"ProspectRecord({self.id!r}, {self.validation.value})"


_FIELDS: Final = ProspectRecord.__struct_fields__
_get_values: Final = attrgetter(*_FIELDS)
_CONVERTERS: Final[Mapping[str, Callable[[Cell], object]]] = {
    **dict.fromkeys(_TIME_COLUMNS, parse_timestamp),
    "validado_tecnicamente": bool,
    "validation": ValidationState,
}
_READ_FIELDS: Final = tuple(
    (name, _COLUMN_BY_FIELD.get(name, name), _CONVERTERS.get(name)) for name in _FIELDS
)
"""Of each field its column, and what its stored value is converted by; looked up once."""
_CONVERTED_PLACES: Final = tuple(
    place for place, name in enumerate(_FIELDS) if name in {*_TIME_COLUMNS, "validation"}
)


class NewProspectRecord(Struct, frozen=True, kw_only=True):
    """The values of a prospect that are known when it is added or imported."""

    contact: str
    phone: str
    cartera_origen: str
    line_type: str
    country: str | None = None
    name: str = ""
    trade: str = ""
    notes: str = ""
    email: str = ""
    city: str = ""
    data_date: datetime | None = None
    import_id: str | None = None
    record: int | None = None


_NEW_FIELDS: Final = NewProspectRecord.__struct_fields__
_UNCHECKED: Final[Mapping[str, Any]] = {
    "whatsapp_id": None,
    "conversation_until": None,
    "intent": "none",
    "on_whatsapp": "unknown",
    "checked_at": None,
    "check_attempts": 0,
    "validation": ValidationState.UNCHECKED,
    "validado_tecnicamente": None,
    "validated_at": None,
    "expires_at": None,
}
"""The columns of a prospect whose number nobody has checked, and who never wrote."""


def insert_prospect(tx: Tx, new: NewProspectRecord, *, at: datetime) -> str:
    """Store a prospect and return its id. A second one of a contact is an IntegrityError."""
    record = build_prospect_record(new, at=at)
    insert_prospects(tx, [record])
    return record.id


def build_prospect_record(
    new: NewProspectRecord,
    *,
    at: datetime,
    permission: str = "none",
    score_contactabilidad: int | None = None,
    score_explanation: int | None = None,
) -> ProspectRecord:
    """Return a prospect with a new id, as it is when added: its number is not checked yet.

    Who does not know permission and score, which are derived, leaves them out.
    """
    return ProspectRecord(
        **{name: getattr(new, name) for name in _NEW_FIELDS},
        **_UNCHECKED,
        id=new_id("pro", at),
        permission=permission,
        score_contactabilidad=score_contactabilidad,
        score_explanation=score_explanation,
        created_at=at,
        updated_at=at,
    )


def insert_prospects(tx: Tx, records: Sequence[ProspectRecord]) -> None:
    """Store whole prospects, each of a contact that has none yet."""
    tx.execute_many(
        f"INSERT INTO prospects ({', '.join(map(_column_name, _FIELDS))})"
        f" VALUES ({', '.join('?' for _ in _FIELDS)})",
        [_prospect_to_row(record) for record in records],
    )


def get_prospect(reader: Reader, prospect: str) -> ProspectRecord | None:
    """Return one prospect, or None."""
    return _optional_prospect_from_row(
        reader.one("SELECT * FROM prospects WHERE id = ?", (prospect,))
    )


def require_prospect(reader: Reader, prospect: str) -> ProspectRecord:
    """Return a prospect that must exist. Raises KeyError, a defect of the caller, otherwise."""
    found = get_prospect(reader, prospect)
    if found is None:
        raise KeyError(prospect)
    return found


def find_prospect_by_contact(reader: Reader, contact: str) -> ProspectRecord | None:
    """Return the contact's prospect, or None."""
    return _optional_prospect_from_row(
        reader.one("SELECT * FROM prospects WHERE contact = ?", (contact,))
    )


def count_prospects_by_validation(reader: Reader) -> dict[str, int]:
    """Return how many prospects are in each state of validation that has any."""
    rows = reader.all("SELECT validation, count(*) AS n FROM prospects GROUP BY validation")
    return {row["validation"]: row["n"] for row in rows}


def update_prospect(tx: Tx, prospect: str, *, at: datetime, **columns: object) -> None:
    """Set columns by their field names; a trigger refuses a change of ``cartera_origen``."""
    changes = {
        _column_name(name): _prospect_value_to_column(value) for name, value in columns.items()
    }
    changes["updated_at"] = format_timestamp(at)
    assignments = ", ".join(f"{name} = ?" for name in changes)
    tx.execute(
        f"UPDATE prospects SET {assignments} WHERE id = ?",
        [*changes.values(), prospect],
    )


def _optional_prospect_from_row(row: sqlite3.Row | None) -> ProspectRecord | None:
    return None if row is None else prospect_from_row(row)


def prospect_from_row(row: sqlite3.Row) -> ProspectRecord:
    """Return the record of a row with every column."""
    values: dict[str, Any] = {}
    for name, column, convert in _READ_FIELDS:
        stored = row[column]
        values[name] = stored if stored is None or convert is None else convert(stored)
    return ProspectRecord(**values)


def _prospect_to_row(record: ProspectRecord) -> list[object]:
    row: list[object] = list(_get_values(record))
    for place in _CONVERTED_PLACES:
        row[place] = _prospect_value_to_column(row[place])
    return row


def _column_name(name: str) -> str:
    return _COLUMN_BY_FIELD.get(name, name)


def _prospect_value_to_column(value: object) -> object:
    if isinstance(value, datetime):
        return format_timestamp(value)
    return value.value if isinstance(value, ValidationState) else value
