"""Reads request bodies and queries by type, and writes JSON answers, paged or with an ETag."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
from aiohttp import web

from daemon import validation_errors
from daemon.errors import BadRequest, RequestTooSlow

T = TypeVar("T")
PAGE_LIMIT: Final = 200
BODY_SECONDS: Final = 30.0
"""How long a body may take to arrive; of an upload, each piece of it."""
_ETAG_DIGITS: Final = 32
_YEARS: Final = range(1970, 9999)
PageLimit = Annotated[int, msgspec.Meta(ge=1, le=PAGE_LIMIT)]
PhoneText = Annotated[str, msgspec.Meta(min_length=3, max_length=64)]
ReasonText = Annotated[str, msgspec.Meta(min_length=3, max_length=500)]


class RequestBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request's body; unknown fields are refused, so that a misspelt one is not ignored."""


class RequestQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request's query; its values arrive as text and are converted."""


class ReasonBody(RequestBody, frozen=True):
    """The reason for an action, which the audit stores."""

    reason: ReasonText


class PageQuery(RequestQuery, frozen=True):
    """One page of a list: at most `limit` items after the cursor `after`."""

    after: str = ""
    limit: PageLimit = 50


class ResponseBody(msgspec.Struct, frozen=True):
    """The answer of a route."""


class ResultPage(ResponseBody, Generic[T], frozen=True):
    """One page of a list; `next` is the `after` of the page that follows, null at the end."""

    items: Sequence[T]
    next: str | None


async def read_body(request: web.Request, kind: type[T]) -> T:
    """Return the request's body as `kind`; raise :class:`BadRequest` naming the field."""
    raw = await _read_content(request)
    try:
        return msgspec.json.decode(raw or b"{}", type=kind)
    except UnicodeDecodeError as error:  # of a text in it; elsewhere such bytes are no JSON
        raise BadRequest("The body is no JSON: a text in it is no UTF-8.") from error
    except msgspec.DecodeError as error:
        raise BadRequest(
            validation_errors.format_validation_error(error, kind, value_name="body")
        ) from error


async def _read_content(request: web.Request) -> bytes:
    async with _limit_arrival(request):
        return await request.read()


async def iterate_chunks(request: web.Request, size: int) -> AsyncIterator[bytes]:
    """Yield the body in chunks of up to `size` bytes; raise :class:`RequestTooSlow`."""
    while True:
        async with _limit_arrival(request):
            chunk = await request.content.read(size)
        if not chunk:
            return
        yield chunk


@contextlib.asynccontextmanager
async def _limit_arrival(request: web.Request) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            yield
    except TimeoutError as error:
        raise RequestTooSlow(f"The body did not arrive within {BODY_SECONDS:g} s.") from error
    except RuntimeError as error:  # the library's error where the client leaves in between
        if request.transport is not None:
            raise
        raise ConnectionResetError("The client left before its body had arrived.") from error


def read_query(request: web.Request, kind: type[T]) -> T:
    """Return the request's query as `kind`; raise :class:`BadRequest` naming the field."""
    # An HTML form sends its empty fields too: they count as left out.
    given = {name: value for name, value in request.query.items() if value}
    try:
        taken = msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequest(
            validation_errors.format_validation_error(error, kind, value_name="query")
        ) from error
    for name in (name for name in given if isinstance(getattr(taken, name, None), datetime)):
        _check_date_time(name, given[name])
        check_year(name, getattr(taken, name))
    # Lax conversion reads the text "null" as null.
    if null := next((name for name in given if getattr(taken, name, name) is None), None):
        raise BadRequest(f"{null}: must not be null; leave it out instead.")
    return taken


def _check_date_time(name: str, value: str) -> None:
    """Raise :class:`BadRequest` for a text that is no RFC 3339 moment."""
    # Lax conversion has accepted a number too, as seconds since 1970.
    try:
        msgspec.convert(value, datetime)
    except msgspec.ValidationError as error:
        raise BadRequest(
            f"{validation_errors.format_field_error(name, error, datetime)}."
        ) from error


def check_year(name: str, moment: datetime | None) -> None:
    """Raise for a moment at the ends of the calendar, where no interval can be added to it."""
    if moment is not None and moment.year not in _YEARS:
        raise BadRequest(f"{name}: the year must be from {_YEARS[0]} to {_YEARS[-1]}.")


def json_response(thing: Any, status: int = 200) -> web.Response:  # noqa: ANN401 - any record
    """Return records, structs or plain values as JSON; moments as ISO 8601, enums by value."""
    return web.Response(
        body=msgspec.json.encode(thing), status=status, content_type="application/json"
    )


def etag_response(request: web.Request, thing: Any) -> web.Response:  # noqa: ANN401 - any record
    """Answer with an ETag, or with 304 where the client has this answer already."""
    response = json_response(thing)
    body_ = response.body if isinstance(response.body, bytes) else b""
    tag = hashlib.sha256(body_).hexdigest()[:_ETAG_DIGITS]
    known = request.if_none_match or ()
    if any(each.value in {tag, "*"} for each in known):
        response = web.Response(status=304)
    response.headers["ETag"] = f'W/"{tag}"'
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def build_page(items: Sequence[T], limit: int, cursor: Callable[[T], str]) -> ResultPage[T]:
    """Return one page of items that were read with `limit + 1`; one too many means a next page."""
    shown = items[:limit]
    return ResultPage(shown, cursor(shown[-1]) if len(items) > limit else None)


def page_response(items: Sequence[T], limit: int, cursor: Callable[[T], str]) -> web.Response:
    """Answer with one page; `next` is the cursor of its last item, null at the end of the list."""
    return json_response(build_page(items, limit, cursor))


def list_response(items: Sequence[T]) -> web.Response:
    """Answer with a whole list, for lists that are always short."""
    return json_response(ResultPage(items, None))


UserName = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
SecretText = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class SecretBody(RequestBody, frozen=True):
    """A request's body that contains a secret."""

    def __repr__(self) -> str:
        """Keep the secret out of logs."""
        return f"{type(self).__name__}(…)"


def uncached_response(thing: Any, status: int = 200) -> web.Response:  # noqa: ANN401 - any record
    """Answer with JSON that no cache may store."""
    response = json_response(thing, status)
    response.headers["Cache-Control"] = "no-store"
    return response
