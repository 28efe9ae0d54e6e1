"""Reads one mapping of a rule file field by field; a bad value is a problem at its location."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.document import YamlMapping, YamlScalar, YamlSequence
from rules.problems import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rules.document import YamlNode
    from rules.problems import ProblemCollector, SourceLocation


_MAX_TEXT_LENGTH = 500  # characters of an id, a reason, a name


class FieldReader:
    """Reads the fields of one mapping.

    A bad or missing value adds a problem and gives a harmless one, so that reading goes on and all
    problems are found at once.
    """

    def __init__(
        self, section: YamlMapping, known: Iterable[str], problems: ProblemCollector
    ) -> None:
        """Add a problem for every field that is not `known`."""
        self.place = section.place
        self.section = section
        self.problems = problems
        names = tuple(known)
        for entry in section.entries.values():
            if entry.key not in names:
                hint = did_you_mean(entry.key, names)
                problems.add(entry.place, f"`{entry.key}` has no meaning here{hint}")

    def node(self, key: str) -> YamlNode | None:
        """Return the node of `key`, or None."""
        return self.section.get(key)

    def location_of(self, key: str) -> SourceLocation:
        """Return the location of the value of `key`, or of the mapping where it has none."""
        node = self.section.get(key)
        return self.place if node is None else node.place

    def wrong(self, key: str, sentence: str) -> None:
        """Add a problem at the location of `key`."""
        self.problems.add(self.location_of(key), sentence)

    def text(self, key: str) -> str:
        """Return the text of `key`, which is required."""
        node = self.section.get(key)
        word = node.value if isinstance(node, YamlScalar) else None
        if isinstance(word, str) and word.strip() and len(word) <= _MAX_TEXT_LENGTH:
            return word
        self.wrong(key, f"`{key}` must be a text of at most {_MAX_TEXT_LENGTH} characters")
        return ""

    def whole(self, key: str, low: int, high: int) -> int:
        """Return the whole number of `key`, which is required."""
        number = self.find_whole(key, low, high)
        return low if number is None else number

    def find_whole(self, key: str, low: int, high: int) -> int | None:
        """Return the whole number of `key`, which is required; None where it is none."""
        node = self.section.get(key)
        number = node.value if isinstance(node, YamlScalar) else None
        if isinstance(number, int) and not isinstance(number, bool) and low <= number <= high:
            return number
        self.wrong(key, f"`{key}` must be a whole number from {low} to {high}")
        return None

    def flag(self, key: str) -> bool:
        """Return the boolean of `key`; False when it is missing."""
        node = self.section.get(key)
        if node is None:
            return False
        if isinstance(node, YamlScalar) and isinstance(node.value, bool):
            return node.value
        self.wrong(key, f"`{key}` is true or false")
        return False

    def choice(self, key: str, known: Iterable[str]) -> str:
        """Return the word of `key`, which is required and one of `known`."""
        node = self.section.get(key)
        words = tuple(known)
        word = node.value if isinstance(node, YamlScalar) else None
        if isinstance(word, str) and word in words:
            return word
        hint = did_you_mean(str(word), words)
        shown = f", not `{word}`{hint}" if isinstance(word, str) else ""
        self.wrong(key, f"`{key}` is one of {', '.join(words)}{shown}")
        return ""


def read_mappings(
    node: YamlNode | None, what: str, problems: ProblemCollector
) -> Iterator[YamlMapping]:
    """Yield the mappings of a list; anything else in it, or instead of it, is a problem."""
    if node is None:
        return
    if not isinstance(node, YamlSequence):
        problems.add(node.place, f"`{what}` is a list")
        return
    for item in node.items:
        if isinstance(item, YamlMapping):
            yield item
        else:
            problems.add(item.place, f"Each of `{what}` is a mapping")


def read_texts(
    node: YamlNode | None, what: str, problems: ProblemCollector
) -> list[tuple[str, SourceLocation]]:
    """Return the texts of a list, each with its location; anything else is a problem."""
    found: list[tuple[str, SourceLocation]] = []
    if not isinstance(node, YamlSequence) or not node.items:
        if node is not None:
            problems.add(node.place, f"`{what}` is a list of texts")
        return found
    for item in node.items:
        if isinstance(item, YamlScalar) and isinstance(item.value, str) and item.value:
            found.append((item.value, item.place))
        else:
            problems.add(item.place, f"Each of `{what}` is a text")
    return found


def read_named_nodes(
    node: YamlNode | None, what: str, problems: ProblemCollector
) -> Iterator[tuple[str, YamlNode]]:
    """Yield the `name: value` pairs of a mapping; anything else is a problem."""
    if isinstance(node, YamlMapping):
        for entry in node.entries.values():
            yield entry.key, entry.value
    elif node is not None:
        problems.add(node.place, f"`{what}` is a mapping of names")
