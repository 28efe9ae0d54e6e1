"""The directory of prospects as a page lists it: newest first, found by name, trade or number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from storage.imports import ImportRecord, ImportRowOutcome, count_import_rows, get_import
from storage.prospects import ProspectRecord, prospect_from_row

if TYPE_CHECKING:
    from storage.tx import Reader

_MIN_SEARCH_DIGITS: Final = 3
_IS_SUPPRESSED: Final = (
    "EXISTS (SELECT 1 FROM suppressions AS s WHERE s.contact = p.contact AND s.lifted_at IS NULL)"
)


@dataclass(frozen=True, slots=True)
class ProspectDirectoryEntry:
    """A prospect, and whether they asked not to be written to."""

    prospect: ProspectRecord
    suppressed: bool


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """A list that was brought in, and what became of its records."""

    record: ImportRecord
    counts: dict[ImportRowOutcome, int]


def search_prospect_directory(
    reader: Reader,
    *,
    text: str = "",
    validation: str = "",
    permission: str = "",
    import_: str = "",
    after: str = "",
    limit: int = 50,
) -> list[ProspectDirectoryEntry]:
    """Return prospects, newest first, past the id `after`.

    `text` is part of a name, a trade or an origin, or digits of a number, however it is written.
    """
    digits = "".join(filter(str.isdigit, text))
    rows = reader.all(
        f"SELECT p.*, {_IS_SUPPRESSED} AS suppressed FROM prospects AS p"
        " WHERE (:after = '' OR id < :after) AND (:validation = '' OR validation = :validation)"
        " AND (:permission = '' OR permission = :permission)"
        " AND (:import = '' OR import = :import) AND (:text = '' OR id = :text"
        " OR instr(lower(name || char(10) || trade || char(10) || cartera_origen), lower(:text))"
        " OR (:digits <> '' AND instr(phone, :digits))) ORDER BY id DESC LIMIT :limit",
        {
            "after": after,
            "validation": validation,
            "permission": permission,
            "import": import_,
            "text": text,
            "digits": digits if len(digits) >= _MIN_SEARCH_DIGITS else "",
            "limit": limit,
        },
    )
    return [ProspectDirectoryEntry(prospect_from_row(row), bool(row["suppressed"])) for row in rows]


def list_imports(reader: Reader, limit: int = 20) -> list[ImportSummary]:
    """Return the lists that were brought in, newest first."""
    rows = reader.all("SELECT id FROM imports ORDER BY id DESC LIMIT ?", (limit,))
    found = (get_import(reader, row["id"]) for row in rows)
    return [ImportSummary(each, count_import_rows(reader, each.id)) for each in found if each]
