"""CSV from any program: encoding, delimiter, headers and record numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.api.imports import SourceOptions, SourceRow, SourceUnreadable
from daemon.plugins.sync import leadmaster_declare_sources
from daemon.plugins.sync.csv_source import CsvFile, open_csv

CELL = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)

Write = Callable[[bytes], Path]


def read(text: str) -> CsvFile:
    """Open a text as a CSV file."""
    return CsvFile(partial(io.StringIO, text, newline=""), "utf-8")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that makes a file of bytes."""

    def make(content: bytes) -> Path:
        path = tmp_path / "list.csv"
        path.write_bytes(content)
        return path

    return make


@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
def test_the_delimiter_is_found_past_line_breaks_in_cells(delimiter: str) -> None:
    """Cells with line breaks and with the other delimiters do not mislead."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(["Nombre", "Teléfono", "Notas"])
    writer.writerows([["a, b; c", "123", "one\ntwo | three"]] * 3)
    opened = read(text.getvalue())
    assert [row.cells[2] for row in opened.rows()][1:] == ["one\ntwo | three"] * 3


def test_a_spreadsheet_may_declare_its_delimiter() -> None:
    """The line ``sep=`` is taken at its word and is no record."""
    opened = read("sep=|\r\na|b\r\n1;2|3;4\r\n")
    assert list(opened.rows()) == [SourceRow(1, ("a", "b")), SourceRow(2, ("1;2", "3;4"))]


def test_records_are_numbered_from_the_header_on() -> None:
    """Also an empty one, and a short or a long one, as they are in the file."""
    opened = read("a;b\n1;2\n\n;\n3\n4;5;6\n")
    assert [(row.number, *row.cells) for row in opened.rows()] == [
        *((1, "a", "b"), (2, "1", "2"), (3,), (4, "", ""), (5, "3"), (6, "4", "5", "6")),
    ]


def test_a_record_whose_cells_moved_is_a_problem() -> None:
    """A delimiter inside a name would make a note of the no behind it; empty cells move nothing."""
    opened = read("tel,nombre,baja\n1,Ana,no\n2,Paz, Beto,sí\n3,Caro,no,,\n4,Dani,no\n")
    assert [row.number for row in opened.rows() if row.problem] == [3]
    problem = next(row.problem for row in opened.rows() if row.problem)
    assert problem.startswith("Record 3 has 4 cells where the header has 3; ")
    unnamed = read("tel,nombre\n1,Ana,x\n2,Beto,y\n")
    assert not any(row.problem for row in unnamed.rows())


def test_one_column_is_a_table_too() -> None:
    """A list of bare numbers needs no delimiter."""
    opened = read("telefono\n+5491141234567\n")
    assert [row.cells for row in opened.rows()] == [("telefono",), ("+5491141234567",)]


def test_a_quote_that_never_ends_is_refused_by_its_record() -> None:
    """It would swallow the rest of the file as one cell."""
    opened = read('a;b\n1;2\n3;"4\n5;6\n')
    with pytest.raises(SourceUnreadable, match="Record 3 "):
        list(opened.rows())


def test_quotes_inside_a_cell_are_read_as_written() -> None:
    """Where the line alone shows which ones end a cell; and it is said."""
    opened = read('a,b\n"Bar "El Sol"",1\n"say ""hi""",2\n"x "y" z","3"\n')
    assert [row.cells for row in opened.rows()] == [
        *(("a", "b"), ('Bar "El Sol"', "1"), ('say "hi"', "2"), ('x "y" z', "3")),
    ]
    assert opened.remarks == [
        (
            "Quotation marks inside cells were read as written, first in record 2"
            " (records with them: 2)."
        )
    ]


@pytest.mark.parametrize(
    "text",
    [
        'a,b\n1,2\n"x "y", z",3\n',  # which mark ends the cell?
        'a,b\n1,2\n"x" y,3\n',
        'a\n1\n"x\n' + "2\n" * 70_000,  # a cell beyond the reader's limit
        'a,b\n1,2\n"x,3\n4,5\n6,7\ny",8\n',  # two stray marks with whole records between
    ],
)
def test_other_stray_quotes_are_refused_by_their_record(text: str) -> None:
    """Nothing behind them is swallowed."""
    with pytest.raises(SourceUnreadable, match="Record 3 "):
        list(read(text).rows())


def test_a_cell_may_have_lines() -> None:
    """A note of several lines is no swallowed record."""
    note = "calle 1\npiso 2, a la izquierda\ntimbre\nroto"
    opened = read(f'nombre,nota,tel\nAna,"{note}",1\n')
    assert [row.cells for row in opened.rows()][1:] == [("Ana", note, "1")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_end_of_line_is_known(end: str) -> None:
    """Also that of old Macs."""
    opened = read(end.join(("a;b", "1;2", "3;4", "")))
    assert [row.cells for row in opened.rows()] == [("a", "b"), ("1", "2"), ("3", "4")]


def test_nuls_are_left_out_and_counted() -> None:
    """Each time anew, when the rows have been read."""
    opened = read("a;b\n1\0;2\n\0\n")
    for _ in range(2):
        assert [row.cells for row in opened.rows()] == [("a", "b"), ("1", "2"), ()]
        assert opened.remarks == ["NUL characters in the file were left out: 2."]


def test_limits_are_sentences() -> None:
    """Too many columns, too long a cell, too long a line; empty columns at the end don't count."""
    with pytest.raises(SourceUnreadable, match="Record 1 has 3,000 columns"):
        list(read(",".join(["x"] * 3_000) + "\n").rows())
    assert len(next(read("a,b" + "," * 3_000 + "\n").rows()).cells) == 2
    with pytest.raises(SourceUnreadable, match="Column 2 of record 2 has 10,001 characters"):
        list(read("a,b\n1," + "x" * 10_001 + "\n").rows())
    with pytest.raises(SourceUnreadable, match=r"Line 2 has more than 5,000,000 characters"):
        list(read("a,b\n" + "x" * 5_000_001).rows())


def test_the_header_decides_where_titles_stand_above_it() -> None:
    """A line of text above would make one column of the file."""
    text = "Clientes de marzo\n\nNombre,Tel\nAna,1\n"
    opened = CsvFile(partial(io.StringIO, text, newline=""), "utf-8", lambda cells: "Tel" in cells)
    assert [row.cells for row in opened.rows()][2:] == [("Nombre", "Tel"), ("Ana", "1")]


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """The sentence names the file and says why."""
    with pytest.raises(SourceUnreadable, match=r"gone\.csv can't be read"):
        open_csv(tmp_path / "gone.csv", SourceOptions())


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """It is refused by its size, before it is read."""
    path = tmp_path / "large.csv"
    with path.open("wb") as file:
        file.truncate(200_000_001)
    with pytest.raises(SourceUnreadable, match="larger"):
        open_csv(path, SourceOptions())


def test_the_plugin_declares_its_sources() -> None:
    """Each for endings of its own."""
    sources = leadmaster_declare_sources()
    suffixes = [suffix for source in sources for suffix in source.suffixes]
    assert [source.name for source in sources] == ["csv", "xlsx", "vcard"]
    assert len(suffixes) == len(set(suffixes))


@given(
    st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=8),
    st.sampled_from(";,\t|"),
)
def test_what_a_spreadsheet_writes_is_read_back(rows: list[list[str]], delimiter: str) -> None:
    """Every cell of every record comes back."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([["one", "two", "three"], *rows])
    found = [list(row.cells) for row in read(text.getvalue()).rows()]
    assert found == [["one", "two", "three"], *rows]


@given(st.text(max_size=200))
def test_any_text_is_a_table_or_refused(text: str) -> None:
    """No text makes the reading raise anything but its own refusal."""
    try:
        opened = read(text)
        numbers = [row.number for row in opened.rows()]
    except SourceUnreadable:
        return
    assert numbers == list(range(1, len(numbers) + 1))
