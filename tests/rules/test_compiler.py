"""What is compiled for durable-rules, where it is and where it is not."""

from __future__ import annotations

import json

from rules import DEFAULTS, RuleEvaluator, load_ruleset
from rules.compiler import SHARD_CONDITIONS, Shard, compile_rules
from rules.conditions import AllOf, AnyOf, Condition, Leaf, Op
from rules.known_values import known_values, to_micro
from tests.helpers.rule_texts import build_facts

Rule = tuple[str, Condition, bool]


def test_no_shard_has_more_than_48_conditions() -> None:
    """With the guard of each rule and the canary's counted."""
    leaves = tuple(Leaf("message.links", Op.EQ, to_micro(number)) for number in range(20))
    rules: list[Rule] = [(f"r{n}", AllOf(leaves), True) for n in range(9)]
    rules += [(f"s{n}", AnyOf(leaves), False) for n in range(9)]
    shards = compile_rules(rules)
    assert len(shards) > 9
    for shard in shards:
        assert _conditions(shard) <= SHARD_CONDITIONS


def _conditions(shard: Shard) -> int:
    comparisons = shard.definition.count('"$lte"') + shard.definition.count('"$gte"')
    return comparisons + shard.definition.count('"g"')


def test_only_integers_reach_the_engine() -> None:
    """No text, no fraction, no flag of JSON's own."""
    gate = load_ruleset([DEFAULTS / "gate.yaml"])
    given = build_facts(RuleEvaluator(gate), message__similarity=0.912345)
    for shard in compile_rules(gate.conditions):
        stated = json.loads(shard.fact(known_values(gate.reads, given)))
        assert {type(value) for key, value in stated.items() if key not in ("id", "sid")} == {int}
