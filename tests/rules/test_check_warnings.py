"""What is right and yet hardly meant: thresholds, windows, lists and rules that nothing reaches."""

from __future__ import annotations

import pytest

from rules import DEFAULTS, RuleEvaluator, RuleProblem, Ruleset, load_ruleset
from rules.check import ScoreRange, compute_score_range, lint_ruleset
from rules.examples import run_examples
from tests.helpers.rule_texts import GATE_HEAD, SCORE_HEAD, load_rules


def _lint(ruleset: Ruleset) -> tuple[RuleProblem, ...]:
    return lint_ruleset(ruleset, run_examples(RuleEvaluator(ruleset)))


def _warnings(text: str) -> list[str]:
    return [f"{each.line}: {each.sentence}" for each in _lint(load_rules(text))]


def _scores(rules: str, more: str = "") -> str:
    return SCORE_HEAD + f"scores: [{rules}]\n{more}"


def _rule(name: str, points: object) -> str:
    return f"{{id: {name}, points: {points}, reason: r, when: {{prospect.bounces|gte: 1}}}}"


@pytest.mark.parametrize("name", ["gate.yaml", "score.yaml"])
def test_the_shipped_sets_give_no_warning(name: str) -> None:
    """They are the example of how it is done."""
    assert _lint(load_ruleset([DEFAULTS / name])) == ()


def test_the_reach_of_the_shipped_score_is_its_whole_range() -> None:
    """From nothing known to everything."""
    assert compute_score_range(load_ruleset([DEFAULTS / "score.yaml"])) == ScoreRange(0, 100)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("", ScoreRange(0, 0)),
        (_rule("a", 30), ScoreRange(0, 30)),
        (f"{_rule('a', 70)}, {_rule('b', 60)}", ScoreRange(0, 100)),
        (f"{_rule('a', 40)}, {_rule('b', -10)}", ScoreRange(0, 40)),
        (
            "{id: r, reason: r, points: {ramp: prospect.data_age_days, from: [0, 9], to: [10, 4]}}",
            ScoreRange(0, 9),
        ),
    ],
)
def test_the_reach_adds_up_what_each_rule_can_give(rules: str, expected: ScoreRange) -> None:
    """Clamped to the set's own range; an unknown ramp gives nothing."""
    assert compute_score_range(load_rules(_scores(rules))) == expected


def test_a_group_reaches_no_further_than_its_cap() -> None:
    """Gains and losses apart."""
    rules = f"{_rule('a', 40)}, {_rule('b', 40)}, {_rule('c', -40)}"
    text = _scores(rules, "groups: {g: {rules: [a, b, c], cap: 25}}\n")
    raised = text.replace("base: 0", "base: 30")
    assert compute_score_range(load_rules(raised)) == ScoreRange(5, 55)


def test_a_threshold_above_every_score_is_told() -> None:
    """Nothing would ever be good."""
    found = _warnings(_scores(_rule("a", 30)))
    assert "3: `good` starts at 50, and no score comes above 30" in found


def test_a_threshold_below_every_score_is_told() -> None:
    """Nothing would ever be bad."""
    found = _warnings(_scores("").replace("base: 0", "base: 60"))
    assert found == ["3: `bad` ends below 50, and no score comes below 60"]


def test_a_window_that_no_rule_asks_for_is_told() -> None:
    """It is one line too many, or a rule is missing."""
    assert _warnings(GATE_HEAD) == ["8: No rule asks for the window `business`"]


@pytest.mark.parametrize(
    "veto",
    [
        "when: {clock.in_window|ne: business}",
        "when: {clock.in_window|not_in: [business]}",
        "when: {message.duplicate: true}, defer: until_window(business)",
    ],
)
def test_a_window_is_asked_for_by_a_condition_or_a_wait(veto: str) -> None:
    """Each way counts."""
    found = _warnings(GATE_HEAD + f"vetoes: [{{id: v, reason: r, {veto}}}]\n")
    assert not any("window" in warning for warning in found)


def test_a_list_that_no_rule_uses_is_told() -> None:
    """At its own line; one that is used is not."""
    text = "lists:\n  bad: [casino]\n  good: [hola]\nvetoes:\n  - {id: v, reason: r, when: "
    found = _warnings(GATE_HEAD + text + "{message.text|contains: {list: bad}}}\n")
    assert "11: No rule uses the list `good`" in found
    assert not any("`bad`" in warning for warning in found)


def test_a_rule_that_no_example_shows_is_told() -> None:
    """Nobody would see it break."""
    text = _scores(f"{_rule('a', 60)}, {_rule('b', 1)}")
    covered = "tests: [{name: n, given: {prospect.bounces: 1}, expect: {scores: [a, b]}}]\n"
    assert _warnings(text) == [
        "4: No example under `tests` shows `a` at work",
        "4: No example under `tests` shows `b` at work",
    ]
    assert _warnings(text + covered) == []
