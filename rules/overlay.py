"""An operator's documents laid over the shipped ones: add, merge key by key, or replace.

What is merged keeps its own place, so that a problem, and later a decision, names the file and
line in which a person wrote it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from rules.document import Entry, Listing, Scalar, Section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.document import Node

_IDENTITY = {
    "vetoes": "id",
    "scores": "id",
    "tests": "name",
    "thresholds": "verdict",
    "bands": "band",
}
"""By which field two entries of a list are the same one."""

_NAMED = ("windows", "lists", "groups")


def laid_over(shipped: Sequence[Section], own: Sequence[Section]) -> list[Section]:
    """The documents in force: a file of a new name is added, of the same name merged.

    `override: true` in an operator's file takes the place of the shipped one.
    """
    below = {_name(document): document for document in shipped}
    for document in own:
        name = _name(document)
        stands = below.get(name)
        replaces = stands is None or _overrides(document)
        below[name] = document if replaces or stands is None else _merged(stands, document)
    return list(below.values())


def _name(document: Section) -> str:
    return PurePath(document.files[0]).name


def _overrides(document: Section) -> bool:
    node = document.get("override")
    return isinstance(node, Scalar) and node.value is True


def _merged(below: Section, above: Section) -> Section:
    entries = dict(below.entries)
    for key, entry in above.entries.items():
        stands = entries.get(key)
        value = entry.value if stands is None else _section(key, stands.value, entry.value)
        entries[key] = replace(entry, value=value)
    return Section(below.place, entries, (*below.files, *above.files))


def _section(key: str, below: Node, above: Node) -> Node:
    match below, above:
        case Listing(), Listing() if key in _IDENTITY:
            return _listing(_IDENTITY[key], below, above)
        case Section(), Section() if key in _NAMED:
            return _fields(below, above, deep=True)
        case Section(), Section():
            return _fields(below, above)
    return above


def _listing(identity: str, below: Listing, above: Listing) -> Listing:
    """Entries that are already there are changed where they stand; new ones come after them."""
    items = list(below.items)
    places = {_word(item, identity): index for index, item in enumerate(items)}
    for item in above.items:
        # Each is met once: a second entry of the same name is for the reader to refuse.
        index = places.pop(_word(item, identity), None)
        if index is None:
            items.append(item)
            continue
        items[index] = _section("", items[index], item)
    return Listing(above.place, tuple(items))


def _word(node: Node, key: str) -> object:
    """What the entry is called; an entry without a name is like no other."""
    named = node.get(key) if isinstance(node, Section) else None
    return named.value if isinstance(named, Scalar) else id(node)


def _fields(below: Section, above: Section, *, deep: bool = False) -> Section:
    """Field by field; `null` takes a field away."""
    entries = dict(below.entries)
    for key, entry in above.entries.items():
        stands = entries.get(key)
        if isinstance(entry.value, Scalar) and entry.value.value is None:
            entries.pop(key, None)
        elif deep and stands is not None:
            entries[key] = Entry(key, entry.place, _section("", stands.value, entry.value))
        else:
            entries[key] = entry
    return Section(above.place, entries)
