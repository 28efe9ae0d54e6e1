"""Each route of the public door, over a real socket, with every kind of bad credentials."""

from __future__ import annotations

import re
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import jwt
import pytest
import pytest_asyncio
from aiohttp import web

from daemon.auth import ALL_SCOPES, Principal, Role, Scope, SignInMethod
from daemon.auth.access import ROUTE_SCOPES, AccessLevel, get_required_scope
from daemon.http import console, health, v1
from daemon.http.openapi import docs_page, get_operation
from tests.helpers.client.http import HttpReply, HttpServer, build_settings, open_http_server

ROUTES = [
    (route.method, route.path)
    for route in (
        *health.routes,
        *v1.RESOURCE_ROUTES,
        *v1.ACCOUNT_ROUTES,
        *docs_page.routes,
        *console.routes,
    )
    if isinstance(route, web.RouteDef)
]
GUARDED = [route for route in ROUTES if get_required_scope(*route) is not None]
OWNER = Principal("root", "", ALL_SCOPES, SignInMethod.CONTROL)
PARTS = re.compile(r"\{(\w+)(?::(\w+)[^{}]*)?\}")


@dataclass(frozen=True, slots=True)
class BadCredentials:
    """An open house, and tokens that each are bad in one way."""

    server: HttpServer
    lesser: dict[Scope, str]
    bad: dict[str, str]

    async def knock(self, method: str, path: str, token: str = "") -> HttpReply:
        """Ask a route for something, with a token or without."""
        address = PARTS.sub(lambda part: part[2] or "x", path)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return await self.server.public.call(method, address, headers=headers)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bad_credentials() -> AsyncIterator[BadCredentials]:
    """Serve the API, and make every kind of token that must not be believed."""
    with tempfile.TemporaryDirectory(prefix="lm-") as folder:
        async with open_http_server(build_settings(Path(folder))) as opened:
            yield await make_bad_credentials(opened)


async def make_bad_credentials(opened: HttpServer) -> BadCredentials:
    """Return tokens of every kind that must be refused, and some that lack a scope."""
    room = opened.services.auth
    await room.users.create_user("ana", Role.ADMIN, "root")

    async def token(scopes: frozenset[Scope], life: timedelta = timedelta(hours=1)) -> str:
        return (await room.tokens.issue_token(OWNER, "ana", "crm", scopes, life)).token

    lesser = {scope: await token(ALL_SCOPES - {scope}) for scope in Scope}
    revoked = await token(ALL_SCOPES)
    said = jwt.decode(revoked, options={"verify_signature": False})

    def forged(**changes: object) -> str:
        kid = {"kid": room.keys.kid}
        return jwt.encode({**said, **changes}, room.keys.private, "EdDSA", kid)

    await room.tokens.revoke_token(said["jti"], "root")
    return BadCredentials(
        opened,
        lesser,
        {
            "token_revoked": revoked,
            "token_expired": forged(exp=1),
            "token_for_elsewhere": forged(aud="leadmaster:another"),
            "token_algorithm_refused": jwt.encode(said, "", algorithm="none"),
            "token_unreadable": "nonsense",
        },
    )


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_nobody_comes_in_without_the_right(
    bad_credentials: BadCredentials, method: str, path: str
) -> None:
    """No token, expired, another audience, `alg: none`, revoked: 401; without the scope: 403."""
    reply = await bad_credentials.knock(method, path)
    assert (reply.status, reply.document["code"]) == (401, "unauthorized")
    for code, token in bad_credentials.bad.items():
        reply = await bad_credentials.knock(method, path, token)
        assert (reply.status, reply.document["code"]) == (401, code)
    scope = get_required_scope(method, path)
    if scope is AccessLevel.SIGNED_IN:
        for token in bad_credentials.lesser.values():
            assert (await bad_credentials.knock(method, path, token)).status == 200
        return
    assert isinstance(scope, Scope)
    reply = await bad_credentials.knock(method, path, bad_credentials.lesser[scope])
    assert (reply.status, reply.document["code"]) == (403, "scope_missing")
    assert scope in reply.document["detail"]


def test_every_route_for_programs_is_described() -> None:
    """What has no declaration would be missing in the description."""
    served = (
        *health.routes,
        *v1.RESOURCE_ROUTES,
        *v1.ACCOUNT_ROUTES,
    )
    assert [
        f"{route.method} {route.path}"
        for route in served
        if isinstance(route, web.RouteDef) and get_operation(route.handler) is None
    ] == []


def test_only_the_description_asks_for_no_more_than_a_user() -> None:
    """Whoever may call anything may read how; nobody else."""
    assert {
        path for (_, path), access in ROUTE_SCOPES.items() if access is AccessLevel.SIGNED_IN
    } == {
        "/openapi.json",
        "/docs",
    }


def test_only_what_signs_in_is_open() -> None:
    """The routes without a scope are few, and known."""
    assert {path for (_, path), scope in ROUTE_SCOPES.items() if scope is None} == {
        "/health",
        "/sign-in",
        "/static/{version}/{name}",
        "/v1/sign-in",
        "/v1/sign-in/link",
        "/v1/sign-in/password",
        "/v1/sign-in/token",
        "/v1/sign-in/language",
    }
