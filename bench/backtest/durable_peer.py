"""Peer: durable-rules over stored rows, with the same conditions as our gate."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from durable.engine import Host

import rules
from bench.backtest import past_decisions
from bench.processes import measure, serve_orders
from rules.conditions import AllOf, Condition, Leaf, Op
from rules.facts import FACTS, FactType
from rules.known_values import MICRO, known_values
from rules.ruleset import Ramp, Ruleset
from rules.second_evaluator import SecondEvaluator

_TESTS = {Op.NE: "$neq", Op.GT: "$gt", Op.GTE: "$gte", Op.LT: "$lt", Op.LTE: "$lte"}
_MISSING_FACTS = ("prospect.validado_tecnicamente",)
ROW_COUNT = 2_000


class DurableRulesPeer:
    """A host with the conditions of our gate, and what each decision came to."""

    def __init__(self, ruleset: Ruleset) -> None:
        self.ruleset = ruleset
        self.trace: list[str] = []
        gate: dict[str, object] = {
            rule: {"all": [{"m": _to_durable_condition(when)}], "run": self._action(rule)}
            for rule, when, _ in ruleset.conditions
        }
        # A fact that no rule matches is refused: a decision on which none fires needs one more.
        gate["any"] = {
            "all": [{"m": {"$lt": {_to_durable_name(past_decisions.SCORE): 101}}}],
            "run": lambda _: None,
        }
        self.host = Host()
        self.host.set_rulesets({"gate": gate})

    def judge(self, stored: str) -> str:
        """Return the verdict on a stored row."""
        fact = json.loads(stored)
        self.trace.clear()
        self.host.assert_fact("gate", fact)
        self.host.retract_fact("gate", fact)
        return self._verdict(fact)

    def _action(self, rule: str) -> Callable[[object], None]:
        return lambda _: self.trace.append(rule)

    def _verdict(self, fact: Mapping[str, Any]) -> str:
        for veto in self.ruleset.vetoes:
            if veto.id in self.trace:
                return veto.effect.value
        score = fact[_to_durable_name(past_decisions.SCORE)]
        for rule in self.ruleset.scores:
            if isinstance(rule.points, Ramp):
                value = round(fact[_to_durable_name(rule.points.fact)] * MICRO)
                score += rule.points.points(value, self.ruleset.scale) / self.ruleset.scale
            elif rule.id in self.trace:
                score += rule.points
        return self.ruleset.band_of_score(min(max(int(score), 0), 100))


@cache
def build_rows(*, whole: bool) -> list[str]:
    """Return rows as they are stored, or only the facts that rules read."""
    reads = {fact.name for fact in build_peer().ruleset.reads}
    return [
        json.dumps(_to_durable_fact({n: v for n, v in facts.items() if whole or n in reads}))
        for facts in past_decisions.iter_snapshots(ROW_COUNT)
    ]


@cache
def build_peer() -> DurableRulesPeer:
    """Return the host, once it agreed with our rules on every row."""
    made = DurableRulesPeer(rules.load_ruleset([rules.DEFAULTS / "gate.yaml"]))
    reference = SecondEvaluator(made.ruleset.conditions)
    for facts in past_decisions.iter_snapshots(ROW_COUNT):
        made.judge(json.dumps(_to_durable_fact(facts)))
        expected = reference.fired(known_values(made.ruleset.reads, facts))
        if set(made.trace) != expected:
            raise SystemExit(f"durable-rules fires {made.trace}, our rules {sorted(expected)}")
    return made


def _to_durable_name(fact: str) -> str:
    return fact.replace(".", "_")


def _to_durable_fact(facts: Mapping[str, object]) -> dict[str, object]:
    named = {_to_durable_name(name): value for name, value in facts.items() if value is not None}
    open_now = named.pop(_to_durable_name("clock.in_window"))
    assert isinstance(open_now, list)  # noqa: S101 - the rows are ours
    missing = {
        f"{_to_durable_name(name)}_missing": facts.get(name) is None for name in _MISSING_FACTS
    }
    return {"id": 1, "sid": 1, **named, **missing, "in_business": "business" in open_now}


def _to_durable_condition(condition: Condition) -> dict[str, Any]:
    """Return a condition in the words of durable-rules."""
    if isinstance(condition, Leaf):
        return _to_durable_comparison(condition)
    parts = [_to_durable_condition(part) for part in getattr(condition, "parts", ())]
    return _join_parts("$and" if isinstance(condition, AllOf) else "$or", parts)


def _to_durable_comparison(leaf: Leaf) -> dict[str, Any]:
    fact = FACTS[leaf.fact]
    if fact.type is FactType.NAMES:
        return {"in_business": leaf.op in (Op.EQ, Op.IN)}
    name = _to_durable_name(leaf.fact)
    if leaf.op is Op.MISSING:
        return {f"{name}_missing": bool(leaf.operand)}
    operands = leaf.operand if isinstance(leaf.operand, frozenset) else (leaf.operand,)
    values = [_to_durable_value(fact.type, each) for each in operands]
    if leaf.op in (Op.EQ, Op.IN):
        return _join_parts("$or", [{name: value} for value in values])
    test = _TESTS.get(leaf.op, "$neq")
    return _join_parts("$and", [{test: {name: value}} for value in values])


def _to_durable_value(kind: FactType, operand: object) -> object:
    if kind is FactType.BOOL:
        return bool(operand)
    return operand / MICRO if isinstance(operand, int) else operand


def _join_parts(word: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    return parts[0] if len(parts) == 1 else {word: parts}


def judge_rows(*, whole: bool) -> dict[str, object]:
    """Judge every row of the sample."""
    theirs, given = build_peer(), build_rows(whole=whole)
    return measure(lambda number: theirs.judge(given[number]), ROW_COUNT)


if __name__ == "__main__":
    serve_orders(judge_rows)
