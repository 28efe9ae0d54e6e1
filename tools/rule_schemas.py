"""Writes the JSON Schemas of both rule formats, for editors: `python -m tools.rule_schemas`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import rules
from rules.condition_reader import OPERATORS
from rules.conditions import Op
from rules.facts import FACTS, WEEKDAYS, Fact, FactType
from rules.rule_reader import MAX_POINTS
from rules.ruleset import RuleFormat
from rules.verdict import Verdict

JsonSchema = dict[str, Any]

DEFAULTS = Path(rules.__file__).parent / "defaults"
LINE_WIDTH = 160

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_TEXT: JsonSchema = {"type": "string", "minLength": 1, "maxLength": 500}
_ID: JsonSchema = {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$"}
_POINTS: JsonSchema = {"type": "integer", "minimum": -MAX_POINTS, "maximum": MAX_POINTS}
_WHEN: JsonSchema = {"$ref": "#/$defs/condition"}
_TEXT_REFERENCE: JsonSchema = {"$ref": "#/$defs/text"}
_NAMED_LIST: JsonSchema = {"$ref": "#/$defs/list"}
_DEFER = (
    r"^(until_checked|until_session_can_send|until_register|until_window\(\w+\)|until_fewer\([\w.]+\)"
    r"|until_business_days\([1-9][0-9]?\)|[0-9]{1,4}\s*[smhd])$"
)


def build_schema(kind: RuleFormat) -> JsonSchema:
    """Return the schema of rule files of one format."""
    gate = kind is RuleFormat.GATE
    facts = [fact for fact in FACTS.values() if gate or fact.name.startswith("prospect.")]
    return {
        "$schema": _DRAFT,
        "title": f"LeadMaster rules, {kind}",
        **_object_schema(
            {
                "format": {"const": kind.value},
                "override": {"type": "boolean"},
                "score": _score_schema(facts, gate=gate),
                "lists": {"type": "object", "additionalProperties": _array_of(_TEXT)},
                "scores": _array_of(_score_rule_schema(facts)),
                "groups": {"type": "object", "additionalProperties": _nullable(_GROUP)},
                "tests": _array_of(_example_schema(facts, gate=gate)),
                **(_gate_schemas() if gate else {"bands": _bands_schema("band", _TEXT)}),
            },
            required=("format",),
        ),
        "$defs": {
            "condition": _condition_schema(facts),
            "text": _TEXT,
            "texts": {
                "anyOf": [_TEXT_REFERENCE, _non_empty_array_of(_TEXT_REFERENCE), _NAMED_LIST]
            },
            "list": _object_schema({"list": {"type": "string"}}, required=("list",)),
            "facts": {fact.name: _fact_schema(fact) for fact in facts},
        },
    }


def render_schema(kind: RuleFormat) -> str:
    """Return the text of the shipped schema: compact, with one line for what fits on one."""
    return "\n".join(_render_lines(build_schema(kind))) + "\n"


def _render_lines(value: object) -> list[str]:
    """Return the lines of a value, broken where it does not fit on one."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if len(text) <= LINE_WIDTH or not isinstance(value, dict | list):
        return [text]
    opening, closing = text[0], text[-1]
    items = value.items() if isinstance(value, dict) else (("", item) for item in value)
    blocks = []
    for key, item in items:
        first, *rest = _render_lines(item)
        blocks.append([f"{json.dumps(key)}:{first}" if key else first, *rest])
    for block in blocks[:-1]:
        block[-1] += ","
    return [opening, *(line for block in blocks for line in block), closing]


def main() -> None:
    """Write both schemas into the folder of the shipped rules."""
    for kind in RuleFormat:
        path = DEFAULTS / f"{kind.name.lower()}.schema.json"
        path.write_text(render_schema(kind), encoding="utf-8")


def _object_schema(properties: JsonSchema, required: tuple[str, ...] = ()) -> JsonSchema:
    return {
        "type": "object",
        "properties": properties,
        **({"required": list(required)} if required else {}),
        "additionalProperties": False,
    }


def _nullable(item: JsonSchema) -> JsonSchema:
    """Return a schema that allows null too, with which an overriding file removes a value."""
    return {"anyOf": [item, {"type": "null"}]}


def _array_of(item: JsonSchema) -> JsonSchema:
    return {"type": "array", "items": item}


def _non_empty_array_of(item: JsonSchema) -> JsonSchema:
    return {"type": "array", "items": item, "minItems": 1}


_GROUP = _object_schema({"rules": _non_empty_array_of(_ID), "cap": {**_POINTS, "minimum": 0}})


def _score_schema(facts: list[Fact], *, gate: bool) -> JsonSchema:
    names = [f.name for f in facts if f.required and f.type is FactType.NUMBER]
    base: JsonSchema = {"anyOf": [_POINTS, {"enum": names}]} if gate else _POINTS
    return _object_schema({"base": base, "min": _POINTS, "max": _POINTS})


def _bands_schema(key: str, name: JsonSchema) -> JsonSchema:
    return _non_empty_array_of(_object_schema({key: name, "from": _POINTS}, required=(key, "from")))


def _gate_schemas() -> JsonSchema:
    verdicts = [Verdict.ALLOW.value, Verdict.REVIEW.value, Verdict.BLOCK.value]
    return {
        "thresholds": _bands_schema("verdict", {"enum": verdicts}),
        "windows": {"type": "object", "additionalProperties": _nullable(_window_schema())},
        "vetoes": _array_of(_veto_schema()),
    }


def _window_schema() -> JsonSchema:
    clock = {"type": "string", "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"}
    days = {"anyOf": [{"type": "string"}, _non_empty_array_of({"enum": list(WEEKDAYS)})]}
    fields: JsonSchema = {"days": days, "from": clock, "to": clock, "holidays": {"type": "boolean"}}
    return _object_schema(fields)


def _rule_schema(properties: JsonSchema, required: tuple[str, ...]) -> JsonSchema:
    common: JsonSchema = {
        "id": _ID,
        "reason": _TEXT,
        "when": _WHEN,
        "if_missing": {"enum": ["fire", "skip", None]},
    }
    whole = {"dependentRequired": {"reason": list(required)}}
    return {**_object_schema({**common, **properties}, required=("id",)), **whole}


def _veto_schema() -> JsonSchema:
    effects: JsonSchema = {
        "defer": _nullable({"type": "string", "pattern": _DEFER}),
        "route": _nullable(_TEXT),
        "hold": {"type": ["boolean", "null"]},
    }
    return _rule_schema(effects, required=("when",))


def _score_rule_schema(facts: list[Fact]) -> JsonSchema:
    numbers = [f.name for f in facts if f.type is FactType.NUMBER and not f.only_defers]
    end = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    ramp = _object_schema(
        {"ramp": {"enum": numbers}, "from": end, "to": end}, required=("ramp", "from", "to")
    )
    rule = _rule_schema({"points": {"anyOf": [_POINTS, ramp]}}, required=("points",))
    # A rule needs a condition, unless a ramp gives its points, or it only changes another rule.
    rule["anyOf"] = [
        {"required": ["when"]},
        {"properties": {"points": {"type": "object"}}},
        {"not": {"required": ["reason"]}},
    ]
    return rule


def _example_schema(facts: list[Fact], *, gate: bool) -> JsonSchema:
    given = {fact.name: {"anyOf": [_given_schema(fact), {"type": "null"}]} for fact in facts}
    fired = _array_of(_ID)
    expect: JsonSchema = {"score": {"type": "integer"}, "scores": fired}
    if gate:
        expect["verdict"] = {"enum": [verdict.value for verdict in Verdict]}
        expect |= {"vetoes": fired, "route": _TEXT, "needs_review": {"type": "boolean"}}
    else:
        expect["band"] = _TEXT
    fields = {"name": _TEXT, "given": _object_schema(given), "expect": _object_schema(expect)}
    return _object_schema(fields, required=("name",))


def _given_schema(fact: Fact) -> JsonSchema:
    return (
        _array_of(_value_reference(fact)) if fact.type is FactType.NAMES else _value_reference(fact)
    )


def _condition_schema(facts: list[Fact]) -> JsonSchema:
    properties: JsonSchema = {
        "all": _non_empty_array_of(_WHEN),
        "any": _non_empty_array_of(_WHEN),
        "not": _WHEN,
    }
    for fact in facts:
        properties[fact.name] = _value_reference(fact)
        for op in OPERATORS[fact.type]:
            properties[f"{fact.name}|{op}"] = _operand_schema(fact, op)
    return {**_object_schema(properties), "minProperties": 1}


def _operand_schema(fact: Fact, op: Op) -> JsonSchema:
    match op:
        case Op.MISSING:
            return {"type": "boolean"}
        case Op.BETWEEN:
            return {"type": "array", "items": _value_reference(fact), "minItems": 2, "maxItems": 2}
        case Op.IN | Op.NOT_IN:
            return {"anyOf": [_non_empty_array_of(_value_reference(fact)), _NAMED_LIST]}
        case Op.MATCHES | Op.CONTAINS:
            return {"$ref": "#/$defs/texts"}
        case _:
            return _value_reference(fact)


def _value_reference(fact: Fact) -> JsonSchema:
    return {"$ref": f"#/$defs/facts/{fact.name}"}


def _fact_schema(fact: Fact) -> JsonSchema:
    return {"description": fact.meaning, **_fact_type_schema(fact)}


def _fact_type_schema(fact: Fact) -> JsonSchema:
    match fact.type:
        case FactType.BOOL:
            return {"type": "boolean"}
        case FactType.NUMBER:
            return {"type": "number", "minimum": fact.low, "maximum": fact.high}
        case FactType.ENUM:
            return {"enum": list(fact.values)}
        case FactType.TEXT:
            return {"type": "string", "maxLength": int(fact.high)}
        case _:
            return {"type": "string", "pattern": r"^\w+$"}


if __name__ == "__main__":
    main()
