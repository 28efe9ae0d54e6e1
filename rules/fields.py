"""One mapping of a rule file, read field by field; each misfit is a problem at its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.document import Listing, Scalar, Section
from rules.problems import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rules.document import Node
    from rules.problems import Place, Problems

_LONGEST = 500  # characters of an id, a reason, a name


class Fields:
    """Reads the fields of one section; a field that is no part of it is a problem."""

    def __init__(self, section: Section, known: Iterable[str], problems: Problems) -> None:
        """Note every unknown field at once."""
        self.place = section.place
        self.section = section
        self.problems = problems
        names = tuple(known)
        for entry in section.entries.values():
            if entry.key not in names:
                hint = did_you_mean(entry.key, names)
                problems.add(entry.place, f"`{entry.key}` has no meaning here{hint}")

    def node(self, key: str) -> Node | None:
        """The value of `key`, unread."""
        return self.section.get(key)

    def at(self, key: str) -> Place:
        """Where the value of `key` stands; the section, when there is none."""
        node = self.section.get(key)
        return self.place if node is None else node.place

    def wrong(self, key: str, sentence: str) -> None:
        """Note that `key` does not fit."""
        self.problems.add(self.at(key), sentence)

    def text(self, key: str) -> str:
        """The text of `key`, which must be there."""
        node = self.section.get(key)
        word = node.value if isinstance(node, Scalar) else None
        if isinstance(word, str) and word.strip() and len(word) <= _LONGEST:
            return word
        self.wrong(key, f"`{key}` must be a text of at most {_LONGEST} characters")
        return ""

    def whole(self, key: str, low: int, high: int) -> int:
        """The whole number of `key`, which must be there."""
        node = self.section.get(key)
        number = node.value if isinstance(node, Scalar) else None
        if isinstance(number, int) and not isinstance(number, bool) and low <= number <= high:
            return number
        self.wrong(key, f"`{key}` must be a whole number from {low} to {high}")
        return low

    def flag(self, key: str) -> bool:
        """The true or false of `key`; false when it is not there."""
        node = self.section.get(key)
        if node is None:
            return False
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        self.wrong(key, f"`{key}` is true or false")
        return False

    def choice(self, key: str, known: Iterable[str]) -> str:
        """The word of `key`, one of `known`, which must be there; empty when it is not."""
        node = self.section.get(key)
        words = tuple(known)
        word = node.value if isinstance(node, Scalar) else None
        if isinstance(word, str) and word in words:
            return word
        hint = did_you_mean(str(word), words)
        shown = f", not `{word}`{hint}" if isinstance(word, str) else ""
        self.wrong(key, f"`{key}` is one of {', '.join(words)}{shown}")
        return ""


def sections(node: Node | None, what: str, problems: Problems) -> Iterator[Section]:
    """The mappings of a listing; anything else in it, or instead of it, is a problem."""
    if node is None:
        return
    if not isinstance(node, Listing):
        problems.add(node.place, f"`{what}` is a list")
        return
    for item in node.items:
        if isinstance(item, Section):
            yield item
        else:
            problems.add(item.place, f"Each of `{what}` is a mapping")


def words(node: Node | None, what: str, problems: Problems) -> list[tuple[str, Place]]:
    """The texts of a listing, each with its place."""
    found: list[tuple[str, Place]] = []
    if not isinstance(node, Listing) or not node.items:
        if node is not None:
            problems.add(node.place, f"`{what}` is a list of texts")
        return found
    for item in node.items:
        if isinstance(item, Scalar) and isinstance(item.value, str) and item.value:
            found.append((item.value, item.place))
        else:
            problems.add(item.place, f"Each of `{what}` is a text")
    return found


def named(node: Node | None, what: str, problems: Problems) -> Iterator[tuple[str, Node]]:
    """The `name: value` pairs of a mapping; anything else is a problem."""
    if isinstance(node, Section):
        for entry in node.entries.values():
            yield entry.key, entry.value
    elif node is not None:
        problems.add(node.place, f"`{what}` is a mapping of names")
