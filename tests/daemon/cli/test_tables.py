"""What a table is on screens of every width, and in a pipe: nothing that is copied is ever cut."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from daemon.cli.console import wrap_hanging
from daemon.cli.tables import build_cell, print_fields, print_table, render_hanging, render_table
from daemon.cli.time_format import format_time
from tests.helpers.hypothesis_profiles import examples

ID = "msg_01KG5ZK8T8Q4R6W2V3X5Y7Z9AB"
WHY = "Nobody has said yet whether this number is on WhatsApp; it is being checked."
COLUMNS = {
    "id": "message",
    "state": "state",
    "recipient": "to",
    "since": "since",
    "sentence": "why",
}
ROW = {
    "id": ID,
    "state": "deferred",
    "recipient": "+5491141234567",
    "since": "2026-03-03T14:00:00.123Z",
    "sentence": WHY,
}
WIDTHS = (40, 60, 80, 120, 200)


@pytest.fixture(autouse=True)
def _in_utc() -> Iterator[None]:
    """Stand where the clock says UTC; a test may go elsewhere."""
    before = os.environ.get("TZ")
    _stand_in("UTC")
    yield
    if before is None:
        del os.environ["TZ"]
        time.tzset()
    else:
        _stand_in(before)


def _stand_in(zone: str) -> None:
    os.environ["TZ"] = zone
    time.tzset()


def shown(screen: int | None, *rows: Mapping[str, object]) -> list[str]:
    """Return the lines of a table."""
    return [line.plain for line in render_table(rows, COLUMNS, screen)]


@pytest.mark.parametrize("screen", WIDTHS)
def test_no_line_is_wider_than_the_screen(screen: int) -> None:
    """Whatever the width, a terminal has nothing to wrap; the id and the number are whole."""
    lines = shown(screen, ROW, ROW)
    assert max(map(cell_len, lines)) <= screen
    for word in (ID, "+5491141234567", "2026-03-03 14:00:00 UTC"):
        assert sum(word in line for line in lines) == 2, word


def test_a_table_that_does_not_fit_is_cards() -> None:
    """The first value is the title, the others stand below with their names."""
    assert shown(60, ROW) == [
        f"message {ID}",
        "  state:  deferred",
        "  to:     +5491141234567",
        "  since:  2026-03-03 14:00:00 UTC",
        "  why:    Nobody has said yet whether this number is on",
        "          WhatsApp; it is being checked.",
    ]


def test_a_sentence_is_wrapped_where_it_can_be_read() -> None:
    """At 120 columns the table stays, and its sentence takes the room that is left."""
    lines = shown(120, ROW)
    assert lines[0].split() == ["message", "state", "to", "since", "why"]
    wrapped = [line[lines[0].index("why") :] for line in lines[2:]]
    assert len(wrapped) > 1
    assert " ".join(wrapped) == WHY


def test_a_word_that_is_wider_than_the_screen_stays_whole() -> None:
    """A path or a link is copied: the terminal wraps it, we don't."""
    link = "https://wa.me/5491141234567?text=" + "x" * 60
    lines = shown(40, {**ROW, "sentence": f"Open {link} now"})
    assert any(link in line for line in lines)


def test_a_pipe_gets_one_line_a_row() -> None:
    """Programs read lines: a text of three paragraphs is one of them."""
    lines = shown(None, {**ROW, "sentence": "one\n\ntwo\tthree " + WHY * 5})
    assert len(lines) == 3
    assert "one two three" in lines[2]


def test_paragraphs_stay_on_a_screen() -> None:
    """What was written in two lines is read in two."""
    assert [*shown(60, {**ROW, "sentence": "one\ntwo"})][-2:] == [
        "  why:    one",
        "          two",
    ]


def test_what_takes_two_columns_is_counted_as_two() -> None:
    """Chinese, emoji and accents that are signs of their own leave the columns straight."""
    names = ["漢字かな交じり", "👩‍👩‍👧 Pérez", "Ana", "é" * 3]
    rows = [{"id": name, "sentence": "x"} for name in names]
    lines = [line.plain for line in render_table(rows, {"id": "who", "sentence": "why"}, 80)]
    begins = {cell_len(line[: line.rindex("x")]) for line in lines[2:]}
    assert len(begins) == 1


TEXT = st.text(st.characters(codec="utf-8"), max_size=60)


@examples(60)
@given(rows=st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS, TEXT)), min_size=1, max_size=3))
def test_nothing_is_lost_at_any_width(rows: list[dict[str, object]]) -> None:
    """Whatever is in the cells, every word of it is whole on every screen and in a pipe."""
    words = {
        word
        for row in rows
        for key, value in row.items()
        for word in build_cell(key, value).text.split()
    }
    for screen in (*WIDTHS, None):
        lines = list(render_table(rows, COLUMNS, screen))
        assert all(any(word in line.plain for line in lines) for word in words)


def test_what_hangs_stays_below_its_first_word() -> None:
    """Where there is room beside, else on lines of its own."""
    wide = render_hanging(Text("12:00 held — "), WHY, 60)
    assert [line.plain for line in wide] == [
        "12:00 held — Nobody has said yet whether this number is on",
        "             WhatsApp; it is being checked.",
    ]
    narrow = [line.plain for line in render_hanging(Text("2026-03-03 12:00 held — "), WHY, 40)]
    assert narrow[0] == "2026-03-03 12:00 held — "
    assert all(line.startswith("    ") for line in narrow[1:])


def test_a_moment_is_the_readers_own_and_says_its_zone() -> None:
    """By the terminal's clock; a zone without a name has its distance from UTC."""
    text = "2026-03-03T14:00:00.123Z"
    assert format_time(text) == "2026-03-03 14:00:00 UTC"
    _stand_in("America/Argentina/Buenos_Aires")
    assert format_time(text) == "2026-03-03 11:00:00 UTC-03"
    _stand_in("Europe/Madrid")
    assert format_time(text) == "2026-03-03 15:00:00 CET"
    for other in ("2026-03-03", "2026-03-03T14:00:00", "2026-13-03T14:00:00Z", "soon", ""):
        assert format_time(other) == other


def test_facts_leave_out_what_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    """Names and values below each other, words for yes and no."""
    print_fields([("name", "Ana"), ("notes", ""), ("trade", None), ("suppressed", False)])
    assert capsys.readouterr().out == "name        Ana\nsuppressed  no\n"


def test_an_empty_table_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    """No headings over nothing."""
    print_table([], COLUMNS, empty="Nothing waits.")
    assert capsys.readouterr().out == "Nothing waits.\n"


def test_a_long_sentence_is_wrapped_between_words() -> None:
    """Further lines begin where the first one did; a word that is too long stays whole."""
    link = "https://wa.me/" + "5" * 40
    assert wrap_hanging(f"   Open the chat with {link} now", 30) == [
        "   Open the chat with",
        f"   {link}",
        "   now",
    ]
    assert wrap_hanging("short", 30) == ["short"]
