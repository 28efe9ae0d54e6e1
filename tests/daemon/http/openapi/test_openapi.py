"""The description of the interface: valid, whole, true to the handlers, and readable by itself."""

from __future__ import annotations

import inspect
import json
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from openapi_spec_validator import OpenAPIV31SpecValidator

from daemon.auth.access import ROUTE_SCOPES
from daemon.auth.identity import Scope
from daemon.http.openapi import get_operation
from daemon.http.openapi.docs_page import API_ROUTES, describe_schema, get_api_document
from daemon.http.openapi.document import _any_value_schema, describe_routes
from tests.helpers.client.http import HttpClient, HttpServer

NAMES = Path(__file__).with_name("public_names.toml")
"""What clients that were generated from the document call things by: a change here breaks them."""
EXPECTED_READS = {"body": 109, "query": 31}
"""How many handlers read a body or a query in their own source."""


class Outside(HTMLParser):
    """Collects whatever a page would load, and every place that it links to."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: set[str] = set()
        self.places: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one element."""
        given = dict(attrs)
        if tag in {"script", "img", "link", "iframe"} or "style" in given or "src" in given:
            self.loads.append(tag)
        if (place := given.get("id")) is not None:
            self.places.add(place)
        if (link := given.get("href")) is not None:
            self.links.add(link)


def test_the_document_is_openapi_3_1() -> None:
    """The validator of the specification finds nothing."""
    document = json.loads(json.dumps(get_api_document()))
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_every_scope_of_the_table_is_said() -> None:
    """What a route asks for stands in its text, and it says how to come in."""
    for each in describe_routes(API_ROUTES):
        access = ROUTE_SCOPES[each.method, re.sub(r":[^{}]*}", "}", each.path)]
        said = get_api_document()["paths"][re.sub(r":[^{}]*}", "}", each.path)][each.method.lower()]
        assert (f"Scope: `{access}`." in said["description"]) == isinstance(access, Scope)
        assert bool(said["security"]) == (access is not None)


def test_names_for_generated_clients_differ() -> None:
    """Each operation has a name of its own, of letters that every language takes."""
    names = [each.operation_id for each in describe_routes(API_ROUTES)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z]\w*", name) for name in names)


def test_public_names_are_the_pinned_ones() -> None:
    """Components, tags and operations: no name changes unless somebody changes it here too."""
    document, pinned = get_api_document(), tomllib.loads(NAMES.read_text(encoding="utf-8"))
    operations = [said for methods in document["paths"].values() for said in methods.values()]
    assert sorted(document["components"]["schemas"]) == pinned["components"]
    assert [tag["name"] for tag in document["tags"]] == pinned["tags"]
    assert sorted(said["operationId"] for said in operations) == pinned["operations"]


def test_a_component_has_one_plain_name() -> None:
    """Key and title are the same word, without dots or modules: generators take either."""
    for key, schema in get_api_document()["components"]["schemas"].items():
        assert schema["title"] == key
        assert re.fullmatch(r"[A-Z][A-Za-z0-9]*", key)


def test_every_tag_is_declared_with_a_sentence() -> None:
    """And none is declared that no operation has."""
    document = get_api_document()
    used = {
        tag for said in document["paths"].values() for each in said.values() for tag in each["tags"]
    }
    assert {tag["name"] for tag in document["tags"]} == used
    assert all(tag["description"].endswith(".") for tag in document["tags"])


def test_an_item_of_a_list_has_a_type_of_its_own() -> None:
    """A list of fixed length with a type for each place is nothing that generators know."""
    assert "prefixItems" not in json.dumps(get_api_document())


def test_what_is_declared_first_is_what_generated_clients_read() -> None:
    """The reasons why the daemon is not ready; and a file's bytes, not just anything."""
    paths = get_api_document()["paths"]
    unready = paths["/ready"]["get"]["responses"]["503"]["content"]
    assert list(unready) == ["application/json", "application/problem+json"]
    upload = paths["/v1/uploads"]["post"]["requestBody"]["content"]
    assert upload == {
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
    }


@pytest.mark.parametrize("word", ["body", "query"])
def test_a_handler_takes_what_it_declares(word: str) -> None:
    """The type that a handler reads is the one that its declaration names."""
    seen = 0
    for route in API_ROUTES:
        assert isinstance(route, web.RouteDef)
        declared = get_operation(route.handler)
        assert declared is not None
        read = re.search(rf"\bread_{word}\(request, (\w+)\)", inspect.getsource(route.handler))
        if read is not None:
            wanted = getattr(inspect.getmodule(route.handler), read[1])
            assert getattr(declared, word) is wanted, route.path
            seen += 1
    assert seen == EXPECTED_READS[word]


async def test_programs_and_people_read_the_same(api: HttpClient, server: HttpServer) -> None:
    """`/openapi.json` and `/docs` are behind the door; the page loads nothing, and links hold."""
    token = await one_who_reads(api)
    headers = {"Authorization": f"Bearer {token}"}
    document = await server.public.call("GET", "/openapi.json", headers=headers)
    assert document.document["openapi"] == "3.1.0"
    known = {**headers, "If-None-Match": document.headers["ETag"]}
    assert (await server.public.call("GET", "/openapi.json", headers=known)).status == 304
    page = await server.public.call("GET", "/docs", headers=headers)
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    seen = Outside()
    seen.feed(page.document)
    assert seen.loads == []
    assert {link[1:] for link in seen.links if link.startswith("#")} <= seen.places
    assert {link for link in seen.links if not link.startswith("#")} == {"/openapi.json"}
    assert all(f">{path}<" in page.document for path in get_api_document()["paths"])


async def one_who_reads(api: HttpClient) -> str:
    """Return a token that may read."""
    await api.post("/v1/users", name="ana", role="viewer")
    order = {"name": "docs", "user": "ana", "scopes": ["sessions:read"]}
    token: str = (await api.post("/v1/tokens", **order)).document["token"]
    return token


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "#/components/schemas/Story"}, "<Story>"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text or null"),
        ({"enum": ["a", "b"]}, "a or b"),
        ({"type": "array", "items": {"enum": ["a"]}, "maxItems": 5}, "list of a, up to 5"),
        ({"type": "array", "prefixItems": [{"enum": ["a"]}], "items": False}, "list of a"),
        ({"type": "string", "format": "date-time"}, "date and time"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "object of whole number"),
        ({"type": "integer", "minimum": 1, "maximum": 200}, "whole number, from 1, up to 200"),
        ({}, "anything"),
    ],
)
def test_a_schema_in_words(schema: dict[str, Any], words: str) -> None:
    """People read what a value may be, not JSON Schema."""
    assert describe_schema(schema, lambda name: f"<{name}>") == words


def test_an_unknown_type_is_not_described_as_anything() -> None:
    """A type that JSON has no word for stops the build of the document."""
    with pytest.raises(NotImplementedError):
        _any_value_schema(complex)
