"""Searches prospects by name, trade, origin or number, for the API and for the console's list."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from statemachines.prospect import ValidationState
from storage.column_formats import format_timestamp
from storage.prospects import PERMISSION_AT, ProspectRecord, prospect_from_row
from storage.suppressions import IS_CONTACT_SUPPRESSED
from storage.tx import Reader

_MIN_SEARCH_DIGITS: Final = 3  # fewer digits are part of nearly every number
_IS_SUPPRESSED: Final = IS_CONTACT_SUPPRESSED.format(contact="p.contact")


@dataclass(frozen=True, slots=True)
class ProspectDirectoryEntry:
    """A prospect, and whether their contact is suppressed."""

    prospect: ProspectRecord
    suppressed: bool


def search_prospect_directory(
    reader: Reader,
    *,
    now: datetime,
    text: str = "",
    validation: str = "",
    permission: str = "",
    import_: str = "",
    after: str = "",
    limit: int = 50,
) -> list[ProspectDirectoryEntry]:
    """Return prospects as of ``now``, newest first, past the id `after`.

    `text` is part of a name, a trade or an origin, or digits of a number in any notation.
    """
    digits = "".join(filter(str.isdigit, text))
    # Line breaks between the columns, so that a match does not span two of them.
    rows = reader.all(
        f"SELECT p.*, {_IS_SUPPRESSED} AS suppressed FROM prospects AS p"
        " WHERE (:after = '' OR id < :after) AND (:validation = '' OR validation = :validation)"
        f" AND (:permission = '' OR {PERMISSION_AT} = :permission)"
        " AND (:import = '' OR import = :import) AND (:text = '' OR id = :text"
        " OR instr(lower(name || char(10) || trade || char(10) || cartera_origen), lower(:text))"
        " OR (:digits <> '' AND instr(phone, :digits))) ORDER BY id DESC LIMIT :limit",
        {
            "now": format_timestamp(now),
            "after": after,
            "validation": validation,
            "permission": permission,
            "import": import_,
            "text": text,
            "digits": digits if len(digits) >= _MIN_SEARCH_DIGITS else "",
            "limit": limit,
        },
    )
    return [
        ProspectDirectoryEntry(prospect_from_row(row).as_of(now), bool(row["suppressed"]))
        for row in rows
    ]


def search_prospects(
    reader: Reader,
    *,
    now: datetime,
    text: str = "",
    validation: ValidationState | None = None,
    permission: str | None = None,
    after: str = "",
    limit: int = 50,
) -> list[ProspectRecord]:
    """Return prospects as of ``now``, past the id ``after``, oldest first.

    ``text`` is part of a name, a trade, an origin or a number.
    """
    rows = reader.all(
        "SELECT * FROM prospects AS p WHERE id > :after"
        " AND (:validation IS NULL OR validation = :validation)"
        f" AND (:permission IS NULL OR {PERMISSION_AT} = :permission)"
        " AND instr(lower(name || char(10) || trade || char(10) || cartera_origen || char(10)"
        " || phone), lower(:text)) ORDER BY id LIMIT :limit",
        {
            "now": format_timestamp(now),
            "after": after,
            "validation": validation,
            "permission": permission,
            "text": text or "+",  # which every number has
            "limit": limit,
        },
    )
    return [prospect_from_row(row).as_of(now) for row in rows]
