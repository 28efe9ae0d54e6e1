"""The sections around the rules: windows, head, ids, groups and examples with a mistake."""

from __future__ import annotations

import pytest

from tests.helpers.rule_texts import GATE_HEAD, SCORE_HEAD, list_problems

HEAD_LINES = GATE_HEAD.count("\n")


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ("{days: mon-fry, from: '09:00', to: '10:00'}", "`fry` is not a day (did you mean fri?)"),
        ("{days: [mon, 5], from: '09:00', to: '10:00'}", "`5` is not a day"),
        ("{from: '09:00', to: '10:00'}", "`days` names no day: it is mon-fri"),
        ("{days: mon, from: '9:00', to: '10:00'}", "`from` is a time of the day in quotes"),
        ("{days: mon, from: 930, to: '10:00'}", "`from` is a time of the day in quotes"),
        ("{days: mon, from: '09:00', to: '24:01'}", "`to` is a time of the day in quotes"),
        ("{days: mon, from: '09:00', to: '09:00'}", "A window closes after it opens"),
        ("{days: mon, from: '09:00', to: '10:00', holidays: no}", "`holidays` is true or false"),
        ("mon-fri", "A window is {days: mon-fri"),
    ],
)
def test_a_window_with_a_mistake_is_refused(window: str, expected: str) -> None:
    """Days and times as people write them, and nothing else."""
    (problem,) = list_problems(f"{GATE_HEAD}  other: {window}\n")
    assert expected in problem


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("from: 0}", "from: 10}", "The last of `thresholds` must start at min, 0"),
        ("from: 50}", "from: 70}", "`thresholds` go from the top down: 70 is not lower"),
        ("review, from", "allow, from", "`allow` is here a second time"),
        ("from: 70}", "from: 101}", "`from` must be a whole number from 0 to 100"),
        ("max: 100", "max: 0", "`max` must be above `min`"),
        ("base: prospect.score_contactabilidad", "base: message.links", "`base` is points, or"),
        ("base: prospect.score_contactabilidad", "base: [1]", "`base` must be a whole number"),
        ("score: {", "scores: {", "`scores` is a list"),
        ("score: {", "score: 5 #", "`score` is missing: {base: …, min: 0, max: 100}"),
        ("windows:\n  business: {", "windows: 5 #", "`windows` is a mapping of names"),
    ],
)
def test_a_head_with_a_mistake_is_refused(old: str, new: str, expected: str) -> None:
    """Score, thresholds and windows of a gate."""
    found = list_problems(GATE_HEAD.replace(old, new))
    assert any(expected in problem for problem in found)


def test_a_score_set_starts_from_points() -> None:
    """It computes the fact that a gate starts from."""
    head = SCORE_HEAD.replace("base: 0", "base: prospect.score_contactabilidad")
    assert list_problems(head) == ["2:15: A score set starts from points, not from a fact"]


def test_an_id_is_given_once_over_vetoes_and_scores() -> None:
    """A rule counts once, so its name must be its own."""
    rule = "{id: a, reason: r, when: {message.duplicate: true}"
    text = f"{GATE_HEAD}vetoes: [{rule}}}]\nscores: [{rule}, points: 1}}]\n"
    (problem,) = list_problems(text)
    assert problem.startswith(f"{HEAD_LINES + 2}:10: The id `a` is taken: it is at ")


def test_an_id_is_a_plain_word() -> None:
    """It is a column's value and a metric's label."""
    (problem,) = list_problems(
        f"{GATE_HEAD}vetoes: [{{id: A-b, reason: r, when: {{message.duplicate: true}}}}]"
    )
    assert "`A-b` is not an id" in problem


GROUPED = SCORE_HEAD + "scores: [{id: a, reason: r, points: 1, when: {prospect.bounces: 1}}]\n"


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ("{g: {rules: [a], cap: 5}, h: {rules: [a], cap: 5}}", "`a` is in the group `g` already"),
        ("{g: {rules: [b], cap: 5}}", "5:22: There is no rule `b` under `scores`"),
        ("{g: {cap: 5}}", "A group names its rules"),
        ("{g: {rules: a, cap: 5}}", "`rules` is a list of texts"),
        ("{g: {rules: [1], cap: 5}}", "Each of `rules` is a text"),
        ("{g: {rules: [a], cap: -5}}", "`cap` must be a whole number from 0"),
        ("{g: [a]}", "A group is {rules: [ID, …], cap: POINTS}"),
    ],
)
def test_a_group_with_a_mistake_is_refused(groups: str, expected: str) -> None:
    """Groups are disjoint, and name rules that exist."""
    (problem,) = list_problems(f"{GROUPED}groups: {groups}")
    assert expected in problem


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("{name: n, given: {prospect.bounce: 1}, expect: {score: 1}}", "There is no fact"),
        ("{name: n, given: {x.y: 1}, expect: {score: 1}}", "There is no fact `x.y`"),
        ("{name: n, given: {prospect.bounces: x}, expect: {score: 1}}", "is a number of messages"),
        ("{name: n, given: {prospect.bounces: [1]}, expect: {score: 1}}", "one value, or null"),
        ("{name: n, given: 5, expect: {score: 1}}", "`given` is a mapping of facts"),
        ("{name: n, given: {}, expect: {}}", "`expect` says what must come out: score, band"),
        ("{name: n, given: {}}", "`expect` says what must come out: score, band"),
        ("{name: n, given: {}, expect: {verdict: allow}}", "`verdict` has no meaning here"),
        ("{name: n, given: {}, expect: {band: godo}}", "not `godo` (did you mean good?)"),
        ("{name: n, given: {}, expect: {scores: [b]}}", "There is no rule `b` under `scores`"),
        ("5", "Each of `tests` is a mapping"),
    ],
)
def test_an_example_with_a_mistake_is_refused(test: str, expected: str) -> None:
    """Its facts, rules and bands must exist."""
    found = list_problems(f"{GROUPED}tests: [{test}]")
    assert any(expected in problem for problem in found)
