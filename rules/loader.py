"""Rule files → one `RuleSet`, or every problem in them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.document import Entry, Listing, Scalar, Section, read_document
from rules.files import read_files
from rules.overlay import laid_over
from rules.problems import Place, Problems, did_you_mean
from rules.ruleset import Format, RuleSet
from rules.sections import SetReader

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from rules.document import Node
    from rules.files import RuleFile

_COMMON = ("format", "override", "score", "lists", "scores", "groups", "tests")
_KEYS = {
    Format.GATE: (*_COMMON, "thresholds", "windows", "vetoes"),
    Format.SCORE: (*_COMMON, "bands"),
}


def load(paths: Sequence[Path]) -> RuleSet:
    """Read rule files of one format as one set; raises `RulesInvalid` with all the problems."""
    problems = Problems()
    files = read_files(paths)
    documents = _documents(files, problems)
    if not files:
        problems.add(Place("rules", 1, 1), "No rule file was named")
    kind = _one_format(documents, problems)
    if kind is None or len(documents) < len(files):
        # What the sections mean, or lack, cannot be told from the rest.
        raise problems.invalid()
    ruleset = _read(kind, documents, files, problems)
    problems.raise_if_any()
    return ruleset


def load_sets(
    files: Sequence[RuleFile], channels: Collection[str] | None = None
) -> dict[Format, RuleSet]:
    """The set of each format, an operator's own files laid over those that are shipped.

    A file of a new name adds, one of the same name merges key by key, and one that says
    `override: true` replaces. A `route:` to none of `channels` is a problem, where they are known.
    Raises `RulesInvalid` with all the problems of all files.
    """
    problems = Problems()
    documents = _documents(files, problems)
    problems.raise_if_any()
    kinds = [_format(document, problems) for document in documents]
    problems.raise_if_any()
    sets: dict[Format, RuleSet] = {}
    for kind in Format:
        mine = [
            (file.own, document)
            for file, document, each in zip(files, documents, kinds, strict=True)
            if each is kind
        ]
        if mine:
            laid = laid_over(
                [document for own, document in mine if not own],
                [document for own, document in mine if own],
            )
            sets[kind] = _read(kind, laid, files, problems, channels)
    problems.raise_if_any()
    return sets


def _documents(files: Sequence[RuleFile], problems: Problems) -> list[Section]:
    found = [read_document(file, problems) for file in files]
    return [document for document in found if document is not None]


def _read(
    kind: Format,
    documents: Sequence[Section],
    files: Sequence[RuleFile],
    problems: Problems,
    channels: Collection[str] | None = None,
) -> RuleSet:
    for document in documents:
        _check_keys(document, kind, problems)
    used = {path for document in documents for path in document.files}
    sources = tuple(file for file in files if file.path in used)
    return SetReader(kind, combine(documents, problems), problems, channels).read(sources)


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
    if first.key not in ("format", "override"):
        problems.add(second.place, f"`{first.key}` stands already at {first.place}")
    return first


def _joined_sections(entry: Entry, first: Section, second: Section, problems: Problems) -> Entry:
    for key in second.entries.keys() & first.entries.keys():
        earlier = first.entries[key].place
        problems.add(second.entries[key].place, f"`{key}` stands already at {earlier}")
    joined = {**second.entries, **first.entries}
    return Entry(entry.key, entry.place, Section(first.place, joined))


def _one_format(documents: Sequence[Section], problems: Problems) -> Format | None:
    """The format all files share; None, with the problems noted, when there is none."""
    found = [_format(document, problems) for document in documents]
    for document, kind in zip(documents, found, strict=True):
        if kind is not None and found[0] is not None and kind is not found[0]:
            place = _at(document.get("format"), document)
            problems.add(place, f"The other files are `{found[0]}`")
    return found[0] if len(set(found)) == 1 else None


def _format(document: Section, problems: Problems) -> Format | None:
    node = document.get("format")
    word = node.value if isinstance(node, Scalar) else None
    known = [each.value for each in Format]
    if word in known:
        return Format(str(word))
    hint = did_you_mean(str(word), known)
    sentence = f"`format` is one of {', '.join(known)}, not `{word}`{hint}"
    problems.add(_at(node, document), sentence)
    return None


def _at(node: Node | None, document: Section) -> Place:
    return document.place if node is None else node.place


def _check_keys(document: Section, kind: Format, problems: Problems) -> None:
    for key, entry in document.entries.items():
        if key not in _KEYS[kind]:
            hint = did_you_mean(key, _KEYS[kind])
            problems.add(entry.place, f"`{key}` is no part of a `{kind}` file{hint}")
    override = document.get("override")
    if override is not None and not (
        isinstance(override, Scalar) and isinstance(override.value, bool)
    ):
        problems.add(override.place, "`override` is true or false")
