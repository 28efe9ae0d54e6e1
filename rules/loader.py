"""Rule files → one `RuleSet`, or every problem in them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.document import YamlEntry, YamlMapping, YamlScalar, YamlSequence, read_document
from rules.files import read_rule_files
from rules.overlay import overlay_documents
from rules.problems import ProblemCollector, SourceLocation, did_you_mean
from rules.ruleset import RuleFormat, Ruleset
from rules.sections import RulesetReader

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from rules.document import YamlNode
    from rules.files import RuleFile

_COMMON_KEYS = ("format", "override", "score", "lists", "scores", "groups", "tests")
_KEYS = {
    RuleFormat.GATE: (*_COMMON_KEYS, "thresholds", "windows", "vetoes"),
    RuleFormat.SCORE: (*_COMMON_KEYS, "bands"),
}


def load_ruleset(paths: Sequence[Path]) -> Ruleset:
    """Read rule files of one format as one set; raises `RulesInvalid` with all the problems."""
    problems = ProblemCollector()
    files = read_rule_files(paths)
    documents = _read_documents(files, problems)
    if not files:
        problems.add(SourceLocation("rules", 1, 1), "No rule file was named")
    kind = _find_common_format(documents, problems)
    if kind is None or len(documents) < len(files):
        # What the sections mean, or lack, cannot be told from the rest.
        raise problems.to_exception()
    ruleset = _read_ruleset(kind, documents, files, problems)
    problems.raise_if_any()
    return ruleset


def load_rulesets(
    files: Sequence[RuleFile], channels: Collection[str] | None = None
) -> dict[RuleFormat, Ruleset]:
    """The set of each format, an operator's own files laid over those that are shipped.

    A file of a new name adds, one of the same name merges key by key, and one that says
    `override: true` replaces. A `route:` to none of `channels` is a problem, where they are known.
    Raises `RulesInvalid` with all the problems of all files.
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
    """Several files' documents as one: sections and lists of rules join, the rest stands once."""
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
        problems.add(second.place, f"`{first.key}` stands already at {first.place}")
    return first


def _join_mappings(
    entry: YamlEntry, first: YamlMapping, second: YamlMapping, problems: ProblemCollector
) -> YamlEntry:
    for key in second.entries.keys() & first.entries.keys():
        earlier = first.entries[key].place
        problems.add(second.entries[key].place, f"`{key}` stands already at {earlier}")
    joined = {**second.entries, **first.entries}
    return YamlEntry(entry.key, entry.place, YamlMapping(first.place, joined))


def _find_common_format(
    documents: Sequence[YamlMapping], problems: ProblemCollector
) -> RuleFormat | None:
    """The format all files share; None, with the problems noted, when there is none."""
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
            problems.add(entry.place, f"`{key}` is no part of a `{kind}` file{hint}")
    override = document.get("override")
    if override is not None and not (
        isinstance(override, YamlScalar) and isinstance(override.value, bool)
    ):
        problems.add(override.place, "`override` is true or false")
