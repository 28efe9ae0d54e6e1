"""Reads the examples under `tests:` of a rule file, and runs them against the ruleset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from rules.document import YamlMapping, YamlScalar, YamlSequence
from rules.facts import CENTURY_DAYS, FACTS, NO_BLOCK, FactType, find_nearest_fact
from rules.field_reader import FieldReader, read_mappings, read_texts
from rules.problems import did_you_mean
from rules.ruleset import RuleExample, RuleFormat
from rules.verdict import Verdict
from statemachines.vocabulary import MessageKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rules.condition_reader import OperandReader
    from rules.document import YamlEntry, YamlNode
    from rules.evaluator import RuleEvaluator
    from rules.ruleset import Ruleset


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
    """Return the examples of a ruleset, with their names checked against the ruleset's own."""
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
    """Return the value as it is written; null makes the fact missing."""
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


# A message that the shipped rules allow; an example changes the facts that it is about.
_BASELINE = {
    "prospect.score_contactabilidad": 80,
    "prospect.validado_tecnicamente": True,
    "prospect.cartera_origen": "feria_2026",
    "prospect.validation_age_days": 3,
    "prospect.on_whatsapp": "yes",
    "prospect.line_type": "mobile",
    "prospect.permission": "opted_in",
    "prospect.intent": "clear",
    "prospect.country": "AR",
    "prospect.bounces": 0,
    "prospect.complaints": 0,
    "prospect.data_age_days": 10,
    "prospect.days_since_inbound": 40,
    "prospect.review": "none",
    "prospect.suppressed": False,
    "message.kind": MessageKind.COMMERCIAL.value,
    "message.first_contact": True,
    "message.approved": False,
    "message.length": 140,
    "message.links": 0,
    "message.similarity": 0.2,
    "message.duplicate": False,
    "message.text": "Hola, ¿seguimos con el presupuesto?",
    "message.typed": True,
    "history.sent_24h": 0,
    "history.sent_7d": 0,
    "history.sent_30d": 0,
    "history.unanswered": 0,
    "history.commercial_24h": 0,
    "history.commercial_7d": 0,
    "history.commercial_unanswered": 0,
    "history.days_since_commercial": CENTURY_DAYS,
    "history.business_days_since_commercial": CENTURY_DAYS,
    "register.listed": False,
    "register.age_days": 3,
    "session.channel": "linked",
    "session.state": "ready",
    "session.sending": "all",
    "session.blocked_by": NO_BLOCK,
    "session.number_age_days": 60,
    "session.new_chats_24h": 0,
    "session.window_open": True,
    "session.answered_rate": 0.8,
    "session.undelivered_rate": 0.0,
    "session.complaint_rate": 0.0,
    "clock.local_hour": 11,
    "clock.weekday": "tue",
    "clock.holiday": False,
}


class ExampleResult(Struct, frozen=True):
    """The result of one example: mismatches (name → expected, got), and the rules that fired."""

    example: RuleExample
    wrong: dict[str, tuple[object, object]]
    fired: frozenset[str]

    def mismatches(self) -> list[tuple[str, str, str]]:
        """Return each mismatch as (name, expected, got), the values as a rule file has them."""
        return [
            (name, _format_value(expected), _format_value(got))
            for name, (expected, got) in self.wrong.items()
        ]

    def mismatch_sentences(self) -> list[str]:
        """Return each mismatch as a sentence."""
        return [
            f"{name} should be {expected}, is {got}" for name, expected, got in self.mismatches()
        ]

    def mismatch_diff(self) -> list[str]:
        """Return the mismatches as lines of a diff; empty when the example passes."""
        return [
            line
            for name, expected, got in self.mismatches()
            for line in (f"- {name}: {expected}", f"+ {name}: {got}")
        ]


def baseline_facts(ruleset: Ruleset) -> dict[str, object]:
    """Return facts under which everything is allowed; every window of the ruleset is open."""
    return {**_BASELINE, "clock.in_window": tuple(ruleset.windows)}


def run_examples(judge: RuleEvaluator) -> tuple[ExampleResult, ...]:
    """Run every example of the ruleset. Raises `GateFault` when the engines disagree on one."""
    return tuple(run_example(judge, example) for example in judge.ruleset.examples)


def run_example(judge: RuleEvaluator, example: RuleExample) -> ExampleResult:
    """Run one example. Raises `GateFault` when the engines disagree on it."""
    facts = {**baseline_facts(judge.ruleset), **example.given}
    got = (
        _score_fields(judge, facts)
        if judge.ruleset.format is RuleFormat.SCORE
        else _decision_fields(judge, facts)
    )
    wrong = {
        key: (expected, got[key])
        for key, expected in example.expect.items()
        if got[key] != expected
    }
    return ExampleResult(example, wrong, _rule_ids(got.get("vetoes")) | _rule_ids(got["scores"]))


def _rule_ids(fired: object) -> frozenset[str]:
    return fired if isinstance(fired, frozenset) else frozenset()


def _format_value(value: object) -> str:
    """Return a value as a rule file has it."""
    if isinstance(value, frozenset):
        return f"[{', '.join(sorted(value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def _decision_fields(judge: RuleEvaluator, facts: dict[str, object]) -> dict[str, object]:
    decision = judge.decide(facts)
    # Contributions also have the caps of groups, which are no rules.
    rules = {rule.id for rule in judge.ruleset.scores}
    return {
        "verdict": decision.verdict,
        "vetoes": frozenset(veto.id for veto in decision.vetoes),
        "scores": frozenset(each.id for each in decision.contributions) & rules,
        "score": decision.score,
        "route": decision.route,
        "needs_review": decision.needs_review,
    }


def _score_fields(judge: RuleEvaluator, facts: dict[str, object]) -> dict[str, object]:
    result = judge.score(facts)
    rules = {rule.id for rule in judge.ruleset.scores}
    return {
        "score": result.score,
        "band": result.band,
        "scores": frozenset(each.id for each in result.contributions) & rules,
    }
