"""Turns msgspec's validation errors into sentences for people: which field, and what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

import msgspec
from msgspec import inspect

_TYPE_NAMES: Final[Mapping[str, str]] = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
    "datetime": "a moment, such as 2026-03-02T14:00:00Z",
    "date": "a date, such as 2026-03-02",
}
_LIMIT_SENTENCES: Final[Mapping[str, str]] = {
    ">=": "must be {0} or more",
    "<=": "must be {0} or less",
    ">": "must be more than {0}",
    "<": "must be less than {0}",
}
_NO_FIELDS: Final = "there is no such field; no field is expected"
_JSON_ERRORS: Final[Mapping[str, str]] = {"Input data was truncated": "it ends too early"}
_PATH_SUFFIX: Final = re.compile(r" - at (?P<key>`key` in )?`\$(?P<path>.*)`$", re.DOTALL)
_PATH_STEP: Final = re.compile(r"\.(\w+)|\[")

ErrorExplainer = Callable[[re.Match[str], inspect.Type | None], str]


def format_validation_error(
    error: msgspec.DecodeError, kind: object = None, *, value_name: str = "value"
) -> str:
    """Return one sentence: which field, what is wrong with it, what it may be.

    `kind` is the expected type, from which allowed words and fields are named. `value_name` names
    the value where the error is about the whole of it.
    """
    if not isinstance(error, msgspec.ValidationError):
        report = str(error).removeprefix("JSON is malformed: ")
        return f"The {value_name} is no JSON: {_JSON_ERRORS.get(report, report)}."
    field, problem = _explain_error(error, kind)
    return f"{field}: {problem}." if field else f"The {value_name} {problem}."


def format_field_error(name: str, error: msgspec.ValidationError, kind: object) -> str:
    """Return what is wrong with the value called `name`, without a full stop."""
    field, problem = _explain_error(error, kind)
    return f"{name}{'.' if field[:1].isalpha() else ''}{field}: {problem}"


def _explain_error(error: msgspec.ValidationError, kind: object) -> tuple[str, str]:
    """Return the path of the field, empty for the whole value, and what is wrong with it."""
    report, path = str(error), ""
    if place := _PATH_SUFFIX.search(report):
        report, path = report[: place.start()], place["path"]
    declared = _resolve_path(inspect.type_info(kind), path) if kind is not None else None
    # msgspec raises an English sentence and nothing else: its forms have to be read.
    for form, explain in _EXPLANATIONS.items():
        if found := re.fullmatch(form, report, re.DOTALL):
            own = found.groupdict().get("field")
            field = path if own is None else f"{path}.{own}"
            return _format_field_path(field), explain(found, declared)
    # A form of a later msgspec: better a vague sentence than the library's own words.
    return _format_field_path(path), "can't be taken as it is"


def _format_field_path(path: str) -> str:
    return path.removeprefix(".").replace("[...]", "")


def _explain_limit(found: re.Match[str], _declared: inspect.Type | None) -> str:
    number = found["number"].removesuffix(".0")
    return _LIMIT_SENTENCES[found["sign"]].format(number)


def _explain_length(found: re.Match[str], _declared: inspect.Type | None) -> str:
    count, text = int(found["number"]), found["kind"] == "str"
    if found["sign"] == ">=" and count == 1:
        return "must not be empty"
    things = ("character" if text else "item") + ("" if count == 1 else "s")
    return f"must have at {'least' if found['sign'] == '>=' else 'most'} {count} {things}"


def _explain_type_mismatch(found: re.Match[str], _declared: inspect.Type | None) -> str:
    names = [each for each in found["wanted"].split(" | ") if each != "null"]
    wanted = [_TYPE_NAMES.get(each, "something else") for each in names]
    got = _TYPE_NAMES.get(found["got"], "something else").partition(",")[0]
    return f"must be {' or '.join(wanted)}; it is {got}"


def _explain_unknown_choice(found: re.Match[str], declared: inspect.Type | None) -> str:
    words = _list_allowed_values(declared)
    may = f"; it may be {', '.join(words)}" if words else ""
    return f"{found['word']} is not one of its values{may}"


def _explain_pattern(_found: re.Match[str], declared: inspect.Type | None) -> str:
    form = _get_pattern_description(declared)
    return f"must be {form}" if form else "has a character that is not allowed"


def _explain_unknown_field(found: re.Match[str], declared: inspect.Type | None) -> str:
    known = [
        field.encode_name
        for each in list_alternatives(declared)
        for field in get_declared_fields(each)
    ]
    if near := get_close_matches(found["field"], known, 1):
        return f"there is no such field; you may mean {near[0]}"
    return f"there is no such field; the fields are {', '.join(known)}" if known else _NO_FIELDS


def _fixed_explanation(words: str) -> ErrorExplainer:
    return lambda _found, _declared: words


_EXPLANATIONS: Final[Mapping[str, ErrorExplainer]] = {
    r"Expected `(?P<kind>str|array|object)` of length (?P<sign>[<>]=) (?P<number>\d+)": (
        _explain_length
    ),
    r"Expected `(?:int|float)` (?P<sign>[<>]=?) (?P<number>\S+)": _explain_limit,
    r"Expected `(?P<wanted>[^`]+)`, got `(?P<got>[^`]+)`": _explain_type_mismatch,
    r"Expected `(?:datetime|time)` with a timezone component": _fixed_explanation(
        "must name its time zone, such as 2026-03-02T14:00:00Z"
    ),
    r"Invalid RFC3339 encoded datetime": _fixed_explanation(
        "is not a date and time; write it like 2026-03-02T14:00:00Z"
    ),
    r"Invalid RFC3339 encoded date": _fixed_explanation("is not a date; write it like 2026-03-02"),
    r"Invalid (?:enum )?value (?P<word>.+)": _explain_unknown_choice,
    r"Expected `str` matching regex .+": _explain_pattern,
    r"Object missing required field `(?P<field>.*)`": _fixed_explanation("is missing"),
    r"Object contains unknown field `(?P<field>.*)`": _explain_unknown_field,
    r"(?:Integer value|Number|Timestamp is) out of range": _fixed_explanation(
        "is a number out of range"
    ),
}


def _resolve_path(kind: inspect.Type, path: str) -> inspect.Type | None:
    """Return the declared type at a path such as `[0].to`, or None where there is none."""
    found: inspect.Type | None = kind
    for step in _PATH_STEP.finditer(path):
        found = _resolve_step(found, step.group(1))
    return found


def _resolve_step(kind: inspect.Type | None, field: str | None) -> inspect.Type | None:
    for each in list_alternatives(kind):
        if field is None and isinstance(each, inspect.ListType | inspect.VarTupleType):
            return each.item_type
        for own in get_declared_fields(each):
            if own.encode_name == field:
                return own.type
    return None


def get_declared_fields(kind: inspect.Type) -> Sequence[inspect.Field]:
    """Return the fields of a declared type; empty where it is no object with fields."""
    if isinstance(kind, inspect.StructType | inspect.DataclassType | inspect.TypedDictType):
        return kind.fields
    return ()


def list_alternatives(kind: inspect.Type | None) -> list[inspect.Type]:
    """Return the alternatives of a declared type: the members of a union, or the type itself."""
    match kind:
        case inspect.Metadata():
            return list_alternatives(kind.type)
        case inspect.UnionType():
            return [inner for each in kind.types for inner in list_alternatives(each)]
        case None:
            return []
        case _:
            return [kind]


def _list_allowed_values(kind: inspect.Type | None) -> list[str]:
    """Return the values that an enum or a literal allows."""
    words: list[str] = []
    for each in list_alternatives(kind):
        if isinstance(each, inspect.EnumType):
            words += [str(member.value) for member in each.cls]
        elif isinstance(each, inspect.LiteralType):
            words += map(str, each.values)
    return words


def _get_pattern_description(kind: inspect.Type | None) -> str:
    """Return the description that a text's pattern was declared with, or an empty text."""
    described: Any = kind
    while isinstance(described, inspect.UnionType | inspect.Metadata):
        if isinstance(described, inspect.Metadata):
            return str((described.extra_json_schema or {}).get("description", ""))
        described = next((t for t in described.types if isinstance(t, inspect.Metadata)), None)
    return ""
