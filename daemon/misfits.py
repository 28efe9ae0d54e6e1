"""Why a value is not what was declared: the library's report, said to people in a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

import msgspec
from msgspec import inspect

_KINDS: Final[Mapping[str, str]] = {
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
_LIMITS: Final[Mapping[str, str]] = {
    ">=": "must be {0} or more",
    "<=": "must be {0} or less",
    ">": "must be more than {0}",
    "<": "must be less than {0}",
}
_NO_FIELDS: Final = "there is no such field; none is asked for"
_ILL_FORMED: Final[Mapping[str, str]] = {"Input data was truncated": "it ends too early"}
_PLACE: Final = re.compile(r" - at (?P<key>`key` in )?`\$(?P<path>.*)`$", re.DOTALL)
_STEP: Final = re.compile(r"\.(\w+)|\[")

ErrorExplainer = Callable[[re.Match[str], inspect.Type | None], str]


def sentence(error: msgspec.DecodeError, kind: object = None, *, whole: str = "value") -> str:
    """Return one sentence: which field, what is wrong with it, what it may be.

    `kind` is the type that the value was to be, so that words and fields can be named; `whole` is
    what the value is called where nothing within it is to blame.
    """
    if not isinstance(error, msgspec.ValidationError):
        report = str(error).removeprefix("JSON is malformed: ")
        return f"The {whole} is no JSON: {_ILL_FORMED.get(report, report)}."
    field, told = _told(error, kind)
    return f"{field}: {told}." if field else f"The {whole} {told}."


def of(name: str, error: msgspec.ValidationError, kind: object) -> str:
    """Return what is wrong with the value called `name`, without a full stop."""
    field, told = _told(error, kind)
    return f"{name}{'.' if field[:1].isalpha() else ''}{field}: {told}"


def _told(error: msgspec.ValidationError, kind: object) -> tuple[str, str]:
    """Return which field it is, none for the whole, and what is wrong with it."""
    report, path = str(error), ""
    if place := _PLACE.search(report):
        report, path = report[: place.start()], place["path"]
    declared = _declared(inspect.type_info(kind), path) if kind is not None else None
    for form, told in _FORMS.items():
        if found := re.fullmatch(form, report, re.DOTALL):
            own = found.groupdict().get("field")
            field = path if own is None else f"{path}.{own}"
            return _field(field), told(found, declared)
    return _field(path), "can't be taken as it is"


def _field(path: str) -> str:
    return path.removeprefix(".").replace("[...]", "")


def _limited(found: re.Match[str], _declared: inspect.Type | None) -> str:
    number = found["number"].removesuffix(".0")
    return _LIMITS[found["sign"]].format(number)


def _sized(found: re.Match[str], _declared: inspect.Type | None) -> str:
    count, text = int(found["number"]), found["kind"] == "str"
    if found["sign"] == ">=" and count == 1:
        return "must not be empty"
    things = ("character" if text else "item") + ("" if count == 1 else "s")
    return f"must have at {'least' if found['sign'] == '>=' else 'most'} {count} {things}"


def _another(found: re.Match[str], _declared: inspect.Type | None) -> str:
    names = [each for each in found["wanted"].split(" | ") if each != "null"]
    wanted = [_KINDS.get(each, "something else") for each in names]
    got = _KINDS.get(found["got"], "something else").partition(",")[0]
    return f"must be {' or '.join(wanted)}; it is {got}"


def _no_word(found: re.Match[str], declared: inspect.Type | None) -> str:
    words = _words(declared)
    may = f"; it may be {', '.join(words)}" if words else ""
    return f"{found['word']} is no word that it knows{may}"


def _formless(_found: re.Match[str], declared: inspect.Type | None) -> str:
    form = _described(declared)
    return f"must be {form}" if form else "has a sign in it that it can't have"


def _unknown(found: re.Match[str], declared: inspect.Type | None) -> str:
    known = [field.encode_name for each in alternatives(declared) for field in fields(each)]
    if near := get_close_matches(found["field"], known, 1):
        return f"there is no such field; you may mean {near[0]}"
    return f"there is no such field; the fields are {', '.join(known)}" if known else _NO_FIELDS


def _just(words: str) -> ErrorExplainer:
    return lambda _found, _declared: words


_FORMS: Final[Mapping[str, ErrorExplainer]] = {
    r"Expected `(?P<kind>str|array|object)` of length (?P<sign>[<>]=) (?P<number>\d+)": _sized,
    r"Expected `(?:int|float)` (?P<sign>[<>]=?) (?P<number>\S+)": _limited,
    r"Expected `(?P<wanted>[^`]+)`, got `(?P<got>[^`]+)`": _another,
    r"Expected `(?:datetime|time)` with a timezone component": _just(
        "must name its time zone, such as 2026-03-02T14:00:00Z"
    ),
    r"Invalid RFC3339 encoded datetime": _just(
        "is no moment; write it such as 2026-03-02T14:00:00Z"
    ),
    r"Invalid RFC3339 encoded date": _just("is no date; write it such as 2026-03-02"),
    r"Invalid (?:enum )?value (?P<word>.+)": _no_word,
    r"Expected `str` matching regex .+": _formless,
    r"Object missing required field `(?P<field>.*)`": _just("is missing"),
    r"Object contains unknown field `(?P<field>.*)`": _unknown,
    r"(?:Integer value|Number|Timestamp is) out of range": _just("is a number too far out"),
}


def _declared(kind: inspect.Type, path: str) -> inspect.Type | None:
    """Follow a path such as `[0].to` into a declaration; None where it leads nowhere known."""
    found: inspect.Type | None = kind
    for step in _STEP.finditer(path):
        found = _inner(found, step.group(1))
    return found


def _inner(kind: inspect.Type | None, field: str | None) -> inspect.Type | None:
    for each in alternatives(kind):
        if field is None and isinstance(each, inspect.ListType | inspect.VarTupleType):
            return each.item_type
        for own in fields(each):
            if own.encode_name == field:
                return own.type
    return None


def fields(kind: inspect.Type) -> Sequence[inspect.Field]:
    """Return the fields of a declaration; none where it is no object with fields."""
    if isinstance(kind, inspect.StructType | inspect.DataclassType | inspect.TypedDictType):
        return kind.fields
    return ()


def alternatives(kind: inspect.Type | None) -> list[inspect.Type]:
    """Return the types that a declaration allows, one where it is no union."""
    match kind:
        case inspect.Metadata():
            return alternatives(kind.type)
        case inspect.UnionType():
            return [inner for each in kind.types for inner in alternatives(each)]
        case None:
            return []
        case _:
            return [kind]


def _words(kind: inspect.Type | None) -> list[str]:
    """Return the words that an enum or a literal knows."""
    words: list[str] = []
    for each in alternatives(kind):
        if isinstance(each, inspect.EnumType):
            words += [str(member.value) for member in each.cls]
        elif isinstance(each, inspect.LiteralType):
            words += map(str, each.values)
    return words


def _described(kind: inspect.Type | None) -> str:
    """Return how a text of some form was described where it was declared."""
    described: Any = kind
    while isinstance(described, inspect.UnionType | inspect.Metadata):
        if isinstance(described, inspect.Metadata):
            return str((described.extra_json_schema or {}).get("description", ""))
        described = next((t for t in described.types if isinstance(t, inspect.Metadata)), None)
    return ""
