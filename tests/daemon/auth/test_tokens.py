"""Tokens: no more rights than their maker's, listed without what they say, revoked for good."""

from __future__ import annotations

from datetime import timedelta

import aiohttp
import jwt
import pytest

from daemon.auth import ROLE_SCOPES, Principal, Role, Scope, SignInMethod
from daemon.auth.errors import ScopeMissing, TokenExpired, TokenRevoked
from daemon.errors import BadRequest, NotFound
from tests.helpers.client.auth import CONTROL_IDENTITY, PASSWORD, AuthServices

HOUR = timedelta(hours=1)


async def test_a_token_says_what_it_must(services: AuthServices) -> None:
    """Every claim is there, and the header names key and algorithm."""
    await services.create_user()
    token = await services.create_token("ana", Scope.SESSIONS_READ, Scope.RULES_READ)
    said = jwt.decode(token, options={"verify_signature": False})
    now = int(services.clock.now().timestamp())
    jti = said.pop("jti")
    assert jti.startswith("tok_")
    assert said == {
        "iss": "leadmaster",
        "aud": f"leadmaster:{services.database.instance_id}",
        "sub": "ana",
        "scope": "rules:read sessions:read",
        "iat": now,
        "exp": now + 3600,
    }
    assert jwt.get_unverified_header(token) == {
        "alg": "EdDSA",
        "typ": "JWT",
        "kid": services.auth.keys.kid,
    }


async def test_nobody_gives_more_than_they_have(services: AuthServices) -> None:
    """Neither the maker's scopes nor the user's role can be exceeded."""
    await services.create_user("ana")
    await services.create_user("eva", Role.VIEWER)
    narrow = Principal("ana/ci", "ana", frozenset({Scope.ADMIN}), SignInMethod.TOKEN)
    make = services.auth.tokens.issue_token
    with pytest.raises(ScopeMissing, match="rules:write"):
        await make(narrow, "ana", "x", {Scope.RULES_WRITE}, HOUR)
    with pytest.raises(ScopeMissing, match="eva is viewer"):
        await make(CONTROL_IDENTITY, "eva", "x", {Scope.RULES_WRITE}, HOUR)


@pytest.mark.parametrize("life", [timedelta(), timedelta(seconds=-1), timedelta(days=90, hours=1)])
async def test_a_token_has_a_bounded_life(services: AuthServices, life: timedelta) -> None:
    """None that is over at once, none longer than the setting."""
    await services.create_user()
    with pytest.raises(BadRequest, match="90 days"):
        await services.auth.tokens.issue_token(
            CONTROL_IDENTITY, "ana", "x", {Scope.RULES_READ}, life
        )


async def test_tokens_are_for_users_who_may_come_in(services: AuthServices) -> None:
    """Not for strangers, not for the disabled, and not for nothing."""
    await services.create_user("ana")
    await services.create_user("eva")
    await services.auth.users.disable("eva", "ana")
    for name in ("stranger", "eva"):
        with pytest.raises(NotFound, match=name):
            await services.create_token(name)
    with pytest.raises(BadRequest, match="scopes"):
        await services.auth.tokens.issue_token(CONTROL_IDENTITY, "ana", "x", set(), HOUR)


async def test_tokens_are_made_listed_and_revoked_over_http(services: AuthServices) -> None:
    """Shown once; in the list afterwards with name, scopes, use and expiry; gone at once."""
    admin = await services.sign_in_browser(await services.create_user())
    made = await admin.call("POST", "/v1/tokens", name="crm", scopes=["rules:read"], hours=2)
    assert (made.status, made.headers["Cache-Control"]) == (201, "no-store")
    token, record = made.document["token"], made.document["record"]
    client = services.bearer(token)
    assert (await client.call("GET", "/v1/rules")).document["who"] == "ana/crm"
    listed = (await admin.call("GET", "/v1/tokens")).document
    assert listed["next"] is None
    use = {"last_used_at": "2026-03-03T15:00:00Z", "last_used_from": "127.0.0.1"}
    assert listed["items"] == [record | use | {"uses": 1, "uses_on": "2026-03-03"}]
    assert token not in str(listed)
    for _ in range(2):
        gone = await admin.call("DELETE", f"/v1/tokens/{record['id']}")
        assert gone.document["revoked_at"] == "2026-03-03T15:00:00Z"
    assert (await client.call("GET", "/v1/rules")).code == "token_revoked"
    assert await services.list_audited_actions(record["id"]) == ["make_token", "revoke_token"]
    assert (await admin.call("DELETE", "/v1/tokens/tok_none")).status == 404


async def test_an_admin_token_with_few_scopes_makes_none_with_more(services: AuthServices) -> None:
    """A token can hand on what it has, and nothing else."""
    await services.create_user()
    client = services.bearer(await services.create_token("ana", Scope.ADMIN, Scope.RULES_READ))
    more = await client.call("POST", "/v1/tokens", name="x", scopes=["messages:write"])
    assert (more.status, more.code) == (403, "scope_missing")
    same = await client.call("POST", "/v1/tokens", name="x", scopes=["rules:read"])
    assert same.document["record"]["made_by"] == "ana/crm"


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"name": "x", "scopes": ["rules:read"]}, "user"),
        ({"name": "x", "scopes": ["rules:rite"], "user": "ana"}, "rules:rite"),
        ({"name": "a\nb", "scopes": ["rules:read"], "user": "ana"}, "name"),
        ({"name": "x", "scopes": [], "user": "ana"}, "scopes"),
        ({"name": "x", "scopes": ["rules:read"], "user": "ana", "hours": 0}, "hours"),
    ],
)
async def test_what_a_token_lacks_is_named(
    services: AuthServices, body: dict[str, object], word: str
) -> None:
    """The owner of the machine is no user: they must say for whom."""
    await services.create_user()
    reply = await services.control.call("POST", "/v1/tokens", **body)
    assert reply.status == 400
    assert word in reply.document["detail"]


async def test_use_is_noted_coarsely(services: AuthServices) -> None:
    """Once in ten minutes, so that reading does not write."""
    await services.create_user()
    token = await services.create_token("ana")
    await services.auth.tokens.verify_token(token)
    before = services.database.commits
    await services.clock.advance(599)
    await services.auth.tokens.verify_token(token)
    assert services.database.commits == before
    await services.clock.advance(1)
    await services.auth.tokens.verify_token(token)
    (record,) = await services.auth.tokens.list_tokens(after="", limit=10)
    assert record.last_used_at == services.clock.now()


async def test_a_program_signs_in_for_a_quarter_of_an_hour(services: AuthServices) -> None:
    """Name and password give a short token, as narrow as is asked for."""
    await services.create_user("eva", Role.VIEWER)
    given = {"user": "eva", "password": PASSWORD}
    wide = await services.public.call("POST", "/v1/sign-in/token", **given)
    assert wide.document["record"]["scopes"] == sorted(ROLE_SCOPES[Role.VIEWER])
    narrow = await services.public.call(
        "POST", "/v1/sign-in/token", **given, scopes=["sessions:read"]
    )
    client = services.bearer(narrow.document["token"])
    assert (await client.call("GET", "/v1/sessions")).document["scopes"] == ["sessions:read"]
    who = await client.call("GET", "/v1/sign-in")
    assert (who.document["who"], who.document["csrf"]) == ("eva/sign-in", None)
    await services.clock.advance(900)
    assert (await client.call("GET", "/v1/sessions")).code == "token_expired"
    too_much = await services.public.call("POST", "/v1/sign-in/token", **given, scopes=["admin"])
    assert too_much.code == "scope_missing"


async def test_the_list_has_pages_and_an_end(services: AuthServices) -> None:
    """Oldest first; long after their expiry tokens are forgotten."""
    await services.create_user()
    for _ in range(3):
        await services.create_token("ana")
        await services.clock.advance(1)
    first = await services.auth.tokens.list_tokens(after="", limit=2)
    rest = await services.auth.tokens.list_tokens(after=first[-1].id, limit=2)
    assert (len(first), len(rest)) == (2, 1)
    await services.clock.advance(31 * 24 * 3600)
    await services.create_token("ana")
    assert len(await services.auth.tokens.list_tokens(after="", limit=10)) == 1


async def test_a_connection_by_token_is_looked_at_again(services: AuthServices) -> None:
    """Revoked or expired in the meantime, it ends; the owner's own never does."""
    await services.create_user()
    one = await services.auth.tokens.verify_token(await services.create_token("ana"))
    other = await services.auth.tokens.verify_token(await services.create_token("ana", hours=2))
    assert await services.auth.refresh_identity(one) == one
    await services.clock.advance(3600)
    with pytest.raises(TokenExpired):
        await services.auth.refresh_identity(one)
    await services.auth.tokens.revoke_token(other.key, "root")
    with pytest.raises(TokenRevoked):
        await services.auth.refresh_identity(other)
    assert await services.auth.refresh_identity(CONTROL_IDENTITY) is CONTROL_IDENTITY


async def hello(
    services: AuthServices, *protocols: str, first: str | None = None, **headers: str
) -> object:
    """Open the stream and return the greeting, or the code or status of the refusal."""
    try:
        async with services.public.session.ws_connect(
            f"{services.public.base}/v1/events", protocols=protocols, headers=headers
        ) as socket:
            assert socket.protocol in {None, "leadmaster.v1"}
            if first is not None:
                await socket.send_json({"token": first})
            return (await socket.receive()).json()["hello"]
    except (aiohttp.WSServerHandshakeError, TypeError) as error:
        return getattr(error, "status", "closed")


async def test_a_stream_takes_its_token_in_three_ways(services: AuthServices) -> None:
    """As a header, as a subprotocol that is never sent back, or in the first message."""
    await services.create_user()
    token = await services.create_token("ana", Scope.EVENTS_READ)
    assert await hello(services, Authorization=f"Bearer {token}") == "ana/crm"
    assert await hello(services, "leadmaster.v1", f"leadmaster.token.{token}") == "ana/crm"
    assert await hello(services, "leadmaster.v1", first=token) == "ana/crm"
    poor = await services.create_token("ana", Scope.RULES_READ)
    assert await hello(services, "leadmaster.v1", f"leadmaster.token.{poor}") == 403
    assert await hello(services, "leadmaster.v1", first=poor) == "closed"
    assert await hello(services, "leadmaster.v1", first="bad") == "closed"


async def test_a_stream_by_cookie_must_be_our_pages(services: AuthServices) -> None:
    """A WebSocket is not held back by the browser's own rules: the Origin is checked."""
    browser = await services.sign_in_browser(await services.create_user())
    cookie = browser.headers["Cookie"]
    assert await hello(services, Cookie=cookie, Origin=services.public.base) == "ana"
    assert await hello(services, Cookie=cookie, Origin="https://evil.example") == 403
    assert await hello(services, Cookie=cookie) == 403


async def test_only_streams_may_say_later_who_they_are(services: AuthServices) -> None:
    """A plain request to the same door must say it at once."""
    assert (await services.public.call("GET", "/v1/events")).code == "unauthorized"


async def test_the_list_says_from_where_and_how_often(services: AuthServices) -> None:
    """Each request counts, stored or not; the next day counts anew."""
    await services.create_user()
    token = await services.create_token("ana", Scope.ADMIN, hours=72)
    program = services.public.with_headers(Authorization=f"Bearer {token}")
    for _ in range(3):
        await program.call("GET", "/v1/users")
    [record] = (await program.call("GET", "/v1/tokens")).document["items"]
    today = services.clock.now().date().isoformat()
    assert (record["last_used_from"], record["uses"], record["uses_on"]) == ("127.0.0.1", 4, today)
    await services.clock.advance(24 * 3600)
    [record] = (await program.call("GET", "/v1/tokens")).document["items"]
    assert record["uses"] <= 4
    assert record["uses_on"] != today
