"""Conditions as a tree, their value in Kleene's three-valued logic, and their disjunctive form."""

from __future__ import annotations

import re
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, cast

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rules.known_values import KnownValue


class Truth(IntEnum):
    """A truth value, ordered so that `all` is the minimum of its parts and `any` the maximum."""

    FALSE = 0
    UNKNOWN = 1
    TRUE = 2


class Op(StrEnum):
    """The operators of `fact|op: value`; the default is `eq`."""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    IN = "in"
    NOT_IN = "not_in"
    BETWEEN = "between"
    MATCHES = "matches"
    CONTAINS = "contains"
    MISSING = "missing"


Operand = (
    int | str | tuple[int, int] | frozenset[int] | frozenset[str] | tuple[re.Pattern[str], ...]
)
"""What a fact is compared with: one value, both ends of a range, some values, or patterns."""


class Leaf(Struct, frozen=True):
    """One comparison of one fact; numbers are in millionths, flags 0 or 1."""

    fact: str
    op: Op
    operand: Operand


class AllOf(Struct, frozen=True):
    """True when every part is true."""

    parts: tuple[Condition, ...]


class AnyOf(Struct, frozen=True):
    """True when at least one part is true."""

    parts: tuple[Condition, ...]


class Not(Struct, frozen=True):
    """True when the part is false."""

    part: Condition


Condition = Leaf | AllOf | AnyOf | Not


def iter_leaves(condition: Condition) -> Iterator[Leaf]:
    """Yield every comparison in the tree, in file order."""
    if isinstance(condition, Leaf):
        yield condition
    elif isinstance(condition, Not):
        yield from iter_leaves(condition.part)
    else:
        for part in condition.parts:
            yield from iter_leaves(part)


def evaluate_leaf(leaf: Leaf, values: Mapping[str, KnownValue]) -> Truth:
    """Return the truth of one comparison for the known values; UNKNOWN for a missing fact."""
    value = values.get(leaf.fact)
    # Before the check below: `missing` is the one operator that is never unknown.
    if leaf.op is Op.MISSING:
        return Truth.TRUE if (value is None) == bool(leaf.operand) else Truth.FALSE
    if value is None:
        return Truth.UNKNOWN
    return Truth.TRUE if _value_matches(leaf, value) else Truth.FALSE


def _value_matches(leaf: Leaf, value: KnownValue) -> bool:
    if isinstance(value, frozenset):
        return _set_matches(leaf, value)
    if isinstance(value, str) and leaf.op in (Op.MATCHES, Op.CONTAINS):
        patterns = cast("tuple[re.Pattern[str], ...]", leaf.operand)
        return any(pattern.search(value) for pattern in patterns)
    if leaf.op in (Op.IN, Op.NOT_IN):
        found = value in cast("frozenset[int | str]", leaf.operand)
        return found is (leaf.op is Op.IN)
    if leaf.op in (Op.EQ, Op.NE):
        return (value == leaf.operand) is (leaf.op is Op.EQ)
    return _order_matches(leaf, cast("int", value))


def _set_matches(leaf: Leaf, names: frozenset[str]) -> bool:
    wanted = leaf.operand if isinstance(leaf.operand, frozenset) else frozenset((leaf.operand,))
    meets = not names.isdisjoint(wanted)
    return meets is (leaf.op in (Op.EQ, Op.IN))


def _order_matches(leaf: Leaf, value: int) -> bool:
    if leaf.op is Op.BETWEEN:
        low, high = cast("tuple[int, int]", leaf.operand)
        return low <= value <= high
    bound = cast("int", leaf.operand)
    match leaf.op:
        case Op.GT:
            return value > bound
        case Op.GTE:
            return value >= bound
        case Op.LT:
            return value < bound
        case _:
            return value <= bound


MAX_ALTERNATIVES = 64
# Of one alternative. It has to fit a shard of 48 tests, and a comparison may need two of them.
MAX_COMPARISONS = 20


class ConditionTooLargeError(ValueError):
    """The condition has more alternatives, or longer ones, than an engine should be given."""


class LeafLiteral(Struct, frozen=True):
    """One comparison, or its negation."""

    leaf: Leaf
    negated: bool


Alternative = tuple[LeafLiteral, ...]


def expand_alternatives(condition: Condition) -> tuple[Alternative, ...]:
    """Return the condition in disjunctive form: true when all literals of one alternative are.

    The same holds for "not false" in place of "true", so the form keeps Kleene's unknown. Raises
    `ConditionTooLargeError`.
    """
    return _expand(condition, negated=False)


def _expand(condition: Condition, *, negated: bool) -> tuple[Alternative, ...]:
    if isinstance(condition, Leaf):
        return ((LeafLiteral(condition, negated),),)
    if isinstance(condition, Not):
        return _expand(condition.part, negated=not negated)
    parts = [_expand(part, negated=negated) for part in condition.parts]
    # De Morgan: a negated `all` is an `any` of negated parts, and the other way round.
    if isinstance(condition, AllOf) is not negated:
        return _expand_product(parts)
    return _check_size(dict.fromkeys(each for part in parts for each in part))


def _expand_product(parts: Sequence[tuple[Alternative, ...]]) -> tuple[Alternative, ...]:
    product: tuple[Alternative, ...] = ((),)
    for part in parts:
        joined = (tuple(dict.fromkeys(left + right)) for left in product for right in part)
        # Checked at every step: the whole product could be too large to build.
        product = _check_size(dict.fromkeys(joined))
    return product


def _check_size(found: dict[Alternative, None]) -> tuple[Alternative, ...]:
    if len(found) > MAX_ALTERNATIVES or any(len(each) > MAX_COMPARISONS for each in found):
        raise ConditionTooLargeError
    return tuple(found)
