"""Rules that fired → points: capped by group, clamped, rounded down, all of it explained."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING, cast

from rules.ruleset import Ramp
from rules.snapshot import MICRO
from rules.verdict import Contribution, Score

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from rules.ruleset import Group, RuleSet, ScoreRule
    from rules.snapshot import Known

    Points = dict[str, Fraction | int]


def tally(ruleset: RuleSet, values: Mapping[str, Known], fired: AbstractSet[str]) -> Score | None:
    """The score of these values; None when the base fact is not known."""
    base = _base(ruleset, values)
    if base is None:
        return None
    counted = [rule for rule in ruleset.scores if rule.when is None or rule.id in fired]
    points = {rule.id: _points(rule, values) for rule in counted}
    contributions = [
        Contribution(rule.id, _shown(points[rule.id]), rule.reason, rule.place) for rule in counted
    ]
    raw = base + sum(points.values())
    for group in ruleset.groups:
        taken_back = _beyond_cap(group, points)
        if taken_back:
            reason = f"The group {group.name} counts at most {group.cap} points either way"
            shown = _shown(-taken_back)
            contributions.append(Contribution(group.name, shown, reason, group.place))
            raw -= taken_back
    value = floor(min(max(raw, ruleset.minimum), ruleset.maximum))
    return Score(_shown(base), value, _shown(raw), ruleset.band(value), tuple(contributions))


def _base(ruleset: RuleSet, values: Mapping[str, Known]) -> Fraction | int | None:
    if isinstance(ruleset.base, int):
        return ruleset.base
    value = cast("int | None", values.get(ruleset.base))
    return None if value is None else _whole_if_it_is(Fraction(value, MICRO))


def _points(rule: ScoreRule, values: Mapping[str, Known]) -> Fraction | int:
    if isinstance(rule.points, Ramp):
        return rule.points.points(cast("int | None", values.get(rule.points.fact)))
    return rule.points


def _beyond_cap(group: Group, points: Points) -> Fraction | int:
    """What the group's gains exceed its cap by, less what its losses do."""
    members = [points[rule] for rule in group.rules if rule in points]
    gains = sum(each for each in members if each > 0)
    losses = sum(each for each in members if each < 0)
    return max(gains - group.cap, 0) + min(losses + group.cap, 0)


def _whole_if_it_is(points: Fraction) -> Fraction | int:
    return points.numerator if points.denominator == 1 else points


def _shown(points: Fraction | int) -> float:
    return points if isinstance(points, int) else round(float(points), 6)
