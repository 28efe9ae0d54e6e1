"""Browsers: the cookie, how long it holds, links that work once, signing out."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.auth import Role
from daemon.auth.errors import SignInEnded, SignInLinkSpent
from daemon.errors import NotFound
from daemon.settings import AuthSettings
from tests.helpers.client.auth import PASSWORD, AuthServices, open_auth_services
from tests.helpers.client.http import HttpReply

HOUR = 3600.0


async def signed_in(services: AuthServices, **headers: str) -> HttpReply:
    """Sign in and return the answer."""
    client = services.public.with_headers(**headers)
    return await client.call("POST", "/v1/sign-in", user="ana", password=PASSWORD)


async def test_the_cookie_is_out_of_reach(services: AuthServices) -> None:
    """Scripts can't read it, other sites can't use it, caches don't keep it."""
    await services.create_user()
    reply = await signed_in(services)
    cookie = reply.headers["Set-Cookie"]
    assert cookie.startswith("leadmaster=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.cookie.partition("=")[2] not in str(reply.document)


async def test_behind_tls_the_cookie_never_leaves_it(services: AuthServices) -> None:
    """The proxy on this machine says so, and the cookie gets the name that browsers guard."""
    await services.create_user()
    reply = await signed_in(services, X_Forwarded_Proto="https")
    cookie = reply.headers["Set-Cookie"]
    assert cookie.startswith("__Host-leadmaster=")
    assert "Secure" in cookie.split("; ")
    browser = services.public.with_headers(Cookie=reply.cookie, X_Forwarded_Proto="https")
    assert (await browser.call("GET", "/v1/rules")).document["who"] == "ana"


async def test_a_browser_learns_who_it_is(services: AuthServices) -> None:
    """Name, scopes, and the token that its pages send along."""
    browser = await services.sign_in_browser(await services.create_user("eva", Role.VIEWER))
    reply = await browser.call("GET", "/v1/sign-in")
    assert reply.document["user"] == "eva"
    assert reply.document["method"] == "browser"
    assert "admin" not in reply.document["scopes"]
    assert reply.document["csrf"] == browser.headers["X-CSRF-Token"]
    assert reply.headers["Cache-Control"] == "no-store"


async def test_use_keeps_a_browser_in_and_idleness_does_not(services: AuthServices) -> None:
    """Twelve hours from the last use, not from the first."""
    browser = await services.sign_in_browser(await services.create_user())
    for _ in range(3):
        await services.clock.advance(11 * HOUR)
        assert (await browser.call("GET", "/v1/rules")).status == 200
    await services.clock.advance(12 * HOUR)
    assert (await browser.call("GET", "/v1/rules")).code == "sign_in_over"


async def test_no_use_keeps_a_browser_in_for_ever(short_folder: Path) -> None:
    """After the days that were set one must sign in again."""
    async with open_auth_services(short_folder, AuthSettings(sign_in_days=1)) as services:
        browser = await services.sign_in_browser(await services.create_user())
        for _ in range(3):
            await services.clock.advance(7 * HOUR)
            assert (await browser.call("GET", "/v1/rules")).status == 200
        await services.clock.advance(3 * HOUR)
        assert (await browser.call("GET", "/v1/rules")).code == "sign_in_over"


async def test_a_look_writes_nothing_each_time(services: AuthServices) -> None:
    """Use is written down every few minutes at most."""
    browser = await services.sign_in_browser(await services.create_user())
    before = services.database.commits
    for _ in range(5):
        await browser.call("GET", "/v1/rules")
    assert services.database.commits == before


async def test_signing_out_ends_it_at_once(services: AuthServices) -> None:
    """The cookie counts no more, and the browser is told to forget it; twice is the same."""
    browser = await services.sign_in_browser(await services.create_user())
    reply = await browser.call("DELETE", "/v1/sign-in")
    assert reply.status == 200
    assert reply.cookie == "leadmaster="
    assert (await browser.call("GET", "/v1/rules")).code == "sign_in_over"
    assert (await browser.call("DELETE", "/v1/sign-in")).status == 200
    assert (await services.public.call("DELETE", "/v1/sign-in")).status == 200
    assert await services.list_audited_actions("ana") == ["create_user", "sign_in", "sign_out"]


async def test_other_sites_can_not_sign_a_browser_out(services: AuthServices) -> None:
    """Without our page's token the sign-in stays."""
    browser = await services.sign_in_browser(await services.create_user())
    reply = await browser.call("DELETE", "/v1/sign-in", {"X-CSRF-Token": ""})
    assert reply.code == "csrf_refused"
    assert (await browser.call("GET", "/v1/rules")).status == 200


async def test_a_link_signs_in_once(services: AuthServices) -> None:
    """Made over the control socket; its secret stands behind the #, which is sent to nobody."""
    await services.control.call("POST", "/v1/users", name="ana", role="admin")
    made = await services.control.call("POST", "/v1/sign-in-links", user="ana")
    address, _, secret = made.document["url"].partition("#")
    assert address == f"{services.public.base}/sign-in"
    first = await services.public.call("POST", "/v1/sign-in/link", link=secret)
    assert (first.status, first.document["user"]) == (200, "ana")
    browser = services.public.with_headers(Cookie=first.cookie)
    assert (await browser.call("GET", "/v1/rules")).document["who"] == "ana"
    second = await services.public.call("POST", "/v1/sign-in/link", link=secret)
    assert (second.status, second.code) == (401, "link_spent")
    assert await services.list_audited_actions("ana") == ["create_user", "make_link", "sign_in"]


async def test_of_two_at_once_one_gets_in(services: AuthServices) -> None:
    """A link that was copied is worth one sign-in, however fast the second is."""
    await services.create_user()
    secret = (await services.auth.sign_ins.create_link("ana", "root")).secret
    replies = await asyncio.gather(
        *(services.public.call("POST", "/v1/sign-in/link", link=secret) for _ in range(8))
    )
    assert sorted(reply.status for reply in replies) == [200] + [401] * 7
    assert (await services.list_audited_actions("ana")).count("sign_in") == 1


async def test_a_link_lives_ten_minutes(services: AuthServices) -> None:
    """At nine minutes it is good, at ten it is not; a new one clears the old away."""
    await services.create_user()
    links = services.auth.sign_ins
    early, late = await links.create_link("ana", "root"), await links.create_link("ana", "root")
    assert late.expires_at - services.clock.now() == timedelta(minutes=10)
    await services.clock.advance(599)
    await links.sign_in_with_link(early.secret, "")
    await services.clock.advance(1)
    with pytest.raises(SignInLinkSpent):
        await links.sign_in_with_link(late.secret, "")
    await links.create_link("ana", "root")
    count = await services.database.read(lambda r: r.value("SELECT count(*) FROM sign_in_links"))
    assert count == 1


async def test_links_are_for_those_who_may_come_in(services: AuthServices) -> None:
    """No link for strangers or the disabled, and none that outlives the disabling."""
    await services.create_user("ana")
    await services.create_user("eva")
    link = await services.auth.sign_ins.create_link("eva", "root")
    await services.auth.users.disable("eva", "ana")
    with pytest.raises(SignInLinkSpent):
        await services.auth.sign_ins.sign_in_with_link(link.secret, "")
    for name in ("eva", "stranger"):
        with pytest.raises(NotFound):
            await services.auth.sign_ins.create_link(name, "root")


async def test_an_administrator_makes_links_for_others(services: AuthServices) -> None:
    """From the page of users too; whoever sets passwords may do that, and nobody else."""
    browser = await services.sign_in_browser(await services.create_user())
    await services.create_user("eva", Role.OPERATOR)
    made = await browser.call("POST", "/v1/sign-in-links", user="eva")
    assert (made.status, made.document["user"]) == (201, "eva")
    secret = made.document["url"].partition("#")[2]
    signed_in = await services.public.call("POST", "/v1/sign-in/link", link=secret)
    assert signed_in.document["user"] == "eva"
    other = await services.sign_in_browser("eva")
    assert (await other.call("POST", "/v1/sign-in-links", user="ana")).status == 403


async def test_the_page_of_users_says_where_somebody_was_seen(services: AuthServices) -> None:
    """When and from where, of the browser that was used last; coarse, as its idle time."""
    browser = await services.sign_in_browser(await services.create_user())
    await services.clock.advance(360)
    [user] = (await browser.call("GET", "/v1/users")).document["items"]
    assert (user["seen_at"], user["seen_from"]) == (
        services.clock.now().isoformat().replace("+00:00", "Z"),
        "127.0.0.1",
    )


async def test_a_language_is_the_persons(services: AuthServices) -> None:
    """It holds in the next browser that they sign in with; an unknown one is refused."""
    browser = await services.sign_in_browser(await services.create_user())
    wrong = await browser.call("POST", "/v1/sign-in/language", language="fr")
    assert wrong.status == 400
    stored = await browser.call("POST", "/v1/sign-in/language", language="es")
    assert stored.document == {"user": "ana", "language": "es"}
    fresh = await services.public.call("POST", "/v1/sign-in", user="ana", password=PASSWORD)
    cookies = [value for name, value in fresh.headers.items() if name == "Set-Cookie"]
    assert any(each.startswith("language=es;") for each in cookies)
    nobody = await services.control.call("POST", "/v1/sign-in/language", language="es")
    assert nobody.status == 409


async def test_links_begin_with_the_public_address(short_folder: Path) -> None:
    """What people open is the proxy's name where one is set."""
    settings = AuthSettings(public_url="https://leads.example.org/")
    async with open_auth_services(short_folder, settings) as services:
        await services.create_user()
        made = await services.control.call("POST", "/v1/sign-in-links", user="ana")
        assert made.document["url"].startswith("https://leads.example.org/sign-in#")


async def test_nothing_that_signs_in_is_stored(services: AuthServices) -> None:
    """Whoever reads the file, or a backup of it, gets in nowhere."""
    await services.create_user()
    reply = await signed_in(services)
    link = await services.auth.sign_ins.create_link("ana", "root")
    token = await services.create_token("ana")
    await services.database.checkpoint()
    content = services.database.path.read_bytes()
    for secret in (reply.cookie.partition("=")[2], link.secret, token, PASSWORD):
        assert secret.encode() not in content
    private = services.auth.keys.private.private_bytes_raw()
    assert private not in content


async def test_sign_ins_that_are_over_are_cleared_away(services: AuthServices) -> None:
    """The next sign-in removes them."""
    await services.create_user()
    await signed_in(services)
    await services.clock.advance(13 * HOUR)
    await signed_in(services)
    count = await services.database.read(lambda r: r.value("SELECT count(*) FROM sign_ins"))
    assert count == 1


async def test_one_changes_ones_own_password(services: AuthServices) -> None:
    """It takes the old one, and signs every browser of the user out."""
    one = await services.sign_in_browser(await services.create_user())
    other = await services.sign_in_browser("ana")
    path, new = "/v1/sign-in/password", "another good sentence"
    refused = await one.call("POST", path, current="wrong", new=new)
    assert refused.code == "sign_in_failed"
    weak = await one.call("POST", path, current=PASSWORD, new="short")
    assert (weak.status, weak.code) == (422, "password_refused")
    assert (await one.call("POST", path, current=PASSWORD, new=new)).status == 200
    for browser in (one, other):
        assert (await browser.call("GET", "/v1/rules")).code == "sign_in_over"
    assert (
        await services.public.call("POST", "/v1/sign-in", user="ana", password=new)
    ).status == 200


async def test_a_token_changes_no_password(services: AuthServices) -> None:
    """A program that was given a token must not take the account over."""
    await services.create_user()
    client = services.bearer(await services.create_token("ana"))
    reply = await client.call("POST", "/v1/sign-in/password", current=PASSWORD, new="x" * 12)
    assert (reply.status, reply.code) == (400, "bad_request")


async def test_a_connection_that_lasts_is_looked_at_again(services: AuthServices) -> None:
    """What a new request would be refused, an old connection is refused too."""
    await services.create_user()
    fresh = await services.auth.sign_ins.sign_in_with_password("ana", PASSWORD, "")
    identity = await services.auth.sign_ins.identify(fresh.secret)
    assert await services.auth.refresh_identity(identity) == identity
    await services.auth.sign_ins.sign_out(fresh.secret)
    with pytest.raises(SignInEnded):
        await services.auth.refresh_identity(identity)
