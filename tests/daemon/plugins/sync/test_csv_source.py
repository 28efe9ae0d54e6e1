"""CSV from any program: encoding, delimiter, headers and record numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.api.imports import SourceOptions, SourceRow, SourceUnreadable
from daemon.plugins.sync import leadmaster_declare_sources
from daemon.plugins.sync.csv_source import CsvFile, decode_text, open_csv

SPANISH = "Nombre;Teléfono\nÑusta Ibáñez;+54 9 11 4123-4567\n"
CELL = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)

Write = Callable[[bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that makes a file of bytes."""

    def make(content: bytes) -> Path:
        path = tmp_path / "list.csv"
        path.write_bytes(content)
        return path

    return make


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "latin-1"]
)
def test_the_encoding_is_found(write: Write, encoding: str) -> None:
    """A mark, UTF-8, or the Windows encoding: the letters come out right."""
    opened = open_csv(write(SPANISH.encode(encoding)), SourceOptions())
    assert [row.cells for row in opened.rows()] == [
        ("Nombre", "Teléfono"),
        ("Ñusta Ibáñez", "+54 9 11 4123-4567"),
    ]


def test_what_makes_no_sense_in_windows_is_guessed() -> None:
    """An old DOS file decodes in cp1252, to nonsense; a better guess is taken."""
    text = "nombre;ciudad\n" + "mañana será peor que ayer, señora Ñandú;Córdoba\n" * 20
    assert decode_text(text.encode("cp850"))[0] == text


def test_what_is_no_text_is_refused() -> None:
    """A spreadsheet and noise are named for what they are; a broken mark says where."""
    with pytest.raises(SourceUnreadable, match="spreadsheet"):
        decode_text(b"PK\x03\x04rest")
    with pytest.raises(SourceUnreadable):
        decode_text(bytes(range(256)) * 4)
    with pytest.raises(SourceUnreadable, match="byte 3"):
        decode_text(b"\xef\xbb\xbfabc\xff")


@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
def test_the_delimiter_is_found_past_line_breaks_in_cells(delimiter: str) -> None:
    """Cells with line breaks and with the other delimiters do not mislead."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(["Nombre", "Teléfono", "Notas"])
    writer.writerows([["a, b; c", "123", "one\ntwo | three"]] * 3)
    opened = CsvFile(text.getvalue(), "utf-8")
    assert [row.cells[2] for row in opened.rows()][1:] == ["one\ntwo | three"] * 3


def test_a_spreadsheet_may_declare_its_delimiter() -> None:
    """The line ``sep=`` is taken at its word and is no record."""
    opened = CsvFile("sep=|\r\na|b\r\n1;2|3;4\r\n", "utf-8")
    assert list(opened.rows()) == [SourceRow(1, ("a", "b")), SourceRow(2, ("1;2", "3;4"))]


def test_records_are_numbered_from_the_header_on() -> None:
    """Also an empty one, and a short or a long one, as they are in the file."""
    opened = CsvFile("a;b\n1;2\n\n;\n3\n4;5;6\n", "utf-8")
    assert [(row.number, *row.cells) for row in opened.rows()] == [
        *((1, "a", "b"), (2, "1", "2"), (3,), (4, "", ""), (5, "3"), (6, "4", "5", "6")),
    ]


def test_one_column_is_a_table_too() -> None:
    """A list of bare numbers needs no delimiter."""
    opened = CsvFile("telefono\n+5491141234567\n", "utf-8")
    assert [row.cells for row in opened.rows()] == [("telefono",), ("+5491141234567",)]


def test_a_quote_that_never_ends_is_refused_by_its_record() -> None:
    """It would swallow the rest of the file as one cell."""
    opened = CsvFile('a;b\n1;2\n3;"4\n5;6\n', "utf-8")
    with pytest.raises(SourceUnreadable, match="Record 3 "):
        list(opened.rows())


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


def test_the_plugin_declares_csv() -> None:
    """One source, for the endings that such files have."""
    (source,) = leadmaster_declare_sources()
    assert source.name == "csv"
    assert ".csv" in source.suffixes


@given(st.binary(max_size=300))
def test_any_bytes_are_text_or_refused(content: bytes) -> None:
    """No file makes the decoding raise anything but its own refusal."""
    try:
        text, _ = decode_text(content)
    except SourceUnreadable:
        return
    assert isinstance(text, str)


@given(
    st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=8),
    st.sampled_from(";,\t|"),
)
def test_what_a_spreadsheet_writes_is_read_back(rows: list[list[str]], delimiter: str) -> None:
    """Every cell of every record comes back."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([["one", "two", "three"], *rows])
    found = [list(row.cells) for row in CsvFile(text.getvalue(), "x").rows()]
    assert found == [["one", "two", "three"], *rows]


@given(st.text(max_size=200))
def test_any_text_is_a_table_or_refused(text: str) -> None:
    """No text makes the reading raise anything but its own refusal."""
    try:
        opened = CsvFile(text, "utf-8")
        numbers = [row.number for row in opened.rows()]
    except SourceUnreadable:
        return
    assert numbers == list(range(1, len(numbers) + 1))
