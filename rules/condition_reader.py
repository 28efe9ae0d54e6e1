"""Reads the `when:` of a rule file to a condition tree, and checks names, operators and values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from rules.conditions import AllOf, AnyOf, Leaf, Not, Op
from rules.document import YamlMapping, YamlScalar, YamlSequence
from rules.facts import FACTS, FactType, find_nearest_fact
from rules.known_values import to_micro
from rules.patterns import UnsafePatternError, compile_pattern, compile_phrase
from rules.problems import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rules.conditions import Condition, Operand
    from rules.document import YamlEntry, YamlNode
    from rules.facts import Fact
    from rules.problems import ProblemCollector, SourceLocation


_EQUALITY = (Op.EQ, Op.NE, Op.IN, Op.NOT_IN, Op.MISSING)
OPERATORS: Mapping[FactType, tuple[Op, ...]] = {
    FactType.BOOL: (Op.EQ, Op.NE, Op.MISSING),
    FactType.NUMBER: (*_EQUALITY, Op.GT, Op.GTE, Op.LT, Op.LTE, Op.BETWEEN),
    FactType.ENUM: _EQUALITY,
    FactType.TEXT: (*_EQUALITY, Op.MATCHES, Op.CONTAINS),
    FactType.NAMES: _EQUALITY,
}
"""The operators that are allowed on each type of fact."""

_LIST_OPERATORS = (Op.IN, Op.NOT_IN, Op.MATCHES, Op.CONTAINS)
_SEARCH_OPERATORS = (Op.MATCHES, Op.CONTAINS)
_COMPARISON = re.compile(r"\s*(>=|<=|≥|≤|!=|==|=|>|<)\s*(-?\d+(?:\.\d+)?)\s*")
_OPERATOR_OF_SIGN = {
    ">": Op.GT,
    ">=": Op.GTE,
    "≥": Op.GTE,
    "<": Op.LT,
    "<=": Op.LTE,
    "≤": Op.LTE,
    "!=": Op.NE,
}
"""Equal needs no operator."""


class OperandReader(Struct, frozen=True):
    """Reads the values that facts are compared with, in files that declare these windows and lists.

    A word of a list has its own location, so that a problem with it names that line of the list.
    """

    problems: ProblemCollector
    windows: Sequence[str]
    lists: Mapping[str, Sequence[tuple[str, SourceLocation]]]
    used: set[str]
    """Names of the lists that conditions refer to; filled while reading."""

    def read(self, fact: Fact, op: Op, node: YamlNode) -> Operand | None:
        """Return what `op` compares `fact` with; None, with a problem added, if it does not fit."""
        if op is Op.MISSING:
            return self._boolean(node)
        if op is Op.BETWEEN:
            return self._range(fact, node)
        if op in _SEARCH_OPERATORS:
            return self._patterns(op, node)
        if op in _LIST_OPERATORS:
            return self._values(fact, op, node)
        return self.value(fact, node)

    def value(self, fact: Fact, node: YamlNode) -> int | str | None:
        """Return one value of `fact`; None, with a problem added, if it is not one."""
        raw = node.value if isinstance(node, YamlScalar) else None
        read: int | str | None = None
        if isinstance(node, YamlScalar) and raw is None:
            self.problems.add(
                node.place, f"Nothing is compared here: for unknown write {fact.name}|missing: true"
            )
            return None
        match fact.type:
            case FactType.BOOL:
                read = int(raw) if isinstance(raw, bool) else None
            case FactType.NUMBER:
                read = _read_number(fact, raw)
            case FactType.TEXT:
                read = raw if isinstance(raw, str) and len(raw) <= fact.high else None
            case FactType.ENUM:
                return self._word(fact.name, fact.values, node.place, raw)
            case _:
                return self._word(fact.name, self.windows, node.place, raw)
        if read is None:
            sentence = f"{fact.name} is {_describe_values(fact)}{_suggest_operator(fact, raw)}"
            self.problems.add(node.place, sentence)
        return read

    def _boolean(self, node: YamlNode) -> int | None:
        if isinstance(node, YamlScalar) and isinstance(node.value, bool):
            return int(node.value)
        self.problems.add(node.place, "`missing` takes true or false")
        return None

    def _range(self, fact: Fact, node: YamlNode) -> tuple[int, int] | None:
        ends = node.items if isinstance(node, YamlSequence) else ()
        match [self.value(fact, end) for end in ends]:
            case [int(low), int(high)] if low <= high:
                return low, high
        self.problems.add(node.place, "`between` takes [lowest, highest], both included")
        return None

    def _values(self, fact: Fact, op: Op, node: YamlNode) -> Operand | None:
        values = [self.value(fact, item) for item in self._items(op, node)]
        numbers = frozenset(value for value in values if isinstance(value, int))
        words = frozenset(value for value in values if isinstance(value, str))
        return None if None in values else numbers or words or None

    def _patterns(self, op: Op, node: YamlNode) -> Operand | None:
        read = [self._pattern(op, item) for item in self._items(op, node)]
        sound = tuple(pattern for pattern in read if pattern is not None)
        return sound if sound and len(sound) == len(read) else None

    def _pattern(self, op: Op, node: YamlNode) -> re.Pattern[str] | None:
        raw = node.value if isinstance(node, YamlScalar) else None
        if not isinstance(raw, str) or not raw:
            self.problems.add(node.place, f"`{op}` takes text, or a list of texts")
            return None
        try:
            return compile_phrase(raw) if op is Op.CONTAINS else compile_pattern(raw)
        except UnsafePatternError as error:
            self.problems.add(node.place, str(error))
            return None

    def _items(self, op: Op, node: YamlNode) -> tuple[YamlNode, ...]:
        if isinstance(node, YamlSequence) and node.items:
            return node.items
        if isinstance(node, YamlMapping) and list(node.entries) == ["list"]:
            return self._named_list(node)
        if isinstance(node, YamlScalar) and op in _SEARCH_OPERATORS:
            return (node,)
        self.problems.add(
            node.place, f"`{op}` takes a list of values, or {{list: NAME}} of one under `lists:`"
        )
        return ()

    def _named_list(self, node: YamlMapping) -> tuple[YamlNode, ...]:
        name = node.get("list")
        word = str(name.value) if isinstance(name, YamlScalar) else "…"
        if word in self.lists:
            self.used.add(word)
            return tuple(YamlScalar(place, item) for item, place in self.lists[word])
        hint = did_you_mean(word, self.lists)
        self.problems.add(node.place, f"There is no list `{word}` under `lists:`{hint}")
        return ()

    def _word(
        self, name: str, known: Sequence[str], place: SourceLocation, raw: object
    ) -> str | None:
        if isinstance(raw, str) and raw in known:
            return raw
        shown = str(raw).lower() if isinstance(raw, bool) else str(raw)
        hint = did_you_mean(shown, known)
        values = ", ".join(known) or "nothing: no window is declared under `windows:`"
        self.problems.add(place, f"`{shown}` is no value of {name}{hint}: it knows {values}")
        return None


def _read_number(fact: Fact, raw: object) -> int | None:
    # bool is a subclass of int: `true` is no number of links.
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    return to_micro(raw) if fact.low <= raw <= fact.high else None


def _suggest_operator(fact: Fact, raw: object) -> str:
    """Return a hint where a comparison is written in front of a number, as in `">= 3"`."""
    compared = _COMPARISON.fullmatch(raw) if isinstance(raw, str) else None
    if fact.type is not FactType.NUMBER or compared is None:
        return ""
    sign, number = compared.groups()
    bar = f"|{_OPERATOR_OF_SIGN[sign]}" if sign in _OPERATOR_OF_SIGN else ""
    return f" (did you mean {fact.name}{bar}: {number}?)"


def _describe_values(fact: Fact) -> str:
    match fact.type:
        case FactType.BOOL:
            return "true or false"
        case FactType.NUMBER:
            return f"a number of {fact.unit} from {fact.low} to {fact.high}"
        case _:
            return f"a text of at most {fact.high} characters"


class ConditionReader(Struct, frozen=True):
    """Reads the conditions of one ruleset.

    `prospect_only`: a score has no message, so its rules may name prospect facts alone.
    """

    problems: ProblemCollector
    operands: OperandReader
    prospect_only: bool

    def read(self, node: YamlNode) -> Condition | None:
        """Return the condition under a `when:`, or None when it has problems."""
        if not isinstance(node, YamlMapping) or not node.entries:
            self.problems.add(
                node.place, "A condition is a mapping such as {prospect.suppressed: true}"
            )
            return None
        parts = [self._entry(entry) for entry in node.entries.values()]
        sound = tuple(part for part in parts if part is not None)
        if len(sound) < len(parts):
            return None
        return sound[0] if len(sound) == 1 else AllOf(sound)

    def fact(self, name: str, place: SourceLocation) -> Fact | None:
        """Return the fact called `name`; None, with a problem added, if a rule may not name it."""
        fact = FACTS.get(name)
        if fact is None:
            near = find_nearest_fact(name)
            hint = f" (did you mean {near}?)" if near else ""
            self.problems.add(place, f"There is no fact `{name}`{hint}")
        elif self.prospect_only and not name.startswith("prospect."):
            self.problems.add(place, f"A score reads prospect facts alone, not `{name}`")
            return None
        return fact

    def _entry(self, entry: YamlEntry) -> Condition | None:
        if entry.key in ("all", "any"):
            return self._combined(entry)
        if entry.key == "not":
            part = self.read(entry.value)
            return None if part is None else Not(part)
        return self._leaf(entry)

    def _combined(self, entry: YamlEntry) -> Condition | None:
        if not isinstance(entry.value, YamlSequence) or not entry.value.items:
            self.problems.add(entry.place, f"`{entry.key}` takes a list of conditions")
            return None
        parts = [self.read(item) for item in entry.value.items]
        sound = tuple(part for part in parts if part is not None)
        if len(sound) < len(parts):
            return None
        return AllOf(sound) if entry.key == "all" else AnyOf(sound)

    def _leaf(self, entry: YamlEntry) -> Leaf | None:
        name, bar, word = entry.key.partition("|")
        fact = self.fact(name, entry.place)
        if fact is None:
            return None
        allowed = OPERATORS[fact.type]
        op = next((op for op in allowed if op == (word if bar else "eq")), None)
        if op is None:
            known = ", ".join(allowed)
            hint = did_you_mean(word, allowed)
            self.problems.add(
                entry.place,
                f"`{word}` is no operator for {name}, a {fact.type}{hint}: it takes {known}",
            )
            return None
        operand = self.operands.read(fact, op, entry.value)
        return None if operand is None else Leaf(fact.name, op, operand)
