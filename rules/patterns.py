"""Compiles regular expressions that an operator may write: those whose worst search is bounded."""

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
    """The pattern has a form whose cost can't be told; `str(error)` is that form."""


def count_ways(pattern: str) -> int:
    """Return the ways; above `MAX_WAYS` the search may last for ever.

    Raises :class:`UnsupportedPatternError`.
    """
    return _PatternReader(pattern).read_alternatives()


class _PatternReader:
    """Reads a pattern from left to right, once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def read_alternatives(self) -> int:
        """Read alternatives, up to the end of their group: each may be tried."""
        total = self._read_sequence()
        while self._text.startswith("|", self._at):
            self._at += 1
            total += self._read_sequence()
        return total

    def _read_sequence(self) -> int:
        total = 1
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            total = min(total * self._apply_repeat(self._read_atom()), MAX_WAYS + 1)
        return total

    def _read_atom(self) -> int:
        """Read one thing that a repeat may follow; characters and classes match in one way."""
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
        self._at += 1  # its end: `re` saw that it is there
        return inner

    def _apply_repeat(self, each: int) -> int:
        """Return the ways of what was read last, as often as the text goes on to say."""
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
