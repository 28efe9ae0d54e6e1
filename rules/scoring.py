"""Computes a score from the rules that fired: points, group caps, clamping, contributions.

All points are integers times `Ruleset.scale`, so that sums are exact in any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rules.known_values import MICRO
from rules.verdict import Contribution, ScoreBreakdown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from rules.known_values import KnownValue
    from rules.ruleset import Ramp, Ruleset, ScoreGroup, ScoreRule


def compute_score(
    ruleset: Ruleset, values: Mapping[str, KnownValue], fired: AbstractSet[str]
) -> ScoreBreakdown | None:
    """Return the score of these values, or None when the base fact is unknown."""
    base, scale = compute_base_points(ruleset, values), ruleset.scale
    if base is None:
        return None
    points: dict[str, int] = {}
    contributions: list[Contribution] = []
    for rule in ruleset.scores:
        if rule.when is None or rule.id in fired:
            points[rule.id], said = ruleset.fixed_contributions.get(
                rule.id
            ) or _compute_ramp_points(rule, values, scale)
            contributions.append(said)
    raw = base + sum(points.values())
    for group in ruleset.groups:
        taken_back = compute_points_beyond_cap(group, points, scale)
        if taken_back:
            reason = f"The group {group.name} counts at most {group.cap} points either way"
            shown = _unscale_points(-taken_back, scale)
            contributions.append(Contribution(group.name, shown, reason, group.place))
            raw -= taken_back
    # Rounded down, also below zero: a score never reaches a band by rounding.
    value = min(max(raw // scale, ruleset.minimum), ruleset.maximum)
    band = ruleset.band_of_score(value)
    return ScoreBreakdown(
        _unscale_points(base, scale), value, _unscale_points(raw, scale), band, tuple(contributions)
    )


def compute_base_points(ruleset: Ruleset, values: Mapping[str, KnownValue]) -> int | None:
    """Return the scaled points of the base, or None when it is an unknown fact."""
    if isinstance(ruleset.base, int):
        return ruleset.base * ruleset.scale
    value = cast("int | None", values.get(ruleset.base))
    return None if value is None else value * (ruleset.scale // MICRO)


def compute_points_beyond_cap(group: ScoreGroup, points: Mapping[str, int], scale: int) -> int:
    """Return the scaled points by which the group exceeds its cap: gains beyond, minus losses."""
    members = [points[rule] for rule in group.rules if rule in points]
    cap = group.cap * scale
    gains = sum(each for each in members if each > 0)
    losses = sum(each for each in members if each < 0)
    return max(gains - cap, 0) + min(losses + cap, 0)


def _compute_ramp_points(
    rule: ScoreRule, values: Mapping[str, KnownValue], scale: int
) -> tuple[int, Contribution]:
    """Return the scaled points of a ramp at the present value, and the contribution."""
    ramp = cast("Ramp", rule.points)
    points = ramp.points(cast("int | None", values.get(ramp.fact)), scale)
    return points, Contribution(rule.id, _unscale_points(points, scale), rule.reason, rule.place)


def _unscale_points(points: int, scale: int) -> float:
    """Return points as people read them: whole ones as int, others rounded to the millionth."""
    whole, rest = divmod(points, scale)
    return round(points / scale, 6) if rest else whole
