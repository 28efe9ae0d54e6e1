"""The shipped rule files: true examples, the points of version 1, and schemas that are current."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import jsonschema
import pytest
from ruamel.yaml import YAML

from rules import DEFAULTS, RuleEvaluator, Verdict, load_ruleset
from rules.examples import baseline_facts, run_examples
from rules.facts import FACTS
from rules.ruleset import RuleFormat
from tests.helpers.rule_texts import GATE_HEAD, SCORE_HEAD, build_facts, build_gate_evaluator
from tools.rule_schemas import build_schema, render_schema

FILES = {RuleFormat.GATE: DEFAULTS / "gate.yaml", RuleFormat.SCORE: DEFAULTS / "score.yaml"}


@pytest.mark.parametrize("kind", RuleFormat)
@pytest.mark.parametrize("engines", ["both", "reference"])
def test_the_examples_beside_the_shipped_rules_are_true(
    kind: RuleFormat, engines: Literal["both", "reference"]
) -> None:
    """In both engines, and in the second one alone."""
    outcomes = run_examples(RuleEvaluator(load_ruleset([FILES[kind]]), engines))
    assert {each.example.name: each.wrong for each in outcomes if each.wrong} == {}


@pytest.mark.parametrize("kind", RuleFormat)
def test_every_shipped_rule_has_an_example_that_fires_it(kind: RuleFormat) -> None:
    """No rule without a case that shows what it is for."""
    ruleset = load_ruleset([FILES[kind]])
    judge = RuleEvaluator(ruleset)
    fired = {
        rule
        for example in ruleset.examples
        for rule in _fired(judge, {**baseline_facts(ruleset), **example.given})
    }
    assert {rule for rule, _, _ in ruleset.conditions} - fired == set()


def _fired(judge: RuleEvaluator, given: dict[str, object]) -> list[str]:
    if judge.ruleset.format is RuleFormat.SCORE:
        return [each.id for each in judge.score(given).contributions]
    decision = judge.decide(given)
    return [veto.id for veto in decision.vetoes] + [each.id for each in decision.contributions]


@pytest.mark.parametrize(
    ("changes", "points"),
    [
        ({}, 80),
        ({"prospect__on_whatsapp": "unknown"}, 40),
        ({"prospect__on_whatsapp": "no"}, 40),
        ({"prospect__days_since_inbound": 0}, 100),
        ({"prospect__days_since_inbound": 90}, 100),
        ({"prospect__days_since_inbound": 91}, 90),
        ({"prospect__data_age_days": 365}, 70),
        ({"prospect__data_age_days": 36.5}, 79),
        ({"prospect__data_age_days": 37}, 78),
        ({"prospect__data_age_days": None}, 70),
        ({"prospect__line_type": "fixed_line_or_mobile"}, 80),
        ({"prospect__line_type": "fixed_line"}, 80),
        ({"prospect__line_type": "fixed_line", "prospect__on_whatsapp": "no"}, 10),
        ({"prospect__line_type": "invalid"}, 50),
    ],
)
def test_version_1_of_the_score_gives_these_points(changes: dict[str, object], points: int) -> None:
    """From a number that is verified and fresh, and never wrote to us: 30 + 40 + 0 + 10."""
    judge = RuleEvaluator(load_ruleset([FILES[RuleFormat.SCORE]]))
    verified = {"prospect__days_since_inbound": None, "prospect__data_age_days": 0}
    assert judge.score(build_facts(judge, **{**verified, **changes})).score == points


@pytest.mark.parametrize(
    ("points", "band"),
    [
        (0, "unusable"),
        (29, "unusable"),
        (30, "not_verified"),
        (69, "not_verified"),
        (70, "reachable"),
        (79, "reachable"),
        (80, "fresh_or_known"),
        (89, "fresh_or_known"),
        (90, "engaged"),
        (100, "engaged"),
    ],
)
def test_the_bands_are_those_of_version_1(points: int, band: str) -> None:
    """Each point belongs to one band."""
    assert load_ruleset([FILES[RuleFormat.SCORE]]).band_of_score(points) == band


@pytest.mark.parametrize("kind", ["commercial", "transactional", "reply"])
def test_suppression_outweighs_everything_but_its_own_confirmation(kind: str) -> None:
    """Score, approval and an open conversation do not help."""
    judge = RuleEvaluator(load_ruleset([FILES[RuleFormat.GATE]]))
    given = build_facts(
        judge,
        prospect__suppressed=True,
        message__kind=kind,
        message__approved=True,
        prospect__permission="conversation",
        prospect__score_contactabilidad=100,
    )
    assert judge.decide(given).reason_code == "suppressed"


def test_a_disconnected_session_blocks_nothing() -> None:
    """250 queued messages wait; none is lost, none is sent."""
    judge = RuleEvaluator(load_ruleset([FILES[RuleFormat.GATE]]))
    given = build_facts(judge, session__state="backoff", session__sending="none")
    assert judge.decide(given).verdict is Verdict.DEFER


def test_the_baseline_knows_every_fact_but_those_that_mean_something_by_missing() -> None:
    """A free text outside a campaign; everything else is stated."""
    unstated = {"message.template", "campaign.name", "campaign.automatic", "campaign.sent"}
    assert FACTS.keys() - baseline_facts(load_ruleset([FILES[RuleFormat.GATE]])).keys() == unstated


def test_an_example_that_is_not_true_is_told() -> None:
    """With what it expected and what came out."""
    judge = build_gate_evaluator(
        "tests: [{name: n, given: {prospect.score_contactabilidad: 60},"
        " expect: {verdict: allow, score: 60}}]"
    )
    (outcome,) = run_examples(judge)
    assert outcome.wrong == {"verdict": ("allow", Verdict.REVIEW)}


@pytest.mark.parametrize("kind", RuleFormat)
def test_the_shipped_schema_is_current(kind: RuleFormat) -> None:
    """It is generated from the vocabulary; `make docs` writes it."""
    shipped = (DEFAULTS / f"{kind.name.lower()}.schema.json").read_text(encoding="utf-8")
    assert shipped == render_schema(kind)


def _plain(text: str) -> Any:  # noqa: ANN401 - plain YAML
    return YAML(typ="safe", pure=True).load(text)


def _errors(kind: RuleFormat, text: str) -> list[str]:
    validator = jsonschema.Draft202012Validator(build_schema(kind))
    return [error.message for error in validator.iter_errors(_plain(text))]


@pytest.mark.parametrize("kind", RuleFormat)
def test_the_shipped_rules_fit_their_schema(kind: RuleFormat) -> None:
    """An editor marks nothing in them."""
    jsonschema.Draft202012Validator.check_schema(build_schema(kind))
    assert _errors(kind, Path(FILES[kind]).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "rules",
    [
        "vetoes: [{id: a, reason: r, when: {prospect.suppresed: true}}]",
        "vetoes: [{id: a, reason: r, when: {message.links|gtt: 1}}]",
        "vetoes: [{id: a, reason: r, when: {message.links: 5000}}]",
        "vetoes: [{id: a, reason: r, when: {}}]",
        "vetoes: [{id: a, reason: r, when: {message.duplicate: true}, defer: soon}]",
        "vetoes: [{reason: r, when: {message.duplicate: true}}]",
        "scores: [{id: a, reason: r, points: 5}]",
        "scores: [{id: a, reason: r, points: {ramp: prospect.intent, from: [0, 1], to: [1, 2]}}]",
        "tests: [{name: n, given: {}, expect: {verdict: alow}}]",
        "vetos: []",
    ],
)
def test_the_schema_marks_what_the_loader_refuses(rules: str) -> None:
    """The commonest mistakes are seen while they are typed."""
    assert _errors(RuleFormat.GATE, GATE_HEAD) == []
    assert _errors(RuleFormat.GATE, f"{GATE_HEAD}{rules}\n")


@pytest.mark.parametrize(
    "change",
    [
        "scores: [{id: unanswered, points: -20}]",
        "vetoes: [{id: closed, defer: null, hold: true}]",
        'windows: {business: {to: "17:00"}, night: null}',
        "groups: {fatigue: {cap: 30}}",
        "tests: [{name: not answered, expect: {verdict: block}}]",
        "override: true",
    ],
)
def test_the_schema_takes_a_file_that_changes_a_few_fields(change: str) -> None:
    """An operator's file of the same name says only what is different."""
    assert _errors(RuleFormat.GATE, f"format: leadmaster/gate@1\n{change}\n") == []


def test_the_score_schema_knows_prospect_facts_alone() -> None:
    """As the loader does."""
    rule = "{id: a, reason: r, points: 5, when: {message.links: 1}}"
    assert _errors(RuleFormat.SCORE, SCORE_HEAD) == []
    assert _errors(RuleFormat.SCORE, f"{SCORE_HEAD}scores: [{rule}]\n")


def test_the_hash_is_of_the_meaning_alone(tmp_path: Path) -> None:
    """Comments, layout, examples and the file's place do not change it; a point does."""
    text = FILES[RuleFormat.GATE].read_text(encoding="utf-8")
    moved = tmp_path / "other.yaml"
    moved.write_text("# mine\n\n" + text.split("\ntests:")[0] + "\n", encoding="utf-8")
    shipped = load_ruleset([FILES[RuleFormat.GATE]]).hash
    assert load_ruleset([moved]).hash == shipped
    moved.write_text(text.replace("points: -15", "points: -16"), encoding="utf-8")
    assert load_ruleset([moved]).hash != shipped
