"""Serves `/openapi.json`, and the same document as one HTML page at `/docs`."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from markupsafe import Markup, escape

from daemon.http import health, v1
from daemon.http.bodies import etag_response
from daemon.http.openapi.document import REF_PREFIX, build_document

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
    """Return a schema as text; `link` turns the name of a component into a link."""
    match schema:
        case {"$ref": reference}:
            text = link(reference.removeprefix(REF_PREFIX))
        case {"anyOf": choices}:
            text = " or ".join(describe_schema(each, link) for each in choices)
        case {"enum": values}:
            text = " or ".join(str(value) for value in values)
        case {"prefixItems": parts}:
            text = f"list of {', '.join(describe_schema(part, link) for part in parts)}"
        case {"type": "array"}:
            items = describe_schema(schema.get("items", {}), link)
            text = f"list of {items}{_describe_constraints(schema)}"
        case {"format": "date-time"}:
            text = "date and time"
        case {"additionalProperties": {"type": _} | {"$ref": _} as inner}:
            text = f"object of {describe_schema(inner, link)}"
        case _:
            text = _TYPE_WORDS.get(str(schema.get("type")), "anything") + _describe_constraints(
                schema
            )
    return text


def _describe_constraints(schema: Mapping[str, Any]) -> str:
    text = [words.format(schema[key]) for key, words in _CONSTRAINT_WORDS.items() if key in schema]
    return f", {', '.join(text)}" if text else ""


def group_by_tag(document: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the operations by tag, each with its method and path."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            whole = {**said, "method": method.upper(), "path": path}
            groups.setdefault(said["tags"][0], []).append(whole)
    return groups


_FOLDER: Final = Path(__file__).parent
_STYLE: Final = (_FOLDER / "docs.css").read_text(encoding="utf-8")
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
PAGE_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        # The page has no script; its one style is allowed by its hash, so nothing injected applies.
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "private, no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def render_docs_page(document: Mapping[str, Any]) -> str:
    """Return the document as an HTML page."""
    import jinja2  # noqa: PLC0415 - most daemons never show this page

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["describe"] = lambda schema: Markup(describe_schema(schema, _render_link))  # noqa: S704 - ours
    environment.filters["prose"] = _render_prose
    return environment.get_template("docs.html").render(
        document=document,
        groups=group_by_tag(document),
        tags={tag["name"]: tag["description"] for tag in document["tags"]},
        schemas=sorted(document["components"]["schemas"].items()),
        style=Markup(_STYLE),  # noqa: S704 - a file of ours
    )


def _render_prose(text: str) -> Markup:
    """Return a docstring as HTML, with the parts in backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704


def _render_link(name: str) -> str:
    return f'<a href="#{name}">{name}</a>'


routes = web.RouteTableDef()

API_ROUTES: Final[tuple[web.AbstractRouteDef, ...]] = (
    *health.routes,
    *v1.RESOURCE_ROUTES,
    *v1.ACCOUNT_ROUTES,
)
"""Every route for programs, of both servers."""


@cache
def get_api_document() -> dict[str, Any]:
    """Return the OpenAPI document, built once: it can't change while the daemon runs."""
    return build_document(API_ROUTES)


@cache
def _get_docs_page() -> str:
    return render_docs_page(get_api_document())


@routes.get("/openapi.json")
async def get_openapi(request: web.Request) -> web.Response:
    """Return the OpenAPI 3.1 document."""
    return etag_response(request, get_api_document())


@routes.get("/docs")
async def get_docs(_request: web.Request) -> web.Response:
    """Return the OpenAPI document as one page, which loads nothing else."""
    # In a thread: building it takes a quarter of a second, once.
    text = await asyncio.to_thread(_get_docs_page)
    return web.Response(text=text, content_type="text/html", headers=PAGE_HEADERS)
