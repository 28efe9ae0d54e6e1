"""The second evaluator: compiles each condition to a Python closure, directly from its tree.

It shares neither the disjunctive form nor the encoding of values with the compiler for
durable-rules, so that a mistake there shows as a disagreement.
"""

from __future__ import annotations

import operator
from functools import partial
from typing import TYPE_CHECKING, cast

from rules.conditions import AllOf, Leaf, Not, Op
from rules.facts import FACTS, FactType

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping, Sequence

    from rules.conditions import Condition
    from rules.known_values import KnownValue

    Values = Mapping[str, KnownValue]
    Evaluate = Callable[[Values], int]
    Predicate = Callable[[KnownValue], bool]


# Plain integers with the values of `conditions.Truth`: comparing enum members would cost more.
_FALSE, _UNKNOWN, _TRUE = 0, 1, 2


class SecondEvaluator:
    """The rules of one ruleset as closures."""

    def __init__(self, rules: Sequence[tuple[str, Condition, bool]]) -> None:
        """Compile each (id, condition, fires on unknown)."""
        self._rules = tuple(
            (rule_id, _compile_condition(condition), _UNKNOWN if fires_on_unknown else _TRUE)
            for rule_id, condition, fires_on_unknown in rules
        )

    def fired(self, values: Values) -> frozenset[str]:
        """Return the ids of the rules that fire on these values."""
        return frozenset(
            [rule_id for rule_id, evaluate, least in self._rules if evaluate(values) >= least]
        )


def _compile_condition(condition: Condition) -> Evaluate:
    if isinstance(condition, Leaf):
        return (
            _compile_missing(condition)
            if condition.op is Op.MISSING
            else _compile_comparison(condition)
        )
    if isinstance(condition, Not):
        part = _compile_condition(condition.part)
        return lambda values: _TRUE - part(values)
    parts = tuple(_compile_condition(each) for each in condition.parts)
    if len(parts) == 1:
        return parts[0]
    return _compile_all(parts) if isinstance(condition, AllOf) else _compile_any(parts)


def _compile_all(parts: Sequence[Evaluate]) -> Evaluate:
    def evaluate(values: Values) -> int:
        least = _TRUE
        for part in parts:
            found = part(values)
            if found < least:
                if found == _FALSE:
                    return _FALSE
                least = found
        return least

    return evaluate


def _compile_any(parts: Sequence[Evaluate]) -> Evaluate:
    def evaluate(values: Values) -> int:
        most = _FALSE
        for part in parts:
            found = part(values)
            if found > most:
                if found == _TRUE:
                    return _TRUE
                most = found
        return most

    return evaluate


def _compile_missing(leaf: Leaf) -> Evaluate:
    fact, wanted = leaf.fact, bool(leaf.operand)
    return lambda values: _TRUE if (fact not in values) is wanted else _FALSE


def _compile_comparison(leaf: Leaf) -> Evaluate:
    fact, holds = leaf.fact, _compile_predicate(leaf)

    def evaluate(values: Values) -> int:
        if fact not in values:
            return _UNKNOWN
        return _TRUE if holds(values[fact]) else _FALSE

    return evaluate


_ORDERINGS: Mapping[Op, Callable[[int, int], bool]] = {
    Op.GT: operator.lt,
    Op.GTE: operator.le,
    Op.LT: operator.gt,
    Op.LTE: operator.ge,
}
"""The comparison of (bound, value): the bound is first, so that `partial` can fix it."""


def _compile_predicate(leaf: Leaf) -> Predicate:
    op, operand = leaf.op, leaf.operand
    if op in _ORDERINGS:
        return cast("Predicate", partial(_ORDERINGS[op], cast("int", operand)))
    if op is Op.BETWEEN:
        low, high = cast("tuple[int, int]", operand)
        return lambda value: low <= cast("int", value) <= high
    if op in (Op.MATCHES, Op.CONTAINS):
        patterns = cast("tuple[re.Pattern[str], ...]", operand)
        return lambda value: any(each.search(cast("str", value)) for each in patterns)
    wanted = operand if isinstance(operand, frozenset) else frozenset((operand,))
    if FACTS[leaf.fact].type is FactType.NAMES:
        apart = cast("Predicate", wanted.isdisjoint)
        return apart if op in (Op.NE, Op.NOT_IN) else lambda value: not apart(value)
    if op in (Op.EQ, Op.IN):
        return wanted.__contains__
    return lambda value: value not in wanted
