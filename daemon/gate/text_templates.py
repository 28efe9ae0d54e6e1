"""Texts with variables such as `{nombre}`: fills them in, and finds what was filled in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Final

from msgspec import Struct

VARIABLES: Final = ("nombre", "empresa", "rubro", "ciudad", "origen_en_palabras", "quien")
"""Variables of every text; fields of lists come beside them, by their headers."""
_CHIP: Final = re.compile(r"\{([^{}\n]*)\}")
_BRACE: Final = re.compile(r"[{}]")
MAX_FILLED_LENGTH: Final = 200
"""Longer than this no value of a variable is: what is longer is another text."""


class VariableProblem(Struct, frozen=True):
    """A variable that can't be filled in: where it begins, counted from 1, and a sentence."""

    place: int
    sentence: str


def list_variables(text: str) -> list[str]:
    """Return the variables of a text, each once, in the order of the text."""
    return list(dict.fromkeys(_CHIP.findall(text)))


def find_variable_problems(text: str, known: Iterable[str]) -> list[VariableProblem]:
    """Return what is wrong with the variables of a text, each with the nearest known name."""
    names = list(known)
    found = [
        VariableProblem(chip.start() + 1, _describe_unknown(chip[1], names))
        for chip in _CHIP.finditer(text)
        if chip[1] not in names
    ]
    bare = _CHIP.sub(lambda chip: " " * len(chip[0]), text)
    found += [
        VariableProblem(brace.start() + 1, "A brace stands alone: a variable is {nombre}.")
        for brace in _BRACE.finditer(bare)
    ]
    return sorted(found, key=lambda each: each.place)


def _describe_unknown(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return f"There is no variable {{{name}}}; the nearest is {{{near[0]}}}."
    return f"There is no variable {{{name}}}."


def fill_in(text: str, values: Mapping[str, str]) -> str:
    """Return a text with its variables filled in; each of them must have a value."""
    return _CHIP.sub(lambda chip: values[chip[1]], text)


def find_filled_words(template: str, text: str) -> str | None:
    """Return what a text has in place of a template's variables; None where it is no such text.

    Each variable ends where the fixed words behind it begin for the first time, is one line, and
    has the same words at each place. Takes time in proportion to the text.
    """
    begin, *rest = _CHIP.split(template)
    if not text.startswith(begin):
        return None
    at, found = len(begin), dict[str, str]()
    for place in range(0, len(rest), 2):
        name, fixed = rest[place : place + 2]
        last = place + 2 == len(rest)
        value = found.get(name) or _cut_value(text, at, fixed, last=last)
        if not value or not text.startswith(value + fixed, at):
            return None
        found[name], at = value, at + len(value) + len(fixed)
    return "\n".join(found.values()) if at == len(text) else None


def _cut_value(text: str, at: int, fixed: str, *, last: bool) -> str:
    """Return the value that begins here; empty where that is not certain."""
    # No pattern of a regular expression: many of its groups could be split in many ways.
    end = len(text) - len(fixed) if last else text.find(fixed, at + 1)
    value = text[at:end] if at < end and (last or fixed) else ""
    return value if len(value) <= MAX_FILLED_LENGTH and "\n" not in value else ""


def take_first_name(name: str) -> str:
    """Return the first name of "GÓMEZ, Ángela", "Ángela Gómez" or "Petterson"."""
    _, comma, behind = name.partition(",")
    words = (behind if comma and behind.strip() else name.replace(",", " ")).split()
    first = words[0] if words else ""
    return first.capitalize() if len(first) > 1 and first.isupper() else first
