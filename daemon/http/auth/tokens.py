"""`/v1/tokens` and `/v1/keys`: what programs come in with, and what signs it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import msgspec
from aiohttp import web

from daemon.auth.refusals import ScopeMissing
from daemon.auth.scopes import parse_scopes
from daemon.errors import BadRequest, Conflict, NotFound
from daemon.http.auth.bodies import private
from daemon.http.auth.identify import auth_of, identity_of
from daemon.http.bodies import Answer, Body, PageQuery, ResultPage, answer, body, page, query
from daemon.http.openapi import operation
from storage.tokens import TokenRecord

routes = web.RouteTableDef()


class NewTokenBody(Body, frozen=True):
    """A token to make: what it is for, what it may do, and for how long.

    `user` is whom it acts for; empty: whoever makes it.
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


class KeyRotationBody(Body, frozen=True):
    """`at_once`: no token that was ever made counts any more."""

    at_once: bool = False


class CreatedToken(Answer, frozen=True):
    """A token on the one occasion on which it is shown, and what is kept of it."""

    token: str
    record: TokenRecord


class KeyRotationResult(Answer, frozen=True):
    """The id of the key that signs from now on."""

    kid: str


@routes.get("/v1/tokens")
@operation(ResultPage[TokenRecord], query=PageQuery)
async def list_(request: web.Request) -> web.Response:
    """Return the tokens, the revoked and the lately expired too; never what they say."""
    wanted = query(request, PageQuery)
    found = await auth_of(request).tokens.list(after=wanted.after, limit=wanted.limit + 1)
    return page(found, wanted.limit, lambda record: record.id)


@routes.post("/v1/tokens")
@operation(CreatedToken, status=201, body=NewTokenBody, refuses=(NotFound, ScopeMissing))
async def make(request: web.Request) -> web.Response:
    """Make a token and show it this once; 403 for a scope that its maker or user has not."""
    asked, maker = await body(request, NewTokenBody), identity_of(request)
    user = asked.user or maker.user
    if not user:
        raise BadRequest("user: say for which user the token acts.")
    made = await auth_of(request).tokens.make(
        maker, user, asked.name, parse_scopes(asked.scopes), timedelta(hours=asked.hours)
    )
    return private(CreatedToken(made.token, made.record), status=201)


@routes.delete("/v1/tokens/{id}")
@operation(TokenRecord, refuses=(NotFound,))
async def revoke(request: web.Request) -> web.Response:
    """Revoke a token at once; idempotent."""
    tokens = auth_of(request).tokens
    return answer(await tokens.revoke(request.match_info["id"], identity_of(request).who))


@routes.post("/v1/keys/rotate")
@operation(KeyRotationResult, body=KeyRotationBody, refuses=(Conflict,))
async def rotate(request: web.Request) -> web.Response:
    """Sign with a new key from now on; 409 where the service manager holds the key."""
    asked = await body(request, KeyRotationBody)
    keys = auth_of(request).keys
    kid = await keys.rotate(identity_of(request).who, at_once=asked.at_once)
    return answer(KeyRotationResult(kid))
