"""A list as a table: headers of its own, records with their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from daemon.api.imports import SourceRow, SourceUnreadable
from daemon.lists.table import make_unique, open_table


@dataclass(frozen=True)
class OpenedRows:
    """A source with these rows."""

    cells: Sequence[Sequence[str]]
    form: str = "rows"
    remarks: Sequence[str] = ()

    def rows(self) -> Iterator[SourceRow]:
        """Yield them, numbered from 1."""
        for number, cells in enumerate(self.cells, 1):
            yield SourceRow(number, tuple(cells))


def test_records_keep_their_numbers() -> None:
    """Empty ones are left out and counted; short ones are filled, long ones cut."""
    rows = [("a", "b"), ("1", "2"), (), ("", " "), ("3",), ("4", "5", "6")]
    table = open_table(OpenedRows(rows), header_required=True)
    assert [(record.number, dict(record.cells)) for record in table.records()] == [
        (2, {"a": "1", "b": "2"}),
        (5, {"a": "3", "b": ""}),
        (6, {"a": "4", "b": "5"}),
    ]


def test_every_column_has_a_name_of_its_own() -> None:
    """Headers that repeat, or are empty, can still be mapped."""
    names = ("a (2)", "a", "a", "", "a")
    assert make_unique(names) == ("a (2)", "a", "a (3)", "column 4", "a (4)")
    many = make_unique(["x"] * 3_000)
    assert (len(set(many)), many[-1]) == (3_000, "x (3000)")


@pytest.mark.parametrize("rows", [[], [()], [("", "")], [("  ", ""), ("", " ")]])
def test_an_empty_file_is_refused(rows: list[tuple[str, ...]]) -> None:
    """Without a header there is nothing to map."""
    with pytest.raises(SourceUnreadable, match="empty"):
        open_table(OpenedRows(rows), header_required=True)


def test_titles_above_the_header_are_named() -> None:
    """The header is the first row that names a phone column, with others beside it."""
    rows = [("Teléfonos 2026", ""), ("Celulares", ""), ("", ""), ("Nombre", "Celular"), ("A", "1")]
    table = open_table(OpenedRows(rows), header_required=True)
    assert (table.header_number, table.headers) == (4, ("Nombre", "Celular"))
    assert [record.number for record in table.records()] == [5]
    assert table.remarks == (
        "Row 1 is above the header, and is not read: Teléfonos 2026",
        "Row 2 is above the header, and is not read: Celulares",
    )


def test_a_header_that_a_person_named_is_found() -> None:
    """Where no row names a phone column."""
    rows = [("Marzo", ""), ("A", "B"), ("Ana", "1145551263")]
    table = open_table(OpenedRows(rows), header_required=True, headers=["B"])
    assert (table.header_number, table.headers) == (2, ("A", "B"))


def test_a_header_that_is_nowhere_refuses_the_file() -> None:
    """The first row is taken at its word only where it is the first row of the file."""
    with pytest.raises(SourceUnreadable, match="names a phone column"):
        open_table(OpenedRows([("", ""), ("Ana", "1145551263")]), header_required=True)


def test_a_list_of_bare_numbers_needs_no_header() -> None:
    """One number a line."""
    table = open_table(
        OpenedRows([("+5491145551263",), ("+5491145551264",)]), header_required=False
    )
    assert table.headers == ("column 1",)
    assert [record.number for record in table.records()] == [1, 2]
