"""Edits one value in the text of a rule file; every other character stays as it was.

The text is only parsed for positions. Dumping it again would lose the author's layout.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

EntryPath: TypeAlias = tuple[str | int, ...]
"""The path to a value in an entry: keys of mappings, and indexes of lists."""


def get_top_value(text: str, key: str) -> str | None:
    """Return the scalar of a top-level key, as it is written, or None."""
    found = _find_field(_parse_root(text), key)
    return str(found[1].value) if found and isinstance(found[1], ScalarNode) else None


def set_value(text: str, section: str, named: tuple[str, str], path: EntryPath, value: str) -> str:
    """Return the text with `value` at `path` in the entry whose key `named[0]` has `named[1]`.

    In a section that is a mapping it is the entry under `named[1]`. Missing keys of `path` are
    added. Raises LookupError where there is no such entry.
    """
    node = _find_entry(text, section, named)
    if node is None:
        raise LookupError(section, named)
    for depth, key in enumerate(path, 1):
        if isinstance(key, int):
            node = node.value[key]
            continue
        found = _find_field(node, key)
        if found is None:
            return _add_field(text, node, f"{key}: {_nest_value(path[depth:], value)}")
        node = found[1]
    return text[: node.start_mark.index] + value + text[node.end_mark.index :]


def add_entry(text: str, section: str, named: tuple[str, str], entry: str) -> str:
    """Return the text with an entry, in the form `{…}`, at the end of a section.

    A missing section is added. With an empty `named[0]` the section is a mapping, and `named[1]`
    the entry's key.
    """
    mark, written = ("- ", entry) if named[0] else ("", f"{named[1]}: {entry}")
    found = _find_field(_parse_root(text), section)
    if found is None or isinstance(found[1], ScalarNode):
        return f"{text.rstrip()}\n\n{section}:\n  {mark}{written}\n"
    listing = found[1]
    if listing.flow_style:
        end = listing.end_mark.index - 1
        return f"{text[:end]}{', ' if listing.value else ''}{written}{text[end:]}"
    end = _line_end(text, _last_leaf_end(listing))
    return f"{text[:end]}\n{' ' * listing.start_mark.column}{mark}{written}{text[end:]}"


def list_fields(text: str, section: str, named: tuple[str, str]) -> frozenset[str] | None:
    """Return the keys of a section's entry of this name, or None where there is none."""
    node = _find_entry(text, section, named)
    return None if node is None else frozenset(str(key.value) for key, _ in node.value)


def _parse_root(text: str) -> Any:  # noqa: ANN401 - ruamel's nodes are untyped
    try:
        return YAML().compose(text)
    except (YAMLError, ValueError):  # invalid YAML has no entries; the loader reports it
        return None


def _find_entry(text: str, section: str, named: tuple[str, str]) -> Any:  # noqa: ANN401
    found = _find_field(_parse_root(text), section)
    listing = found[1] if found else None
    if isinstance(listing, MappingNode):
        called = _find_field(listing, named[1])
        return called[1] if called and isinstance(called[1], MappingNode) else None
    if not isinstance(listing, SequenceNode):
        return None
    for item in listing.value:
        identity = _find_field(item, named[0])
        if identity and identity[1].value == named[1]:
            return item
    return None


def _find_field(node: Any, key: str) -> tuple[Any, Any] | None:  # noqa: ANN401
    pairs = node.value if isinstance(node, MappingNode) else ()
    return next((pair for pair in pairs if pair[0].value == key), None)


def _nest_value(path: EntryPath, value: str) -> str:
    for key in reversed(path):
        value = f"{{{key}: {value}}}"
    return value


def _add_field(text: str, node: Any, field: str) -> str:  # noqa: ANN401
    """Return the text with a field added after the first one of a mapping, which is its name."""
    if not node.value:
        end = node.end_mark.index - 1
        return f"{text[:end]}{field}{text[end:]}"
    first, named = node.value[0]
    if node.flow_style:
        end = named.end_mark.index
        return f"{text[:end]}, {field}{text[end:]}"
    end = _line_end(text, _last_leaf_end(named))
    return f"{text[:end]}\n{' ' * first.start_mark.column}{field}{text[end:]}"


def _last_leaf_end(node: Any) -> int:  # noqa: ANN401
    """Return the index at which the text of a node ends."""
    # By its last scalar: the end that the parser gives for a block is past the comments after it.
    while not isinstance(node, ScalarNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(node, MappingNode) else last
    return int(node.end_mark.index)


def _line_end(text: str, index: int) -> int:
    """Return the index of the end of the line, so that a comment on it is kept on it."""
    if index and text[index - 1] == "\n":  # a text of several lines ends with its line
        return index - 1
    end = text.find("\n", index)
    return len(text) if end < 0 else end
