"""Converts facts to the values that both engines read; unusable ones are left out, as unknown."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from rules.facts import FactType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rules.facts import Fact


MICRO = 1_000_000
"""Units in 1: numbers are whole millionths, so that 0.1 + 0.2 is 0.3 in each engine."""

KnownValue = int | str | frozenset[str]
"""Numbers in millionths, flags as 0 or 1, words and texts as they are, names as a set."""


def to_micro(number: float) -> int:
    """Return `number` in whole millionths, rounded to the nearest."""
    # An int is not rounded: as a float, a large one would lose digits.
    return number * MICRO if isinstance(number, int) else round(number * MICRO)


def known_values(facts: Iterable[Fact], given: Mapping[str, object]) -> dict[str, KnownValue]:
    """Return the known values by fact name, without missing, out-of-range or mistyped ones."""
    values: dict[str, KnownValue] = {}
    for fact in facts:
        raw = given.get(fact.name)
        if raw is not None:
            value = _READERS[fact.type](fact, raw)
            if value is not None:
                values[fact.name] = value
    return values


_NUMBERS = (int, float)


def _read_flag(_fact: Fact, raw: object) -> int | None:
    return int(raw) if isinstance(raw, bool) else None


def _read_number(fact: Fact, raw: object) -> int | None:
    if isinstance(raw, bool) or not isinstance(raw, _NUMBERS):
        return None
    # Compared before it is converted: this is False for a NaN, and a huge integer can't overflow.
    return to_micro(raw) if fact.low <= raw <= fact.high else None


def _read_word(fact: Fact, raw: object) -> str | None:
    return str(raw) if isinstance(raw, str) and raw in fact.values else None


def _read_text(fact: Fact, raw: object) -> str | None:
    return str(raw) if isinstance(raw, str) and len(raw) <= fact.high else None


def _read_names(_fact: Fact, raw: object) -> frozenset[str] | None:
    if isinstance(raw, str) or not isinstance(raw, Collection):
        return None
    names = [str(name) for name in raw if isinstance(name, str)]
    return frozenset(names) if len(names) == len(raw) else None


_READERS = {
    FactType.BOOL: _read_flag,
    FactType.NUMBER: _read_number,
    FactType.ENUM: _read_word,
    FactType.TEXT: _read_text,
    FactType.NAMES: _read_names,
}
