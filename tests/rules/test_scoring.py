"""Points: base, rules, ramps, groups, clamping and rounding."""

from __future__ import annotations

import json

import pytest

from rules import RuleEvaluator, ScoreResult
from tests.helpers.rule_texts import (
    build_facts,
    build_gate_evaluator,
    build_score_evaluator,
    load_rules,
)


def _result(rules: str, **changes: object) -> ScoreResult:
    judge = build_score_evaluator(rules)
    return judge.score(build_facts(judge, **changes))


def _rule(rule_id: str, points: object, when: str, more: str = "") -> str:
    return f"  - {{id: {rule_id}, points: {points}, reason: r, when: {when}{more}}}\n"


ALWAYS = "{prospect.bounces|gte: 0}"


def test_points_of_the_rules_that_fire_are_added() -> None:
    """Each rule counts once."""
    rules = "scores:\n" + _rule("a", 30, ALWAYS) + _rule("b", -5, ALWAYS)
    rules += _rule("c", 50, "{prospect.bounces: 7}")
    result = _result(rules)
    assert result.score == 25
    assert [(each.id, each.points) for each in result.contributions] == [("a", 30), ("b", -5)]


def test_the_score_is_clamped_and_the_raw_sum_is_kept() -> None:
    """The bar ends at 0 and 100; what lies beyond can still be read."""
    high = _result("scores:\n" + _rule("a", 130, ALWAYS))
    assert (high.score, high.raw) == (100, 130)
    low = _result("scores:\n" + _rule("a", -30, ALWAYS))
    assert (low.score, low.raw) == (0, -30)


def test_the_base_may_be_points() -> None:
    """A gate may start from a number as well."""
    text = "score: {base: 62, min: 0, max: 100}\n"
    head = "thresholds: [{verdict: allow, from: 0}]\nformat: leadmaster/gate@1\n"
    judge = RuleEvaluator(load_rules(head + text))
    assert judge.decide(build_facts(judge)).score == 62


RAMP = "{ramp: prospect.data_age_days, from: [30, 0], to: [90, -20]}"
RISING = "{ramp: prospect.data_age_days, from: [0, 10], to: [365, 0]}"


@pytest.mark.parametrize(
    ("age", "raw"),
    [(0, 50), (30, 50), (31, 49.666667), (60, 40), (89.5, 30.166667), (90, 30), (5000, 30)],
)
def test_a_ramp_is_a_straight_line_and_level_outside(age: float, raw: float) -> None:
    """Points between the ends are exact; before and after them nothing changes."""
    rules = f"scores:\n  - {{id: r, points: {RAMP}, reason: r}}\n" + _rule("a", 50, ALWAYS)
    result = _result(rules, prospect__data_age_days=age)
    assert (result.raw, result.score) == (raw, int(raw))


@pytest.mark.parametrize(("ramp", "points"), [(RAMP, -20), (RISING, 0)])
def test_a_ramp_over_an_unknown_gives_the_lesser_of_zero_and_its_lowest(
    ramp: str, points: int
) -> None:
    """What is not known never helps."""
    rules = f"scores:\n  - {{id: r, points: {ramp}, reason: r}}\n"
    result = _result(rules, prospect__data_age_days=None)
    assert [each.points for each in result.contributions] == [points]


def test_thirds_are_summed_exactly_before_rounding_down() -> None:
    """Three times 3 1/3 is 10, not 9."""
    third = "{ramp: prospect.data_age_days, from: [0, 0], to: [3, 10]}"
    rules = "scores:\n" + "".join(
        f"  - {{id: r{n}, points: {third}, reason: r}}\n" for n in range(3)
    )
    assert _result(rules, prospect__data_age_days=1).score == 10


def test_a_ramp_may_stand_beside_a_condition() -> None:
    """Then it counts where the condition holds."""
    when = "{prospect.intent: clear}"
    rules = f"scores:\n  - {{id: r, points: {RISING}, reason: r, when: {when}}}\n"
    fresh = {"prospect__data_age_days": 0}
    assert _result(rules, **fresh).score == 10
    assert _result(rules, prospect__intent="none", **fresh).contributions == ()


UNKNOWN = "{prospect.bounces|gte: 1}"


@pytest.mark.parametrize(
    ("points", "more", "fires"),
    [
        (-5, "", True),
        (5, "", False),
        (0, "", False),
        (-5, ", if_missing: skip", False),
        (5, ", if_missing: fire", True),
        (RAMP, "", True),
        (RISING, "", False),
    ],
)
def test_an_unknown_costs_points_and_never_gives_them(
    points: object, more: str, *, fires: bool
) -> None:
    """Unless the rule says otherwise."""
    result = _result("scores:\n" + _rule("a", points, UNKNOWN, more), prospect__bounces=None)
    assert bool(result.contributions) is fires
    assert result.missing[0] == "prospect.bounces"


GROUPED = (
    "scores:\n"
    + "".join(_rule(f"up{n}", 20, ALWAYS) for n in range(2))
    + "".join(_rule(f"down{n}", -30, ALWAYS) for n in range(2))
    + _rule("alone", 50, ALWAYS)
)


@pytest.mark.parametrize(
    ("group", "raw"),
    [
        ("{rules: [up0, up1], cap: 25}", 15),
        ("{rules: [down0, down1], cap: 25}", 65),
        ("{rules: [up0, up1, down0, down1], cap: 25}", 50),
        ("{rules: [up0, down0, down1], cap: 35}", 55),
        ("{rules: [up0, up1], cap: 40}", 30),
        ("{rules: [up0, up1], cap: 0}", -10),
    ],
)
def test_a_group_counts_at_most_its_cap_gains_and_losses_apart(group: str, raw: int) -> None:
    """What the cap takes back is a line of its own, so that the sum can be followed."""
    result = _result(GROUPED + f"groups: {{tired: {group}}}")
    assert result.raw == raw
    assert sum(each.points for each in result.contributions) == raw


def test_the_cap_is_told_with_the_groups_name_and_place() -> None:
    """A reader sees which group took points back, and where it stands."""
    result = _result(GROUPED + "groups: {tired: {rules: [up0, up1], cap: 25}}")
    last = result.contributions[-1]
    assert (last.id, last.points, last.place.line) == ("tired", -15, 10)
    assert "at most 25" in last.reason


def test_a_score_is_plain_json() -> None:
    """With band, raw sum, rules and their places."""
    result = _result("scores:\n" + _rule("a", 60, ALWAYS))
    plain = json.loads(json.dumps(result.to_dict()))
    assert (plain["score"], plain["band"], plain["contributions"][0]["id"]) == (60, "good", "a")
    assert plain["contributions"][0]["at"].endswith("1.yaml:5")


def test_a_negative_rule_of_the_gate_fires_on_an_unknown_fact() -> None:
    """The same law holds in a gate."""
    judge = build_gate_evaluator("scores:\n" + _rule("a", -40, "{history.unanswered|gte: 1}"))
    assert judge.decide(build_facts(judge, history__unanswered=None)).score == 40
