"""The fast replay says what the judge says, whatever the rules, the facts and the opinions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import DEFAULTS, Defer, DeferKind, Opinion, RuleEvaluator, VetoEffect, load_ruleset
from rules.examples import baseline_facts
from rules.facts import FACTS, FactType
from rules.replay import Replay
from rules.ruleset import RuleFormat, Ruleset
from tests.helpers.hypothesis_profiles import examples
from tests.helpers.rule_texts import GATE_HEAD, SCORE_HEAD, load_rules

pytestmark = pytest.mark.slow

CAPPED = GATE_HEAD + (
    "scores:\n"
    "  - {id: a, reason: r, "
    "points: {ramp: prospect.validation_age_days, from: [3, 7], to: [9, -7]}}\n"
    "  - {id: b, reason: r, points: 30, when: {prospect.bounces|gte: 1}}\n"
    "groups: {g: {rules: [a, b], cap: 20}}\n"
)
RAMPS = GATE_HEAD + (
    "vetoes:\n"
    "  - {id: allowed, reason: r, when: {message.links|gte: 2}, hold: true}\n"
    "  - {id: text, reason: r, when: {message.text|contains: casino}}\n"
    "scores:\n"
    "  - {id: a, reason: r, points: {ramp: prospect.data_age_days, from: [0, 9], to: [7, -20]}}\n"
    "  - {id: b, reason: r, points: {ramp: prospect.bounces, from: [0, -5], to: [3, -30]},\n"
    "     when: {prospect.intent|in: [weak, none]}}\n"
    "  - {id: c, reason: r, points: 13, when: {prospect.intent: asked}}\n"
    "  - {id: d, reason: r, points: -40, when: {message.duplicate: true}}\n"
    "groups: {g: {rules: [c, d], cap: 15}}\n"
)
SETS = {
    "gate": load_ruleset([DEFAULTS / "gate.yaml"]),
    "score": load_ruleset([DEFAULTS / "score.yaml"]),
    "capped": load_rules(CAPPED),
    "ramps": load_rules(RAMPS),
    "points": load_rules(
        SCORE_HEAD + "scores: [{id: a, reason: r, points: {ramp: prospect.bounces, "
        "from: [0, 0], to: [9, 90]}}]\ngroups: {g: {rules: [a], cap: 30}}\n"
    ),
}
OPINIONS = st.sampled_from(
    [
        (),
        (Opinion("p", VetoEffect.HOLD, "r"),),
        (Opinion("p", VetoEffect.BLOCK, "r"), Opinion("q", VetoEffect.HOLD, "r")),
        (Opinion("p", VetoEffect.DEFER, "r", Defer(DeferKind.DURATION, seconds=60)),),
    ]
)


def _values(name: str) -> st.SearchStrategy[object]:
    fact = FACTS[name]
    match fact.type:
        case FactType.BOOL:
            usual: st.SearchStrategy[object] = st.booleans()
        case FactType.NUMBER:
            usual = st.one_of(st.floats(0, min(fact.high, 120)), st.integers(0, 100))
        case FactType.ENUM:
            usual = st.sampled_from(fact.values)
        case FactType.TEXT:
            usual = st.sampled_from(["hola", "El Casino", "AR", "manual", "linked"])
        case FactType.NAMES:
            usual = st.sampled_from([["business"], [], ("business", "night"), ["night"]])
    hostile: st.SearchStrategy[object] = st.sampled_from(
        [None, {}, [[]], float("nan"), 10**30, "?", b"x", -1, True, 1]
    )
    return st.one_of(usual, usual, usual, hostile)


FACT_SETS = st.fixed_dictionaries({}, optional={name: _values(name) for name in FACTS})


@pytest.mark.parametrize("name", SETS)
@examples(120)
@given(changes=st.lists(st.tuples(FACT_SETS, OPINIONS), min_size=1, max_size=5))
def test_the_replay_says_what_the_judge_says(
    name: str, changes: list[tuple[dict[str, object], tuple[Opinion, ...]]]
) -> None:
    """Of several decisions at once, and of the same ones again, since it remembers."""
    ruleset = SETS[name]
    judge, replay = RuleEvaluator(ruleset, "reference"), Replay(ruleset)
    given_facts = [{**baseline_facts(ruleset), **changed} for changed, _ in changes]
    opinions = [said for _, said in changes]
    expected = [
        _judged(judge, ruleset, facts, said)
        for facts, said in zip(given_facts, opinions, strict=True)
    ]
    rows = list(map(replay.row_from_facts, given_facts))
    assert replay.decide(rows, opinions) == expected
    assert [replay.decide([row], [said])[0] for row, said in zip(rows, opinions, strict=True)] == (
        expected
    )


def _judged(
    judge: RuleEvaluator, ruleset: Ruleset, facts: dict[str, object], opinions: tuple[Opinion, ...]
) -> tuple[str, int | None]:
    if ruleset.format is RuleFormat.SCORE:
        result = judge.score(facts)
        return result.band, result.score
    decision = judge.decide(facts, opinions)
    return decision.verdict.value, decision.score


def test_equal_looks_are_judged_once() -> None:
    """A ramp's value, or one that no rule tells apart, makes no new look."""
    replay = Replay(SETS["gate"])
    facts = baseline_facts(SETS["gate"])
    for age in range(100):
        older = {**facts, "prospect.validation_age_days": age, "message.length": age}
        replay.decide([replay.row_from_facts(older)])
    assert replay.signature_count == 1
    replay.decide([replay.row_from_facts({**facts, "message.duplicate": True})])
    assert replay.signature_count == 2


def test_a_number_out_of_its_range_is_unknown() -> None:
    """A row that was read the short way may hold one."""
    replay = Replay(SETS["gate"])
    place = [fact.name for fact in replay.columns].index("prospect.score_contactabilidad")
    row = list(replay.row_from_facts(baseline_facts(SETS["gate"])))
    row[place] = 101
    assert replay.decide([tuple(row)]) == [("block", None)]


def test_what_is_remembered_of_values_is_bounded() -> None:
    """Each message has its own text, each contact its age; forgetting them changes no answer."""
    replay = Replay(SETS["ramps"])
    facts = baseline_facts(SETS["ramps"])
    for number in range(10_100):
        age = {"message.text": f"text {number}", "prospect.data_age_days": number / 1_000}
        replay.decide([replay.row_from_facts({**facts, **age})])
    assert replay.signature_count == 1
    [said] = replay.decide([replay.row_from_facts({**facts, "message.text": "casino"})])
    assert said.verdict == "block"


def test_what_is_remembered_of_looks_is_bounded() -> None:
    """A plugin that says something else each time costs time, never memory."""
    replay = Replay(SETS["gate"])
    row = replay.row_from_facts(baseline_facts(SETS["gate"]))
    for number in range(10_100):
        [said] = replay.decide([row], [(Opinion("p", VetoEffect.HOLD, f"reason {number}"),)])
        assert said.verdict == "review"
    assert replay.signature_count <= 10_000


def test_of_nothing_nothing_is_said() -> None:
    """A page of nothing but faults holds no decision."""
    assert Replay(SETS["gate"]).decide([]) == []
