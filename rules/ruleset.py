"""A parsed ruleset: its rules, bands, windows and lists, and its content hash."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from math import lcm
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from rules.conditions import iter_leaves
from rules.facts import FACTS, REQUIRED_FACTS
from rules.known_values import MICRO
from rules.problems import NO_LOCATION, SourceLocation
from rules.verdict import Contribution, FiredVeto, VetoEffect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rules.conditions import Condition
    from rules.facts import Fact
    from rules.files import RuleFile
    from rules.known_values import KnownValue
    from rules.verdict import Defer

APPROVED_FACT = "message.approved"
"""The fact that says whether a person approved the message."""


class RuleFormat(StrEnum):
    """The two kinds of ruleset."""

    GATE = "leadmaster/gate@1"
    SCORE = "leadmaster/score@1"


class Ramp(Struct, frozen=True):
    """Points on a straight line between two values of a fact (in millionths), constant outside."""

    fact: str
    start: int
    start_points: int
    end: int
    end_points: int

    @property
    def lowest(self) -> int:
        """The fewest points that it can give."""
        return min(self.start_points, self.end_points)

    def points(self, value: int | None, scale: int) -> int:
        """Return the points at `value`, times `scale`; None is an unknown value."""
        # Over an unknown nothing is gained, and the most that it can take is taken.
        if value is None:
            return min(0, self.lowest) * scale
        length = self.end - self.start
        inside = min(max(value, self.start), self.end) - self.start
        # `scale` is a multiple of the length (`Ruleset.scale`), so this division is exact.
        rise = (self.end_points - self.start_points) * inside * (scale // length)
        return self.start_points * scale + rise


class Veto(Struct, frozen=True):
    """One rule that overrides the score; `fires_on_unknown`: also over an unknown condition."""

    id: str
    reason: str
    when: Condition
    effect: VetoEffect
    route: str | None
    defer: Defer | None
    fires_on_unknown: bool
    place: SourceLocation


class ScoreRule(Struct, frozen=True):
    """One rule that adds or subtracts points; `when` is None for a ramp that always counts."""

    id: str
    reason: str
    when: Condition | None
    points: int | Ramp
    fires_on_unknown: bool
    place: SourceLocation


class ScoreGroup(Struct, frozen=True):
    """Rules whose points together count at most `cap`, gains and losses separately."""

    name: str
    rules: tuple[str, ...]
    cap: int
    place: SourceLocation


class ScoreBand(Struct, frozen=True):
    """A range of scores from `start` up to the next band; in a gate `name` is a verdict."""

    name: str
    start: int
    place: SourceLocation


class TimeWindow(Struct, frozen=True):
    """A named time of the week, in the recipient's local time.

    `days`: Monday is 0. `opens` (included) and `closes` (excluded) are minutes of the day.
    `holidays`: also open on public holidays.
    """

    name: str
    days: frozenset[int]
    opens: int
    closes: int
    holidays: bool
    place: SourceLocation = NO_LOCATION


class WordList(Struct, frozen=True):
    """A named list of words, and whether a rule uses it."""

    name: str
    words: tuple[str, ...]
    used: bool
    place: SourceLocation


class RuleExample(Struct, frozen=True):
    """A test case of a rule file: `given` changes the baseline of `rules.examples`."""

    name: str
    given: Mapping[str, object]
    expect: Mapping[str, object]
    place: SourceLocation


class Ruleset(Struct, frozen=True, dict=True):
    """The parsed contents of all files of one format; `base` is points or the name of a fact."""

    format: RuleFormat
    base: int | str
    minimum: int
    maximum: int
    bands: tuple[ScoreBand, ...]
    windows: Mapping[str, TimeWindow]
    vetoes: tuple[Veto, ...]
    scores: tuple[ScoreRule, ...]
    groups: tuple[ScoreGroup, ...]
    examples: tuple[RuleExample, ...]
    lists: Mapping[str, WordList]
    sources: tuple[RuleFile, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of the files that it was read from."""
        return tuple(source.path for source in self.sources)

    @cached_property
    def hash(self) -> str:
        """The hash of what the rules mean, whatever their files, comments and examples are."""
        # Lists are left out, because the words of a used one are in the conditions of its rules.
        meaning = {
            name: to_hashable_json(getattr(self, name))
            for name in self.__struct_fields__
            if name not in ("examples", "lists", "sources")
        }
        text = json.dumps(meaning, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def conditions(self) -> tuple[tuple[str, Condition, bool], ...]:
        """Each conditional rule as (id, condition, fires on unknown)."""
        rules: tuple[Veto | ScoreRule, ...] = (*self.vetoes, *self.scores)
        return tuple(
            (rule.id, rule.when, rule.fires_on_unknown) for rule in rules if rule.when is not None
        )

    @cached_property
    def reads(self) -> tuple[Fact, ...]:
        """The facts that a decision reads: those named by rules, and those required by a gate."""
        always = (*REQUIRED_FACTS, FACTS[APPROVED_FACT]) if self.format is RuleFormat.GATE else ()
        names = dict.fromkeys((*(fact.name for fact in always), *self._named_facts()))
        return tuple(FACTS[name] for name in names)

    def _named_facts(self) -> Iterator[str]:
        if isinstance(self.base, str):
            yield self.base
        for _, condition, _ in self.conditions:
            yield from (leaf.fact for leaf in iter_leaves(condition))
        yield from (rule.points.fact for rule in self.scores if isinstance(rule.points, Ramp))

    @cached_property
    def scale(self) -> int:
        """The factor by which points are multiplied, so that every sum of them is an integer."""
        ramps = (rule.points for rule in self.scores if isinstance(rule.points, Ramp))
        return lcm(MICRO, *(ramp.end - ramp.start for ramp in ramps))

    @cached_property
    def fixed_contributions(self) -> Mapping[str, tuple[int, Contribution]]:
        """The scaled points and the contribution of each rule without a ramp, by rule id."""
        # Built once for the ruleset: the same objects serve every decision.
        return {
            rule.id: (
                rule.points * self.scale,
                Contribution(rule.id, rule.points, rule.reason, rule.place),
            )
            for rule in self.scores
            if isinstance(rule.points, int)
        }

    @cached_property
    def fired_vetoes(self) -> tuple[FiredVeto, ...]:
        """Each veto as it appears in a decision when it fires, in file order."""
        return tuple(
            FiredVeto(veto.id, veto.effect, veto.reason, veto.place, veto.route, veto.defer)
            for veto in self.vetoes
        )

    @cached_property
    def _readable_names(self) -> tuple[str, ...]:
        return tuple(fact.name for fact in self.reads if fact.name != APPROVED_FACT)

    def missing_facts(self, values: Mapping[str, KnownValue]) -> tuple[str, ...]:
        """Return the names of the facts that are read and unknown."""
        # An approval that is missing is simply none, so `_readable_names` leaves it out.
        return tuple([name for name in self._readable_names if name not in values])

    def band_of_score(self, score: int) -> str:
        """Return the name of the band of a score, which has to be within the ruleset's range."""
        return next(band.name for band in self.bands if score >= band.start)


def to_hashable_json(value: object) -> Any:  # noqa: ANN401 - JSON
    """Return `value` as JSON types in a stable order, without locations: what a rule means."""
    if isinstance(value, Struct):
        kept = {
            name: to_hashable_json(getattr(value, name))
            for name in value.__struct_fields__
            if name != "place"
        }
        return {"is": type(value).__name__, **kept}
    if isinstance(value, Mapping):
        return {str(key): to_hashable_json(each) for key, each in value.items()}
    if isinstance(value, frozenset):
        return sorted(to_hashable_json(each) for each in value)
    if isinstance(value, tuple):
        return [to_hashable_json(each) for each in value]
    return value.pattern if isinstance(value, re.Pattern) else value
