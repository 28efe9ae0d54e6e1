"""durable-rules contained: canary, rebuild, shards, threads, and a judge that trusts no engine."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest
from msgspec.structs import replace

from rules import GateFault, RuleEvaluator
from rules.compiler import Shard, compile_rules
from rules.conditions import AnyOf, Condition, Leaf, Not, Op
from rules.engine import DurableMatcher, EngineFault
from rules.known_values import to_micro
from tests.helpers.rule_texts import GATE_HEAD, build_facts, load_rules

Rule = tuple[str, Condition, bool]


def _links(op: Op, number: int) -> Leaf:
    return Leaf("message.links", op, to_micro(number))


RULES: list[Rule] = [("few", _links(Op.LT, 3), False), ("many", _links(Op.GTE, 3), True)]
TWO = {"message.links": to_micro(2)}


def test_the_rules_that_hold_fire() -> None:
    """And no others."""
    matcher = DurableMatcher(compile_rules(RULES))
    assert matcher.fired(TWO) == {"few"}
    assert matcher.fired({"message.links": to_micro(3)}) == {"many"}
    assert matcher.fired({}) == {"many"}


def test_a_shard_without_its_canary_is_a_fault() -> None:
    """Rules may have been skipped, so nothing of that decision is believed."""
    (shard,) = compile_rules(RULES)
    silent = replace(shard, definition=shard.definition.replace('"canary"', '"r9"'))
    matcher = DurableMatcher([replace(silent, rules={**shard.rules, "r9": "x"})])
    with pytest.raises(EngineFault, match="lost its canary"):
        matcher.fired(TWO)


def test_a_canary_that_does_not_fire_is_a_fault() -> None:
    """Its guard is not met: the network is not the one that was built."""
    (shard,) = compile_rules(RULES)
    deaf = replace(shard, definition=shard.definition.replace('{"g": 1}', '{"g": 2}'))
    with pytest.raises(EngineFault, match="lost its canary"):
        DurableMatcher([deaf]).fired(TWO)


def test_after_a_fault_the_shard_is_built_anew() -> None:
    """One bad decision does not spoil the next."""
    matcher = DurableMatcher([cast("Shard", _FlakyMatcher(compile_rules(RULES)[0]))])
    with pytest.raises(EngineFault, match="failed in shard 0"):
        matcher.fired(TWO)
    assert matcher.fired(TWO) == {"few"}


class _FlakyMatcher:
    """A shard that states its first decision in words the engine refuses."""

    def __init__(self, shard: Shard) -> None:
        self.definition, self.rules, self._shard = shard.definition, shard.rules, shard
        self._facts = iter(["not json"])

    def fact(self, values: dict[str, int]) -> str:
        return next(self._facts, self._shard.fact(values))


def test_a_definition_the_engine_refuses_is_a_fault() -> None:
    """Told when the set is compiled, not at the first message."""
    broken = Shard("not json", {}, (), ())
    with pytest.raises(EngineFault, match="refused shard 0"):
        DurableMatcher([broken])


def test_a_closed_matcher_decides_nothing() -> None:
    """Closing twice is harmless."""
    matcher = DurableMatcher(compile_rules(RULES))
    matcher.fired(TWO)
    matcher.close()
    matcher.close()
    with pytest.raises(EngineFault, match="closed"):
        matcher.fired(TWO)


def test_rules_in_many_shards_fire_together() -> None:
    """Each network answers for its own."""
    leaves = tuple(_links(Op.EQ, number) for number in range(20))
    shards = compile_rules([(f"r{n}", AnyOf(leaves), False) for n in range(9)])
    assert len(shards) > 3
    assert DurableMatcher(shards).fired(TWO) == {f"r{n}" for n in range(9)}


def test_thousands_of_conditions_neither_hang_nor_kill_the_engine() -> None:
    """In one network they would hang it for ever, holding the interpreter's lock."""
    choices = AnyOf(tuple(_links(Op.EQ, number) for number in range(64)))
    matcher = DurableMatcher(compile_rules([(f"r{n}", choices, n % 2 == 0) for n in range(20)]))
    assert len(matcher.fired({"message.links": to_micro(63)})) == 20
    assert matcher.fired({"message.links": to_micro(64)}) == frozenset()
    assert len(matcher.fired({})) == 10


def test_many_threads_get_the_right_answers() -> None:
    """One lock: threads on one network would silently skip rules."""
    matcher = DurableMatcher(compile_rules(RULES))

    def ask(number: int) -> bool:
        expected = {"few"} if number % 5 < 3 else {"many"}
        return matcher.fired({"message.links": to_micro(number % 5)}) == expected

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(4_000)))


Rules = Sequence[Rule]


def _negate(rules: Rules) -> tuple[Shard, ...]:
    return compile_rules([(rule, Not(condition), unknown) for rule, condition, unknown in rules])


GATE = GATE_HEAD + "vetoes: [{id: it, reason: r, when: {message.text|contains: casino}}]\n"


def test_a_disagreement_is_a_fault_with_a_dump_that_holds_no_text() -> None:
    """It says which rule, which engine, which set and which facts, and keeps the text out."""
    judge = RuleEvaluator(load_rules(GATE), compiler=_negate)
    with pytest.raises(GateFault) as caught:
        judge.decide(build_facts(judge, message__text="el casino"))
    fault = caught.value
    assert (fault.reason_code, fault.sentence) == (
        "engines_disagree",
        "The two engines disagree on it",
    )
    assert fault.dump["only"] == {"durable_rules": [], "reference": ["it"]}
    assert fault.dump["ruleset"] == judge.ruleset.hash
    assert fault.dump["values"]["clock.in_window"] == ["business"]
    assert "casino" not in repr(fault.dump)


def test_an_engine_that_fails_is_a_fault() -> None:
    """The decision is not made by the other engine alone."""

    def silent(rules: Rules) -> tuple[Shard, ...]:
        (shard,) = compile_rules(rules)
        return (replace(shard, definition=shard.definition.replace('{"g": 1}', '{"g": 2}')),)

    judge = RuleEvaluator(load_rules(GATE), compiler=silent)
    with pytest.raises(GateFault) as caught:
        judge.decide(build_facts(judge))
    assert caught.value.reason_code == "engine_fault"


def test_a_set_the_engine_refuses_is_a_fault_at_once() -> None:
    """Before any message is judged by it."""
    with pytest.raises(GateFault, match="refused shard 0"):
        RuleEvaluator(load_rules(GATE), compiler=lambda _: (Shard("{", {}, (), ()),))
