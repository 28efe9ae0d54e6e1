"""The `tests:` of a rule file → examples whose names and values exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.document import YamlMapping, YamlScalar, YamlSequence
from rules.facts import FACTS, FactType, find_nearest_fact
from rules.fields import FieldReader, read_mappings, read_texts
from rules.problems import did_you_mean
from rules.ruleset import RuleExample, RuleFormat
from rules.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rules.document import YamlEntry, YamlNode
    from rules.operand_reader import OperandReader

_EXPECTED_FIELDS = {
    RuleFormat.GATE: ("verdict", "vetoes", "scores", "score", "route", "needs_review"),
    RuleFormat.SCORE: ("score", "band", "scores"),
}
_MAX_SCORE = 1_000_000


def read_examples(
    node: YamlNode | None,
    operands: OperandReader,
    kind: RuleFormat,
    ids: Mapping[str, Sequence[str]],
    bands: Sequence[str],
) -> tuple[RuleExample, ...]:
    """Each example with its facts and what it expects, checked against the set's own names."""
    return tuple(
        _read_example(section, operands, kind, ids, bands)
        for section in read_mappings(node, "tests", operands.problems)
    )


def _read_example(
    section: YamlMapping,
    operands: OperandReader,
    kind: RuleFormat,
    ids: Mapping[str, Sequence[str]],
    bands: Sequence[str],
) -> RuleExample:
    fields = FieldReader(section, ("name", "given", "expect"), operands.problems)
    given, expect = fields.node("given"), fields.node("expect")
    if not isinstance(given, YamlMapping):
        fields.wrong("given", "`given` is a mapping of facts to values; {} changes nothing")
    if not isinstance(expect, YamlMapping) or not expect.entries:
        fields.wrong(
            "expect", f"`expect` says what must come out: {', '.join(_EXPECTED_FIELDS[kind])}"
        )
    return RuleExample(
        fields.text("name"),
        _read_given(given, operands) if isinstance(given, YamlMapping) else {},
        _read_expected(FieldReader(expect, _EXPECTED_FIELDS[kind], operands.problems), ids, bands)
        if isinstance(expect, YamlMapping)
        else {},
        section.place,
    )


def _read_given(section: YamlMapping, operands: OperandReader) -> dict[str, object]:
    given: dict[str, object] = {}
    for entry in section.entries.values():
        if entry.key not in FACTS:
            near = find_nearest_fact(entry.key)
            hint = f" (did you mean {near}?)" if near else ""
            operands.problems.add(entry.place, f"There is no fact `{entry.key}`{hint}")
            continue
        given[entry.key] = _read_value(entry, operands)
    return given


def _read_value(entry: YamlEntry, operands: OperandReader) -> object:
    """The value as it stands; null makes the fact missing."""
    fact, node = FACTS[entry.key], entry.value
    if fact.type is FactType.NAMES and isinstance(node, YamlSequence):
        return tuple(operands.value(fact, item) for item in node.items)
    if isinstance(node, YamlScalar) and (
        node.value is None or operands.value(fact, node) is not None
    ):
        return node.value
    if not isinstance(node, YamlScalar):
        operands.problems.add(node.place, f"{fact.name} is one value, or null")
    return None


def _read_expected(
    fields: FieldReader, ids: Mapping[str, Sequence[str]], bands: Sequence[str]
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
                expected[key] = fields.whole(key, -_MAX_SCORE, _MAX_SCORE)
            case _:
                expected[key] = _read_rule_ids(key, fields, ids[key])
    return expected


def _read_rule_ids(key: str, fields: FieldReader, known: Sequence[str]) -> frozenset[str]:
    node = fields.node(key)
    if isinstance(node, YamlSequence) and not node.items:
        return frozenset()
    found = read_texts(node, key, fields.problems)
    for word, place in found:
        if word not in known:
            hint = did_you_mean(word, known)
            fields.problems.add(place, f"There is no rule `{word}` under `{key}`{hint}")
    return frozenset(word for word, _ in found)
