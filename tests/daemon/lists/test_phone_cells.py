"""Phone cells: Argentine mobiles without their 9, by header, cell, answer or not at all."""

from __future__ import annotations

import pytest

from daemon.lists.phone_cells import MobileAnswer, PhoneCell, read_phone_cell

MOBILE, LANDLINE = "+5491155550101", "+541155550101"


def read(
    cell: str, *, says_mobile: bool | None = None, mobiles: MobileAnswer = MobileAnswer.ASK
) -> tuple[str, PhoneCell]:
    """Return the number of a cell in Argentina, or its reason, with the whole reading."""
    found = read_phone_cell(cell, "AR", says_mobile=says_mobile, mobiles=mobiles)
    return found.number.e164 if found.number else found.reason_code, found


@pytest.mark.parametrize(
    "cell", ["11 5555-0101", "011 5555-0101", "+54 11 5555 0101", "1155550101", "11-5555-0101"]
)
def test_a_number_without_9_is_open_until_something_says_what_it_is(cell: str) -> None:
    """Header or answer make it a mobile line, and say so; without them it is counted as open."""
    number, found = read(cell)
    assert (number, found.mobile_open, found.mobile_assumed) == (LANDLINE, True, False)
    number, found = read(cell, says_mobile=True)
    assert (number, found.mobile_open, found.mobile_assumed) == (MOBILE, False, True)
    number, found = read(cell, mobiles=MobileAnswer.YES)
    assert (number, found.mobile_assumed) == (MOBILE, True)
    number, found = read(cell, says_mobile=True, mobiles=MobileAnswer.NO)
    assert (number, found.mobile_open, found.mobile_assumed) == (LANDLINE, False, False)


@pytest.mark.parametrize(
    "cell", ["whatsapp 1155550101", "Cel. 11 5555-0101", "11 5555-0101 (móvil)", "wsp: 1155550101"]
)
def test_a_word_in_the_cell_says_mobile(cell: str) -> None:
    """As a header does."""
    assert read(cell)[0] == MOBILE
    assert read(cell)[1].mobile_assumed


def test_a_word_in_the_cell_is_nearer_than_the_header() -> None:
    """A landline in a column of mobiles stays one."""
    number, found = read("fijo 11 5555-0101", says_mobile=True)
    assert (number, found.mobile_open) == (LANDLINE, False)


@pytest.mark.parametrize("cell", ["11 15 5555-0101", "011 15-5555-0101", "9 11 5555-0101"])
def test_what_says_mobile_by_its_digits_is_no_question(cell: str) -> None:
    """A 15 or a 9 is the mobile's own mark."""
    number, found = read(cell)
    assert (number, found.mobile_open, found.mobile_assumed) == (MOBILE, False, False)


def test_an_area_code_is_never_made_up() -> None:
    """A 15 without an area code is a mobile of some town: which one nobody knows."""
    assert read("15 5555-0101", says_mobile=True)[0] == "area_code_missing"


@pytest.mark.parametrize("cell", ["541155550101@c.us", "https://wa.me/541155550101"])
def test_an_id_has_every_digit_of_its_line(cell: str) -> None:
    """WhatsApp's own id of a landline has no 9, and gets none by a header."""
    number, found = read(cell, says_mobile=True)
    assert (number, found.mobile_open, found.mobile_assumed) == (LANDLINE, False, False)


def test_a_toll_free_number_is_no_question() -> None:
    """Only a number that may be a mobile line is."""
    assert not read("0800 222 1234")[1].mobile_open
    assert not read("+1 202 555 0123", says_mobile=True)[1].mobile_assumed


def test_a_cell_with_several_numbers_hands_over_all() -> None:
    """A list of opt-outs means each of them; a word between them is on neither."""
    number, found = read("cel 11 5555-0101 / 11 5555-0102")
    assert number == ""
    assert [each.e164 for each in found.numbers] == [LANDLINE, "+541155550102"]
    assert found.mobile_open


def test_one_line_in_two_spellings_is_one_number() -> None:
    """With and without 9 it is the same line, by its mobile form."""
    assert read("11 5555-0101 / +54 9 11 5555-0101")[0] == MOBILE


def test_hidden_ids_are_handed_over() -> None:
    """An opt-out list may hold them; a prospect needs a number."""
    number, found = read("123456789012345@lid")
    assert (number, found.hidden_ids) == ("hidden_id", ("123456789012345@lid",))
    assert found.sentence
