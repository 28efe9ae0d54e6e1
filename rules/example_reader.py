"""The `tests:` of a rule file → examples whose names and values exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.document import Listing, Scalar, Section
from rules.facts import FACTS, FactType, nearest
from rules.fields import Fields, sections, words
from rules.problems import did_you_mean
from rules.ruleset import Example, Format
from rules.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rules.document import Entry, Node
    from rules.operand_reader import OperandReader

_EXPECT = {
    Format.GATE: ("verdict", "vetoes", "scores", "score", "route", "needs_review"),
    Format.SCORE: ("score", "band", "scores"),
}
_FARTHEST = 1_000_000


def read_examples(
    node: Node | None,
    operands: OperandReader,
    kind: Format,
    ids: Mapping[str, Sequence[str]],
    bands: Sequence[str],
) -> tuple[Example, ...]:
    """Each example with its facts and what it expects, checked against the set's own names."""
    return tuple(
        _example(section, operands, kind, ids, bands)
        for section in sections(node, "tests", operands.problems)
    )


def _example(
    section: Section,
    operands: OperandReader,
    kind: Format,
    ids: Mapping[str, Sequence[str]],
    bands: Sequence[str],
) -> Example:
    fields = Fields(section, ("name", "given", "expect"), operands.problems)
    given, expect = fields.node("given"), fields.node("expect")
    if not isinstance(given, Section):
        fields.wrong("given", "`given` is a mapping of facts to values; {} changes nothing")
    if not isinstance(expect, Section) or not expect.entries:
        fields.wrong("expect", f"`expect` says what must come out: {', '.join(_EXPECT[kind])}")
    return Example(
        fields.text("name"),
        _given(given, operands) if isinstance(given, Section) else {},
        _expected(Fields(expect, _EXPECT[kind], operands.problems), ids, bands)
        if isinstance(expect, Section)
        else {},
        section.place,
    )


def _given(section: Section, operands: OperandReader) -> dict[str, object]:
    given: dict[str, object] = {}
    for entry in section.entries.values():
        if entry.key not in FACTS:
            near = nearest(entry.key)
            hint = f" (did you mean {near}?)" if near else ""
            operands.problems.add(entry.place, f"There is no fact `{entry.key}`{hint}")
            continue
        given[entry.key] = _value(entry, operands)
    return given


def _value(entry: Entry, operands: OperandReader) -> object:
    """The value as it stands; null makes the fact missing."""
    fact, node = FACTS[entry.key], entry.value
    if fact.type is FactType.NAMES and isinstance(node, Listing):
        return tuple(operands.value(fact, item) for item in node.items)
    if isinstance(node, Scalar) and (node.value is None or operands.value(fact, node) is not None):
        return node.value
    if not isinstance(node, Scalar):
        operands.problems.add(node.place, f"{fact.name} is one value, or null")
    return None


def _expected(
    fields: Fields, ids: Mapping[str, Sequence[str]], bands: Sequence[str]
) -> dict[str, object]:
    expected: dict[str, object] = {}
    for key in fields.section.entries:
        match key:
            case "verdict":
                expected[key] = fields.choice(key, [verdict.value for verdict in Verdict])
            case "band":
                expected[key] = fields.choice(key, bands)
            case "route":
                expected[key] = fields.text(key)
            case "needs_review":
                expected[key] = fields.flag(key)
            case "score":
                expected[key] = fields.whole(key, -_FARTHEST, _FARTHEST)
            case _:
                expected[key] = _fired(key, fields, ids[key])
    return expected


def _fired(key: str, fields: Fields, known: Sequence[str]) -> frozenset[str]:
    node = fields.node(key)
    if isinstance(node, Listing) and not node.items:
        return frozenset()
    found = words(node, key, fields.problems)
    for word, place in found:
        if word not in known:
            hint = did_you_mean(word, known)
            fields.problems.add(place, f"There is no rule `{word}` under `{key}`{hint}")
    return frozenset(word for word, _ in found)
