"""Schemas in words: what a value may be, as a page says it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from daemon.http.openapi.document import REF_PREFIX

_TYPE_WORDS: Final = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
    "object": "object",
}
_CONSTRAINT_WORDS: Final = {
    "minLength": "from {} characters",
    "maxLength": "up to {} characters",
    "minimum": "from {}",
    "maximum": "up to {}",
    "exclusiveMinimum": "over {}",
    "pattern": "like {}",
    "minItems": "from {}",
    "maxItems": "up to {}",
}


def describe_schema(schema: Mapping[str, Any], link: Callable[[str], str]) -> str:
    """Say what a value may be; `link` turns the name of a described type into what is shown."""
    match schema:
        case {"$ref": reference}:
            said = link(reference.removeprefix(REF_PREFIX))
        case {"anyOf": choices}:
            said = " or ".join(describe_schema(each, link) for each in choices)
        case {"enum": values}:
            said = " or ".join(str(value) for value in values)
        case {"prefixItems": parts}:
            said = f"list of {', '.join(describe_schema(part, link) for part in parts)}"
        case {"type": "array"}:
            items = describe_schema(schema.get("items", {}), link)
            said = f"list of {items}{_describe_constraints(schema)}"
        case {"format": "date-time"}:
            said = "date and time"
        case {"additionalProperties": {"type": _} | {"$ref": _} as inner}:
            said = f"object of {describe_schema(inner, link)}"
        case _:
            said = _TYPE_WORDS.get(str(schema.get("type")), "anything") + _describe_constraints(
                schema
            )
    return said


def _describe_constraints(schema: Mapping[str, Any]) -> str:
    said = [words.format(schema[key]) for key, words in _CONSTRAINT_WORDS.items() if key in schema]
    return f", {', '.join(said)}" if said else ""


def group_by_tag(document: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the operations under what they are about, each with its method and path."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            whole = {**said, "method": method.upper(), "path": path}
            groups.setdefault(said["tags"][0], []).append(whole)
    return groups
