"""The `when:` of a rule file → a condition tree, each name, operator and value checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rules.conditions import AllOf, AnyOf, Leaf, Not
from rules.document import YamlMapping, YamlSequence
from rules.facts import FACTS, find_nearest_fact
from rules.operand_reader import OPERATORS, OperandReader
from rules.problems import did_you_mean

if TYPE_CHECKING:
    from rules.conditions import Condition
    from rules.document import YamlEntry, YamlNode
    from rules.facts import Fact
    from rules.problems import ProblemCollector, SourceLocation


@dataclass(frozen=True, slots=True)
class ConditionReader:
    """Reads conditions of one rule set; those of a score set name prospect facts alone."""

    problems: ProblemCollector
    operands: OperandReader
    prospect_only: bool

    def read(self, node: YamlNode) -> Condition | None:
        """The condition under a `when:`; None when it has problems."""
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
        """The fact called `name`; None, with the problem noted, when a rule may not name it."""
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
