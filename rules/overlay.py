"""An operator's documents laid over the shipped ones: add, merge key by key, or replace.

What is merged keeps its own place, so that a problem, and later a decision, names the file and
line in which a person wrote it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from rules.document import YamlEntry, YamlMapping, YamlScalar, YamlSequence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.document import YamlNode

_IDENTITY_FIELDS = {
    "vetoes": "id",
    "scores": "id",
    "tests": "name",
    "thresholds": "verdict",
    "bands": "band",
}
"""By which field two entries of a list are the same one."""

_NAMED_SECTIONS = ("windows", "lists", "groups")


def overlay_documents(
    shipped: Sequence[YamlMapping], own: Sequence[YamlMapping]
) -> list[YamlMapping]:
    """The documents in force: a file of a new name is added, of the same name merged.

    `override: true` in an operator's file takes the place of the shipped one.
    """
    below = {_file_name(document): document for document in shipped}
    for document in own:
        name = _file_name(document)
        stands = below.get(name)
        replaces = stands is None or _is_override(document)
        below[name] = document if replaces or stands is None else _merge_documents(stands, document)
    return list(below.values())


def _file_name(document: YamlMapping) -> str:
    return PurePath(document.files[0]).name


def _is_override(document: YamlMapping) -> bool:
    node = document.get("override")
    return isinstance(node, YamlScalar) and node.value is True


def _merge_documents(below: YamlMapping, above: YamlMapping) -> YamlMapping:
    entries = dict(below.entries)
    for key, entry in above.entries.items():
        stands = entries.get(key)
        value = entry.value if stands is None else _merge_nodes(key, stands.value, entry.value)
        entries[key] = replace(entry, value=value)
    return YamlMapping(below.place, entries, (*below.files, *above.files))


def _merge_nodes(key: str, below: YamlNode, above: YamlNode) -> YamlNode:
    match below, above:
        case YamlSequence(), YamlSequence() if key in _IDENTITY_FIELDS:
            return _merge_sequences(_IDENTITY_FIELDS[key], below, above)
        case YamlMapping(), YamlMapping() if key in _NAMED_SECTIONS:
            return _merge_fields(below, above, deep=True)
        case YamlMapping(), YamlMapping():
            return _merge_fields(below, above)
    return above


def _merge_sequences(identity: str, below: YamlSequence, above: YamlSequence) -> YamlSequence:
    """Entries that are already there are changed where they stand; new ones come after them."""
    items = list(below.items)
    places = {_entry_identity(item, identity): index for index, item in enumerate(items)}
    for item in above.items:
        # Each is met once: a second entry of the same name is for the reader to refuse.
        index = places.pop(_entry_identity(item, identity), None)
        if index is None:
            items.append(item)
            continue
        items[index] = _merge_nodes("", items[index], item)
    return YamlSequence(above.place, tuple(items))


def _entry_identity(node: YamlNode, key: str) -> object:
    """What the entry is called; an entry without a name is like no other."""
    named = node.get(key) if isinstance(node, YamlMapping) else None
    return named.value if isinstance(named, YamlScalar) else id(node)


def _merge_fields(below: YamlMapping, above: YamlMapping, *, deep: bool = False) -> YamlMapping:
    """Field by field; `null` takes a field away."""
    entries = dict(below.entries)
    for key, entry in above.entries.items():
        stands = entries.get(key)
        if isinstance(entry.value, YamlScalar) and entry.value.value is None:
            entries.pop(key, None)
        elif deep and stands is not None:
            entries[key] = YamlEntry(key, entry.place, _merge_nodes("", stands.value, entry.value))
        else:
            entries[key] = entry
    return YamlMapping(above.place, entries)
