"""A rule set before it goes live: what keeps it from going live, and what is only remarked."""

from __future__ import annotations

from functools import partial

from rules import DEFAULTS, RuleEvaluator, load_ruleset
from rules.check import check_rulesets
from rules.compiler import Shard, compile_rules
from rules.problems import SourceLocation
from tests.helpers.rule_texts import SCORE_HEAD, load_rules

RULE = "scores: [{id: a, points: 60, reason: r, when: {prospect.bounces|gte: 1}}]\n"
EXAMPLE = "tests: [{name: n, given: {prospect.bounces: 1}, expect: {score: 60}}]\n"


def test_the_shipped_sets_pass() -> None:
    """Every example, in both engines, without a remark."""
    trial = check_rulesets(
        [load_ruleset([DEFAULTS / "gate.yaml"]), load_ruleset([DEFAULTS / "score.yaml"])]
    )
    assert (trial.problems, trial.warnings) == ((), ())
    assert len(trial.outcomes) > 30


def test_a_failing_example_is_a_problem_at_its_line() -> None:
    """With what was expected and what came."""
    example = "tests:\n  - {name: n, given: {}, expect: {score: 60, band: good, scores: []}}\n"
    trial = check_rulesets([load_rules(SCORE_HEAD + example)])
    assert [(each.line, each.sentence) for each in trial.problems] == [
        (5, "The example `n` fails: score should be 60, is 0; band should be good, is bad")
    ]
    assert trial.outcomes[0].mismatch_diff() == [
        "- score: 60",
        "+ score: 0",
        "- band: good",
        "+ band: bad",
    ]


def test_it_tells_how_far_it_came() -> None:
    """So that whoever waits can name the place where it hangs."""
    heard: list[tuple[str, int]] = []

    def told(stage: str, at: SourceLocation) -> None:
        heard.append((stage, at.line))

    example = "tests:\n  - {name: n, given: {}, expect: {score: 0}}\n"
    check_rulesets([load_rules(SCORE_HEAD + example)], on_progress=told)
    assert heard == [("compiling", 1), ("examples", 5)]


def test_remarks_do_not_stop_a_set() -> None:
    """They come with it."""
    trial = check_rulesets([load_rules(SCORE_HEAD)])
    assert trial.problems == ()
    assert [each.sentence for each in trial.warnings] == [
        "`good` starts at 50, and no score comes above 0"
    ]


def test_engines_that_disagree_on_an_example_are_a_problem_at_its_line() -> None:
    """Which of them is right does not matter: nobody may rely on either."""
    trial = check_rulesets(
        [load_rules(SCORE_HEAD + RULE + EXAMPLE)],
        partial(RuleEvaluator, compiler=lambda _rules: compile_rules([])),
    )
    assert [(each.line, each.sentence) for each in trial.problems] == [
        (5, "The example `n`: The two engines disagree on a")
    ]


def test_a_set_that_an_engine_refuses_is_a_problem_of_its_last_file() -> None:
    """Its examples are not run."""
    refused = partial(RuleEvaluator, compiler=lambda _rules: (Shard("{", {}, (), ()),))
    trial = check_rulesets([load_rules(SCORE_HEAD + RULE + EXAMPLE)], refused)
    assert [each.sentence.partition(":")[0] for each in trial.problems] == [
        "The rules can't be compiled"
    ]
    assert trial.outcomes == ()
