"""Problems in rule files, each with its location; all are collected before any is raised."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable


class SourceLocation(Struct, frozen=True, order=True):
    """A location in a rule file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        """`file:line`, as decisions and explanations show it."""
        return f"{self.file}:{self.line}"


NO_LOCATION = SourceLocation("", 0, 0)
"""The location of what comes from no file."""


class RuleProblem(Struct, frozen=True, order=True):
    """One mistake in a rule file, with a sentence that a person can act on."""

    file: str
    line: int
    column: int
    sentence: str

    def __str__(self) -> str:
        """`file:line:column: sentence`, as editors and terminals link it."""
        return f"{self.file}:{self.line}:{self.column}: {self.sentence}"


class RulesInvalid(Exception):
    """The files are no usable ruleset; `problems` has everything that was found, in file order."""

    def __init__(self, problems: Iterable[RuleProblem]) -> None:
        """Take the problems; each is kept once, sorted by location."""
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


class ProblemCollector:
    """Collects problems while the files are read."""

    def __init__(self) -> None:
        """Start without problems."""
        self._found: list[RuleProblem] = []

    def add(self, place: SourceLocation, sentence: str) -> None:
        """Add one problem at `place`."""
        self._found.append(RuleProblem(place.file, place.line, place.column, sentence))

    def extend(self, others: ProblemCollector) -> None:
        """Add all problems of another collector."""
        self._found.extend(others._found)

    def to_exception(self) -> RulesInvalid:
        """Return an exception with everything collected."""
        return RulesInvalid(self._found)

    def raise_if_any(self) -> None:
        """Raise `RulesInvalid` with everything collected, if there is anything."""
        if self._found:
            raise self.to_exception()


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean …?)` with the nearest known word, or an empty string."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""
