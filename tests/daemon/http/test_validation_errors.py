"""What a person reads when a body or a query is not what was asked for: our words, never jargon."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon import validation_errors
from daemon.http import v1
from daemon.http.openapi.document import describe_routes
from tests.helpers.client.http import HttpClient
from tests.helpers.hypothesis_profiles import examples

ROUTES = describe_routes([*v1.RESOURCE_ROUTES, *v1.ACCOUNT_ROUTES])
KINDS = [
    kind
    for each in ROUTES
    for kind in (each.operation.body, each.operation.query)
    if kind is not None and kind is not bytes
]
FIELDS = sorted(
    {
        field.encode_name
        for kind in KINDS
        for each in validation_errors.list_alternatives(msgspec.inspect.type_info(kind))
        for field in validation_errors.get_declared_fields(each)
    }
)
JARGON = ("$", "`", "Expected", "RFC", "regex", "enum", "msgspec", "as it is")
LEAF = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.sampled_from(["", "x", "2026-03-02", "2026-03-02T14:00:00", "verdict", "+54", "y" * 600]),
)
NAME = st.sampled_from([*FIELDS, "other"])
VALUE = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAME, inner, max_size=4),
    max_leaves=6,
)


def said_of(kind: Any, document: object) -> str:  # noqa: ANN401 - any declared type
    """Return what a person reads on a document; nothing where it fits."""
    try:
        msgspec.json.decode(json.dumps(document), type=kind)
    except msgspec.DecodeError as error:
        return validation_errors.format_validation_error(error, kind, value_name="body")
    return ""


@examples(150)
@given(kind=st.sampled_from(KINDS), document=VALUE)
def test_no_jargon_reaches_anybody(kind: Any, document: object) -> None:  # noqa: ANN401
    """Whatever is sent to whatever route, the sentence is ours, and it is one line."""
    said = said_of(kind, document)
    assert not [word for word in JARGON if word in said], said
    assert not said or said.endswith(".")
    assert "\n" not in said


@examples(150)
@given(data=st.data())
def test_no_jargon_for_a_single_wrong_field(data: st.DataObject) -> None:
    """One field after the other is given what it can't be: it is named, and what it may be."""
    kind = data.draw(st.sampled_from(KINDS))
    known = [
        field.encode_name
        for each in validation_errors.list_alternatives(msgspec.inspect.type_info(kind))
        for field in validation_errors.get_declared_fields(each)
    ]
    field = data.draw(st.sampled_from([*known, "other"]))
    try:
        msgspec.convert({field: data.draw(VALUE)}, kind, strict=False)
    except msgspec.ValidationError as error:
        said = validation_errors.format_validation_error(error, kind)
        assert not [word for word in JARGON if word in said], said


@pytest.mark.parametrize(
    ("method", "path", "given_", "said"),
    [
        ("POST", "/v1/halt", {"reason": "x"}, "reason: must have at least 3 characters."),
        ("POST", "/v1/halt", {}, "reason: is missing."),
        ("POST", "/v1/halt", {"reason": 3}, "reason: must be a text; it is a whole number."),
        (
            "POST",
            "/v1/halt",
            {"reasn": "a drill", "reason": "a drill"},
            "reasn: there is no such field; you may mean reason.",
        ),
        ("POST", "/v1/messages", [{"to": "1"}], "[0].text: is missing."),
        ("POST", "/v1/messages", [], "The body must not be empty."),
        (
            "POST",
            "/v1/messages",
            {"to": "1", "text": "x", "not_before": "2026-03-02T14:00:00"},
            "not_before: must name its time zone, such as 2026-03-02T14:00:00Z.",
        ),
        ("GET", "/v1/messages?limit=201", None, "limit: must be 200 or less."),
        ("GET", "/v1/messages?limit=many", None, "limit: must be a whole number; it is a text."),
        (
            "POST",
            "/v1/messages?wait=long",
            {"to": "1", "text": "x"},
            "wait: 'long' is not one of its values; it may be verdict.",
        ),
        (
            "POST",
            "/v1/suppressions/import",
            {"upload": "u", "reason": "because", "options": {"region": "ar"}},
            "options.region: must be two capital letters, such as AR.",
        ),
    ],
)
async def test_a_refusal_names_the_field_and_what_it_may_be(
    api: HttpClient, method: str, path: str, given_: object, said: str
) -> None:
    """The doors say it so: field, what is wrong, what to do."""
    how = {} if given_ is None else {"json": given_}
    reply = await api.call(method, path, **how)
    assert (reply.status, reply.document["detail"]) == (400, said)


async def test_a_body_that_is_no_json_says_where_it_ends(api: HttpClient) -> None:
    """Bytes that can't be read are told of without a library's words."""
    reply = await api.call("POST", "/v1/halt", data=b'{"reason":')
    assert reply.document["detail"] == "The body is no JSON: it ends too early."
