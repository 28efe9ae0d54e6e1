"""XLSX as an import source: chooses the sheet, and writes each cell as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from daemon.api.imports import SourceOptions, SourceRow, SourceUnreadable, check_row_size
from daemon.plugins.sync.file_kinds import ZIP_SIGNATURE, refuse_other_kinds
from daemon.plugins.sync.workbook_survey import (
    MAX_WORKBOOK_BYTES,
    SheetFacts,
    check_sheet,
    survey_workbook,
)

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

_HEADER_SEARCH: Final = 20
_NOT_A_WORKBOOK: Final = "This is not an .xlsx workbook; if it is text, give it the ending .csv."
_UNREADABLE: Final = (
    "The workbook can't be read: open it in a spreadsheet, save it as .xlsx again, or as CSV."
)


def open_xlsx(path: Path, options: SourceOptions) -> XlsxFile:
    """Open a workbook; raise :class:`SourceUnreadable` for what is none, or is beyond a limit."""
    try:
        if path.stat().st_size > MAX_WORKBOOK_BYTES:
            raise SourceUnreadable(
                f"{path.name} is larger than {MAX_WORKBOOK_BYTES // 1_000_000} MB;"
                " save the list alone, or as CSV."
            )
        with path.open("rb") as file:
            head = file.read(4096)
        if not head.startswith(ZIP_SIGNATURE):
            refuse_other_kinds(head)
            raise SourceUnreadable(_NOT_A_WORKBOOK)
        return XlsxFile(path, survey_workbook(path), options)
    except OSError as error:
        raise SourceUnreadable(f"{path.name} can't be read: {error.strerror}.") from None


class XlsxFile:
    """A workbook, of which one sheet is read."""

    def __init__(self, path: Path, sheets: Sequence[SheetFacts], options: SourceOptions) -> None:
        self._workbook = _open_workbook(path)
        self._sheets = [sheet for sheet in sheets if sheet.name in self._workbook.sheet_names]
        self._filled = [sheet for sheet in self._sheets if sheet.visible and sheet.filled_rows]
        self._chosen = self._choose(options)
        self._cells = self._load(self._chosen)
        self.form = f"XLSX, sheet {self._chosen.name}"
        self.remarks: Sequence[str] = tuple(self._describe_choice(options.sheet))

    def rows(self) -> Iterator[SourceRow]:
        """Yield every row of the sheet that has a cell with something in it."""
        yield from _read_rows(self._cells)

    def _load(self, sheet: SheetFacts) -> CalamineSheet:
        check_sheet(sheet)
        try:
            return self._workbook.get_sheet_by_name(sheet.name)
        except BaseException as error:
            raise _translate(error) from error

    def _choose(self, options: SourceOptions) -> SheetFacts:
        """Return the sheet that is asked for, or the first visible one with a phone column."""
        if options.sheet is not None:
            wanted = options.sheet.strip().casefold()
            for sheet in self._sheets:
                if sheet.name.strip().casefold() == wanted:
                    return sheet
            raise SourceUnreadable(
                f"There is no sheet «{options.sheet}»; the visible ones are:"
                f" {_name_sheets(self._filled)}."
            )
        if not self._filled:
            raise SourceUnreadable(
                "No visible sheet of the workbook has anything in it; show the sheet, or name it"
                " with --sheet."
            )
        for sheet in self._filled if len(self._filled) > 1 else ():
            rows = islice(_read_rows(self._load(sheet)), _HEADER_SEARCH)
            if any(options.is_header(row.cells) for row in rows):
                return sheet
        return self._filled[0]

    def _describe_choice(self, asked: str | None) -> Iterator[str]:
        others = [sheet for sheet in self._filled if sheet is not self._chosen]
        hidden = [sheet for sheet in self._sheets if not sheet.visible and sheet.filled_rows]
        hidden = [sheet for sheet in hidden if sheet is not self._chosen]
        if others and asked is None:
            yield (
                f"Of the visible sheets, «{self._chosen.name}» is read, and these are not:"
                f" {_name_sheets(others)}. Choose another with --sheet."
            )
        if hidden:
            yield f"Hidden sheets are not read: {_name_sheets(hidden)}."
        if self._chosen.hidden_rows:
            yield (
                "Hidden or filtered rows of the sheet are read like the others:"
                f" {self._chosen.hidden_rows:,}."
            )


def _name_sheets(sheets: Sequence[SheetFacts]) -> str:
    return ", ".join(f"«{sheet.name}» ({sheet.filled_rows:,})" for sheet in sheets) or "–"


def _open_workbook(path: Path) -> CalamineWorkbook:
    # Late: a daemon that imports no workbook needs none of it.
    from python_calamine import CalamineWorkbook  # noqa: PLC0415

    try:
        return CalamineWorkbook.from_path(path)
    except BaseException as error:
        raise _translate(error) from error


def _translate(error: BaseException) -> BaseException:
    """Return a sentence for an error of the library, whose panics are no ``Exception`` at all."""
    own = isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit | SourceUnreadable)
    return error if own else SourceUnreadable(_UNREADABLE)


def _read_rows(sheet: CalamineSheet) -> Iterator[SourceRow]:
    """Yield the filled rows with their numbers in the sheet."""
    merged = _MergedDown(sheet)
    for number, values in enumerate(sheet.iter_rows(), 1):
        cells = [write_cell(value) for value in values]
        filled = any(cell.strip() for cell in cells)
        merged.fill(number, cells, filled=filled)
        if filled:
            while not cells[-1]:
                cells.pop()
            yield check_row_size(SourceRow(number, tuple(cells)), "row")


class _MergedDown:
    """Cells merged over several rows: the library gives their value in the first row only."""

    def __init__(self, sheet: CalamineSheet) -> None:
        self._starting: dict[int, list[tuple[int, int]]] = {}
        """By first row: column and last row, both as the library counts cells in a row."""
        for (first, column), (last, _) in sheet.merged_cell_ranges or ():
            if last > first:
                self._starting.setdefault(first + 1, []).append((column, last + 1))
        self._open: dict[int, tuple[int, str]] = {}

    def fill(self, number: int, cells: list[str], *, filled: bool) -> None:
        """Write the value of a merged cell into the row, where the row has something else."""
        for column, (last, text) in list(self._open.items()):
            if number > last:
                del self._open[column]
            elif filled and not cells[column]:
                cells[column] = text
        for column, last in self._starting.get(number, ()):
            if column < len(cells):
                self._open[column] = (last, cells[column])


def write_cell(value: object) -> str:
    """Return a cell as text: a number with all its digits, a date as ``yyyy-mm-dd``."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else f"{Decimal(repr(value)):f}"
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value).replace("\0", "")
