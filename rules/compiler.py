"""Compiles conditions for the durable-rules engine, to small networks of plain conjunctions."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from rules.conditions import Op, Truth, evaluate_leaf, expand_alternatives
from rules.facts import FACTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rules.conditions import Condition, Leaf, LeafLiteral
    from rules.known_values import KnownValue

# 512 conditions and more under one node hang the engine for ever, holding the GIL.
SHARD_CONDITIONS = 48
# A rule that always fires, last of all: without it some rules before it did not run.
CANARY = "canary"
SID = "1"  # the engine keeps a state for each sid, and dies at the 1,025th
# A test on this key, which is 1 in every fact, is the first of each rule.
_GUARD_KEY = "g"
_UNKNOWN_BOUND = 10**15  # beyond every fact in millionths, and well within the engine's 64 bits
_CANARY_PRIORITY = 1_000_000  # the engine runs lower numbers first

_ORDERINGS = {Op.GT: "$gt", Op.GTE: "$gte", Op.LT: "$lt", Op.LTE: "$lte"}
_OPPOSITE = {"$gt": "$lte", "$lte": "$gt", "$lt": "$gte", "$gte": "$lt"}

BoundTest = tuple[str, str, int]
"""(operator, key, constant); the operator `$eq` tests equality."""


class Shard(Struct, frozen=True, dict=True):
    """One small network of the engine, and the form in which facts are asserted to it.

    `rules` maps the network's rule names to rule ids. `bounds` are (fact, low key, high key), and
    `codes` are comparisons that are evaluated here, each with the key of its result.
    """

    definition: str
    rules: Mapping[str, str]
    bounds: tuple[tuple[str, str, str], ...]
    codes: tuple[tuple[Leaf, str], ...]

    def fact(self, values: Mapping[str, KnownValue]) -> str:
        """Return the JSON of a decision's one fact, which is asserted and then retracted."""
        # An unknown value lies anywhere: its low bound is beyond the low end, its high bound beyond
        # the high one. A known value is both of its bounds.
        stated: list[int] = []
        for name, _low, _high in self.bounds:
            value = values.get(name)
            if value is None:
                stated += (-_UNKNOWN_BOUND, _UNKNOWN_BOUND)
            else:
                number = _to_integer(name, value)
                stated += (number, number)
        stated += [evaluate_leaf(leaf, values) for leaf, _ in self.codes]
        return self._form % tuple(stated)

    @cached_property
    def _form(self) -> str:
        """A format string for the JSON of a fact: its bounds first, then its codes."""
        # Integers are formatted into it, instead of encoding JSON at each decision.
        keys = [key for _, *ends in self.bounds for key in ends]
        keys += [key for _, key in self.codes]
        fixed = json.dumps({"id": "1", "sid": SID, _GUARD_KEY: 1})
        return fixed[:-1] + "".join(f', "{key}": %d' for key in keys) + "}"


def compile_rules(rules: Sequence[tuple[str, Condition, bool]]) -> tuple[Shard, ...]:
    """Return shards that together fire each (id, condition, fires on unknown) when it holds."""
    shards = [_ShardBuilder()]
    for rule_id, condition, fires_on_unknown in rules:
        for alternative in expand_alternatives(condition):
            if not shards[-1].has_room_for(alternative):
                shards.append(_ShardBuilder())
            shards[-1].add(rule_id, alternative, unknown=fires_on_unknown)
    return tuple(shard.build() for shard in shards)


class _ShardBuilder(Struct):
    """A shard to which rules are still added."""

    tests: dict[str, list[BoundTest]] = field(default_factory=dict)
    rules: dict[str, str] = field(default_factory=dict)
    bounds: dict[str, tuple[str, str]] = field(default_factory=dict)
    codes: dict[Leaf, str] = field(default_factory=dict)
    size: int = 1  # the canary's own guard

    def has_room_for(self, alternative: Iterable[LeafLiteral]) -> bool:
        """Return whether the alternative's tests, and its guard, still fit."""
        added = 1 + sum(map(_count_tests, alternative))
        return self.size + added <= SHARD_CONDITIONS

    def add(self, rule_id: str, alternative: Iterable[LeafLiteral], *, unknown: bool) -> None:
        """Add one conjunction that fires `rule_id`."""
        name = f"r{len(self.rules)}"
        tests = [test for literal in alternative for test in self._tests(literal, unknown=unknown)]
        self.rules[name] = rule_id
        self.tests[name] = tests
        self.size += 1 + len(tests)

    def build(self) -> Shard:
        """Return the shard, with the guard in every rule and the canary that fires last."""
        definition = {
            name: _build_conjunction([("$eq", _GUARD_KEY, 1), *tests], priority=1)
            for name, tests in self.tests.items()
        }
        definition[CANARY] = _build_conjunction([("$eq", _GUARD_KEY, 1)], priority=_CANARY_PRIORITY)
        return Shard(
            json.dumps(definition),
            self.rules,
            tuple((name, *keys) for name, keys in self.bounds.items()),
            tuple(self.codes.items()),
        )

    def _tests(self, literal: LeafLiteral, *, unknown: bool) -> list[BoundTest]:
        leaf = literal.leaf
        if _is_tested_by_bounds(literal):
            count = str(len(self.bounds))
            low, high = self.bounds.setdefault(leaf.fact, (f"l{count}", f"h{count}"))
            # "Fires on unknown" asks whether some value could match, so the bounds change places.
            if unknown:
                low, high = high, low
            return _build_bound_tests(literal, low, high)
        key = self.codes.setdefault(leaf, f"c{len(self.codes)}")
        # FALSE < UNKNOWN < TRUE: the test lets UNKNOWN pass where the rule fires on unknown.
        if literal.negated:
            worst = Truth.UNKNOWN if unknown else Truth.FALSE
            return [("$lte", key, int(worst))]
        least = Truth.UNKNOWN if unknown else Truth.TRUE
        return [("$gte", key, int(least))]


def _is_tested_by_bounds(literal: LeafLiteral) -> bool:
    leaf = literal.leaf
    if leaf.op in _ORDERINGS:
        return True
    plain = isinstance(leaf.operand, int) or FACTS[leaf.fact].values
    return not literal.negated and (leaf.op is Op.BETWEEN or (leaf.op is Op.EQ and bool(plain)))


def _count_tests(literal: LeafLiteral) -> int:
    """Return the number of tests: two for an equality or a range on bounds, else one."""
    return 2 if _is_tested_by_bounds(literal) and literal.leaf.op not in _ORDERINGS else 1


def _build_bound_tests(literal: LeafLiteral, surely: str, perhaps: str) -> list[BoundTest]:
    """Return tests on the bounds: `surely` for "at least", `perhaps` for "at most"."""
    leaf = literal.leaf
    if leaf.op in _ORDERINGS:
        operator = _ORDERINGS[leaf.op]
        if literal.negated:
            operator = _OPPOSITE[operator]
        key = surely if operator in ("$gt", "$gte") else perhaps
        return [(operator, key, _to_integer(leaf.fact, leaf.operand))]
    ends = leaf.operand if isinstance(leaf.operand, tuple) else (leaf.operand, leaf.operand)
    least, most = (_to_integer(leaf.fact, end) for end in ends)
    return [("$gte", surely, least), ("$lte", perhaps, most)]


def _to_integer(fact: str, value: object) -> int:
    """Return a number or flag as it is, and a word as its index among the fact's values."""
    # The engine gets integers alone: to it "" matches 5, and True equals 1.
    return value if isinstance(value, int) else FACTS[fact].values.index(str(value))


def _build_conjunction(tests: Iterable[BoundTest], priority: int) -> dict[str, Any]:
    expressions = [
        {key: constant} if operator == "$eq" else {operator: {key: constant}}
        for operator, key, constant in tests
    ]
    return {"all": [{"m": {"$and": expressions}}], "pri": priority}
