"""Writes parts of a ruleset as a rule file has them, for people who compare two rulesets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rules.conditions import AllOf, AnyOf, Leaf, Not, Op
from rules.facts import FACTS, WEEKDAYS, FactType
from rules.known_values import MICRO
from rules.ruleset import Ramp

if TYPE_CHECKING:
    from rules.conditions import Condition


_MINUTES_PER_HOUR = 60


def describe_value(value: object) -> str:
    """Return a field's value as a rule file has it."""
    match value:
        case Leaf() | AllOf() | AnyOf() | Not():
            return _describe_condition(value)
        case Ramp():
            start = f"[{_describe_number(value.start)}, {value.start_points}]"
            end = f"[{_describe_number(value.end)}, {value.end_points}]"
            return f"{{ramp: {value.fact}, from: {start}, to: {end}}}"
        case frozenset():
            return f"[{', '.join(WEEKDAYS[day] for day in sorted(value))}]"
        case tuple():
            return f"[{', '.join(map(describe_value, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "nothing" if value is None else str(value)


def describe_time_of_day(minutes: object) -> str:
    """Return a time of the day, given in minutes, as a rule file has it: `09:30`."""
    assert isinstance(minutes, int)  # noqa: S101 - the field of a window
    return f"{minutes // _MINUTES_PER_HOUR:02d}:{minutes % _MINUTES_PER_HOUR:02d}"


def describe_if_missing(fires: object) -> str:
    """Return the value of `if_missing`: what a rule does over an unknown fact."""
    return "fire" if fires else "skip"


def _describe_condition(condition: Condition) -> str:
    match condition:
        case Leaf():
            return f"{{{_describe_leaf(condition)}}}"
        case Not(part):
            return f"{{not: {_describe_condition(part)}}}"
    plain = [_describe_leaf(part) for part in condition.parts if isinstance(part, Leaf)]
    if isinstance(condition, AllOf) and len(plain) == len(condition.parts):
        return f"{{{', '.join(plain)}}}"
    word = "all" if isinstance(condition, AllOf) else "any"
    return f"{{{word}: [{', '.join(map(_describe_condition, condition.parts))}]}}"


def _describe_leaf(leaf: Leaf) -> str:
    operator = "" if leaf.op is Op.EQ else f"|{leaf.op}"
    return f"{leaf.fact}{operator}: {_describe_operand(leaf, leaf.operand)}"


def _describe_operand(leaf: Leaf, operand: object) -> str:
    if isinstance(operand, tuple):
        return f"[{', '.join(_describe_operand(leaf, each) for each in operand)}]"
    if isinstance(operand, frozenset):
        return f"[{', '.join(sorted(_describe_operand(leaf, each) for each in operand))}]"
    if isinstance(operand, re.Pattern):
        return str(operand.pattern)
    if leaf.op is Op.MISSING or FACTS[leaf.fact].type is FactType.BOOL:
        return str(bool(operand)).lower()
    return _describe_number(operand) if isinstance(operand, int) else str(operand)


def _describe_number(micro: int) -> str:
    return f"{micro / MICRO:g}"
