"""The encoding of a text file: found with a prior for the languages here, or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.api.imports import SourceUnreadable
from daemon.plugins.sync.text_encoding import find_encoding

SPANISH = "Nombre;Teléfono\nÑusta Ibáñez;+54 9 11 4123-4567\nMARÍA NÚÑEZ;1\nJosé Peña — Müller;2\n"
PORTUGUESE = "nome;celular\nJoão Conceição;1\nAndré Luís Araújo;2\n"
CZECH = "jméno;telefon\nJiří Dvořák;1\nLuboš Novotný;2\n"
RUSSIAN = "имя;телефон\nИван Петров;1\n"  # noqa: RUF001 - Russian

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
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "mac_roman"],
)
@pytest.mark.parametrize("text", [SPANISH, PORTUGUESE], ids=["spanish", "portuguese"])
def test_what_people_here_write_is_read_as_they_wrote_it(
    write: Write, encoding: str, text: str
) -> None:
    """By a mark, as UTF-8, or in the encodings of Windows and of old Macs."""
    path = write(text.encode(encoding))
    found = find_encoding(path, None)
    assert path.read_bytes().decode(found.codec) == text


@pytest.mark.parametrize("word", ["Núñez", "JOSÉ", "Peña", "Ángel", "São", "Müller", "Françoise"])
def test_one_word_is_enough_for_windows(write: Write, word: str) -> None:
    """It is preferred over what fits as well."""
    assert find_encoding(write(f"a;b\n{word};1\n".encode("cp1252")), None).codec == "cp1252"


def test_a_capital_inside_a_word_is_strange(write: Write) -> None:
    """As Windows, every é of an old Mac would be a Ž."""
    path = write("nombre\nJosé\nRené\n".encode("mac_roman"))
    assert find_encoding(path, None).codec == "mac_roman"


def test_old_dos_is_read(write: Write) -> None:
    """Where it fits clearly better than Windows."""
    text = "nombre;ciudad\n" + "mañana será peor que ayer, señora Ñandú;Córdoba\n" * 3
    path = write(text.encode("cp850"))
    assert path.read_bytes().decode(find_encoding(path, None).codec) == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (CZECH, "cp1250"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8_r"),
        ("名前;電話\n山田;1\n", "shift_jis"),
    ],
)
def test_an_odd_encoding_is_refused_with_what_it_would_read(
    write: Write, text: str, encoding: str
) -> None:
    """Three readings of one cell, and how to say which is right; said, it is read."""
    path = write(text.encode(encoding))
    with pytest.raises(SourceUnreadable, match=r"would read («.*» \(\w+\)(, )?){3}\. .*--encoding"):
        find_encoding(path, None)
    assert path.read_bytes().decode(find_encoding(path, encoding).codec) == text


def test_the_example_tells_the_encodings_apart(write: Write) -> None:
    """A name that reads the same in the likely ones would be no help."""
    with pytest.raises(SourceUnreadable, match=r"line 2 would read .*«Jiří Dvořák» \(cp1250\)"):
        find_encoding(write(CZECH.encode("cp1250")), None)


def test_a_mix_is_refused_with_what_it_would_read(write: Write) -> None:
    """Neither encoding is right for all of it."""
    path = write(b"nombre\nJos\xc3\xa9\nMar\xeda\n")
    with pytest.raises(SourceUnreadable) as refused:
        find_encoding(path, None)
    assert "line 2 reads «José» (utf-8) or «JosÃ©» (cp1252)" in str(refused.value)
    assert "line 3 reads «María» (cp1252)" in str(refused.value)
    assert find_encoding(path, "cp1252").codec == "cp1252"
    with pytest.raises(SourceUnreadable, match=r"Byte 16 \(line 3\) does not fit in utf-8"):
        find_encoding(path, "utf-8")


def test_a_named_encoding_is_kept_to(write: Write) -> None:
    """One that is none, or contradicts the mark, is refused."""
    marked = write("Ñ".encode("utf-8-sig"))
    assert find_encoding(marked, "UTF8").codec == "utf-8-sig"
    with pytest.raises(SourceUnreadable, match="begins with the mark of utf-8"):
        find_encoding(marked, "cp1252")
    for name in ("rot13", "zlib", "idna", "unicode_escape", "no such", "a\0b", ""):
        with pytest.raises(SourceUnreadable, match="There is no encoding"):
            find_encoding(marked, name)


def test_a_byte_that_does_not_fit_is_named_by_its_place(write: Write) -> None:
    """Also beyond the first block of the file."""
    with pytest.raises(SourceUnreadable, match=r"Byte 6 \(line 1\)"):
        find_encoding(write(b"\xef\xbb\xbfabc\xff"), None)
    with pytest.raises(SourceUnreadable, match=r"Byte 1,?200,?000 \(line 600,?001\)"):
        find_encoding(write(b"a\n" * 600_000 + b"\xff"), "utf-8")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"PK\x03\x04rest", "spreadsheet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Excel workbook"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\x89PNG\r\n\x1a\n", "image"),
        (b"\xff\xd8\xff\xe0", "image"),
        (b"<!DOCTYPE html><table>", "web page"),
        (b"\xef\xbb\xbfBEGIN:VCARD\r\n", "vCard"),
        ("BEGIN:VCARD\n".encode("utf-16"), "vCard"),
        (bytes(range(256)) * 4, "not text"),
        (b"\0" * 1000, "not text"),
    ],
)
def test_what_is_no_list_is_refused_by_its_name(
    write: Write, content: bytes, sentence: str
) -> None:
    """In one sentence, whatever the file is called and whatever encoding is said."""
    for said in (None, "cp1252"):
        if sentence == "not text" and said:
            continue
        with pytest.raises(SourceUnreadable, match=sentence):
            find_encoding(write(content), said)


@given(st.binary(max_size=300), st.sampled_from([None, "utf-8", "cp1252", "utf-16", "gb18030"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_fit_in_what_is_found_or_are_refused(
    write: Write, content: bytes, said: str | None
) -> None:
    """No file makes it raise anything but its own refusal."""
    path = write(content)
    try:
        found = find_encoding(path, said)
    except SourceUnreadable:
        return
    assert isinstance(content.decode(found.codec), str)
