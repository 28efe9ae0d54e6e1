"""Regular expressions an operator may write: those whose worst search is bounded, and small."""

from __future__ import annotations

import re
import warnings
from importlib import import_module
from typing import Any

LONGEST_PATTERN = 200  # characters
_COSTLIEST = 10_000  # ways in which one starting point may be tried
_LONGEST_TEXT = 4_096  # characters; a longer text counts as unknown and is never searched
_DEEPEST = 16  # repeats of something that itself can be tried in several ways

# The standard library's own parser: what it sees is what the matcher will run.
_parse: Any = import_module("re._parser").parse


class UnsafePatternError(ValueError):
    """The pattern is no regular expression, or could search for a very long time."""


def compile_pattern(text: str) -> re.Pattern[str]:
    """Compile `text`, found anywhere, case ignored; raises `UnsafePatternError` and says why."""
    if not text or len(text) > LONGEST_PATTERN:
        reason = f"A pattern has 1 to {LONGEST_PATTERN} characters"
        raise UnsafePatternError(reason)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            pattern = re.compile(text, re.IGNORECASE)
            cost = _cost(_parse(text, re.IGNORECASE))
    except (re.error, OverflowError, RecursionError, Warning) as error:
        reason = f"`{text}` is not a regular expression: {error}"
        raise UnsafePatternError(reason) from None
    if cost > _COSTLIEST:
        reason = f"`{text}` could search for ever: write {{0,20}} for * and {{1,20}} for +"
        raise UnsafePatternError(reason)
    return pattern


def compile_phrase(text: str) -> re.Pattern[str]:
    """The pattern that finds `text` as it stands, case ignored."""
    return re.compile(re.escape(text), re.IGNORECASE)


def _cost(parsed: Any) -> int:  # noqa: ANN401 - the standard library's tree is untyped
    """How many ways one starting point can be tried, at most."""
    total = 1
    for op, detail in parsed:
        total *= _cost_of(str(op), detail)
        if total > _COSTLIEST:
            break
    return total


def _cost_of(op: str, detail: Any) -> int:  # noqa: ANN401
    match op:
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            low, high, inner = detail
            most = min(int(high), _LONGEST_TEXT)
            each = _cost(inner)
            # Bounded before the power is taken: x**4096 is itself a way to hang.
            ways = 1 if each == 1 else _COSTLIEST + 1 if most > _DEEPEST else each**most
            return ways * (most - int(low) + 1)
        case "BRANCH":
            return sum(_cost(branch) for branch in detail[1])
        case "SUBPATTERN" | "ASSERT" | "ASSERT_NOT":
            return _cost(detail[-1])
        case "GROUPREF" | "GROUPREF_EXISTS":
            return _COSTLIEST + 1
        case _:
            return 1
