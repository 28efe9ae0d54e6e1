"""Random rules over hostile facts: both engines, and the definition itself, always agree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.compiler import compile_rules
from rules.condition_reader import OPERATORS
from rules.conditions import (
    AllOf,
    AnyOf,
    Condition,
    ConditionTooLargeError,
    Leaf,
    Not,
    Op,
    Truth,
    evaluate_leaf,
    expand_alternatives,
)
from rules.engine import ENGINE_AVAILABLE, DurableMatcher
from rules.facts import FACTS, FactType
from rules.known_values import KnownValue, known_values, to_micro
from rules.patterns import compile_phrase
from rules.second_evaluator import SecondEvaluator
from tests.helpers.hypothesis_profiles import examples

pytestmark = pytest.mark.slow

NAMES = (
    "prospect.score_contactabilidad",
    "prospect.suppressed",
    "prospect.validado_tecnicamente",
    "prospect.on_whatsapp",
    "prospect.permission",
    "prospect.data_age_days",
    "prospect.cartera_origen",
    "message.similarity",
    "message.text",
    "clock.in_window",
)
WORDS = ("casino", "business", "", "Ñandú\n\x00", "5", "evening")


def _number(name: str) -> st.SearchStrategy[float]:
    high = FACTS[name].high
    return st.sampled_from([0, 1, high, high / 2, 0.5, 1e-07, 0.1 + 0.2]).filter(
        lambda number: number <= high
    )


def _one_value(name: str) -> st.SearchStrategy[int | str]:
    fact = FACTS[name]
    match fact.type:
        case FactType.BOOL:
            return st.integers(0, 1)
        case FactType.NUMBER:
            return _number(name).map(to_micro)
        case FactType.ENUM:
            return st.sampled_from(fact.values)
        case FactType.TEXT | FactType.NAMES:
            return st.sampled_from(WORDS)


@st.composite
def _leaf(draw: st.DrawFn) -> Leaf:
    name = draw(st.sampled_from(NAMES))
    op = draw(st.sampled_from(OPERATORS[FACTS[name].type]))
    match op:
        case Op.MISSING:
            return Leaf(name, op, draw(st.integers(0, 1)))
        case Op.BETWEEN:
            low, high = sorted([draw(_number(name)), draw(_number(name))])
            return Leaf(name, op, (to_micro(low), to_micro(high)))
        case Op.IN | Op.NOT_IN:
            values = draw(st.lists(_one_value(name), min_size=1, max_size=3))
            return Leaf(name, op, frozenset(values))  # type: ignore[arg-type]
        case Op.MATCHES | Op.CONTAINS:
            words = draw(st.lists(st.sampled_from(WORDS[:2]), min_size=1, max_size=2))
            return Leaf(name, op, tuple(map(compile_phrase, words)))
        case _:
            return Leaf(name, op, draw(_one_value(name)))


def _larger(parts: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(parts, min_size=1, max_size=3).map(tuple)
    return st.one_of(several.map(AllOf), several.map(AnyOf), parts.map(Not))


def _fits(condition: Condition) -> bool:
    try:
        expand_alternatives(condition)
    except ConditionTooLargeError:
        return False
    return True


LEAVES: st.SearchStrategy[Condition] = _leaf()
CONDITIONS = st.recursive(LEAVES, _larger, max_leaves=8).filter(_fits)
RULE_SETS = st.lists(st.tuples(CONDITIONS, st.booleans()), min_size=1, max_size=6)
HOSTILE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 200),
    st.sampled_from(
        [10**400, -(2**63), float("nan"), float("inf"), 1e-07, 0.3, 1e308, b"x", [], {}]
    ),
    st.sampled_from(WORDS),
    st.sampled_from(["yes", "unknown", "none", "refused", ["business"], ["evening", 5], ()]),
)
FACT_SETS = st.lists(
    st.fixed_dictionaries({name: st.one_of(HOSTILE, _one_value(name)) for name in NAMES}),
    min_size=1,
    max_size=4,
)


def _defined(condition: Condition, values: dict[str, KnownValue]) -> Truth:
    """Kleene's logic, word for word."""
    match condition:
        case Leaf():
            return evaluate_leaf(condition, values)
        case Not(part):
            return Truth(2 - _defined(part, values))
        case AllOf(parts):
            return min(_defined(part, values) for part in parts)
        case AnyOf(parts):
            return max(_defined(part, values) for part in parts)


def test_the_random_rules_reach_every_operator() -> None:
    """Each operator of the language is one that the sets below draw from."""
    drawn = {op for name in NAMES for op in OPERATORS[FACTS[name].type]}
    assert drawn == set(Op)


@pytest.mark.timeout(600)  # a thousand sets through two engines; others may want the machine too
@examples(1_000)
@given(RULE_SETS, FACT_SETS)
def test_both_engines_fire_what_the_definition_says(
    drawn: list[tuple[Condition, bool]], given_facts: list[dict[str, object]]
) -> None:
    """Whatever the rules, whatever the facts, whatever was decided before."""
    rules = [(f"r{n}", condition, unknown) for n, (condition, unknown) in enumerate(drawn)]
    reference = SecondEvaluator(rules)
    matcher = DurableMatcher(compile_rules(rules)) if ENGINE_AVAILABLE else None
    for each in given_facts:
        values = known_values([FACTS[name] for name in NAMES], each)
        expected = {
            rule
            for rule, condition, unknown in rules
            if _defined(condition, values) >= (Truth.UNKNOWN if unknown else Truth.TRUE)
        }
        assert reference.fired(values) == expected
        assert matcher is None or matcher.fired(values) == expected
    if matcher:
        matcher.close()
