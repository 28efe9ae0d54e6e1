"""Every way in which a request can be refused, over a real server: one code each."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from daemon.auth import Role, Scope
from tests.helpers.client.auth import PASSWORD, AuthServices

MakeToken = Callable[[AuthServices, str], Awaitable[str]]


def said(token: str) -> dict[str, Any]:
    """Return what a token says, unchecked."""
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def resigned(services: AuthServices, token: str, without: str = "", **changes: object) -> str:
    """Return a token that says something else, well signed by the house's own key."""
    keys = services.auth.keys
    claims = {name: value for name, value in said(token).items() if name != without} | changes
    return jwt.encode(claims, keys.private, algorithm="EdDSA", headers={"kid": keys.kid})


def part(value: dict[str, Any]) -> str:
    """Return one part of a token."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def garbage(_house: AuthServices, _token: str) -> str:
    """No token at all."""
    return "not-a-token"


async def not_ascii(_house: AuthServices, token: str) -> str:
    """Letters that no token has."""
    return f"{token}ñ"


async def endless(_house: AuthServices, token: str) -> str:
    """Longer than any token of ours."""
    return token + "A" * 5000


async def unsigned(_house: AuthServices, token: str) -> str:
    """`alg: none`, and nothing where the signature was."""
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{token.split('.')[1]}."


async def shared_secret(services: AuthServices, token: str) -> str:
    """HS256, with the public key as the secret: the classic confusion."""
    public = services.auth.keys.private.public_key().public_bytes_raw()
    return jwt.encode(
        said(token), public, algorithm="HS256", headers={"kid": services.auth.keys.kid}
    )


async def strangers_key(_house: AuthServices, token: str) -> str:
    """A key that this house never had."""
    key = Ed25519PrivateKey.generate()
    return jwt.encode(said(token), key, algorithm="EdDSA", headers={"kid": "0" * 16})


async def strangers_signature(services: AuthServices, token: str) -> str:
    """A stranger's signature under our key's name."""
    key, kid = Ed25519PrivateKey.generate(), services.auth.keys.kid
    return jwt.encode(said(token), key, algorithm="EdDSA", headers={"kid": kid})


async def no_kid(services: AuthServices, token: str) -> str:
    """Well signed, but it does not say by which key."""
    return jwt.encode(said(token), services.auth.keys.private, algorithm="EdDSA")


async def tampered(_house: AuthServices, token: str) -> str:
    """More scopes written in, under the old signature."""
    head, _, signature = token.split(".")
    return f"{head}.{part(said(token) | {'scope': 'admin'})}.{signature}"


async def wrong_audience(services: AuthServices, token: str) -> str:
    """Made for another installation."""
    return resigned(services, token, aud="leadmaster:another")


async def many_audiences(services: AuthServices, token: str) -> str:
    """Made for us and for somebody else too."""
    return resigned(services, token, aud=[said(token)["aud"], "another"])


async def wrong_issuer(services: AuthServices, token: str) -> str:
    """Made by another service."""
    return resigned(services, token, iss="somebody")


async def no_expiry(services: AuthServices, token: str) -> str:
    """It would live for ever."""
    return resigned(services, token, without="exp")


async def no_scope(services: AuthServices, token: str) -> str:
    """A claim of our own is missing."""
    return resigned(services, token, without="scope")


async def odd_expiry(services: AuthServices, token: str) -> str:
    """An expiry that is no time."""
    return resigned(services, token, exp="tomorrow")


async def somebody_else(services: AuthServices, token: str) -> str:
    """Another user's name on a token that was made for this one."""
    return resigned(services, token, sub=await services.create_user("eva"))


async def never_made(services: AuthServices, token: str) -> str:
    """Well signed, but there is no row for it."""
    return resigned(services, token, jti="tok_unknown")


async def expired(services: AuthServices, token: str) -> str:
    """Its hour is over, to the second."""
    await services.clock.advance(3600)
    return token


async def said_to_live_on(services: AuthServices, token: str) -> str:
    """It says that it lives for longer than its row."""
    await services.clock.advance(3600)
    return resigned(services, token, exp=said(token)["exp"] + 9999)


async def revoked(services: AuthServices, token: str) -> str:
    """Revoked by its id."""
    await services.auth.tokens.revoke_token(said(token)["jti"], "root")
    return token


async def user_revoked(services: AuthServices, token: str) -> str:
    """All of its user's were revoked."""
    await services.auth.users.revoke_access("ana", "root")
    return token


async def user_disabled(services: AuthServices, token: str) -> str:
    """Its user was disabled, and let in again: what was revoked stays so."""
    await services.auth.users.disable("ana", "root")
    await services.auth.users.enable("ana", "root")
    return token


async def rotated_at_once(services: AuthServices, token: str) -> str:
    """Its key was thrown away."""
    await services.auth.keys.rotate("root", at_once=True)
    return token


TOKENS: list[tuple[MakeToken, int, str]] = [
    (garbage, 401, "token_unreadable"),
    (not_ascii, 401, "token_unreadable"),
    (endless, 401, "token_unreadable"),
    (no_expiry, 401, "token_unreadable"),
    (no_scope, 401, "token_unreadable"),
    (odd_expiry, 401, "token_unreadable"),
    (unsigned, 401, "token_algorithm_refused"),
    (shared_secret, 401, "token_algorithm_refused"),
    (strangers_key, 401, "token_key_unknown"),
    (strangers_signature, 401, "token_key_unknown"),
    (no_kid, 401, "token_key_unknown"),
    (tampered, 401, "token_key_unknown"),
    (rotated_at_once, 401, "token_key_unknown"),
    (wrong_audience, 401, "token_for_elsewhere"),
    (many_audiences, 401, "token_for_elsewhere"),
    (wrong_issuer, 401, "token_for_elsewhere"),
    (expired, 401, "token_expired"),
    (said_to_live_on, 401, "token_expired"),
    (revoked, 401, "token_revoked"),
    (user_revoked, 401, "token_revoked"),
    (user_disabled, 401, "token_revoked"),
    (somebody_else, 401, "token_revoked"),
    (never_made, 401, "token_revoked"),
]


@pytest.mark.parametrize(
    ("forge", "status", "code"), TOKENS, ids=[forge.__name__ for forge, *_ in TOKENS]
)
async def test_a_token_that_is_not_good_is_refused(
    services: AuthServices, forge: MakeToken, status: int, code: str
) -> None:
    """Each fault has its code; the answer is a problem document without the token in it."""
    await services.create_user()
    await services.create_user("zoe")
    good = await services.create_token("ana")
    assert (await services.bearer(good).call("GET", "/v1/sessions")).status == 200
    bad = await forge(services, good)
    reply = await services.bearer(bad).call("GET", "/v1/sessions")
    assert (reply.status, reply.code) == (status, code)
    assert reply.document["hint"]
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")
    assert bad not in json.dumps(reply.document)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "unauthorized"),
        ({"Authorization": "Basic YW5hOmFuYQ=="}, "unauthorized"),
        ({"Authorization": "Bearer"}, "token_unreadable"),
        ({"Cookie": "leadmaster=unknown"}, "sign_in_over"),
        ({"Cookie": "__Host-leadmaster=unknown"}, "unauthorized"),
        ({"Cookie": "__Host-leadmaster=x", "X-Forwarded-Proto": "https"}, "sign_in_over"),
        ({"Sec-WebSocket-Protocol": "leadmaster.v1, leadmaster.token.x"}, "token_unreadable"),
        ({"Sec-WebSocket-Protocol": "leadmaster.v1"}, "unauthorized"),
    ],
)
async def test_whoever_says_nothing_good_is_a_stranger(
    services: AuthServices, headers: dict[str, str], code: str
) -> None:
    """No credentials, odd ones, or those of a sign-in that never was."""
    for path in ("/v1/sessions", "/v1/nowhere"):
        reply = await services.public.call("GET", path, headers)
        assert (reply.status, reply.code) == (401, code)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        (b"Authorization: Bearer \xff\xfe", b"token_unreadable"),
        (b"Cookie: leadmaster=\xff\xfe", b"sign_in_over"),
        (b"Cookie: leadmaster=%s\r\nX-CSRF-Token: \xff\r\nOrigin: %s", b"csrf_refused"),
        (b"Cookie: leadmaster=%s\r\nX-CSRF-Token: x\r\nOrigin: %s\xff", b"origin_refused"),
    ],
)
async def test_bytes_that_are_no_text_are_refused_like_text(
    services: AuthServices, headers: bytes, code: bytes
) -> None:
    """What no client of ours would send is no fault of the daemon's."""
    browser = await services.sign_in_browser(await services.create_user())
    if b"%s" in headers:
        secret = browser.headers["Cookie"].partition("=")[2]
        headers %= (secret.encode(), services.public.base.encode())
    host, port = services.public.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /v1/halt HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n%s\r\n\r\n"
        % (host.encode(), port.encode(), headers)
    )
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert b'"code":"%s"' % code in answer


async def test_anybody_may_ask_for_health(services: AuthServices) -> None:
    """The one door that is open; a bad token does not shut it."""
    assert (await services.public.call("GET", "/health")).status == 200
    assert (await services.bearer("bad").call("GET", "/health")).status == 200


async def test_a_scope_that_is_missing_is_named(services: AuthServices) -> None:
    """Known, but not allowed: 403 with the scope that it takes."""
    await services.create_user()
    client = services.bearer(await services.create_token("ana", Scope.SESSIONS_READ))
    reply = await client.call("GET", "/v1/rules")
    assert (reply.status, reply.code) == (403, "scope_missing")
    assert "rules:read" in reply.document["detail"]
    assert "ana/crm" in reply.document["detail"]


async def test_a_lesser_role_takes_the_scope_from_its_tokens(services: AuthServices) -> None:
    """A token never has more than its user has today."""
    await services.create_user()
    await services.create_user("eva")
    client = services.bearer(
        await services.create_token("eva", Scope.MESSAGES_WRITE, Scope.RULES_READ)
    )
    assert (await client.call("POST", "/v1/halt")).status == 200
    await services.auth.users.set_role("eva", Role.VIEWER, "ana")
    assert (await client.call("POST", "/v1/halt")).code == "scope_missing"
    reply = await client.call("GET", "/v1/rules")
    assert reply.document == {"who": "eva/crm", "scopes": ["rules:read"], "method": "token"}


async def test_what_is_not_there_is_told_to_those_who_are_known(services: AuthServices) -> None:
    """404 and 405 come after the question who asks."""
    await services.create_user()
    client = services.bearer(await services.create_token("ana"))
    assert (await client.call("GET", "/v1/nowhere")).status == 404
    assert (await client.call("PUT", "/v1/sessions")).status == 405


async def test_a_route_without_a_row_is_served_to_nobody(services: AuthServices) -> None:
    """Not even an administrator's token opens a door that the table forgot."""
    await services.create_user()
    client = services.bearer(await services.create_token("ana", Scope.ADMIN))
    assert (await client.call("GET", "/v1/forgotten")).code == "internal"


@pytest.mark.parametrize(
    ("method", "changes", "expected"),
    [
        ("POST", {}, "200"),
        ("GET", {"Origin": "", "X-CSRF-Token": ""}, "200"),
        ("POST", {"X-CSRF-Token": ""}, "csrf_refused"),
        ("POST", {"X-CSRF-Token": "0" * 64}, "csrf_refused"),
        ("POST", {"X-CSRF-Token": "ñ"}, "csrf_refused"),
        ("POST", {"Origin": ""}, "origin_refused"),
        ("POST", {"Origin": "null"}, "origin_refused"),
        ("POST", {"Origin": "https://evil.example"}, "origin_refused"),
        ("POST", {"X-Forwarded-Proto": "https"}, "unauthorized"),
    ],
)
async def test_a_change_by_cookie_must_come_from_our_page(
    services: AuthServices, method: str, changes: dict[str, str], expected: str
) -> None:
    """Origin and CSRF token both; reading needs neither; a cookie of http is none over TLS."""
    client = await services.sign_in_browser(await services.create_user())
    path = "/v1/halt" if method == "POST" else "/v1/rules"
    reply = await client.call(method, path, changes)
    assert (reply.code or str(reply.status)) == expected


async def test_the_csrf_token_is_bound_to_the_sign_in(services: AuthServices) -> None:
    """Another sign-in's token is worth nothing, even the same user's."""
    one = await services.sign_in_browser(await services.create_user())
    other = await services.sign_in_browser("ana")
    mixed = {"X-CSRF-Token": other.headers["X-CSRF-Token"]}
    assert (await one.call("POST", "/v1/halt", mixed)).code == "csrf_refused"


async def test_other_sites_can_not_sign_a_browser_in(services: AuthServices) -> None:
    """A form elsewhere would sign people in under an account of its own."""
    await services.create_user()
    elsewhere = services.public.with_headers(Origin="https://evil.example")
    reply = await elsewhere.call("POST", "/v1/sign-in", user="ana", password=PASSWORD)
    assert (reply.status, reply.code) == (403, "origin_refused")
    assert not reply.cookie


async def test_a_token_goes_before_a_cookie(services: AuthServices) -> None:
    """A program that sends both needs no CSRF token."""
    browser = await services.sign_in_browser(await services.create_user())
    token = await services.create_token("ana", Scope.MESSAGES_WRITE)
    reply = await browser.call(
        "POST", "/v1/halt", {"Authorization": f"Bearer {token}", "Origin": "https://x.example"}
    )
    assert reply.document["method"] == "token"


async def test_the_control_socket_may_do_everything(services: AuthServices) -> None:
    """Whoever the kernel vouches for needs no token, and is named in the audit."""
    reply = await services.control.call("POST", "/v1/halt")
    assert reply.document["method"] == "control"
    assert "admin" in reply.document["scopes"]
    created = await services.control.call("POST", "/v1/users", name="ana", role="admin")
    assert created.status == 201
    assert (await services.control.call("GET", "/v1/sign-in")).document["csrf"] is None
