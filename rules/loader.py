"""Loads rule files to one `Ruleset` per format, with an operator's files merged over ours."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from msgspec.structs import replace

from rules.document import YamlEntry, YamlMapping, YamlScalar, YamlSequence, read_document
from rules.files import read_rule_files
from rules.problems import ProblemCollector, SourceLocation, did_you_mean
from rules.ruleset import RuleFormat, Ruleset
from rules.ruleset_reader import RulesetReader

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from rules.document import YamlNode
    from rules.files import RuleFile


_IDENTITY_FIELDS = {
    "vetoes": "id",
    "scores": "id",
    "tests": "name",
    "thresholds": "verdict",
    "bands": "band",
}
"""The field by which two entries of a list are the same one."""

_NAMED_SECTIONS = ("windows", "lists", "groups")


def overlay_documents(
    shipped: Sequence[YamlMapping], own: Sequence[YamlMapping]
) -> list[YamlMapping]:
    """Return the documents in force: an operator's file is added, or merged over ours of its name.

    One with `override: true` replaces the shipped file.
    """
    below = {_file_name(document): document for document in shipped}
    for document in own:
        name = _file_name(document)
        present = below.get(name)
        replaces = present is None or _is_override(document)
        below[name] = (
            document if replaces or present is None else _merge_documents(present, document)
        )
    return list(below.values())


def _file_name(document: YamlMapping) -> str:
    return PurePath(document.files[0]).name


def _is_override(document: YamlMapping) -> bool:
    node = document.get("override")
    return isinstance(node, YamlScalar) and node.value is True


def _merge_documents(below: YamlMapping, above: YamlMapping) -> YamlMapping:
    entries = dict(below.entries)
    for key, entry in above.entries.items():
        present = entries.get(key)
        value = entry.value if present is None else _merge_nodes(key, present.value, entry.value)
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
    """Return the lower list with its entries changed in place, and new ones after them."""
    items = list(below.items)
    places = {_entry_identity(item, identity): index for index, item in enumerate(items)}
    for item in above.items:
        # Taken out once found: a second entry of the same name is kept, for the reader to refuse.
        index = places.pop(_entry_identity(item, identity), None)
        if index is None:
            items.append(item)
            continue
        items[index] = _merge_nodes("", items[index], item)
    return YamlSequence(above.place, tuple(items))


def _entry_identity(node: YamlNode, key: str) -> object:
    """Return the name of an entry; one without a name equals no other."""
    named = node.get(key) if isinstance(node, YamlMapping) else None
    return named.value if isinstance(named, YamlScalar) else id(node)


def _merge_fields(below: YamlMapping, above: YamlMapping, *, deep: bool = False) -> YamlMapping:
    """Return the mapping merged field by field; `null` removes a field."""
    entries = dict(below.entries)
    for key, entry in above.entries.items():
        present = entries.get(key)
        if isinstance(entry.value, YamlScalar) and entry.value.value is None:
            entries.pop(key, None)
        elif deep and present is not None:
            entries[key] = YamlEntry(key, entry.place, _merge_nodes("", present.value, entry.value))
        else:
            entries[key] = entry
    return YamlMapping(above.place, entries)


_COMMON_KEYS = ("format", "override", "score", "lists", "scores", "groups", "tests")
_KEYS = {
    RuleFormat.GATE: (*_COMMON_KEYS, "thresholds", "windows", "vetoes"),
    RuleFormat.SCORE: (*_COMMON_KEYS, "bands"),
}


def load_ruleset(paths: Sequence[Path]) -> Ruleset:
    """Read rule files of one format as one ruleset. Raises `RulesInvalid` with all problems."""
    problems = ProblemCollector()
    files = read_rule_files(paths)
    documents = _read_documents(files, problems)
    if not files:
        problems.add(SourceLocation("rules", 1, 1), "No rule file was named")
    kind = _find_common_format(documents, problems)
    if kind is None or len(documents) < len(files):
        # Reading on would add problems that only follow from a missing file or format.
        raise problems.to_exception()
    ruleset = _read_ruleset(kind, documents, files, problems)
    problems.raise_if_any()
    return ruleset


def load_rulesets(
    files: Sequence[RuleFile], channels: Collection[str] | None = None
) -> dict[RuleFormat, Ruleset]:
    """Return the ruleset of each format, with an operator's own files merged over the shipped ones.

    `overlay_documents` says how. A `route:` to none of `channels` is a problem, unless that is
    None. Raises `RulesInvalid` with all problems of all files.
    """
    problems = ProblemCollector()
    documents = _read_documents(files, problems)
    problems.raise_if_any()
    kinds = [_read_format(document, problems) for document in documents]
    problems.raise_if_any()
    sets: dict[RuleFormat, Ruleset] = {}
    for kind in RuleFormat:
        mine = [
            (file.own, document)
            for file, document, each in zip(files, documents, kinds, strict=True)
            if each is kind
        ]
        if mine:
            laid = overlay_documents(
                [document for own, document in mine if not own],
                [document for own, document in mine if own],
            )
            sets[kind] = _read_ruleset(kind, laid, files, problems, channels)
    problems.raise_if_any()
    return sets


def _read_documents(files: Sequence[RuleFile], problems: ProblemCollector) -> list[YamlMapping]:
    found = [read_document(file, problems) for file in files]
    return [document for document in found if document is not None]


def _read_ruleset(
    kind: RuleFormat,
    documents: Sequence[YamlMapping],
    files: Sequence[RuleFile],
    problems: ProblemCollector,
    channels: Collection[str] | None = None,
) -> Ruleset:
    for document in documents:
        _check_keys(document, kind, problems)
    used = {path for document in documents for path in document.files}
    sources = tuple(file for file in files if file.path in used)
    return RulesetReader(kind, combine_documents(documents, problems), problems, channels).read(
        sources
    )


def combine_documents(documents: Sequence[YamlMapping], problems: ProblemCollector) -> YamlMapping:
    """Return several files' documents as one: lists of rules and named sections are joined.

    Anything else that two files set is a problem.
    """
    entries: dict[str, YamlEntry] = {}
    for document in documents:
        for key, entry in document.entries.items():
            earlier = entries.get(key)
            entries[key] = entry if earlier is None else _join_entries(earlier, entry, problems)
    return YamlMapping(documents[0].place, entries)


def _join_entries(first: YamlEntry, second: YamlEntry, problems: ProblemCollector) -> YamlEntry:
    match first.value, second.value:
        case YamlSequence() as one, YamlSequence() as other if first.key in (
            "vetoes",
            "scores",
            "tests",
        ):
            joined = YamlSequence(one.place, one.items + other.items)
            return YamlEntry(first.key, first.place, joined)
        case YamlMapping() as one, YamlMapping() as other if first.key in (
            "windows",
            "lists",
            "groups",
        ):
            return _join_mappings(first, one, other, problems)
    if first.key not in ("format", "override"):
        problems.add(second.place, f"`{first.key}` is already at {first.place}")
    return first


def _join_mappings(
    entry: YamlEntry, first: YamlMapping, second: YamlMapping, problems: ProblemCollector
) -> YamlEntry:
    for key in second.entries.keys() & first.entries.keys():
        earlier = first.entries[key].place
        problems.add(second.entries[key].place, f"`{key}` is already at {earlier}")
    joined = {**second.entries, **first.entries}
    return YamlEntry(entry.key, entry.place, YamlMapping(first.place, joined))


def _find_common_format(
    documents: Sequence[YamlMapping], problems: ProblemCollector
) -> RuleFormat | None:
    """Return the format of all files; None, with problems added, when they do not share one."""
    found = [_read_format(document, problems) for document in documents]
    for document, kind in zip(documents, found, strict=True):
        if kind is not None and found[0] is not None and kind is not found[0]:
            place = _location_of(document.get("format"), document)
            problems.add(place, f"The other files are `{found[0]}`")
    return found[0] if len(set(found)) == 1 else None


def _read_format(document: YamlMapping, problems: ProblemCollector) -> RuleFormat | None:
    node = document.get("format")
    word = node.value if isinstance(node, YamlScalar) else None
    known = [each.value for each in RuleFormat]
    if word in known:
        return RuleFormat(str(word))
    hint = did_you_mean(str(word), known)
    sentence = f"`format` is one of {', '.join(known)}, not `{word}`{hint}"
    problems.add(_location_of(node, document), sentence)
    return None


def _location_of(node: YamlNode | None, document: YamlMapping) -> SourceLocation:
    return document.place if node is None else node.place


def _check_keys(document: YamlMapping, kind: RuleFormat, problems: ProblemCollector) -> None:
    for key, entry in document.entries.items():
        if key not in _KEYS[kind]:
            hint = did_you_mean(key, _KEYS[kind])
            problems.add(entry.place, f"`{key}` is not part of a `{kind}` file{hint}")
    override = document.get("override")
    if override is not None and not (
        isinstance(override, YamlScalar) and isinstance(override.value, bool)
    ):
        problems.add(override.place, "`override` is true or false")
