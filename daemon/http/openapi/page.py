"""`/docs`: the OpenAPI document as one page, rendered here; it asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup, escape

from daemon.http.openapi.words import describe_schema, group_by_tag

_FOLDER: Final = Path(__file__).parent
_STYLE: Final = (_FOLDER / "docs.css").read_text(encoding="utf-8")
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
PAGE_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "private, no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def render_docs_page(document: Mapping[str, Any]) -> str:
    """Return the page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kind"] = lambda schema: Markup(describe_schema(schema, _render_link))  # noqa: S704 - ours
    environment.filters["prose"] = _render_prose
    return environment.get_template("docs.html").render(
        document=document,
        groups=group_by_tag(document),
        schemas=sorted(document["components"]["schemas"].items()),
        style=Markup(_STYLE),  # noqa: S704 - a file of ours
    )


def _render_prose(text: str) -> Markup:
    """Return a docstring's words, with what stands in backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704


def _render_link(name: str) -> str:
    return f'<a href="#{name}">{name}</a>'
