"""Phone numbers: parsing to E.164, line types, spellings, masking.

The numbering-plan library is loaded at the first use, so that importing this module is cheap.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from importlib import import_module
from typing import Any, Final
from urllib.parse import quote

from msgspec import Struct

from daemon.api.phone_text import (
    MIN_PHONE_DIGITS,
    NumberUnusable,
    PhoneTextPart,
    count_digits,
    hidden_digits,
    left_over_digits,
    read_phone_text,
)

__all__ = [
    "NUMBERING_LIBRARIES",
    "REACHABLE_LINE_TYPES",
    "LineType",
    "NumberUnusable",
    "PhoneNumber",
    "PhonesInText",
    "build_wa_link",
    "find_argentine_mobile",
    "list_phone_spellings",
    "load_numbering_library",
    "mask_phone",
    "parse_phone",
    "parse_phone_with",
    "read_phones",
]

NUMBERING_LIBRARIES: Final = ("rphonenumbers", "phonenumbers")
"""Two modules with the same interface: the fast one, and the reference where it is missing."""

# Argentina writes a mobile number with 9 after the country code, or with 15 before the local
# number; both at once is a common mistake.
_AR_NINE_AND_FIFTEEN: Final = re.compile(r"\+5490?(?=\d{12}$)(\d{2,4}15\d{6,8})")
_AR_FIFTEEN_ALONE: Final = re.compile(r"\+5415\d{6,8}")
_AR_WITHOUT_NINE: Final = re.compile(r"\+54(\d{10})")
# Mexico dropped the 1 before mobile numbers and its trunk prefixes, and Brazil added a 9. Lists
# and WhatsApp still have the old forms.
_MX_OLD_MOBILE: Final = re.compile(r"\+521(\d{10})")
_MX_TRUNK: Final = re.compile(r"(\+?52)?(?:04[45]|01)(\d{10})")
_BR_OLD_MOBILE: Final = re.compile(r"\+55(\d{2})([6-9]\d{7})")

_NO_DIGIT: Final = re.compile(r"\D")
_PLUS_OR_DIGIT: Final = re.compile(r"[+\d]")
_RISKY_BOUNDARY: Final = re.compile(r"\s*/\s*|\s-+\s?|\s*\.\s*(?=\d{1,3}$)|[\s-](?=\d$)")
"""Where something else than the number may begin; digits that only spaces group are one number."""
_MAX_TAIL: Final = 5
_GROUP_BOUNDARY: Final = re.compile(r"\s+(?:[-.]+\s+)?|(?<=\d{6})[-.](?=\d{6})")
_MAX_GROUPS: Final = 16

_SPELLINGS: Final = (
    (re.compile(r"\+549?(\d{10})"), ("+54{}", "+549{}")),
    (re.compile(r"\+521?(\d{10})"), ("+52{}", "+521{}")),
    # Only lines from before the ninth digit are also known without it; these begin with 6 to 9.
    (re.compile(r"\+55(\d{2})9?([6-9]\d{7})"), ("+55{}{}", "+55{}9{}")),
)


class LineType(StrEnum):
    """The type of a line by the numbering plan; the values are those of `prospect.line_type`."""

    FIXED_LINE = "fixed_line"
    MOBILE = "mobile"
    FIXED_LINE_OR_MOBILE = "fixed_line_or_mobile"
    TOLL_FREE = "toll_free"
    PREMIUM_RATE = "premium_rate"
    SHARED_COST = "shared_cost"
    VOIP = "voip"
    PERSONAL_NUMBER = "personal_number"
    PAGER = "pager"
    UAN = "uan"
    VOICEMAIL = "voicemail"
    UNKNOWN = "unknown"


# The library counts its types from 0, in the order above; an unknown type is 99.
_LINE_TYPES: Final = dict(enumerate(LineType))

REACHABLE_LINE_TYPES: Final = frozenset({LineType.MOBILE, LineType.FIXED_LINE_OR_MOBILE})
"""Types of lines that can plausibly have WhatsApp. (A landline can, but few do.)"""


class PhoneNumber(Struct, frozen=True):
    """A valid number: in canonical E.164, with its line type and country (ISO 3166, or None)."""

    e164: str
    line_type: LineType
    country: str | None

    @property
    def reachable(self) -> bool:
        """Whether lines of this type can plausibly have WhatsApp."""
        return self.line_type in REACHABLE_LINE_TYPES


class PhonesInText(Struct, frozen=True):
    """The numbers in a text, in its order, and the hidden ids (LIDs) beside them.

    ``whatsapp_ids`` are those of the numbers that came from a JID or a link. ``says_mobile`` is
    None where no word of the text is on the kind of line. ``refusal`` is set where a part of the
    text is no number: then ``numbers`` are those of the other parts.
    """

    numbers: tuple[PhoneNumber, ...] = ()
    hidden_ids: tuple[str, ...] = ()
    whatsapp_ids: frozenset[PhoneNumber] = frozenset()
    says_mobile: bool | None = None
    refusal: NumberUnusable | None = None


def parse_phone(raw: str, region: str) -> PhoneNumber:
    """Parse a number as people write it; ``region`` (such as AR) is for one without +.

    Raises :class:`NumberUnusable`, and nothing else, for any text.
    """
    return parse_phone_with(load_numbering_library(), raw, region)


@lru_cache
def load_numbering_library(names: Sequence[str] = NUMBERING_LIBRARIES) -> Any:  # noqa: ANN401 - two untyped modules of one interface
    """Return the first of these numbering-plan modules that is installed."""
    *preferred, last = names
    for name in preferred:
        try:
            return import_module(name)
        except ImportError:
            continue
    return import_module(last)


def parse_phone_with(plan: Any, raw: str, region: str) -> PhoneNumber:  # noqa: ANN401 - see library()
    """Parse a number as :func:`parse_phone`, with the given numbering-plan module."""
    found = read_phones(raw, region, plan)
    if found.refusal is not None:
        raise found.refusal
    if not found.numbers:
        raise NumberUnusable(
            "hidden_id", "It is a hidden WhatsApp id, which has no number; ask for the number."
        )
    number, *others = found.numbers
    if others:
        raise _several_numbers()
    return number


def read_phones(raw: str, region: str, plan: Any = None) -> PhonesInText:  # noqa: ANN401 - see library()
    """Return all numbers in a text as people write it; a problem is in the result, never raised."""
    plan = plan or load_numbering_library()
    try:
        text = read_phone_text(raw)
    except NumberUnusable as refused:
        return PhonesInText(refusal=refused)
    found: dict[PhoneNumber, bool] = {}
    refusal: NumberUnusable | None = None
    for part in text.parts:
        try:
            if text.may_be_cut and _may_go_on(plan, part.text, region):
                raise hidden_digits()
            for number in _read_part(plan, part, region):
                found[number] = found.get(number, False) or part.whatsapp_id
        except NumberUnusable as refused:
            refusal = refused if len(text.parts) == 1 else _several_numbers()
    ids = frozenset(number for number, whatsapp_id in found.items() if whatsapp_id)
    return PhonesInText(tuple(found), text.hidden_ids, ids, text.says_mobile, refusal)


def find_argentine_mobile(number: PhoneNumber) -> PhoneNumber | None:
    """Return the mobile line of an Argentine number without 9, or None where there is none.

    The numbering plan can't tell them apart: without the 9 every number is a landline.
    """
    match = _AR_WITHOUT_NINE.fullmatch(number.e164)
    if match is None or number.line_type is not LineType.FIXED_LINE:
        return None
    try:
        mobile = _parse_digits(load_numbering_library(), f"+549{match[1]}", "AR")
    except NumberUnusable:
        return None
    return mobile if mobile.line_type is LineType.MOBILE else None


def _several_numbers() -> NumberUnusable:
    return NumberUnusable(
        "several_numbers", "The cell has several numbers; put each in a row of its own."
    )


def _read_part(plan: Any, part: PhoneTextPart, region: str) -> list[PhoneNumber]:  # noqa: ANN401 - see library()
    """Return the number of a part, or the several numbers that only spaces separate."""
    try:
        number = _parse_digits(plan, part.text, region)
    except NumberUnusable as refusal:
        several = _split_at_spaces(plan, part.text, region)
        if several is None:
            raise refusal from None
        return several
    # Digits behind a whole number make another one with it: neither can be chosen.
    for match in _RISKY_BOUNDARY.finditer(part.text):
        if count_digits(part.text[match.end() :]) <= _MAX_TAIL and _is_number(
            plan, part.text[: match.start()], region
        ):
            raise left_over_digits()
    return [number]


def _split_at_spaces(plan: Any, text: str, region: str) -> list[PhoneNumber] | None:  # noqa: ANN401 - see library()
    """Return the numbers of a text that is several of them; None where it can't be split.

    Raises NumberUnusable where it can be split in more than one way.
    """
    groups = _GROUP_BOUNDARY.split(text)
    if not 1 < len(groups) <= _MAX_GROUPS:
        return None
    # The ways to read the first n groups, for each n; two ways are as bad as many.
    ways: list[list[list[PhoneNumber]]] = [[[]]]
    for end in range(1, len(groups) + 1):
        ways.append([])
        for start in range(end):
            joined = " ".join(groups[start:end])
            if ways[start] and count_digits(joined) >= MIN_PHONE_DIGITS:
                try:
                    number = _parse_digits(plan, joined, region)
                except NumberUnusable:
                    continue
                ways[end] += [[*before, number] for before in ways[start]][:2]
    if len(ways[-1]) > 1:
        raise _several_numbers()
    return ways[-1][0] if ways[-1] else None


def _may_go_on(plan: Any, text: str, region: str) -> bool:  # noqa: ANN401 - see library()
    """Return whether a text with one digit more is a number too."""
    return any(_is_number(plan, f"{text}{digit}", region) for digit in range(10))


def _is_number(plan: Any, text: str, region: str) -> bool:  # noqa: ANN401 - see library()
    try:
        _parse_digits(plan, text, region)
    except NumberUnusable:
        return False
    return True


def _parse_digits(plan: Any, text: str, region: str) -> PhoneNumber:  # noqa: ANN401 - see library()
    """Return the number that all digits of a text are. Raises NumberUnusable."""
    # The libraries know a country in capitals only, and differ in what they make of another case.
    region = region.strip().upper()
    start = _PLUS_OR_DIGIT.search(text)
    digits = _NO_DIGIT.sub("", text)
    if start is None or not digits:
        raise NumberUnusable("not_a_number", "The text is not a phone number.")
    text = ("+" if start[0] == "+" else "") + digits
    # Who writes 00 and the own country code means +. Some plans have a carrier in that place, and
    # would read "0055 51 …" of Brazil as a number of Peru.
    code = plan.country_code_for_region(region) if text.startswith("00") else 0
    if code and text.startswith(f"00{code}"):
        text = f"+{text[2:]}"
    trunk = _MX_TRUNK.fullmatch(text)
    if trunk and (trunk[1] or region == "MX"):
        text = f"+52{trunk[2]}"
    try:
        number = plan.parse(text, region)
        e164 = plan.format_number(number, plan.PhoneNumberFormat.E164)
        canonical = _normalise_spelling(plan, e164)
        if canonical != e164:
            number = plan.parse(canonical, None)
            e164 = plan.format_number(number, plan.PhoneNumberFormat.E164)
    except plan.NumberParseException as error:
        raise _build_parse_error(plan, error, region) from None
    if not plan.is_valid_number(number):
        raise _build_validity_error(plan, number, canonical)
    return PhoneNumber(
        e164,
        _LINE_TYPES.get(int(plan.number_type(number)), LineType.UNKNOWN),
        plan.region_code_for_number(number),
    )


def list_phone_spellings(e164: str) -> frozenset[str]:
    """Return all spellings of the same line in E.164, this one included.

    These are Argentina with and without 9, Mexico with and without 1, Brazil with and without the
    ninth digit. Every spelling of a line has the same set.
    """
    for pattern, forms in _SPELLINGS:
        if match := pattern.fullmatch(e164):
            return frozenset(form.format(*match.groups()) for form in forms)
    return frozenset({e164})


@lru_cache(maxsize=4096)
def mask_phone(e164: str) -> str:
    """Return the number for logs and errors, with the four digits before the last four hidden.

    A text that is no phone number keeps only its last four characters, if it is long enough.
    """
    plan = load_numbering_library()
    try:
        shown = plan.format_number(plan.parse(e164, None), plan.PhoneNumberFormat.INTERNATIONAL)
    except plan.NumberParseException:
        return "••••" + (e164[-4:] if len(e164) > 2 * 4 else "")
    digits = [place for place, character in enumerate(shown) if character.isdigit()]
    hidden = set(digits[-8:-4]) if len(digits) > 2 * 4 else set(digits)
    return "".join("•" if place in hidden else each for place, each in enumerate(shown))


def format_phone_groups(e164: str) -> str:
    """Return a number as people read it, with blanks alone between its groups: +54 9 11 4123 4567.

    A spreadsheet reads it as text, and shows every digit. A text that is no number stays as it is.
    """
    plan = load_numbering_library()
    try:
        shown = plan.format_number(plan.parse(e164, None), plan.PhoneNumberFormat.INTERNATIONAL)
    except plan.NumberParseException:
        return e164
    groups = _NO_DIGIT.sub(" ", shown).split()
    return f"+{' '.join(groups)}"


_LONGEST_NUMBER: Final = 15  # digits, by E.164


def mask_digits(text: str) -> str:
    """Return a text, such as a cell of a list, that shows the form of a number and not the number.

    The four digits before the last four are hidden; of several numbers, all but the last four.
    """
    places = [place for place, character in enumerate(text) if character.isdigit()]
    hidden = set(places[-8:-4] if len(places) <= _LONGEST_NUMBER else places[:-4])
    return "".join("•" if place in hidden else each for place, each in enumerate(text))


def build_wa_link(e164: str, text: str = "") -> str:
    """Return the ``wa.me`` link that opens a chat with this number, with ``text`` filled in."""
    query = f"?text={quote(text, safe='')}" if text else ""
    return f"https://wa.me/{e164.removeprefix('+')}{query}"


def _normalise_spelling(plan: Any, e164: str) -> str:  # noqa: ANN401 - see library()
    """Return the spelling that the numbering plan knows, for one that it calls invalid."""
    if match := _AR_NINE_AND_FIFTEEN.fullmatch(e164):
        return f"+540{match[1]}"  # the library itself turns 0 … 15 … into 9
    if match := _MX_OLD_MOBILE.fullmatch(e164):
        return f"+52{match[1]}"
    # Some lines still have eight digits: the ninth is added only where the plan asks for it.
    if (match := _BR_OLD_MOBILE.fullmatch(e164)) and not plan.is_valid_number(
        plan.parse(e164, None)
    ):
        return f"+55{match[1]}9{match[2]}"
    return e164


def _build_parse_error(plan: Any, error: Any, region: str) -> NumberUnusable:  # noqa: ANN401 - see library()
    if error.error_type == plan.NumberParseException.INVALID_COUNTRY_CODE:
        return NumberUnusable(
            "unknown_country",
            f"It is neither a number with a country code nor a number of {region}.",
        )
    if error.error_type == plan.NumberParseException.TOO_LONG:
        return NumberUnusable("too_long", "The number has too many digits.")
    return NumberUnusable("not_a_number", "The text is not a phone number.")


def _build_validity_error(plan: Any, number: Any, canonical: str) -> NumberUnusable:  # noqa: ANN401 - see library()
    country = plan.region_code_for_country_code(number.country_code)
    reason = plan.is_possible_number_with_reason(number)
    if reason == plan.ValidationResult.IS_POSSIBLE_LOCAL_ONLY or _AR_FIFTEEN_ALONE.fullmatch(
        canonical
    ):
        return NumberUnusable(
            "area_code_missing",
            f"The area code is missing; add it as numbers in {country} have it.",
        )
    if reason == plan.ValidationResult.TOO_SHORT:
        return NumberUnusable("too_short", f"The number is too short for {country}.")
    if reason == plan.ValidationResult.TOO_LONG:
        return NumberUnusable("too_long", f"The number is too long for {country}.")
    return NumberUnusable("not_in_plan", f"The numbering plan of {country} has no such number.")
