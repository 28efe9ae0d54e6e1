"""A condition → its disjunctive form: a few alternatives, each a plain list of comparisons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rules.conditions import AllOf, Leaf, Not

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.conditions import Condition

MAX_ALTERNATIVES = 64
MAX_COMPARISONS = 20
"""Comparisons in one alternative; an engine may need two tests for each."""


class ConditionTooLargeError(ValueError):
    """The condition has more alternatives, or longer ones, than an engine should be given."""


@dataclass(frozen=True, slots=True)
class LeafLiteral:
    """One comparison, or its opposite."""

    leaf: Leaf
    negated: bool


Alternative = tuple[LeafLiteral, ...]


def expand_alternatives(condition: Condition) -> tuple[Alternative, ...]:
    """The condition is true when every comparison of one alternative is; raises `TooLargeError`.

    This holds in Kleene's logic too, since negation moves to the comparisons unchanged: the
    whole is true (or: not false) when all of one alternative are true (or: not false).
    """
    return _expand(condition, negated=False)


def _expand(condition: Condition, *, negated: bool) -> tuple[Alternative, ...]:
    if isinstance(condition, Leaf):
        return ((LeafLiteral(condition, negated),),)
    if isinstance(condition, Not):
        return _expand(condition.part, negated=not negated)
    parts = [_expand(part, negated=negated) for part in condition.parts]
    if isinstance(condition, AllOf) is not negated:
        return _expand_product(parts)
    return _check_size(dict.fromkeys(each for part in parts for each in part))


def _expand_product(parts: Sequence[tuple[Alternative, ...]]) -> tuple[Alternative, ...]:
    product: tuple[Alternative, ...] = ((),)
    for part in parts:
        joined = (tuple(dict.fromkeys(left + right)) for left in product for right in part)
        product = _check_size(dict.fromkeys(joined))
    return product


def _check_size(found: dict[Alternative, None]) -> tuple[Alternative, ...]:
    if len(found) > MAX_ALTERNATIVES or any(len(each) > MAX_COMPARISONS for each in found):
        raise ConditionTooLargeError
    return tuple(found)
