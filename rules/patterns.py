"""Regular expressions an operator may write: those whose worst search is bounded, and small."""

from __future__ import annotations

import re
import warnings

from rules.pattern_cost import MAX_WAYS, UnsupportedPatternError, count_ways

MAX_PATTERN_LENGTH = 200  # characters


class UnsafePatternError(ValueError):
    """The pattern is no regular expression, or could search for a very long time."""


def compile_pattern(text: str) -> re.Pattern[str]:
    """Compile `text`, found anywhere, case ignored; raises `UnsafePatternError` and says why."""
    if not text or len(text) > MAX_PATTERN_LENGTH:
        reason = f"A pattern has 1 to {MAX_PATTERN_LENGTH} characters"
        raise UnsafePatternError(reason)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            pattern = re.compile(text, re.IGNORECASE)
        cost = count_ways(text)
    except UnsupportedPatternError as form:
        reason = f"`{text}` has `{form}` in it, which is not taken here"
        raise UnsafePatternError(reason) from None
    except (re.error, OverflowError, RecursionError, Warning) as error:
        reason = f"`{text}` is not a regular expression: {error}"
        raise UnsafePatternError(reason) from None
    if cost > MAX_WAYS:
        instead = "write {0,20} for *, {1,20} for +, and [ab] for (a|b)"
        reason = f"`{text}` could search for ever: {instead}"
        raise UnsafePatternError(reason)
    return pattern


def compile_phrase(text: str) -> re.Pattern[str]:
    """The pattern that finds `text` as it stands, case ignored."""
    return re.compile(re.escape(text), re.IGNORECASE)
