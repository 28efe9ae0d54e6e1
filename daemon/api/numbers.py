"""Phone numbers: parsing to E.164, line types, spellings, masking.

The numbering-plan library is loaded at the first use, so that importing this module is cheap.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib import import_module
from typing import Any, Final
from urllib.parse import quote

NUMBERING_LIBRARIES: Final = ("rphonenumbers", "phonenumbers")
"""Two modules with the same interface: the fast one, and the reference where it is missing."""

_MAX_CELL_LENGTH: Final = 200
_MIN_PHONE_DIGITS: Final = 6  # a part with fewer is a range or an extension, not a second number
_SEPARATORS: Final = re.compile(r"[/,;|&\r\n]|\s(?:y|o|e|and|or)\s|(?<=\d)\s*(?=\+)", re.IGNORECASE)
_EXTENSION: Final = re.compile(
    r"[\s;,]*(?:ext|extn|x|int|interno|#)[.:=\s]*\d{1,6}\s*$", re.IGNORECASE
)
_LETTER: Final = re.compile(r"[^\W\d_]")
# Argentina writes a mobile number with 9 after the country code, or with 15 before the local
# number; both at once is a common mistake.
_AR_NINE_AND_FIFTEEN: Final = re.compile(r"\+549(?=\d{12}$)(\d{2,4}15\d{6,8})")
_AR_FIFTEEN_ALONE: Final = re.compile(r"\+5415\d{6,8}")
# Mexico dropped the 1 before mobile numbers, and Brazil added a 9. Lists and WhatsApp still have
# the old forms.
_MX_OLD_MOBILE: Final = re.compile(r"\+521(\d{10})")
_BR_OLD_MOBILE: Final = re.compile(r"\+55(\d{2})([6-9]\d{7})")

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


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """A valid number: in canonical E.164, with its line type and country (ISO 3166, or None)."""

    e164: str
    line_type: LineType
    country: str | None

    @property
    def reachable(self) -> bool:
        """Whether lines of this type can plausibly have WhatsApp."""
        return self.line_type in REACHABLE_LINE_TYPES


class NumberUnusable(Exception):
    """A text is no usable phone number. ``sentence`` has no digit of it.

    ``reason_code`` is stable: ``empty``, ``several_numbers``, ``not_a_number``,
    ``unknown_country``, ``area_code_missing``, ``too_short``, ``too_long`` or ``not_in_plan``.
    """

    def __init__(self, reason_code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason_code = reason_code
        self.sentence = sentence


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
    text = _extract_number(raw)
    # The libraries know a country in capitals only, and differ in what they make of another case.
    region = region.strip().upper()
    try:
        number = plan.parse(text, region)
        canonical = _normalise_spelling(plan.format_number(number, plan.PhoneNumberFormat.E164))
        number = plan.parse(canonical, None)
    except plan.NumberParseException as error:
        raise _build_parse_error(plan, error, region) from None
    if not plan.is_valid_number(number):
        raise _build_validity_error(plan, number, canonical)
    return PhoneNumber(
        plan.format_number(number, plan.PhoneNumberFormat.E164),
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


def build_wa_link(e164: str, text: str = "") -> str:
    """Return the ``wa.me`` link that opens a chat with this number, with ``text`` filled in."""
    query = f"?text={quote(text, safe='')}" if text else ""
    return f"https://wa.me/{e164.removeprefix('+')}{query}"


def _extract_number(raw: str) -> str:
    """Return the one number in a cell. Raises NumberUnusable for none or several."""
    text = unicodedata.normalize("NFKC", raw).strip()
    if not text:
        raise NumberUnusable("empty", "The number is missing.")
    if len(text) > _MAX_CELL_LENGTH:
        raise NumberUnusable("too_long", "The text is too long for a number.")
    parts = [part for part in _SEPARATORS.split(text) if _count_digits(part) >= _MIN_PHONE_DIGITS]
    if len(parts) > 1:
        raise NumberUnusable(
            "several_numbers", "The cell has several numbers; put each in a row of its own."
        )
    if text.lower().startswith("tel:"):
        text = text.split(";", 1)[0]
    start = re.search(r"[+\d]", text)
    number = _EXTENSION.sub("", text[start.start() :]) if start else ""
    # The library would turn letters into digits ("0800-PIZZA"), which is somebody else's number.
    if not number or _LETTER.search(number):
        raise NumberUnusable("not_a_number", "The text is not a phone number.")
    return number


def _count_digits(text: str) -> int:
    return sum(character.isdigit() for character in text)


def _normalise_spelling(e164: str) -> str:
    """Return the spelling that the numbering plan knows, for one that it calls invalid."""
    if match := _AR_NINE_AND_FIFTEEN.fullmatch(e164):
        return f"+540{match[1]}"  # the library itself turns 0 … 15 … into 9
    if match := _MX_OLD_MOBILE.fullmatch(e164):
        return f"+52{match[1]}"
    if match := _BR_OLD_MOBILE.fullmatch(e164):
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
