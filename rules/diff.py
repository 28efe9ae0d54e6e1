"""What changed between two rule sets of one format, and which of it a person must accept.

Points may be tuned freely, and a new veto only makes the gate stricter. Whatever else decides who
is written to (vetoes, windows, lists, thresholds, where a score starts) waits for a person.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING

from rules.ruleset import plain
from rules.wording import worded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rules.ruleset import Band, Group, RuleSet, ScoreRule, Veto


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is new, gone or different; `weighty` changes wait to be accepted."""

    section: str
    name: str
    sentence: str
    weighty: bool
    at: str = ""

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
            yield Change("score", name, f"{before} → {after}", weighty=True)


def _order(old: RuleSet, new: RuleSet) -> Iterator[Change]:
    """The first veto of several gives the reason and the route, so their order says something."""
    kept = [veto.id for veto in new.vetoes if veto.id in _by_id(old.vetoes)]
    before = [veto.id for veto in old.vetoes if veto.id in kept]
    if before != kept:
        yield Change("vetoes", "order", f"{', '.join(before)} → {', '.join(kept)}", weighty=True)


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
            yield Change(section, name, "is new", weighty=weighty and additions, at=at)
        elif changed := list(_fields(old[name], after)):
            yield Change(section, name, "; ".join(changed), weighty=weighty, at=at)
    for name in old:
        if name not in new:
            yield Change(section, name, "is gone", weighty=weighty)


def _fields(old: object, new: object) -> Iterator[str]:
    """`field: before → after` of each field that differs; where it stands does not count."""
    assert is_dataclass(old)  # noqa: S101 - everything that is compared is one of ours
    for field in fields(old):
        if field.name in ("place", "used"):
            continue
        before, after = getattr(old, field.name), getattr(new, field.name)
        if plain(before) != plain(after):
            yield f"{field.name}: {worded(before)} → {worded(after)}"
