"""Compares two rulesets of one format, and marks the changes that a person must accept."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from rules.describe import describe_if_missing, describe_time_of_day, describe_value
from rules.ruleset import to_hashable_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from rules.ruleset import Ruleset, ScoreBand, ScoreGroup, ScoreRule, Veto


_FILE_WORDS: Final[Mapping[str, tuple[str, Callable[[object], str]]]] = {
    "start": ("from", describe_value),
    "opens": ("from", describe_time_of_day),
    "closes": ("to", describe_time_of_day),
    "fires_on_unknown": ("if_missing", describe_if_missing),
}
"""The name and the notation of a field in rule files, where they differ from ours."""


class ChangeKind(StrEnum):
    """The kind of a change."""

    NEW = "new"
    GONE = "gone"
    CHANGED = "changed"


class FieldDifference(Struct, frozen=True):
    """One field before and after, named as in a rule file; empty for a value without a field."""

    field: str
    before: str
    after: str

    def __str__(self) -> str:
        """`field: before → after`."""
        return f"{self.field}: {self.before} → {self.after}".removeprefix(": ")


class RulesetChange(Struct, frozen=True):
    """One part of a ruleset that is new, gone or different.

    `needs_acceptance`: a person has to accept the change before it goes live. `at` is its
    `file:line` in the new ruleset, empty where it has none.
    """

    section: str
    name: str
    kind: ChangeKind
    needs_acceptance: bool
    at: str = ""
    differences: tuple[FieldDifference, ...] = ()

    @property
    def sentence(self) -> str:
        """What changed, in words, without the name."""
        if self.kind is ChangeKind.CHANGED:
            return "; ".join(map(str, self.differences))
        return f"is {self.kind}"

    def __str__(self) -> str:
        """`section name: what changed (file:line)`."""
        place = f" ({self.at})" if self.at else ""
        return f"{self.section} {self.name}: {self.sentence}{place}"


def compare_rulesets(old: Ruleset, new: Ruleset) -> tuple[RulesetChange, ...]:
    """Return every change from `old` to `new`, in the order of a rule file."""
    # A new veto only makes the gate stricter, so it goes live without a person's acceptance, as
    # points of rules do.
    return (
        *_compare_score(old, new),
        *_compare_entries(_named(old.bands), _named(new.bands), "thresholds"),
        *_compare_entries(old.windows, new.windows, "windows"),
        *_compare_entries(old.lists, new.lists, "lists"),
        *_compare_entries(_by_id(old.vetoes), _by_id(new.vetoes), "vetoes", additions=False),
        *_compare_order(old, new),
        *_compare_entries(_by_id(old.scores), _by_id(new.scores), "scores", needs_acceptance=False),
        *_compare_entries(_named(old.groups), _named(new.groups), "groups", needs_acceptance=False),
    )


def _compare_score(old: Ruleset, new: Ruleset) -> Iterator[RulesetChange]:
    for name, before, after in (
        ("base", old.base, new.base),
        ("min", old.minimum, new.minimum),
        ("max", old.maximum, new.maximum),
    ):
        if before != after:
            yield _single_value_change("score", name, str(before), str(after))


def _compare_order(old: Ruleset, new: Ruleset) -> Iterator[RulesetChange]:
    """Yield a change where the vetoes have another order."""
    # Of several that fire, the first gives the reason and the route.
    kept = [veto.id for veto in new.vetoes if veto.id in _by_id(old.vetoes)]
    before = [veto.id for veto in old.vetoes if veto.id in kept]
    if before != kept:
        yield _single_value_change("vetoes", "order", ", ".join(before), ", ".join(kept))


def _single_value_change(section: str, name: str, before: str, after: str) -> RulesetChange:
    """Return the change of a value that is not a field of an entry."""
    difference = FieldDifference("", before, after)
    return RulesetChange(
        section, name, ChangeKind.CHANGED, needs_acceptance=True, differences=(difference,)
    )


def _by_id(rules: Iterable[Veto | ScoreRule]) -> dict[str, object]:
    return {rule.id: rule for rule in rules}


def _named(things: Iterable[ScoreBand | ScoreGroup]) -> dict[str, object]:
    return {thing.name: thing for thing in things}


def _compare_entries(
    old: Mapping[str, object],
    new: Mapping[str, object],
    section: str,
    *,
    needs_acceptance: bool = True,
    additions: bool = True,
) -> Iterator[RulesetChange]:
    for name, after in new.items():
        at = str(getattr(after, "place", ""))
        if name not in old:
            yield RulesetChange(
                section,
                name,
                ChangeKind.NEW,
                needs_acceptance=needs_acceptance and additions,
                at=at,
            )
        elif found := tuple(_compare_fields(old[name], after)):
            yield RulesetChange(section, name, ChangeKind.CHANGED, needs_acceptance, at, found)
    for name in old:
        if name not in new:
            yield RulesetChange(section, name, ChangeKind.GONE, needs_acceptance=needs_acceptance)


def _compare_fields(old: object, new: object) -> Iterator[FieldDifference]:
    """Yield each field that differs; an entry's location does not count."""
    assert isinstance(old, Struct)  # noqa: S101 - everything that is compared is one of ours
    for name in old.__struct_fields__:
        if name in ("place", "used"):
            continue
        before, after = getattr(old, name), getattr(new, name)
        if to_hashable_json(before) != to_hashable_json(after):
            word, write = _FILE_WORDS.get(name, (name, describe_value))
            yield FieldDifference(word, write(before), write(after))
