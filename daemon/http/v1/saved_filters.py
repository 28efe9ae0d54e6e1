"""`/v1/saved-filters`: filters of prospects under a name, to be used again."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web

from daemon.contacts.prospect_filters import ProspectFilter
from daemon.contacts.saved_filters import MAX_NAME_LENGTH, SavedFilter
from daemon.errors import BadRequest, Conflict, NotFound
from daemon.http.authentication import ACTOR
from daemon.http.bodies import (
    RequestBody,
    RequestQuery,
    ResultPage,
    json_response,
    list_response,
    read_body,
    read_query,
)
from daemon.http.health import get_services
from daemon.http.openapi import operation
from daemon.http.problems import get_reader_language
from daemon.http.v1.enqueue import ZonedDateTime

routes = web.RouteTableDef()

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_LENGTH)]


class NewSavedFilterBody(RequestBody, frozen=True):
    """A filter with at least one field, and the name to keep it under."""

    name: _Name
    filter: ProspectFilter


class SavedFilterChangeBody(RequestBody, frozen=True):
    """Another name, other fields, or both; what is left out stays.

    `changed_at` is that of the filter as it was read: 409 where somebody changed it since.
    """

    name: _Name | None = None
    filter: ProspectFilter | None = None
    changed_at: ZonedDateTime | None = None


class SavedFilterDeletionQuery(RequestQuery, frozen=True):
    """The `changed_at` of the filter as it was read: 409 where somebody changed it since."""

    changed_at: ZonedDateTime | None = None


@routes.get("/v1/saved-filters")
@operation(ResultPage[SavedFilter])
async def list_saved_filters(request: web.Request) -> web.Response:
    """Return every saved filter by name, as a sentence and with how many people it finds now."""
    return list_response(await get_services(request).saved_filters.list_filters())


@routes.post("/v1/saved-filters")
@operation(SavedFilter, status=201, body=NewSavedFilterBody, errors=(Conflict,))
async def save_filter(request: web.Request) -> web.Response:
    """Keep a filter under a name; 409 where one has it, in whatever case and accents."""
    body = await read_body(request, NewSavedFilterBody)
    saved = await get_services(request).saved_filters.create(body.name, body.filter, request[ACTOR])
    return json_response(saved, status=201)


@routes.get("/v1/saved-filters/{id}")
@operation(SavedFilter, errors=(NotFound,))
async def get_saved_filter(request: web.Request) -> web.Response:
    """Return one saved filter; the id may be its name."""
    return json_response(await get_services(request).saved_filters.get(request.match_info["id"]))


@routes.patch("/v1/saved-filters/{id}")
@operation(SavedFilter, body=SavedFilterChangeBody, errors=(NotFound, Conflict))
async def change_saved_filter(request: web.Request) -> web.Response:
    """Rename a saved filter or change its fields; campaigns that took it keep what they took."""
    body = await read_body(request, SavedFilterChangeBody)
    if body.name is None and body.filter is None:
        raise BadRequest("There is nothing to change.", hint="Give name or filter.")
    changed = await get_services(request).saved_filters.change(
        request.match_info["id"],
        request[ACTOR],
        name=body.name,
        chosen=body.filter,
        as_read=body.changed_at,
        language=get_reader_language(request),
    )
    return json_response(changed)


@routes.delete("/v1/saved-filters/{id}")
@operation(SavedFilter, query=SavedFilterDeletionQuery, errors=(NotFound, Conflict))
async def delete_saved_filter(request: web.Request) -> web.Response:
    """Delete a saved filter for everybody, and return it; campaigns keep what they took of it."""
    query = read_query(request, SavedFilterDeletionQuery)
    deleted = await get_services(request).saved_filters.delete(
        request.match_info["id"],
        request[ACTOR],
        as_read=query.changed_at,
        language=get_reader_language(request),
    )
    return json_response(deleted)
