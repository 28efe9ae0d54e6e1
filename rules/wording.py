"""A part of a rule set in the words of a rule file, for people who compare two of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rules.conditions import All, Any, Leaf, Not, Op
from rules.facts import FACTS, FactType
from rules.ruleset import Ramp
from rules.snapshot import MICRO

if TYPE_CHECKING:
    from rules.conditions import Condition

_HOUR = 60  # minutes
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def worded(value: object) -> str:
    """A field of a rule, a band, a window or a group as its file would write it."""
    match value:
        case Leaf() | All() | Any() | Not():
            return _condition(value)
        case Ramp():
            start = f"[{_number(value.start)}, {value.start_points}]"
            end = f"[{_number(value.end)}, {value.end_points}]"
            return f"{{ramp: {value.fact}, from: {start}, to: {end}}}"
        case frozenset():
            return f"[{', '.join(_WEEK[day] for day in sorted(value))}]"
        case tuple():
            return f"[{', '.join(map(worded, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "nothing" if value is None else str(value)


def clock(minutes: object) -> str:
    """A time of the day, given in minutes, as its file would write it."""
    assert isinstance(minutes, int)  # noqa: S101 - a window's own
    return f"{minutes // _HOUR:02d}:{minutes % _HOUR:02d}"


def if_missing(fires: object) -> str:
    """What an unknown does to a rule, as its file would write it."""
    return "fire" if fires else "skip"


def _condition(condition: Condition) -> str:
    match condition:
        case Leaf():
            return f"{{{_leaf(condition)}}}"
        case Not(part):
            return f"{{not: {_condition(part)}}}"
    plain = [_leaf(part) for part in condition.parts if isinstance(part, Leaf)]
    if isinstance(condition, All) and len(plain) == len(condition.parts):
        return f"{{{', '.join(plain)}}}"
    word = "all" if isinstance(condition, All) else "any"
    return f"{{{word}: [{', '.join(map(_condition, condition.parts))}]}}"


def _leaf(leaf: Leaf) -> str:
    operator = "" if leaf.op is Op.EQ else f"|{leaf.op}"
    return f"{leaf.fact}{operator}: {_operand(leaf, leaf.operand)}"


def _operand(leaf: Leaf, operand: object) -> str:
    if isinstance(operand, tuple):
        return f"[{', '.join(_operand(leaf, each) for each in operand)}]"
    if isinstance(operand, frozenset):
        return f"[{', '.join(sorted(_operand(leaf, each) for each in operand))}]"
    if isinstance(operand, re.Pattern):
        return str(operand.pattern)
    if leaf.op is Op.MISSING or FACTS[leaf.fact].type is FactType.BOOL:
        return str(bool(operand)).lower()
    return _number(operand) if isinstance(operand, int) else str(operand)


def _number(micro: int) -> str:
    return f"{micro / MICRO:g}"
