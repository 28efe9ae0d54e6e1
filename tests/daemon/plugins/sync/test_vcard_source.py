"""vCards: which cards are read, which numbers of them, and what no card can do to the others."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.api.imports import SourceOptions, SourceUnreadable
from daemon.plugins.sync.vcard_lines import read_content_line
from daemon.plugins.sync.vcard_source import VcardFile, open_vcards


def write_card(*lines: str, version: str = "3.0") -> str:
    """Return a card with these lines."""
    return "\r\n".join(("BEGIN:VCARD", f"VERSION:{version}", *lines, "END:VCARD", ""))


def read(*cards: str) -> VcardFile:
    """Open a text of cards."""
    return VcardFile(io.StringIO("".join(cards), newline=""), "utf-8")


def read_cells(*lines: str, version: str = "3.0") -> dict[str, str]:
    """Return the filled cells of one card, by header."""
    header, row = read(write_card(*lines, version=version)).rows()
    assert (header.number, row.number, row.problem) == (0, 1, "")
    return {name: cell for name, cell in zip(header.cells, row.cells, strict=True) if cell}


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("TEL;CELL:1", "mobile phone"),
        ("TEL;type=CELL;type=VOICE;type=pref:1", "mobile phone"),
        ("TEL;TYPE=WORK,CELL:1", "mobile phone"),
        ('TEL;VALUE=uri;TYPE="voice,cell":tel:1;ext=5', "mobile phone"),
        ("TEL;TYPE=IPHONE:1", "mobile phone"),
        ("TEL;HOME;VOICE:1", "phone"),
        ("TEL:1", "phone"),
        ("TEL;FAX:1", ""),
        ("TEL;TYPE=HOMEFAX:1", ""),
        ("TEL;TYPE=CELL,FAX:1", ""),
        ("TEL;PAGER:1", ""),
    ],
)
def test_a_number_is_told_apart_by_its_types(line: str, column: str) -> None:
    """In every way in which the three versions write them; a fax is never one."""
    assert read_cells(line) == ({column: "1"} if column else {})


@pytest.mark.parametrize(
    ("label", "column"),
    [
        ("_$!<Mobile>!$_", "mobile phone"),
        ("WhatsApp trabajo", "mobile phone"),
        ("Móvil", "mobile phone"),
        ("_$!<Work>!$_", "phone"),
        ("_$!<HomeFAX>!$_", ""),
    ],
)
def test_a_label_is_in_a_line_of_its_own(label: str, column: str) -> None:
    """Joined to its number by the name of the group, on either side of it."""
    label_line, number = f"item1.X-ABLabel:{label}", "item1.TEL:1"
    for lines in ((label_line, number), (number, label_line)):
        assert read_cells(*lines) == ({column: "1"} if column else {})


def test_the_preferred_number_comes_first_and_none_twice() -> None:
    """By a preference of 2.1, 3.0 or 4.0; two spellings of the same digits are one."""
    assert read_cells(
        *("TEL;CELL;PREF=3:+1 3", "TEL;CELL;PREF=2:+1 2", "TEL;CELL:+1 4", "TEL;CELL;PREF:+1-1"),
        *("TEL;CELL:+11", "TEL;WORK:+5"),
    ) == {
        "mobile phone": "+1-1",
        "mobile phone 2": "+1 2",
        "mobile phone 3": "+1 3",
        "mobile phone 4": "+1 4",
        "phone": "+5",
    }


def test_a_whatsapp_id_stands_in_for_a_number() -> None:
    """Only where the number itself has no digit."""
    assert read_cells("TEL;type=CELL;waid=5491145554004:") == {"mobile phone": "+5491145554004"}
    assert read_cells("TEL;type=CELL;waid=5491145554004:+1 2") == {"mobile phone": "+1 2"}


def test_a_name_is_made_of_what_there_is() -> None:
    """The formatted name, else its parts; the organisation has a column of its own."""
    assert read_cells("N:Prueba;Ana;;;", "FN:Anita") == {"name": "Anita"}
    assert read_cells("N:Prueba;Ana;;Dra.;", "FN:") == {"name": "Dra. Ana Prueba"}
    assert read_cells("ORG:Kiosco Tres;Ventas") == {"organization": "Kiosco Tres"}


def test_the_rest_of_a_card_is_read_too() -> None:
    """The preferred address, the city, and every note with its commas and lines."""
    assert read_cells(
        *("EMAIL;TYPE=INTERNET:b@example.org", "EMAIL;TYPE=INTERNET,PREF:a@example.org"),
        *("ADR;WORK:;;Calle 1\\, 2;Córdoba;;5000;AR", "NOTE:uno\\, dos\\ntres", "NOTE:cuatro"),
    ) == {"email": "a@example.org", "city": "Córdoba", "notes": "uno, dos\ntres\ncuatro"}


@pytest.mark.parametrize(
    "line",
    [
        "FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:Jos=C3=A9 =\r\nMu=C3=\r\n=B1oz",
        "FN;encoding=quoted-printable;charset=iso-8859-1:Jos=E9 Mu=F1oz",
        "FN;QUOTED-PRINTABLE;CHARSET=UTF-8:Jos=C3=A9 Mu=C3=B1oz",
        "FN:José\r\n  Muñoz",
    ],
)
def test_a_name_is_decoded_and_unfolded(line: str) -> None:
    """As phones of the last twenty years write it."""
    assert read_cells(line, "TEL;CELL:1", version="2.1") == {
        "name": "José Muñoz",
        "mobile phone": "1",
    }


def test_photos_are_passed_over() -> None:
    """Folded, not folded, and what looks like a card inside one."""
    block = "/9j/4AAQSkZJRgABAQ" * 4
    photos = (
        f"PHOTO;ENCODING=b;TYPE=JPEG:{block}\r\n {block}\r\n {block}",
        f"PHOTO;JPEG;ENCODING=BASE64:{block}\r\n{block}\r\nTELX{block}\r\n",
        f"LOGO;ENCODING=QUOTED-PRINTABLE:{block}=\r\nTEL:9=\r\nEND",
        f"X-BIG:{'x' * 250_000}",
    )
    for photo in photos:
        assert read_cells("FN:Ana", photo, "TEL;CELL:1") == {"name": "Ana", "mobile phone": "1"}


def test_a_card_inside_a_card_is_not_read() -> None:
    """An agent's numbers are not those of the person."""
    agent = write_card("FN:Agente", "TEL;CELL:9")
    assert read_cells("FN:Ana", f"AGENT:\r\n{agent}TEL;CELL:1") == {
        "name": "Ana",
        "mobile phone": "1",
    }


def test_a_broken_card_is_rejected_with_its_place_and_the_others_are_read() -> None:
    """One without an end, one cut off, one whose number makes no sense, one with too many."""
    opened = read(
        write_card("FN:Ana", "TEL;CELL:1"),
        "BEGIN:VCARD\r\nFN:Sin fin\r\nTEL;CELL:2\r\n\r\n",
        write_card("FN:Caro", "TEL;CELL;ENCODING=QUOTED-PRINTABLE;CHARSET=nada:3"),
        write_card("FN:Todos", *(f"TEL;CELL:{number}" for number in range(21))),
        write_card("FN:Dani", "TEL;CELL:4"),
        "BEGIN:VCARD\r\nVERSION:2.1\r\nTEL:5",
    )
    rows = list(opened.rows())
    assert [(row.number, *row.cells[:2]) for row in rows if not row.problem] == [
        *((0, "name", "mobile phone"), (1, "Ana", "1"), (5, "Dani", "4")),
    ]
    assert [row.problem for row in rows if row.problem] == [
        "Card 2 (line 6) has no END:VCARD, so it was cut off, and is left out.",
        "Card 3 (line 10) has a number that can't be read, and is left out.",
        "Card 4 (line 15) has too many numbers for one person, and is left out.",
        "Card 6 (line 45) has no END:VCARD, so it was cut off, and is left out.",
    ]


def test_limits_are_sentences() -> None:
    """A card with too many lines is rejected, and not cut; so is a file with too many cards."""
    notes = ["NOTE:x"] * 500
    fits, long = read(write_card(*notes[2:], "TEL:1"), write_card(*notes, "TEL:1")).rows(), "Card 2"
    assert [row.problem for row in fits][1:] == [
        "",
        f"{long} (line 503) has too many lines for one person, and is left out.",
    ]
    with pytest.raises(SourceUnreadable, match="more than 100,000 cards"):
        read("BEGIN:VCARD\n" * 100_001)


def test_a_text_that_can_not_be_read_is_left_out_and_counted() -> None:
    """Its card is read all the same: the number is what matters."""
    opened = read(
        write_card("FN;ENCODING=QUOTED-PRINTABLE;CHARSET=nada:x", "N:Prueba;Ana", "TEL;CELL:1"),
        write_card("FN:Beto", f"NOTE:{'x' * 10_001}", "TEL;CELL:2"),
    )
    cells = [row.cells for row in opened.rows()][1:]
    assert [(each[0], each[1], each[-1]) for each in cells] == [
        ("Ana Prueba", "1", ""),
        ("Beto", "2", ""),
    ]
    assert opened.remarks == (
        "Texts in cards that can't be read or are too long were left out: 2.",
    )


def test_what_the_file_is(tmp_path: Path) -> None:
    """Its versions and its encoding, which may be one of old phones; no card at all is refused."""
    path = tmp_path / "cards.vcf"
    text = write_card("FN:Núñez", version="2.1") + write_card("FN:B", version="4.0")
    for encoding, label in (("utf-8-sig", "utf-8"), ("cp1252", "cp1252"), ("utf-16", "utf-16")):
        path.write_bytes(text.encode(encoding))
        opened = open_vcards(path, SourceOptions())
        assert opened.form == f"vCard 2.1 and 4.0, {label}"
        assert next(row.cells[0] for row in opened.rows() if row.number == 1) == "Núñez"
    assert read("BEGIN:VCARD\nEND:VCARD\n").form == "vCard, utf-8"
    path.write_text("nombre;tel\nAna;1\n", encoding="utf-8")
    with pytest.raises(SourceUnreadable, match="no card"):
        open_vcards(path, SourceOptions())
    with pytest.raises(SourceUnreadable, match=r"gone\.vcf can't be read"):
        open_vcards(tmp_path / "gone.vcf", SourceOptions())


def test_a_line_that_the_library_would_take_for_ever_is_never_given_to_it() -> None:
    """Each comma doubles the time in which it finds that there is nothing to find."""
    assert read_content_line("TEL;A" + "," * 60 + ";:1") is None
    assert read_content_line("TEL;A" + "=" * 60 + ";:1") is None
    assert read_content_line("TEL" + ";A=a,b" * 60 + ";;:1") is None
    assert read_content_line("TEL;A=" + "a" * 2_000 + ":1") is None
    assert read_content_line("TEL without a colon") is None


CARD = write_card(
    *("N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:Mu=C3=B1oz;Jos=C3=A9;;;", "item1.TEL;CELL:+54 9"),
    *("item1.X-ABLabel:_$!<Mobile>!$_", "ADR;WORK:;;a;b;;;", "ORG:x;y", "NOTE:n\\,m"),
    version="2.1",
)


@given(
    st.binary(max_size=200)
    | st.builds(
        lambda place, piece: (CARD[:place] + piece + CARD[place:]).encode(),
        st.integers(0, len(CARD)),
        st.text('BEGINTELVCARD:;=,"\r\n .-é\\0', max_size=12),
    )
    | st.builds(
        lambda name, tail: f"BEGIN:VCARD\n{name}{tail}\nEND:VCARD\n".encode(),
        st.sampled_from(["TEL", "N", "ADR", "ORG", "FN", "a.NOTE", "EMAIL", "VERSION"]),
        st.text(';:=,"ab\\1 \t', max_size=40),
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_rows_or_refused(tmp_path: Path, content: bytes) -> None:
    """No card makes it raise anything but its own refusal."""
    path = tmp_path / "any.vcf"
    path.write_bytes(content)
    try:
        header, *rows = open_vcards(path, SourceOptions()).rows()
    except SourceUnreadable:
        return
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    assert {len(row.cells) for row in rows if not row.problem} <= {len(header.cells)}
