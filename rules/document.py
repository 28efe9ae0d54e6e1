"""Parses the YAML text of a rule file to a tree of plain values, each with its location."""

from __future__ import annotations

import math
import re
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace
from ruamel.yaml import YAML
from ruamel.yaml.error import ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from rules.problems import ProblemCollector, SourceLocation
from rules.yaml_errors import describe_yaml_error, locate_yaml_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.files import RuleFile

_MAX_DEPTH = 40  # levels; everything that reads the tree may then be recursive
_TOO_DEEP = f"This is nested too deeply: a rule file has at most {_MAX_DEPTH} levels"
_MAX_QUOTED = 40  # characters of a value quoted in a sentence
_CACHED_FILES = 32  # files; an installation has a handful
_TAG = "tag:yaml.org,2002:"
_TYPOGRAPHIC_QUOTES = "“”„‟‘’«»"  # noqa: RUF001 - these marks are meant
_CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_GLUED_COMMENT = re.compile(r"[ \t]*#[^\s#]")


class YamlScalar(Struct, frozen=True):
    """A single value."""

    place: SourceLocation
    value: bool | int | float | str | None


class YamlSequence(Struct, frozen=True):
    """A YAML sequence."""

    place: SourceLocation
    items: tuple[YamlNode, ...]


class YamlEntry(Struct, frozen=True):
    """One `key: value` of a section; `place` is the key's."""

    key: str
    place: SourceLocation
    value: YamlNode


class YamlMapping(Struct, frozen=True):
    """A YAML mapping, in file order. For a whole document, `files` are those it was made of."""

    place: SourceLocation
    entries: Mapping[str, YamlEntry]
    files: tuple[str, ...] = ()

    def get(self, key: str) -> YamlNode | None:
        """Return the value under `key`, or None."""
        entry = self.entries.get(key)
        return entry.value if entry else None


YamlNode = YamlScalar | YamlSequence | YamlMapping


def read_document(file: RuleFile, problems: ProblemCollector) -> YamlMapping | None:
    """Return the tree of one file's text; None, with problems added, if it is no YAML mapping."""
    document, found = _read_cached(file.path, file.text)
    problems.extend(found)
    return document


@lru_cache(maxsize=_CACHED_FILES)
def _read_cached(path: str, text: str) -> tuple[YamlMapping | None, ProblemCollector]:
    """Return the tree of a text, and its problems."""
    # Cached, because few of a ruleset's files change at a time. The tree is immutable, and the
    # problems are only read.
    problems = ProblemCollector()
    return _parse_text(path, text, problems), problems


def _parse_text(path: str, text: str, problems: ProblemCollector) -> YamlMapping | None:
    start = SourceLocation(path, 1, 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReusedAnchorWarning)  # anchors are refused below
            # Nodes, not values: a problem needs the location of what it is about.
            tree = YAML(typ="safe", pure=True).compose(text)
    except RecursionError:  # nested thousands deep; `compose` calls itself
        problems.add(start, _TOO_DEEP)
    except (YAMLError, ValueError, NotImplementedError) as error:
        problems.add(locate_yaml_error(error, text, start), describe_yaml_error(error))
    else:
        lines = text.split("\n")
        node = None if tree is None else _NodeReader(path, lines, problems).read_node(tree)
        if isinstance(node, YamlMapping):
            return replace(node, files=(path,))
        problems.add(start, "A rule file is a mapping that starts with `format: …`")
    return None


class _NodeReader:
    """Converts ruamel's nodes to ours; YAML features that rule files do not use are problems."""

    def __init__(self, file: str, lines: list[str], problems: ProblemCollector) -> None:
        self._file = file
        self._lines = lines
        self._problems = problems
        self._seen: set[int] = set()

    def read_node(self, raw: Any, depth: int = 0) -> YamlNode:  # noqa: ANN401 - ruamel's nodes are untyped
        place = SourceLocation(self._file, raw.start_mark.line + 1, raw.start_mark.column + 1)
        if depth > _MAX_DEPTH:
            self._problems.add(place, _TOO_DEEP)
            return YamlScalar(place, None)
        # An alias is the same node again. Refused, because nested ones can grow without bound.
        if raw.anchor or id(raw) in self._seen:
            if id(raw) not in self._seen:
                self._problems.add(place, "Anchors and aliases are not used in rule files")
            self._seen.add(id(raw))
            return YamlScalar(place, None)
        if isinstance(raw, MappingNode):
            return self._section(raw, place, depth)
        if isinstance(raw, SequenceNode):
            return YamlSequence(place, tuple(self.read_node(item, depth + 1) for item in raw.value))
        return YamlScalar(place, self._scalar(raw, place))

    def _section(self, raw: MappingNode, place: SourceLocation, depth: int) -> YamlMapping:
        entries: dict[str, YamlEntry] = {}
        for raw_key, raw_value in raw.value:
            mark = raw_key.start_mark
            at = SourceLocation(self._file, mark.line + 1, mark.column + 1)
            if not isinstance(raw_key, ScalarNode):
                self._problems.add(at, "A key must be a word")
                continue
            key = str(raw_key.value)
            # `compose` does not refuse repeated keys, and one of the two would be lost.
            if key in entries:
                first = entries[key].place.line
                self._problems.add(at, f"`{key}` is here a second time (first on line {first})")
                continue
            value = self.read_node(raw_value, depth + 1)
            if raw_value.start_mark.index == raw_value.end_mark.index:  # nothing is written there
                value = replace(value, place=at)
            entries[key] = YamlEntry(key, at, value)
        return YamlMapping(place, entries)

    def _scalar(self, raw: ScalarNode, place: SourceLocation) -> bool | int | float | str | None:
        text = str(raw.value)
        match str(raw.tag).removeprefix(_TAG):
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int" | "float" as kind:
                return self._number(text, kind, place)
            case "str" | "timestamp":
                return self._text(text, raw, place)
            case tag:
                self._problems.add(place, f"The tag `{tag}` is not used in rule files")
                return None

    def _text(self, text: str, raw: ScalarNode, place: SourceLocation) -> str:
        """Return a text; add a problem where it is not what its author sees in the file."""
        if raw.style == '"' and _CONTROL_CHARACTER.search(text):
            self._problems.add(
                place,
                "In double quotes `\\` begins an escape, so that `\\b` is a backspace: put this"
                " text in single quotes",
            )
        # Plain style: without quotation marks as YAML knows them.
        if raw.style is None and text[0] in _TYPOGRAPHIC_QUOTES:
            self._problems.add(
                place,
                f"`{text[0]}` is a typographic quotation mark, which YAML takes for a letter:"
                " write \" or '",
            )
            return text.strip(_TYPOGRAPHIC_QUOTES)
        if raw.style is None and self._is_cut_off(raw):
            self._problems.add(
                place,
                f"`#` after a space begins a comment, so only `{_shorten(text)}` is read: put the"
                " whole text in quotes, or a space after the `#`",
            )
        return text

    def _is_cut_off(self, raw: ScalarNode) -> bool:
        """Return whether a text ends at a `#` that looks like a part of it."""
        end = raw.end_mark
        return _GLUED_COMMENT.match(self._lines[end.line], end.column) is not None

    def _number(self, text: str, kind: str, place: SourceLocation) -> float | None:
        digits = text.lstrip("+-")
        # YAML 1.1 reads 010 as 8, YAML 1.2 as 10: the author should say which one is meant.
        if len(digits) > 1 and digits[0] == "0" and digits.isdigit():
            self._problems.add(place, f"`{text}` is read as a number: quote it, or drop the zero")
            return None
        try:
            number = int(text, 0) if kind == "int" else float(text)
            finite = math.isfinite(number)
        except (ValueError, OverflowError):
            number, finite = 0, False
        if finite:
            return number
        self._problems.add(place, f"`{_shorten(text)}` is not a number that can be reckoned with")
        return None


def _shorten(text: str) -> str:
    return text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}…"
