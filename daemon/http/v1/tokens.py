"""`/v1/tokens` and `/v1/keys`: creates, lists and revokes API tokens; rotates the signing key."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import msgspec
from aiohttp import web

from daemon.auth.errors import ScopeMissing
from daemon.auth.identity import parse_scopes
from daemon.errors import BadRequest, Conflict, NotFound
from daemon.http.authentication import get_auth, get_identity
from daemon.http.bodies import (
    PageQuery,
    RequestBody,
    ResponseBody,
    ResultPage,
    json_response,
    page_response,
    read_body,
    read_query,
    uncached_response,
)
from daemon.http.openapi import operation
from storage.tokens import TokenRecord

routes = web.RouteTableDef()


class NewTokenBody(RequestBody, frozen=True):
    """A token to make: its name, its scopes, and its life.

    `user` is the user that it acts for; empty: the caller.
    """

    name: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^[\w][\w .-]{0,39}$",
            description="a name of up to 40 letters, digits, dots, dashes and spaces",
        ),
    ]
    scopes: tuple[str, ...]
    hours: Annotated[float, msgspec.Meta(gt=0, le=87_600)] = 24.0
    user: Annotated[str, msgspec.Meta(max_length=64)] = ""


class KeyRotationBody(RequestBody, frozen=True):
    """`at_once`: every token that was ever made becomes invalid."""

    at_once: bool = False


class CreatedToken(ResponseBody, frozen=True):
    """A new token, which is shown only this once, and its stored record."""

    token: str
    record: TokenRecord


class KeyRotationResult(ResponseBody, frozen=True):
    """The id of the key that signs from now on."""

    kid: str


@routes.get("/v1/tokens")
@operation(ResultPage[TokenRecord], query=PageQuery)
async def list_tokens(request: web.Request) -> web.Response:
    """Return the tokens, revoked and lately expired ones too; never their secret."""
    query = read_query(request, PageQuery)
    found = await get_auth(request).tokens.list_tokens(after=query.after, limit=query.limit + 1)
    return page_response(found, query.limit, lambda record: record.id)


@routes.post("/v1/tokens")
@operation(CreatedToken, status=201, body=NewTokenBody, errors=(NotFound, ScopeMissing))
async def create_token(request: web.Request) -> web.Response:
    """Make a token, shown only this once; 403 for a scope that its maker or user does not have."""
    asked, maker = await read_body(request, NewTokenBody), get_identity(request)
    user = asked.user or maker.user
    # The owner of the control socket is no user of LeadMaster.
    if not user:
        raise BadRequest("user: say for which user the token acts.")
    made = await get_auth(request).tokens.issue_token(
        maker, user, asked.name, parse_scopes(asked.scopes), timedelta(hours=asked.hours)
    )
    return uncached_response(CreatedToken(made.token, made.record), status=201)


@routes.delete("/v1/tokens/{id}")
@operation(TokenRecord, errors=(NotFound,))
async def revoke_token(request: web.Request) -> web.Response:
    """Revoke a token at once; idempotent."""
    tokens = get_auth(request).tokens
    return json_response(
        await tokens.revoke_token(request.match_info["id"], get_identity(request).who)
    )


@routes.post("/v1/keys/rotate")
@operation(KeyRotationResult, body=KeyRotationBody, errors=(Conflict,))
async def rotate_signing_key(request: web.Request) -> web.Response:
    """Replace the key that signs tokens; 409 where the service manager holds the key."""
    asked = await read_body(request, KeyRotationBody)
    keys = get_auth(request).keys
    kid = await keys.rotate(get_identity(request).who, at_once=asked.at_once)
    return json_response(KeyRotationResult(kid))
