"""Reads the text of a phone cell: links, JIDs, labels and tails, without a numbering plan.

The result is the parts of the text that can be numbers. No digit of a part is dropped or joined
without a rule below that names it; digits that fit no rule refuse the text.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qs, unquote

from msgspec import Struct

MIN_PHONE_DIGITS: Final = 6
"""A part with fewer digits is an area code, an extension or a range: never a number."""
MOBILE_WORDS: Final = frozenset(
    {
        *("whatsapp", "whatsap", "watsap", "wasap", "wsp", "wpp", "wapp", "wp", "wa", "zap"),
        *("celular", "celulares", "cel", "celu", "cell", "cellphone", "cellular", "cellulare"),
        *("movil", "moviles", "mov", "mobile", "mob", "mobil", "telemovel", "smartphone"),
    }
)
"""Words, folded by :func:`fold_word`, that say that a number is a mobile one."""
LANDLINE_WORDS: Final = frozenset({"fijo", "fija", "landline", "fixo", "linea", "fax", "facsimil"})
"""Words, folded, that say that a number is a landline."""

_MAX_TEXT: Final = 200
_PLAIN: Final = re.compile(r"\s*\+?[0-9][0-9 ()-]{5,30}", re.ASCII)
_DIGIT: Final = re.compile(r"\d")
_LETTER: Final = re.compile(r"[^\W\d_]")
_WORD: Final = re.compile(r"[^\W\d_]+")
_SCIENTIFIC: Final = re.compile(
    r"(?<![\d.,])(?<!\d[ -])(\+?\d+)(?:[.,](\d+))?\s*[eE]\s*\+?(\d{1,2})(?!\d)"
)
_DECIMAL: Final = re.compile(r"(\+?[\d ()-]*\d)[.,](\d{1,2})")
_DECIMAL_INSIDE: Final = re.compile(r"\d{5}\.\d{1,2}\s")
_DATE: Final = re.compile(
    r"(\d{1,2}[/.-]\d{1,2}[/.-](\d{2}|\d{4})|\d{4}[/.-]\d{1,2}[/.-]\d{1,2})([ T]\d{1,2}:\d{2}.*)?"
)
_EXTENSION: Final = re.compile(
    r"[\s;,]*(?<![^\W\d_])(?:extension|ext|extn|x|int|interno|ramal|anexo|#)[.:=\s]*\d{1,6}"
    r"\s*(?=$|[/;,|)\r\n])",
    re.IGNORECASE,
)
# A context (";phone-context=+55") is a part of the number, and never dropped.
_TELEPHONE_URI: Final = re.compile(
    r"\btel:([^;\r\n]*)(?:;(?:ext=\d*|(?!phone-context)[a-z-]+=[^;\s\d]*))*", re.IGNORECASE
)
_ID_OR_LINK: Final = re.compile(
    # Of what stands before the @ only an agent, of which these exist, and a device may be dropped.
    r"(?P<id>\d{5,20})(?:[._](?:0|1|128|129))?(?::\d{1,5})?"
    r"@(?P<host>c\.us|s\.whatsapp\.net|lid)(?!\w|[.-][^\W\d])"
    r"|(?:(?:https?://)?(?:www\.)?(?:wa\.me|wa\.link|(?:api|web|v|chat)\.whatsapp\.com)/"
    r"|whatsapp://send/?\?)\S*?"
    # A message that the link fills in may have spaces, and numbers that are not theirs.
    r"(?:(?:(?<=\?)|[?&])text=[^\r\n]*?(?=\s*(?:https?://|whatsapp://|\bwa\.me/)|\s[/|;]\s|[\r\n]|$)"
    r"|(?=,?(?:[\s|;]|$)))",
    re.IGNORECASE,
)
_LINK_NUMBER: Final = re.compile(r"\s*\+?([\d\s().-]{6,25})/?\s*")
_WORD_OR_SEPARATOR: Final = re.compile(r":::|[^\W\d_]|[,;|&/\\\r\n]")
_MASKED: Final = re.compile(
    r"\d[*?\N{BULLET}\N{BLACK CIRCLE}][ -]*\d|\d[ -]*[*?\N{BULLET}\N{BLACK CIRCLE}]\d"
)
"""One sign in place of a digit."""
_SIGNS: Final = re.compile(
    r"[*?.\N{BULLET}\N{BLACK CIRCLE}](?:[ ()-]*[*?.\N{BULLET}\N{BLACK CIRCLE}])+"
)
"""Signs that may be instead of digits, as this product itself and others write them."""
_FEW_DOTS: Final = re.compile(r"[ ()-]*(?:\.[ ()-]*){2}")
_GROUPS_BEFORE: Final = re.compile(r"[\d ()+.-]*\Z")
_GROUPS_BEHIND: Final = re.compile(r"[\d ()+.-]*")
_INTERNATIONAL: Final = re.compile(r"[ ().-]*(?:\+|00)")
_ORNAMENTED: Final = re.compile(r"(\*{2,})[^*]+\1")
_ENOUGH_DIGITS: Final = 10
"""So many, and one more with a country code, may be a whole number where signs are at its end."""
_SEPARATOR: Final = re.compile(
    r"\s*(?::::|[,;|&\\\r\n]|/|(?<=\d{6})\.(?=\d{6})|\s(?:y|o|e|u|and|or)\s"
    r"|(?<=\d)[\s().-]*(?=\+))\s*",
    re.IGNORECASE,
)
_ENDS: Final = " ,;|&/\\\r\n"
_BRACKETED_WORDS: Final = re.compile(r"\([^()\d]*[^\W\d_][^()\d]*\)")


class NumberUnusable(Exception):
    """A text is no usable phone number. ``sentence`` has no digit of it.

    ``reason_code`` is stable: ``empty``, ``several_numbers``, ``left_over_digits``,
    ``scientific_notation``, ``short_link``, ``hidden_id``, ``not_a_number``, ``unknown_country``,
    ``area_code_missing``, ``too_short``, ``too_long`` or ``not_in_plan``.
    """

    def __init__(self, reason_code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason_code = reason_code
        self.sentence = sentence


class PhoneTextPart(Struct, frozen=True):
    """A part of a cell that can be a number: digits and what is between them, + at most in front.

    ``whatsapp_id``: it is the number of a JID or of a link, which has every digit of the line.
    """

    text: str
    whatsapp_id: bool = False


class PhoneText(Struct, frozen=True):
    """The parts of a cell, the hidden ids (LIDs) in it, and whether a word in it says mobile.

    ``says_mobile`` is None where no word of the cell is on the kind of line. ``may_be_cut``: signs
    behind a number may be an ornament, or be instead of more digits.
    """

    parts: tuple[PhoneTextPart, ...]
    hidden_ids: tuple[str, ...] = ()
    says_mobile: bool | None = None
    may_be_cut: bool = False


def count_digits(text: str) -> int:
    """Return the number of digits in a text."""
    return len(_DIGIT.findall(text))


def fold_word(word: str) -> str:
    """Return a word without case and accents."""
    plain = unicodedata.normalize("NFKD", word.casefold())
    return "".join(each for each in plain if not unicodedata.combining(each))


@lru_cache(maxsize=1024)
def find_line_kind(words: str) -> bool | None:
    """Return whether the words of a text say mobile (True) or landline (False), or neither."""
    found = {fold_word(word) for word in _WORD.findall(words)}
    if found & MOBILE_WORDS:
        return True
    return False if found & LANDLINE_WORDS else None


def read_phone_text(raw: str) -> PhoneText:
    """Return what can be a number in a cell. Raises :class:`NumberUnusable` where nothing can."""
    if _PLAIN.fullmatch(raw) and count_digits(raw) >= MIN_PHONE_DIGITS and not _DATE.match(raw):
        return PhoneText((PhoneTextPart(raw.strip()),))  # as most cells are
    text = _normalise_characters(raw)
    if not text:
        raise NumberUnusable("empty", "The number is missing.")
    if len(raw) > _MAX_TEXT:
        raise NumberUnusable("too_long", "The text is too long for a number.")
    parts, hidden_ids, rest = _take_ids_and_links(text)
    beside = bool(hidden_ids or parts)
    if beside and not count_digits(_EXTENSION.sub("", rest)):
        return PhoneText(tuple(parts), tuple(hidden_ids))
    if "@" in rest or "://" in rest:
        raise _not_a_number()
    says_mobile = find_line_kind(rest)
    rest, may_be_cut = _leave_signs_out(rest)
    parts += [PhoneTextPart(each) for each in _split_parts(rest, beside=beside)]
    return PhoneText(tuple(parts), tuple(hidden_ids), says_mobile, may_be_cut)


def _not_a_number() -> NumberUnusable:
    return NumberUnusable("not_a_number", "The text is not a phone number.")


def left_over_digits() -> NumberUnusable:
    """Return the refusal of a text with digits that belong to no whole number."""
    return NumberUnusable(
        "left_over_digits",
        "Further digits are beside the number (a range, an extension, a decimal); write each"
        " number in full, alone in its cell.",
    )


def hidden_digits() -> NumberUnusable:
    """Return the refusal of a text with signs that are instead of digits, or may be."""
    return NumberUnusable(
        "left_over_digits",
        "Signs stand where digits may be missing; write each number in full, alone in its cell.",
    )


def _normalise_characters(raw: str) -> str:
    """Return the text with plain digits, hyphens and spaces, and without invisible marks."""
    if any(unicodedata.category(character) == "No" for character in raw):
        raise left_over_digits()  # "¹" is a footnote: NFKC would make it the number's last digit
    plain = []
    for character in unicodedata.normalize("NFKC", raw):
        category = unicodedata.category(character)
        if category == "Nd":
            plain.append(str(unicodedata.digit(character)))
        elif category == "Pd" or character == "\N{MINUS SIGN}":
            plain.append("-")
        elif category == "Zs" or character == "\t":
            plain.append(" ")
        elif character not in "\r\n" and character.isspace():
            plain.append("\n")  # the other signs that end a line or a field
        # Direction marks, joiners and byte order marks come along when a number is copied.
        elif category not in {"Cf", "Cc", "Mn"} or character in "\r\n":
            plain.append(character)
    # A spreadsheet writes an apostrophe before a number that is to stay text.
    return "".join(plain).strip().lstrip("'\N{RIGHT SINGLE QUOTATION MARK}`").strip()


def _take_ids_and_links(text: str) -> tuple[list[PhoneTextPart], list[str], str]:
    """Return the numbers of JIDs and links, the hidden ids, and the text without them.

    Raises NumberUnusable where one of them can be a piece of more digits.
    """
    parts: list[PhoneTextPart] = []
    hidden_ids: list[str] = []

    def take(match: re.Match[str]) -> str:
        if _touches_digits(match):
            raise left_over_digits()
        if match["id"] is None:
            parts.append(PhoneTextPart(_find_link_number(match[0]), whatsapp_id=True))
        elif match["host"].lower() == "lid":
            hidden_ids.append(f"{match['id']}@lid")
        else:
            parts.append(PhoneTextPart(f"+{match['id']}", whatsapp_id=True))
        return " ; "

    rest = _ID_OR_LINK.sub(take, text)
    return parts, hidden_ids, rest


def _touches_digits(match: re.Match[str]) -> bool:
    """Return whether further digits may belong to an id or a link: only signs are in between.

    An id begins with digits, and a link may end with them. Words and separators end a number.
    """
    text = match.string
    if match["id"] is None:
        head, tail = match[0], text[match.end() :]
    else:
        head, tail = text[: match.start()], match[0]
    digit = max((each.end() for each in _DIGIT.finditer(head)), default=0)
    between = head[digit:] + tail[: _find_digit(tail)]
    return digit > 0 and _find_digit(tail) < len(tail) and not _WORD_OR_SEPARATOR.search(between)


def _find_digit(text: str) -> int:
    """Return the place of the first digit; the length of a text without one."""
    found = _DIGIT.search(text)
    return found.start() if found else len(text)


def _find_link_number(link: str) -> str:
    """Return the number in a link to a chat, with +. Raises NumberUnusable for a short link."""
    address, _, query = link.partition("?")
    named = parse_qs(query).get("phone", [])
    path = unquote(re.split(r"wa\.me/", address, maxsplit=1, flags=re.IGNORECASE)[-1])
    written = [*named, path] if count_digits(path) else named
    found = _LINK_NUMBER.fullmatch(written[0]) if len(written) == 1 else None
    if found is None or count_digits(found[1]) < MIN_PHONE_DIGITS:
        raise NumberUnusable(
            "short_link", "The link has no number in it; open it, and write the number instead."
        )
    return "+" + found[1].strip()


def _leave_signs_out(text: str) -> tuple[str, bool]:
    """Return the text without signs such as "…" and "**", and whether some are behind digits.

    Raises NumberUnusable where they may be instead of digits.
    """
    may_be_cut = False
    ornamented = _ORNAMENTED.fullmatch(text) is not None

    def leave_out(match: re.Match[str]) -> str:
        nonlocal may_be_cut
        if _FEW_DOTS.fullmatch(match[0]):
            return match[0]
        before = _GROUPS_BEFORE.search(text[: match.start()])
        behind = _GROUPS_BEHIND.match(text, match.end())
        sides = [found[0] if found else "" for found in (before, behind)]
        counts = [count_digits(side) for side in sides]
        dots = not match[0].strip(". ")
        of_word = dots and _LETTER.fullmatch(text, match.start() - 1, match.start())
        if counts[1]:  # a number begins with its +; without one more digits may be in front
            harmless = counts[0] == 0 and ("+" in sides[1] or of_word or ornamented)
            harmless = harmless and "+" not in sides[0]
        else:
            doubted = sides[0].endswith(" ") and not match[0].strip("? ")
            harmless = dots or ornamented or doubted
        enough = _ENOUGH_DIGITS + any(map(_INTERNATIONAL.match, sides))
        if sum(counts) and not (harmless and sum(counts) >= enough):
            raise hidden_digits()
        may_be_cut = may_be_cut or counts[0] > 0
        return " "

    if _MASKED.search(text):
        raise hidden_digits()
    return _SIGNS.sub(leave_out, text).strip(), may_be_cut


def _split_parts(text: str, *, beside: bool) -> list[str]:
    """Return the parts with enough digits for a number. Raises NumberUnusable for none.

    ``beside``: the text has an id or a link too, so that digits of no whole number may be theirs.
    """
    text = _TELEPHONE_URI.sub(r" ; \1 ; ", text)
    if _DATE.fullmatch(text):
        raise _not_a_number()
    text = _SCIENTIFIC.sub(_expand_scientific, text)
    text = _BRACKETED_WORDS.sub(" ; ", _EXTENSION.sub(" ; ", text))
    text = _separate_words(text)
    pieces = [piece for piece in _SEPARATOR.split(text) if count_digits(piece)]
    if not pieces:
        raise _not_a_number()
    if beside and min(map(count_digits, pieces)) < MIN_PHONE_DIGITS:
        raise left_over_digits()
    return [_take_decimal_off(piece) for piece in _join_short_pieces(pieces, text)]


def _expand_scientific(match: re.Match[str]) -> str:
    """Return all digits of a number in scientific notation. Raises NumberUnusable if some went."""
    whole, decimals, exponent = match[1], match[2] or "", int(match[3])
    if len(decimals) != exponent or not decimals:
        raise NumberUnusable(
            "scientific_notation",
            "A spreadsheet rounded this number (scientific notation), and its last digits are"
            " lost; format the column as text there, and export the list again.",
        )
    return f" ; {whole}{decimals} ; "


def _separate_words(text: str) -> str:
    """Return the text without words. Raises NumberUnusable for letters in a number."""
    # The library would turn letters into digits ("0800-PIZZA"), which is somebody else's number.
    text = _SEPARATOR.sub(lambda match: " ; " if _LETTER.search(match[0]) else match[0], text)
    out, before = "", 0
    matches = list(re.finditer(r"(?:[^\W\d_][^\d+(;]*)?[^\W\d_][.:=\s-]*", text))
    for match in matches:
        left = text[before : match.start()]
        out += left
        behind = text[match.end() :]
        known = all(_is_label(word) for word in _WORD.findall(match[0]))
        opens = not count_digits(out.rpartition(";")[2])
        between = min(count_digits(left), count_digits(behind)) >= MIN_PHONE_DIGITS
        if not (known or opens or between):
            raise _not_a_number()
        out += " " if opens else " ; "
        before = match.end()
    return out + text[before:]


def _is_label(word: str) -> bool:
    return fold_word(word) in MOBILE_WORDS | LANDLINE_WORDS | _OTHER_LABELS


_OTHER_LABELS: Final = frozenset(
    {
        *("tel", "telefono", "telefone", "phone", "telephone", "numero", "nro", "num", "n", "t"),
        *("casa", "home", "trabajo", "trabalho", "work", "oficina", "office", "particular"),
        *("de", "do", "da", "principal", "main", "personal", "pessoal", "laboral", "solo", "p"),
    }
)


def _join_short_pieces(pieces: list[str], text: str) -> list[str]:
    """Return the pieces with their area codes. Raises NumberUnusable for digits left over."""
    long = [count_digits(piece) >= MIN_PHONE_DIGITS for piece in pieces]
    if all(long) or len(pieces) == 1:
        return pieces
    separators = {each.strip() for each in _SEPARATOR.findall(text.strip(_ENDS))}
    # "11/4555/1234", "1,145,551,223": groups of one number, if they are enough for one.
    if not any(long) and separators <= {"/", ","}:
        return [" ".join(pieces)]
    # "011/4123-4567" has its area code in front; "4123-4567/68" a range behind.
    if long == [False, True] and separators == {"/"} and not re.match(r"\s*0", pieces[1]):
        return [" ".join(pieces)]
    decimal = re.fullmatch(r"\s*(\+?\d{7,}),0\s*", text)
    if decimal:
        return [decimal[1]]
    raise left_over_digits()


def _take_decimal_off(piece: str) -> str:
    """Return a number without the ".0" of a spreadsheet. Raises NumberUnusable for another tail."""
    decimal = _DECIMAL.fullmatch(piece.strip())
    if decimal is None and _DECIMAL_INSIDE.search(piece.strip()):
        raise left_over_digits()
    if decimal is None or count_digits(decimal[1]) <= MIN_PHONE_DIGITS:
        return piece.strip()
    if decimal[2] != "0":
        raise left_over_digits()
    return decimal[1]
