"""Rules that fired → points: capped by group, clamped, rounded down, all of it explained.

Points are reckoned as whole numbers, times the set's `scale`: exact, and without fractions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rules.snapshot import MICRO
from rules.verdict import Contribution, Score

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from rules.ruleset import Group, Ramp, RuleSet, ScoreRule
    from rules.snapshot import Known


def tally(ruleset: RuleSet, values: Mapping[str, Known], fired: AbstractSet[str]) -> Score | None:
    """The score of these values; None when the base fact is not known."""
    base, scale = base_points(ruleset, values), ruleset.scale
    if base is None:
        return None
    points: dict[str, int] = {}
    contributions: list[Contribution] = []
    for rule in ruleset.scores:
        if rule.when is None or rule.id in fired:
            points[rule.id], said = ruleset.fixed.get(rule.id) or _ramped(rule, values, scale)
            contributions.append(said)
    raw = base + sum(points.values())
    for group in ruleset.groups:
        taken_back = beyond_cap(group, points, scale)
        if taken_back:
            reason = f"The group {group.name} counts at most {group.cap} points either way"
            shown = _shown(-taken_back, scale)
            contributions.append(Contribution(group.name, shown, reason, group.place))
            raw -= taken_back
    value = min(max(raw // scale, ruleset.minimum), ruleset.maximum)
    band = ruleset.band(value)
    return Score(_shown(base, scale), value, _shown(raw, scale), band, tuple(contributions))


def base_points(ruleset: RuleSet, values: Mapping[str, Known]) -> int | None:
    """What the rules' points are added to, scaled; None when it is a fact that is not known."""
    if isinstance(ruleset.base, int):
        return ruleset.base * ruleset.scale
    value = cast("int | None", values.get(ruleset.base))
    return None if value is None else value * (ruleset.scale // MICRO)


def beyond_cap(group: Group, points: Mapping[str, int], scale: int) -> int:
    """What the group's gains exceed its cap by, less what its losses do; all of it scaled."""
    members = [points[rule] for rule in group.rules if rule in points]
    cap = group.cap * scale
    gains = sum(each for each in members if each > 0)
    losses = sum(each for each in members if each < 0)
    return max(gains - cap, 0) + min(losses + cap, 0)


def _ramped(rule: ScoreRule, values: Mapping[str, Known], scale: int) -> tuple[int, Contribution]:
    """The points of a ramp at this value, scaled, and what it says."""
    ramp = cast("Ramp", rule.points)
    points = ramp.points(cast("int | None", values.get(ramp.fact)), scale)
    return points, Contribution(rule.id, _shown(points, scale), rule.reason, rule.place)


def _shown(points: int, scale: int) -> float:
    """Points as people read them: whole ones without decimals, else to the millionth."""
    whole, rest = divmod(points, scale)
    return round(points / scale, 6) if rest else whole
