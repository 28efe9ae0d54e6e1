"""A condition → its disjunctive form: a few alternatives, each a plain list of comparisons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rules.conditions import All, Leaf, Not

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.conditions import Condition

MOST_ALTERNATIVES = 64
MOST_CONDITIONS = 20
"""Comparisons in one alternative; an engine may need two tests for each."""


class TooLargeError(ValueError):
    """The condition has more alternatives, or longer ones, than an engine should be given."""


@dataclass(frozen=True, slots=True)
class Literal:
    """One comparison, or its opposite."""

    leaf: Leaf
    negated: bool


Alternative = tuple[Literal, ...]


def alternatives(condition: Condition) -> tuple[Alternative, ...]:
    """The condition is true when every comparison of one alternative is; raises `TooLargeError`.

    This holds in Kleene's logic too, since negation moves to the comparisons unchanged: the
    whole is true (or: not false) when all of one alternative are true (or: not false).
    """
    return _expanded(condition, negated=False)


def _expanded(condition: Condition, *, negated: bool) -> tuple[Alternative, ...]:
    if isinstance(condition, Leaf):
        return ((Literal(condition, negated),),)
    if isinstance(condition, Not):
        return _expanded(condition.part, negated=not negated)
    parts = [_expanded(part, negated=negated) for part in condition.parts]
    if isinstance(condition, All) is not negated:
        return _product(parts)
    return _within(dict.fromkeys(each for part in parts for each in part))


def _product(parts: Sequence[tuple[Alternative, ...]]) -> tuple[Alternative, ...]:
    product: tuple[Alternative, ...] = ((),)
    for part in parts:
        joined = (tuple(dict.fromkeys(left + right)) for left in product for right in part)
        product = _within(dict.fromkeys(joined))
    return product


def _within(found: dict[Alternative, None]) -> tuple[Alternative, ...]:
    if len(found) > MOST_ALTERNATIVES or any(len(each) > MOST_CONDITIONS for each in found):
        raise TooLargeError
    return tuple(found)
