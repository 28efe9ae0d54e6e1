"""Bodies, queries and answers: JSON in and out, checked by type, in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from aiohttp import web

from daemon.errors import BadRequest

T = TypeVar("T")
PAGE_LIMIT = 200
Limit = Annotated[int, msgspec.Meta(ge=1, le=PAGE_LIMIT)]
Reason = Annotated[str, msgspec.Meta(min_length=3, max_length=500)]


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request's body; a misspelt field is refused, never ignored."""


class Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request's query; its values arrive as text and are converted."""


class Because(Body, frozen=True):
    """An order that a person must give a reason for."""

    reason: Reason


class Page(Query, frozen=True):
    """One page of a list: at most `limit` things that come after the cursor."""

    after: str = ""
    limit: Limit = 50


async def body(request: web.Request, kind: type[T]) -> T:
    """Return the request's body as `kind`; raise :class:`BadRequest` naming the field."""
    raw = await request.read()
    try:
        return msgspec.json.decode(raw or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise BadRequest(f"The body can't be taken: {error}.") from error
    except msgspec.DecodeError as error:
        raise BadRequest(f"The body is not JSON: {error}.") from error


def query(request: web.Request, kind: type[T]) -> T:
    """Return the request's query as `kind`; raise :class:`BadRequest` naming the field."""
    try:
        return msgspec.convert(dict(request.query), kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequest(f"The query can't be taken: {error}.") from error


def answer(thing: Any, status: int = 200) -> web.Response:  # noqa: ANN401 - any record
    """Return records, structs or plain values as JSON; moments as ISO 8601, enums as words."""
    return web.Response(
        body=msgspec.json.encode(thing), status=status, content_type="application/json"
    )


def page(items: Sequence[T], limit: int, cursor: Callable[[T], str]) -> web.Response:
    """Return one page; `next` is the cursor of its last item, null where the list ends."""
    more = len(items) > limit
    shown = items[:limit]
    return answer({"items": shown, "next": cursor(shown[-1]) if more else None})
