"""Compiles operators' regular expressions, and refuses those whose worst search is not bounded.

`re` can't be interrupted, so the cost is counted before: see DECISION_LOG, "Patterns of the rules".
"""

from __future__ import annotations

import re
import warnings
from typing import Final

MAX_WAYS: Final = 10_000  # ways in which one starting point may be tried
MAX_TEXT_LENGTH: Final = 4_096  # characters; a longer text counts as unknown and is never searched
_MAX_REPEATS: Final = 16  # repeats of something that itself can be tried in several ways

_REPEAT: Final = re.compile(r"(?:([*+?])|\{(?!\})([0-9]*)(?:(,)([0-9]*))?\})[?+]?")
_GROUP: Final = re.compile(r"\((?:\?(?:[:=!>]|<[=!]|P<\w+>|[aimsu]*(?:-[ims]+)?:))?(?!\?)")
_FLAGS: Final = re.compile(r"\(\?[aimsu]+\)")
_CLASS: Final = re.compile(r"\[\^?(?:\\.|.)(?:\\.|[^\]\\])*\]", re.DOTALL)
_BACKREFERENCE: Final = re.compile(r"\\[1-9]|\(\?P=|\(\?\(")
_LEAST_REPEATS: Final = {"*": 0, "+": 1, "?": 0}


class UnsupportedPatternError(ValueError):
    """The pattern has a form whose cost is not known; `str(error)` is that form."""


def count_ways(pattern: str) -> int:
    """Return in how many ways, at most, one starting point of a search can be tried.

    More than `MAX_WAYS` is only known as more. Raises :class:`UnsupportedPatternError`.
    """
    return _PatternReader(pattern).read_alternatives()


class _PatternReader:
    """Counts the ways of a pattern in one pass from left to right.

    The pattern has been compiled by `re` before, so its syntax is known to be valid.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def read_alternatives(self) -> int:
        """Return the ways of all alternatives up to the end of their group: their sum."""
        total = self._read_sequence()
        while self._text.startswith("|", self._at):
            self._at += 1
            total += self._read_sequence()
        return total

    def _read_sequence(self) -> int:
        total = 1
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            # A sequence multiplies the ways of its parts. Capped, so that no number grows large.
            total = min(total * self._apply_repeat(self._read_atom()), MAX_WAYS + 1)
        return total

    def _read_atom(self) -> int:
        """Return the ways of one thing that may be repeated; a character or class has one."""
        # What a backreference costs depends on the text that its group has matched.
        if self._accept(_BACKREFERENCE):
            return MAX_WAYS + 1
        if self._accept(_FLAGS) or self._accept(_CLASS):
            return 1
        if self._text[self._at] == "(":
            return self._read_group()
        self._at += 2 if self._text[self._at] == "\\" else 1
        return 1

    def _read_group(self) -> int:
        start = self._at
        if not self._accept(_GROUP):
            raise UnsupportedPatternError(self._text[start : start + 4])
        inner = self.read_alternatives()
        self._at += 1  # the closing bracket
        return inner

    def _apply_repeat(self, each: int) -> int:
        """Return the ways of what was read last, with the repeat that may follow it."""
        found = _REPEAT.match(self._text, self._at)
        if found is None:
            return each
        self._at = found.end()
        least, most = _repeat_bounds(found)
        # Bounded before and after the power is taken: x**4096 is itself a way to hang.
        many = 1 if each == 1 else MAX_WAYS + 1 if most > _MAX_REPEATS else each**most
        return min(many * (most - least + 1), MAX_WAYS + 1)

    def _accept(self, form: re.Pattern[str]) -> bool:
        found = form.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return found is not None


def _repeat_bounds(repeat: re.Match[str]) -> tuple[int, int]:
    sign, low, comma, high = repeat.groups()
    if sign:
        return _LEAST_REPEATS[sign], 1 if sign == "?" else MAX_TEXT_LENGTH
    least = min(int(low or 0), MAX_TEXT_LENGTH)
    if not comma:
        return least, least
    return least, min(int(high), MAX_TEXT_LENGTH) if high else MAX_TEXT_LENGTH


MAX_PATTERN_LENGTH = 200  # characters


class UnsafePatternError(ValueError):
    """The pattern is no regular expression, or could take a very long time to search."""


def compile_pattern(text: str) -> re.Pattern[str]:
    """Return `text` compiled, case ignored. Raises `UnsafePatternError` with a sentence."""
    if not text or len(text) > MAX_PATTERN_LENGTH:
        reason = f"A pattern has 1 to {MAX_PATTERN_LENGTH} characters"
        raise UnsafePatternError(reason)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a form whose meaning a later Python will change
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
    """Return a pattern that finds `text` literally, case ignored."""
    return re.compile(re.escape(text), re.IGNORECASE)
