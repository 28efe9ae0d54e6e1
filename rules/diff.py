"""What changed between two rule sets of one format, and which of it a person must accept.

Points may be tuned freely, and a new veto only makes the gate stricter. Whatever else decides who
is written to (vetoes, windows, lists, thresholds, where a score starts) waits for a person.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from rules.ruleset import plain
from rules.wording import clock, if_missing, worded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from rules.ruleset import Band, Group, RuleSet, ScoreRule, Veto


_WRITTEN: Final[Mapping[str, tuple[str, Callable[[object], str]]]] = {
    "start": ("from", worded),
    "opens": ("from", clock),
    "closes": ("to", clock),
    "fires_on_unknown": ("if_missing", if_missing),
}
"""What a rule file calls a field, and how it writes its values, where that is not the same."""


class Kind(StrEnum):
    """What happened to it."""

    NEW = "new"
    GONE = "gone"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One field, in the word of a rule file, before and after; a value by itself has no field."""

    field: str
    before: str
    after: str

    def __str__(self) -> str:
        """`field: before → after`."""
        return f"{self.field}: {self.before} → {self.after}".removeprefix(": ")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is new, gone or different; `weighty` changes wait to be accepted.

    `at` is its `file:line` in the new set, empty where it has none.
    """

    section: str
    name: str
    kind: Kind
    weighty: bool
    at: str = ""
    differences: tuple[Difference, ...] = ()

    @property
    def sentence(self) -> str:
        """What changed, in words."""
        if self.kind is Kind.CHANGED:
            return "; ".join(map(str, self.differences))
        return f"is {self.kind}"

    def __str__(self) -> str:
        """`section name: what changed (file:line)`."""
        place = f" ({self.at})" if self.at else ""
        return f"{self.section} {self.name}: {self.sentence}{place}"


def differences(old: RuleSet, new: RuleSet) -> tuple[Change, ...]:
    """Every change from `old` to `new`, in the order of a rule file."""
    return (
        *_score(old, new),
        *_compared(_named(old.bands), _named(new.bands), "thresholds"),
        *_compared(old.windows, new.windows, "windows"),
        *_compared(old.lists, new.lists, "lists"),
        *_compared(_by_id(old.vetoes), _by_id(new.vetoes), "vetoes", additions=False),
        *_order(old, new),
        *_compared(_by_id(old.scores), _by_id(new.scores), "scores", weighty=False),
        *_compared(_named(old.groups), _named(new.groups), "groups", weighty=False),
    )


def _score(old: RuleSet, new: RuleSet) -> Iterator[Change]:
    for name, before, after in (
        ("base", old.base, new.base),
        ("min", old.minimum, new.minimum),
        ("max", old.maximum, new.maximum),
    ):
        if before != after:
            yield _alone("score", name, str(before), str(after))


def _order(old: RuleSet, new: RuleSet) -> Iterator[Change]:
    """The first veto of several gives the reason and the route, so their order says something."""
    kept = [veto.id for veto in new.vetoes if veto.id in _by_id(old.vetoes)]
    before = [veto.id for veto in old.vetoes if veto.id in kept]
    if before != kept:
        yield _alone("vetoes", "order", ", ".join(before), ", ".join(kept))


def _alone(section: str, name: str, before: str, after: str) -> Change:
    """A value that is no field of anything."""
    difference = Difference("", before, after)
    return Change(section, name, Kind.CHANGED, weighty=True, differences=(difference,))


def _by_id(rules: Iterable[Veto | ScoreRule]) -> dict[str, object]:
    return {rule.id: rule for rule in rules}


def _named(things: Iterable[Band | Group]) -> dict[str, object]:
    return {thing.name: thing for thing in things}


def _compared(
    old: Mapping[str, object],
    new: Mapping[str, object],
    section: str,
    *,
    weighty: bool = True,
    additions: bool = True,
) -> Iterator[Change]:
    for name, after in new.items():
        at = str(getattr(after, "place", ""))
        if name not in old:
            yield Change(section, name, Kind.NEW, weighty=weighty and additions, at=at)
        elif found := tuple(_fields(old[name], after)):
            yield Change(section, name, Kind.CHANGED, weighty, at, found)
    for name in old:
        if name not in new:
            yield Change(section, name, Kind.GONE, weighty=weighty)


def _fields(old: object, new: object) -> Iterator[Difference]:
    """Each field that differs; where it stands does not count."""
    assert is_dataclass(old)  # noqa: S101 - everything that is compared is one of ours
    for field in fields(old):
        if field.name in ("place", "used"):
            continue
        before, after = getattr(old, field.name), getattr(new, field.name)
        if plain(before) != plain(after):
            word, write = _WRITTEN.get(field.name, (field.name, worded))
            yield Difference(word, write(before), write(after))
