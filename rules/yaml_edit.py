"""Edits one value in a rule file's text; every other character stays as it was."""

from __future__ import annotations

from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

EntryPath: TypeAlias = tuple[str | int, ...]
"""Where in an entry something stands: keys, and how many come before it in a list."""


def get_top_value(text: str, key: str) -> str | None:
    """Return what stands under a key at the top, as it is written; None where nothing does."""
    found = _find_field(_parse_root(text), key)
    return str(found[1].value) if found and isinstance(found[1], ScalarNode) else None


def set_value(text: str, section: str, named: tuple[str, str], path: EntryPath, value: str) -> str:
    """Put `value` at `path` in the entry of a section whose key `named[0]` says `named[1]`.

    In a section of names it is the entry called `named[1]`. A key that is missing on the way is
    added; a number in `path` counts into a list. Raises LookupError where there is no such entry.
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
    """Add an entry, in the form `{…}`, at the end of a section, which begins where it is none.

    Without a key that names it (`named[0]`), the section is one of names, and `named[1]` is its.
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
    """Return the keys of a section's entry of this name; None where there is no such entry."""
    node = _find_entry(text, section, named)
    return None if node is None else frozenset(str(key.value) for key, _ in node.value)


def _parse_root(text: str) -> Any:  # noqa: ANN401 - ruamel's nodes are untyped
    try:
        return YAML().compose(text)
    except (YAMLError, ValueError):  # what is no YAML has no entries; reading it says why
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
    """Add a field after the first one of a mapping, which names it."""
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
    """Return where the text of a node ends; a block's own end is past the comments after it."""
    while not isinstance(node, ScalarNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(node, MappingNode) else last
    return int(node.end_mark.index)


def _line_end(text: str, index: int) -> int:
    """Return where the line ends, so that a comment on it stays beside what it explains."""
    if index and text[index - 1] == "\n":  # a text of several lines ends with its line
        return index - 1
    end = text.find("\n", index)
    return len(text) if end < 0 else end
