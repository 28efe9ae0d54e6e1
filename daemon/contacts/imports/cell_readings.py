"""What each cell of a record became: the number, consent, date or text that was read from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from daemon.contacts.imports.row_parser import ParsedImportRow
from daemon.lists.columns import PlannedColumn
from daemon.lists.consent_cells import ConsentAnswer, read_consent_cell, read_refusal_cell
from daemon.lists.vocabulary import ColumnUse


class CellMeaning(StrEnum):
    """What was read from a cell."""

    NUMBER = "number"
    """The number of the record: E.164."""
    OTHER_NUMBER = "other_number"
    """A phone cell beside it, which is not used."""
    CONSENT = "consent"
    """An answer on consent."""
    DATE = "date"
    """A day: yyyy-mm-dd."""
    UNKNOWN_DATE = "unknown_date"
    """A date that counts as unknown."""
    TEXT = "text"
    """The cell as it is, in a column of ours."""
    FIELD = "field"
    """The cell as it is, kept under its header."""
    UNUSED = "unused"
    """Nothing."""


_PLAIN_MEANINGS: Final = {
    ColumnUse.FIELD: CellMeaning.FIELD,
    ColumnUse.UNUSED: CellMeaning.UNUSED,
}


class CellReading(Struct, frozen=True):
    """A filled cell, and what was read from it; ``value`` is empty where it stays as it is."""

    header: str
    cell: str
    use: ColumnUse
    meaning: CellMeaning
    value: str = ""


def read_cells(
    columns: Sequence[PlannedColumn],
    cells: Mapping[str, str],
    record: ParsedImportRow,
    consent_words: Mapping[str, ConsentAnswer],
) -> tuple[CellReading, ...]:
    """Return what each filled cell of a record became, in the order of the file."""
    found = []
    for column in columns:
        cell = cells.get(column.header, "").strip()
        if cell:
            meaning, value = _read_cell(column, cell, record, consent_words)
            found.append(CellReading(column.header, cell, column.use, meaning, value))
    return tuple(found)


def _read_cell(
    column: PlannedColumn,
    cell: str,
    record: ParsedImportRow,
    consent_words: Mapping[str, ConsentAnswer],
) -> tuple[CellMeaning, str]:
    """Return meaning and value of a filled cell."""
    if column.use is ColumnUse.PHONE and column.header == record.phone_header:
        return CellMeaning.NUMBER, record.phone or ""
    if record.phone is None:  # the record is left out, so that nothing else of it was read
        return CellMeaning.UNUSED, ""
    if column.use is ColumnUse.PHONE:
        return CellMeaning.OTHER_NUMBER, ""
    if column.use in {ColumnUse.PERMISSION, ColumnUse.REFUSAL}:
        return CellMeaning.CONSENT, _read_answer(column.use, cell, consent_words).value
    if column.use is ColumnUse.DATA_DATE:
        day = record.data_date
        return (CellMeaning.DATE, day.isoformat()) if day else (CellMeaning.UNKNOWN_DATE, "")
    return _PLAIN_MEANINGS.get(column.use, CellMeaning.TEXT), ""


def _read_answer(
    use: ColumnUse, cell: str, consent_words: Mapping[str, ConsentAnswer]
) -> ConsentAnswer:
    if use is ColumnUse.PERMISSION:
        return read_consent_cell(cell, consent_words)
    return ConsentAnswer.NO if read_refusal_cell(cell) else ConsentAnswer.NOTHING
