"""Phone numbers: one canonical form, its other spellings, nothing worse than a refusal."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import phonenumbers
import pytest
import rphonenumbers
from hypothesis import given
from hypothesis import strategies as st

from daemon.api.numbers import (
    LineType,
    NumberUnusable,
    PhoneNumber,
    build_wa_link,
    list_phone_spellings,
    load_numbering_library,
    mask_digits,
    mask_phone,
    parse_phone,
    parse_phone_with,
)
from rules.facts import FACTS

VECTORS = Path(__file__).parents[2] / "data" / "phone_vectors.csv"
EXPECTED_TYPE = {
    "mobile": LineType.MOBILE,
    "fixed_line": LineType.FIXED_LINE,
    "mobile_or_fixed": LineType.FIXED_LINE_OR_MOBILE,
    "not_reachable": LineType.TOLL_FREE,
}
NATIONAL = st.text("0123456789", min_size=7, max_size=12)
PREFIX = st.sampled_from(
    ["", "+", "+54", "+549", "+5491115", "+52", "+521", "+55", "0", "15", "+1"]
)
COMPARED_CODES = frozenset({1, 34, *range(51, 59), *range(591, 599)})
"""Countries of the lists that are imported. Elsewhere a numbering plan may just have changed, and
each library knows the plans of its own release."""
REGION = st.sampled_from(["AR", "MX", "BR", "US", "ES", "XX", "ar", ""])


def vectors() -> list[dict[str, str]]:
    """Return the shared cases."""
    with VECTORS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("case", vectors(), ids=lambda case: case["raw"])
def test_every_vector(case: dict[str, str]) -> None:
    """Each shared case gives its number and kind, or is refused."""
    if case["expected"] == "rejected":
        with pytest.raises(NumberUnusable):
            parse_phone(case["raw"], case["default_region"])
        return
    number = parse_phone(case["raw"], case["default_region"])
    assert (number.e164, number.line_type) == (case["e164"], EXPECTED_TYPE[case["expected"]])
    assert number.reachable is case["expected"].startswith("mobile")


@pytest.mark.parametrize(
    ("raw", "region", "e164"),
    [
        ("+54 9 11 15 4123 4567", "AR", "+5491141234567"),
        ("+54 9 3515 40-6812", "AR", "+5493515406812"),
        ("+54 11 15 4123 4567", "AR", "+5491141234567"),
        ("0351 15 480-9397", "AR", "+5493514809397"),
        ("Cel: 011 15 4123-4567", "AR", "+5491141234567"),
        ("(011) 15-4123-4567 int. 12", "AR", "+5491141234567"),
        ("+54 9 11 4123 4567", "AR", "+5491141234567"),
        ("55 1234 5678", "MX", "+525512345678"),
        ("+52 1 55 1234 5678", "AR", "+525512345678"),
        ("(11) 8765-4321", "BR", "+5511987654321"),
        ("+55 11 8765-4321", "AR", "+5511987654321"),
        ("+55 11 3265-4321", "AR", "+551132654321"),
        ("+1 202 555 0123", "AR", "+12025550123"),
    ],
)
def test_old_and_foreign_spellings(raw: str, region: str, e164: str) -> None:
    """15, 9, 1, the ninth digit, labels, extensions and wide digits all lead to one form."""
    assert parse_phone(raw, region).e164 == e164


@pytest.mark.parametrize(
    ("raw", "reason_code"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("s/n", "not_a_number"),
        ("ver con Juan", "not_a_number"),
        ("351 540 JUAN", "not_a_number"),
        ("+5492216579032 / +5493415820341", "several_numbers"),
        ("+5492216579032 +5493415820341", "several_numbers"),
        ("4123-4567 o 4123-9999", "several_numbers"),
        ("011 4123-4567\n011 4123-4568", "several_numbers"),
        ("4123-4567", "area_code_missing"),
        ("15 4123-4567", "area_code_missing"),
        ("1554494494", "area_code_missing"),
        ("110", "too_short"),
        ("12345", "too_short"),
        ("011 4123-4567 8901", "too_long"),
        ("1" * 18, "too_long"),
        ("1" * 300, "too_long"),
        ("+999 123 456", "unknown_country"),
        ("0000000000", "not_in_plan"),
        ("+", "not_a_number"),
    ],
)
def test_what_is_wrong_is_said(raw: str, reason_code: str) -> None:
    """Every refusal has a stable code and a sentence that names no digit of the number."""
    with pytest.raises(NumberUnusable) as refused:
        parse_phone(raw, "AR")
    assert refused.value.reason_code == reason_code
    assert refused.value.sentence.endswith(".")
    assert not any(each.isdigit() for each in refused.value.sentence)


@given(st.text(max_size=60) | st.tuples(PREFIX, NATIONAL).map("".join), REGION)
def test_any_text_gives_a_number_or_a_typed_refusal(raw: str, region: str) -> None:
    """No text, and no region, makes it raise anything else; what it gives is stable."""
    try:
        number = parse_phone(raw, region)
    except NumberUnusable:
        return
    assert parse_phone(number.e164, "US") == number
    assert number.e164 in list_phone_spellings(number.e164)


@given(st.tuples(PREFIX, NATIONAL).map("".join), REGION)
def test_both_libraries_agree(raw: str, region: str) -> None:
    """The fast library and the reference give the same number, or refuse for the same reason."""
    fast = parse_or_refuse(rphonenumbers, raw, region)
    reference = parse_or_refuse(phonenumbers, raw, region)
    if find_country_code(raw, region) in COMPARED_CODES:
        assert fast == reference


@pytest.mark.parametrize(("raw", "region"), [("+0010000", "ar"), ("011 4123-4567", " ar ")])
def test_a_region_may_be_written_in_any_case(raw: str, region: str) -> None:
    """A country in small letters is the same country, in both libraries."""
    for plan in (rphonenumbers, phonenumbers):
        assert parse_or_refuse(plan, raw, region) == parse_or_refuse(plan, raw, "AR")


def find_country_code(raw: str, region: str) -> int | None:
    """Return the country code that the reference reads in a text; None for none."""
    try:
        number = phonenumbers.parse(raw, region.upper())
    except phonenumbers.NumberParseException:
        return None
    return number.country_code


def parse_or_refuse(plan: object, raw: str, region: str) -> PhoneNumber | str:
    """Return the number that one library reads in a text, or its reason to refuse it."""
    try:
        return parse_phone_with(plan, raw, region)
    except NumberUnusable as refused:
        return refused.reason_code


@given(st.sampled_from(["+54", "+549", "+52", "+521", "+55", "+1", "+34"]), NATIONAL)
def test_aliases_are_one_set_for_all_of_its_members(prefix: str, national: str) -> None:
    """Whoever is in a set has the same set: suppression must not depend on who asks."""
    forms = list_phone_spellings(prefix + national)
    assert prefix + national in forms
    assert all(list_phone_spellings(form) == forms for form in forms)


@pytest.mark.parametrize(
    ("phone", "forms"),
    [
        ("+5491141234567", {"+5491141234567", "+541141234567"}),
        ("+525512345678", {"+525512345678", "+5215512345678"}),
        ("+5511987654321", {"+5511987654321", "+551187654321"}),
        ("+551132654321", {"+551132654321"}),
        ("+12025550123", {"+12025550123"}),
    ],
)
def test_the_spellings_of_a_line(phone: str, forms: set[str]) -> None:
    """Argentina 54/549, Mexico 52/521, Brazil with and without the 9; a landline has one."""
    assert list_phone_spellings(phone) == forms


@pytest.mark.parametrize(
    ("phone", "shown"),
    [
        ("+5491141234567", "+54 9 11 ••••-4567"),
        ("+525512345678", "+52 55 •••• 5678"),
        ("998877665544332@lid", "••••@lid"),
        ("1234", "••••"),
        ("+5412", "+•• ••"),
    ],
)
def test_a_masked_number_hides_four_digits(phone: str, shown: str) -> None:
    """What a person needs to recognise a number stays; what is needed to call it does not."""
    assert mask_phone(phone) == shown


def test_the_link_opens_a_chat() -> None:
    """A wa.me link has no plus, and its text is quoted."""
    assert build_wa_link("+5491141234567") == "https://wa.me/5491141234567"
    assert build_wa_link("+525512345678", "¿qué & cómo?") == (
        "https://wa.me/525512345678?text=%C2%BFqu%C3%A9%20%26%20c%C3%B3mo%3F"
    )


def test_the_reference_stands_in_for_the_fast_library() -> None:
    """Where the fast library is not installed, the reference is taken."""
    assert load_numbering_library() is rphonenumbers
    assert load_numbering_library(("there_is_no_such_module", "phonenumbers")) is phonenumbers


def test_line_types_are_words_of_the_rules() -> None:
    """Every kind of line is a value that a rule file may name."""
    assert set(LineType) <= set(FACTS["prospect.line_type"].values)


def test_importing_it_loads_no_numbering_plan() -> None:
    """The command line starts without the numbering plan, and nothing loads the geocoder."""
    code = (
        "import sys, daemon.api.numbers as n;"
        "assert not {'rphonenumbers', 'phonenumbers'} & set(sys.modules);"
        "n.parse_phone('+5491141234567', 'AR');"
        "assert not [m for m in sys.modules if 'geocoder' in m]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("+54 9 11 4123-4567", "+54 9 11 ••••-4567"),
        ("4123-4567", "••••-4567"),
        ("11 4123-4567 / 11 4123-4568", "•• ••••-•••• / •• ••••-4568"),
        ("no tiene", "no tiene"),
        ("123", "123"),
    ],
)
def test_a_cell_of_numbers_shows_its_form(cell: str, shown: str) -> None:
    """And its last four digits, so that a wrong column is seen without showing a number."""
    assert mask_digits(cell) == shown
