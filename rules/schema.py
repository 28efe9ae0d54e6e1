"""JSON Schemas of both formats, generated from the vocabulary, for completion in editors.

A file may change a few fields of what is shipped, so little is required; but a rule that gives a
reason is a whole one.
"""

from __future__ import annotations

import json
from typing import Any

from rules.conditions import Op
from rules.facts import FACTS, Fact, FactType
from rules.operand_reader import OPERATORS
from rules.rule_reader import MOST_POINTS
from rules.ruleset import Format
from rules.verdict import Verdict
from rules.window_reader import DAYS

Schema = dict[str, Any]

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": 500}
_ID: Schema = {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$"}
_POINTS: Schema = {"type": "integer", "minimum": -MOST_POINTS, "maximum": MOST_POINTS}
_WHEN: Schema = {"$ref": "#/$defs/condition"}
_DEFER = r"^(until_checked|until_session_can_send|until_window\(\w+\)|[0-9]{1,4}\s*[smhd])$"


def schema(kind: Format) -> Schema:
    """The schema of rule files of one format."""
    gate = kind is Format.GATE
    facts = [fact for fact in FACTS.values() if gate or fact.name.startswith("prospect.")]
    return {
        "$schema": _DRAFT,
        "title": f"LeadMaster rules, {kind}",
        **_mapping(
            {
                "format": {"const": kind.value},
                "override": {"type": "boolean"},
                "score": _score(facts, gate=gate),
                "lists": {"type": "object", "additionalProperties": _list_of(_TEXT)},
                "scores": _list_of(_score_rule(facts)),
                "groups": {"type": "object", "additionalProperties": _or_null(_GROUP)},
                "tests": _list_of(_example(facts, gate=gate)),
                **(_gate_sections() if gate else {"bands": _bands("band", _TEXT)}),
            },
            required=("format",),
        ),
        "$defs": {
            "condition": _condition(facts),
            "list": _mapping({"list": {"type": "string"}}, required=("list",)),
            "facts": {fact.name: _values(fact) for fact in facts},
        },
    }


def schema_text(kind: Format) -> str:
    """The schema as the file that is shipped."""
    return json.dumps(schema(kind), indent=1, ensure_ascii=False) + "\n"


def _mapping(properties: Schema, required: tuple[str, ...] = ()) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _or_null(item: Schema) -> Schema:
    """What `null` may take away again."""
    return {"anyOf": [item, {"type": "null"}]}


def _list_of(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def _some_of(item: Schema) -> Schema:
    return {"type": "array", "items": item, "minItems": 1}


_GROUP = _mapping({"rules": _some_of(_ID), "cap": {**_POINTS, "minimum": 0}})


def _score(facts: list[Fact], *, gate: bool) -> Schema:
    names = [f.name for f in facts if f.required and f.type is FactType.NUMBER]
    base: Schema = {"anyOf": [_POINTS, {"enum": names}]} if gate else _POINTS
    return _mapping({"base": base, "min": _POINTS, "max": _POINTS})


def _bands(key: str, name: Schema) -> Schema:
    return _some_of(_mapping({key: name, "from": _POINTS}, required=(key, "from")))


def _gate_sections() -> Schema:
    verdicts = [Verdict.ALLOW.value, Verdict.REVIEW.value, Verdict.BLOCK.value]
    return {
        "thresholds": _bands("verdict", {"enum": verdicts}),
        "windows": {"type": "object", "additionalProperties": _or_null(_window())},
        "vetoes": _list_of(_veto()),
    }


def _window() -> Schema:
    clock = {"type": "string", "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"}
    days = {"anyOf": [{"type": "string"}, _some_of({"enum": list(DAYS)})]}
    fields: Schema = {"days": days, "from": clock, "to": clock, "holidays": {"type": "boolean"}}
    return _mapping(fields)


def _rule(properties: Schema, required: tuple[str, ...]) -> Schema:
    common: Schema = {
        "id": _ID,
        "reason": _TEXT,
        "when": _WHEN,
        "if_missing": {"enum": ["fire", "skip", None]},
    }
    whole = {"dependentRequired": {"reason": list(required)}}
    return {**_mapping({**common, **properties}, required=("id",)), **whole}


def _veto() -> Schema:
    effects: Schema = {
        "defer": _or_null({"type": "string", "pattern": _DEFER}),
        "route": _or_null(_TEXT),
        "hold": {"type": ["boolean", "null"]},
    }
    return _rule(effects, required=("when",))


def _score_rule(facts: list[Fact]) -> Schema:
    numbers = [f.name for f in facts if f.type is FactType.NUMBER and not f.only_defers]
    end = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    ramp = _mapping(
        {"ramp": {"enum": numbers}, "from": end, "to": end}, required=("ramp", "from", "to")
    )
    rule = _rule({"points": {"anyOf": [_POINTS, ramp]}}, required=("points",))
    rule["anyOf"] = [
        {"required": ["when"]},
        {"properties": {"points": {"type": "object"}}},
        {"not": {"required": ["reason"]}},
    ]
    return rule


def _example(facts: list[Fact], *, gate: bool) -> Schema:
    given = {fact.name: {"anyOf": [_given(fact), {"type": "null"}]} for fact in facts}
    fired = _list_of(_ID)
    expect: Schema = {"score": {"type": "integer"}, "scores": fired}
    if gate:
        expect["verdict"] = {"enum": [verdict.value for verdict in Verdict]}
        expect |= {"vetoes": fired, "route": _TEXT, "needs_review": {"type": "boolean"}}
    else:
        expect["band"] = _TEXT
    fields = {"name": _TEXT, "given": _mapping(given), "expect": _mapping(expect)}
    return _mapping(fields, required=("name",))


def _given(fact: Fact) -> Schema:
    return _list_of(_value(fact)) if fact.type is FactType.NAMES else _value(fact)


def _condition(facts: list[Fact]) -> Schema:
    properties: Schema = {"all": _some_of(_WHEN), "any": _some_of(_WHEN), "not": _WHEN}
    for fact in facts:
        properties[fact.name] = _value(fact)
        for op in OPERATORS[fact.type]:
            properties[f"{fact.name}|{op}"] = _operand(fact, op)
    return {**_mapping(properties), "minProperties": 1}


def _operand(fact: Fact, op: Op) -> Schema:
    named = {"$ref": "#/$defs/list"}
    match op:
        case Op.MISSING:
            return {"type": "boolean"}
        case Op.BETWEEN:
            return {"type": "array", "items": _value(fact), "minItems": 2, "maxItems": 2}
        case Op.IN | Op.NOT_IN:
            return {"anyOf": [_some_of(_value(fact)), named]}
        case Op.MATCHES | Op.CONTAINS:
            return {"anyOf": [_TEXT, _some_of(_TEXT), named]}
        case _:
            return _value(fact)


def _value(fact: Fact) -> Schema:
    return {"$ref": f"#/$defs/facts/{fact.name}"}


def _values(fact: Fact) -> Schema:
    return {"description": fact.meaning, **_type(fact)}


def _type(fact: Fact) -> Schema:
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
