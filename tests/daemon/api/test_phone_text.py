"""The digits of a cell: none is lost, none is added, none is joined that did not belong."""

from __future__ import annotations

import re
import unicodedata

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daemon.api.numbers import (
    NumberUnusable,
    mask_digits,
    mask_phone,
    parse_phone,
    read_phones,
)
from daemon.logs.processors import mask_numbers_in_text

COUNTRY_CODES = {"AR": "54", "MX": "52", "BR": "55", "ES": "34", "DE": "49"}
LOCAL = {
    "AR": st.from_regex(r"(0?11 ?|0?351 ?|9 11 )(15 ?)?[2-6][0-9]{2,3}-?[0-9]{4}", fullmatch=True),
    "MX": st.from_regex(r"(044 |045 |01 |1 )?55 ?[1-9][0-9]{3} ?[0-9]{4}", fullmatch=True),
    "BR": st.from_regex(r"\(?11\)? {0,1}9{0,1}[2-9][0-9]{3}-{0,1}[0-9]{4}", fullmatch=True),
    "ES": st.from_regex(r"[69][0-9]{2} ?[0-9]{3} ?[0-9]{3}", fullmatch=True),
    "DE": st.from_regex(r"0(30|171) ?[0-9]{5,8}", fullmatch=True),
}
FRONT = st.sampled_from(
    ["", "+", "00", "tel:", "Cel: ", "whatsapp ", "p:", "wa.me/", "\u202a", "'", "5 ", "34, "]
)
BACK = st.sampled_from(
    [
        *("", ".0", ".5", ".00", ",0", "/68", " / 12", " - 3", "-4", " 5", " int. 12", " (Juan)"),
        *("@c.us", ":12@c.us", "?text=11", "\u202c", " wsp", "\n", ";ext=12", "E+12", " Ana"),
        *("_1:3@c.us", "@c.us 5", " tel: 12", "*5", "¹", "; 12", "\x1f7", " (+1"),
    ]
)


@st.composite
def cells(draw: st.DrawFn) -> tuple[str, str]:
    """Return a cell as people and programs write them, and its region."""
    region = draw(st.sampled_from(sorted(LOCAL)))
    code = draw(st.sampled_from(["", COUNTRY_CODES[region], COUNTRY_CODES[region] + " "]))
    front, back = draw(FRONT), draw(BACK)
    number = front + code + draw(LOCAL[region]) + back
    second = draw(st.sampled_from(["", "", " / ", " ::: ", " ", " - ", ","]))
    return number + (second + draw(LOCAL[region]) if second else ""), region


def list_digits_by_oracle(cell: str) -> set[str]:
    """Return what the digits of a cell may be, by rules of its own: all of them, or named cuts."""
    text = unicodedata.normalize("NFKC", cell)
    text = re.sub(r"[?&]text=[^|\n]*", "", text)  # the words that a link fills in
    text = re.sub(r"(?<=\d)(_1)?(:\d{1,5})?@[a-z.]+", "", text)  # the agent and the device of a JID
    text = re.sub(r"(?i)[;\s]*(ext|int)[.=\s]*\d{1,6}", "", text)  # an extension
    whole = re.sub(r"\D", "", text)
    decimal = re.sub(r"(?<=\d)[.,]0(?!\d)", "", text)  # the decimal of a spreadsheet
    return {whole, re.sub(r"\D", "", decimal)}


def list_written_forms(e164: str) -> set[str]:
    """Return the digits with which people write a number, by the plans of these countries."""
    digits = e164.lstrip("+")
    code = str(phonenumbers.parse(e164).country_code)  # a + may make it another country's
    national = digits.removeprefix(code)
    forms = {national, "0" + national}
    if code == "54":
        bare = national.removeprefix("9") if len(national) == 11 else national
        for area in (2, 3, 4):
            with_15 = bare[:area] + "15" + bare[area:]
            forms |= {bare, "0" + bare, with_15, "0" + with_15, "9" + bare, "9" + with_15}
    if code == "52":
        forms |= {front + national for front in ("044", "045", "01", "1")}
    if code == "1":
        forms.add("1" + national)
    if code == "55" and len(national) == 11:
        forms.add(national[:2] + national[3:])
    return {front + form for form in forms for front in ("", code, "00" + code)}


@given(cells())
@example(("52 5530000000@c.us", "MX"))  # read as the id alone, it is a number of Brazil
def test_the_digits_of_a_number_are_those_of_its_cell(case: tuple[str, str]) -> None:
    """A number that is read has every digit of its cell, but for what a named rule takes off."""
    cell, region = case
    try:
        number = parse_phone(cell, region)
    except NumberUnusable:
        return
    forms = list_written_forms(number.e164)
    twice = {one + other for one in forms for other in forms}  # the same line, written again
    assert list_digits_by_oracle(cell) & (forms | twice), number.e164


@given(cells())
@example(("005511920200000 - 3 / 1120000000", "BR"))  # 0055 is no way to dial America
@example(("490171 30000.0 0171 030000", "DE"))  # a decimal in the middle is no digit of a group
def test_several_numbers_share_the_digits_of_their_cell(case: tuple[str, str]) -> None:
    """Where a cell has several numbers, their digits are those of the cell, in its order."""
    cell, region = case
    found = read_phones(cell, region)
    if found.refusal or len(found.numbers) < 2:
        return
    rests = list_digits_by_oracle(cell)
    for each in found.numbers:
        forms = list_written_forms(each.e164)
        rests = {
            rest.removeprefix(form) for rest in rests for form in forms if rest.startswith(form)
        }
    assert "" in rests, found.numbers


@pytest.mark.parametrize(
    ("cell", "region", "reason_code"),
    [
        ("030 1234567/68", "DE", "left_over_digits"),
        ("030 1234567 - 68", "DE", "left_over_digits"),
        ("11 9123-4567 0", "BR", "left_over_digits"),
        ("11 9123-4567-0", "BR", "left_over_digits"),
        ("1191234567.5", "BR", "left_over_digits"),
        ("1191234567.00", "BR", "left_over_digits"),
        ("1191234567,5", "BR", "left_over_digits"),
        ("114555122.5", "AR", "left_over_digits"),
        ("1145551225.0 1145551226.0", "AR", "left_over_digits"),
        ("11 5555-0101, 2", "AR", "left_over_digits"),
        ("11 5555-0101 y 12", "AR", "left_over_digits"),
        ("4123-4567/68", "AR", "left_over_digits"),
        ("5.49115E+12", "AR", "scientific_notation"),
        ("5,49115e12", "AR", "scientific_notation"),
        ("1E+10", "AR", "scientific_notation"),
        ("https://wa.me/message/ABCD1234EFGH51", "AR", "short_link"),
        ("https://wa.me/qr/ABCD1234EFGH51", "AR", "short_link"),
        ("chat.whatsapp.com/AbCd1234567890", "AR", "short_link"),
        ("https://wa.link/abc123", "AR", "short_link"),
        ("123456789012345@lid", "AR", "hidden_id"),
        ("12036304567890@g.us", "AR", "not_a_number"),
        ("ana1155550101@example.org", "AR", "not_a_number"),
        ("https://example.org/1155550101", "AR", "not_a_number"),
        ("1155550101 Ana", "AR", "not_a_number"),
        ("0800-PIZZA", "AR", "not_a_number"),
        ("05/01/2026", "AR", "not_a_number"),
        ("2026-01-05", "AR", "not_a_number"),
        ("2026-01-05 10:00:00", "AR", "not_a_number"),
        ("11-4555-1212-11-4555-1213", "AR", "too_long"),
    ],
)
def test_what_is_no_single_number_is_refused_with_its_reason(
    cell: str, region: str, reason_code: str
) -> None:
    """The reason is stable, and its sentence has no digit of the cell."""
    with pytest.raises(NumberUnusable) as refused:
        parse_phone(cell, region)
    assert refused.value.reason_code == reason_code
    assert not any(each.isdigit() for each in refused.value.sentence)


@pytest.mark.parametrize(
    ("cell", "region"),
    [
        # Something of the id itself stands before the blank, the sign or the line break.
        ("52 5530000000@c.us", "MX"),
        ("52 5530000000:12@c.us", "MX"),
        ("52-5530000000@s.whatsapp.net", "MX"),
        ("52.5530000000@c.us", "MX"),
        ("52_5530000000@c.us", "MX"),
        ("52: 5530000000@c.us", "MX"),
        ("(52)5530000000@c.us", "MX"),
        ("+52 +5530000000@c.us", "MX"),
        ("52, 5530000000@c.us", "MX"),
        ("52/5530000000@c.us", "MX"),
        ("52\n5530000000@c.us", "MX"),
        ("52, 1234, 5530000000@c.us", "MX"),
        ("(México 52) 5530000000@c.us", "MX"),
        ("525530 5530000000@c.us", "MX"),
        ("5491145551248:123456@s.whatsapp.net", "AR"),
        ("123456 5491145551248@c.us", "AR"),
        ("1" * 12 + "5491145551248@c.us", "AR"),
        ("52 123456789012345@lid", "MX"),
        # Something of it stands behind, or stands where an agent of the platform would.
        ("541145551226@c.us 12", "AR"),
        ("541145551226@c.us.0", "AR"),
        ("+49301234.56789@c.us", "DE"),
        ("49301234_567@c.us", "DE"),
        ("wa.me/49301234 567890", "DE"),
        ("wa.me/4930123456 7", "DE"),
        ("wa.me/49301234567-8", "DE"),
        ("11wa.me/541145551226", "AR"),
    ],
)
def test_an_id_or_a_link_is_never_a_piece_of_more_digits(cell: str, region: str) -> None:
    """Not even for a list that takes the numbers beside what can't be read."""
    found = read_phones(cell, region)
    assert found.refusal is not None
    assert (found.numbers, found.hidden_ids) == ((), ())


@pytest.mark.parametrize(
    ("cell", "region"),
    [
        ("11;4555;1226", "AR"),
        ("11|4555|1226", "AR"),
        ("30 ::: 12345", "DE"),
        ("301\n2345\n67", "DE"),
        ("52; 5530000000 /", "MX"),
        ("2/0301234567", "DE"),
        ("52 (+5530000000)", "MX"),
        ("54 tel:1145551226", "AR"),
        ("11 4555 Tel: 1226", "AR"),
        ("tel:03012345;ext=12 67", "DE"),
        ("tel:1145551226;phone-context=+55", "AR"),
        ("(011 int 5) 45551226", "AR"),
        ("0 3.012345678E+9", "DE"),
        ("4.9301234567E+10 89", "DE"),
        ("030\x0b1234567", "DE"),
        ("030 1234567¹", "DE"),
        ("② 030 1234567", "DE"),
        ("+49 30 ••••5678", "DE"),
        ("+49 30 12**5678", "DE"),
        ("+49 30 123456...", "DE"),
        ("+49 30 12345678…", "DE"),  # a number as it is, and with a digit more
        ("11 91234-567…", "BR"),
        ("11 4555-12??", "AR"),
        ("****4567 / 11 4555-1234", "AR"),
        ("Juan ****4567", "AR"),
        ("+54 (11) ****-4567", "AR"),
        ("••1145551212", "AR"),
        ("...1145551212", "AR"),
        ("1145551212••", "AR"),
        ("1145551212 ••", "AR"),
        ("+33 6 1• •• •5 678901234", "FR"),
        ("+49 30 12?5678", "DE"),
        ("https://api.whatsapp.com/send?phone=541145551226&phone=541145551227", "AR"),
        ("wa.me/541145551226?phone=541145551227", "AR"),
        ("541145551226@c.us, 1155550101@example.org, 1155550102", "AR"),
        ("541145551226@c.us https://example.org/1155550101 1155550102", "AR"),
        ("541145551226@c.us.example.org", "AR"),
    ],
)
def test_digits_that_no_rule_joins_are_no_number(cell: str, region: str) -> None:
    """What stands between them, or in the place of some, is not left out."""
    found = read_phones(cell, region)
    assert found.refusal is not None
    assert found.numbers == ()


@given(
    st.sampled_from([("AR", "+5491145551212"), ("BR", "+5511991234567"), ("DE", "+4930123456")]),
    st.integers(0, 12),
    st.integers(1, 8),
    st.sampled_from(["*", "?", "•", "●"]),
    st.sampled_from(["", " ", "-"]),
)
@example(("BR", "+5511991234567"), 11, 3, "•", "")
def test_hidden_digits_are_never_left_out(
    number: tuple[str, str], first: int, hidden: int, sign: str, beside: str
) -> None:
    """Wherever they are hidden, and however many: what is left is not read as another number."""
    region, e164 = number
    digits = e164.lstrip("+")
    behind = digits[first + hidden :]
    cell = f"+{digits[:first]}{beside}{sign * max(hidden, 2)}{beside}{behind}"
    assert {each.e164 for each in read_phones(cell, region).numbers} <= {e164}


@pytest.mark.parametrize(
    "e164", ["+5491145551212", "+5511991234567", "+4930123456", "+12125550123"]
)
def test_a_mask_of_ours_is_no_number(e164: str) -> None:
    """In logs, in answers and in the errors of a list."""
    for mask in (mask_phone(e164), mask_digits(e164), mask_numbers_in_text(e164)):
        for region in ("AR", "BR", "DE", "US"):
            found = read_phones(mask, region)
            assert found.refusal is not None
            assert found.refusal.sentence.startswith("Signs stand where digits may be missing")
            assert found.numbers == ()


def test_scientific_notation_names_the_spreadsheet() -> None:
    """Who imports learns which program lost the digits; with all digits there, none was lost."""
    with pytest.raises(NumberUnusable, match="spreadsheet rounded"):
        parse_phone("5.49115E+12", "AR")
    assert parse_phone("5.491145551220E+12", "AR").e164 == "+5491145551220"


@pytest.mark.parametrize(
    ("cell", "region", "e164"),
    [
        ("5491145551222.0", "AR", "+5491145551222"),
        ("1145551223,0", "AR", "+541145551223"),
        ("1.145.551.223", "AR", "+541145551223"),
        ("1191234567.0", "BR", "+5511991234567"),
        ("+55 11 7723-4567", "BR", "+551177234567"),
        ("0055 51 99123-4567", "BR", "+5551991234567"),
        ("00 57 300 1234567", "CO", "+573001234567"),
        ("00 55 51 99123-4567", "AR", "+5551991234567"),
        ("044 55 5255 1324", "MX", "+525552551324"),
        ("+52 045 55 5255 1325", "AR", "+525552551325"),
        ("01 55 5255 1326", "MX", "+525552551326"),
        ("011/4555-1212", "AR", "+541145551212"),
        ("+54 9 (011) 15-4555-1212", "AR", "+5491145551212"),
        ("01.23.45.67.89", "FR", "+33123456789"),
        ("030/1234567", "DE", "+49301234567"),
        ("+44 (0)20 7946 0018", "GB", "+442079460018"),
        ("wa.me/5491145551212?text=llamame al 11 5555-0101", "AR", "+5491145551212"),
        ("https://api.whatsapp.com/send/?text=a&phone=%2B5491145551212", "AR", "+5491145551212"),
        ("5491145551248:12@s.whatsapp.net", "AR", "+5491145551248"),
        ("+5491145551248.0:12@s.whatsapp.net", "AR", "+5491145551248"),
        ("WhatsApp:5491145551248_1:3@c.us (Ana)", "AR", "+5491145551248"),
        ("5491145551248@c.us int. 12", "AR", "+5491145551248"),
        ("5491145551248@c.us, ana@example.org", "AR", "+5491145551248"),
        ("HTTPS://WA.ME/5491145551248", "AR", "+5491145551248"),
        ("wa.me/%2B54%209%2011%204555-1248", "AR", "+5491145551248"),
        ("tel:+54-11-4555-1212;ext=12", "AR", "+541145551212"),
        ("11/4555/1212 (Juan)", "AR", "+541145551212"),
        ("* 11 4555-1212 *", "AR", "+541145551212"),
        ("Tel… 11 4555-1212", "AR", "+541145551212"),
        ("11 4555-1212...", "AR", "+541145551212"),
        ("11 4555-1212 ??", "AR", "+541145551212"),
        ("**11 4555-1212**", "AR", "+541145551212"),
        ("+54 9 11 4555-1212 (Juan…)", "AR", "+5491145551212"),
        ("?? +1 212 555 0123", "AR", "+12125550123"),
        ("+5.491145551248E+12", "MX", "+5491145551248"),
        ("whatsapp 11 4555-1212", "AR", "+541145551212"),
        ("11 4555-1212 (Juan)", "AR", "+541145551212"),
        ("'+5491145551212", "AR", "+5491145551212"),
        ("+٥٤ ٩ ١١ ٤٥٥٥ ١٢٥٥", "AR", "+5491145551255"),  # noqa: RUF001 - digits as a phone writes them
        ("+54\u200e9\u200e11 4555\u20111252", "AR", "+5491145551252"),
    ],
)
def test_what_programs_and_people_write_around_a_number(cell: str, region: str, e164: str) -> None:
    """Decimals, trunk prefixes, links, ids, labels and marks leave the number as it is."""
    assert parse_phone(cell, region).e164 == e164


@pytest.mark.parametrize(
    "cell",
    [
        "11 4555-1225 / 11 4555-1226",
        "11 4555-1225 - 11 4555-1226",
        "11 4555-1225 ::: 11 4555-1226",
        "1145551225 1145551226",
        "11 4555-1225 11 4555-1226",
        "11 4555-1225 (Juan) 11 4555-1226 (Ana)",
        "11 4555-1225\n11 4555-1226",
        "11 4555-1225 y 11 4555-1226",
        "1145551225\\1145551226",
        "11 4555-1225 . 11 4555-1226",
        "1145551225.1145551226",
        "11 4555-1225;11 4555-1226",
        "Cel: 11 4555-1225 Casa: 11 4555-1226",
        "11 4555-1225 int. 12 / 11 4555-1226",
        "+541145551225+541145551226",
        "541145551225@c.us, wa.me/541145551226?text=hola que tal",
        "541145551225@c.us 541145551226@c.us",
        "541145551225@c.us / 11 4555-1226",
        "541145551225@c.us 1145551226",
        "wa.me/541145551225 wa.me/541145551226",
        "wa.me/541145551225, 1145551226",
        "11 4555-1225 (+541145551226)",
        "11 4555-1225 e 11 4555-1226",
        "11 4555-1225\x0b11 4555-1226",
    ],
)
def test_several_numbers_are_all_found(cell: str) -> None:
    """Every separator that people write, and the refusal where one number is asked for."""
    assert [each.e164 for each in read_phones(cell, "AR").numbers] == [
        "+541145551225",
        "+541145551226",
    ]
    with pytest.raises(NumberUnusable) as refused:
        parse_phone(cell, "AR")
    assert refused.value.reason_code == "several_numbers"


def test_a_part_that_is_no_number_leaves_the_others() -> None:
    """A list that means every number of a cell takes those that can be read, and hears the rest."""
    found = read_phones("11 4555-1225 / 4555-1226", "AR")
    assert [each.e164 for each in found.numbers] == ["+541145551225"]
    assert found.refusal is not None
    assert found.refusal.reason_code == "several_numbers"
