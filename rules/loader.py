"""Rule files → one `RuleSet`, or every problem in them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.document import Entry, Listing, Scalar, Section, read_document
from rules.problems import Place, Problems, did_you_mean
from rules.ruleset import Format, RuleSet
from rules.sections import SetReader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rules.document import Node

_COMMON = ("format", "score", "lists", "scores", "groups", "tests")
_KEYS = {
    Format.GATE: (*_COMMON, "thresholds", "windows", "vetoes"),
    Format.SCORE: (*_COMMON, "bands"),
}


def load(paths: Sequence[Path]) -> RuleSet:
    """Read rule files of one format as one set; raises `RulesInvalid` with all the problems."""
    problems = Problems()
    documents = [read_document(path, problems) for path in paths]
    sound = [document for document in documents if document is not None]
    if not paths:
        problems.add(Place("rules", 1, 1), "No rule file was named")
    kind = _format(sound, problems)
    if kind is None or len(sound) < len(documents):
        # What the sections mean, or lack, cannot be told from the rest.
        raise problems.invalid()
    for document in sound:
        _check_keys(document, kind, problems)
    ruleset = SetReader(kind, combine(sound, problems), problems).read(tuple(map(str, paths)))
    problems.raise_if_any()
    return ruleset


def combine(documents: Sequence[Section], problems: Problems) -> Section:
    """Several files' documents as one: sections and lists of rules join, the rest stands once."""
    entries: dict[str, Entry] = {}
    for document in documents:
        for key, entry in document.entries.items():
            earlier = entries.get(key)
            entries[key] = entry if earlier is None else _joined(earlier, entry, problems)
    return Section(documents[0].place, entries)


def _joined(first: Entry, second: Entry, problems: Problems) -> Entry:
    match first.value, second.value:
        case Listing() as one, Listing() as other if first.key in ("vetoes", "scores", "tests"):
            joined = Listing(one.place, one.items + other.items)
            return Entry(first.key, first.place, joined)
        case Section() as one, Section() as other if first.key in ("windows", "lists", "groups"):
            return _joined_sections(first, one, other, problems)
    if first.key != "format":
        problems.add(second.place, f"`{first.key}` stands already at {first.place}")
    return first


def _joined_sections(entry: Entry, first: Section, second: Section, problems: Problems) -> Entry:
    for key in second.entries.keys() & first.entries.keys():
        earlier = first.entries[key].place
        problems.add(second.entries[key].place, f"`{key}` stands already at {earlier}")
    joined = {**second.entries, **first.entries}
    return Entry(entry.key, entry.place, Section(first.place, joined))


def _format(documents: Sequence[Section], problems: Problems) -> Format | None:
    """The format all files share; None, with the problems noted, when there is none."""
    found: list[Format] = []
    known = [each.value for each in Format]
    for document in documents:
        node = document.get("format")
        word = node.value if isinstance(node, Scalar) else None
        if word in known:
            found.append(Format(str(word)))
            if found[-1] is not found[0]:
                problems.add(_at(node, document), f"The other files are `{found[0]}`")
        else:
            hint = did_you_mean(str(word), known)
            problems.add(
                _at(node, document), f"`format` is one of {', '.join(known)}, not `{word}`{hint}"
            )
    return found[0] if len(found) == len(documents) and len(set(found)) == 1 else None


def _at(node: Node | None, document: Section) -> Place:
    return document.place if node is None else node.place


def _check_keys(document: Section, kind: Format, problems: Problems) -> None:
    for key, entry in document.entries.items():
        if key not in _KEYS[kind]:
            hint = did_you_mean(key, _KEYS[kind])
            problems.add(entry.place, f"`{key}` is no part of a `{kind}` file{hint}")
