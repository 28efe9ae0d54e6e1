"""Browsers: the cookie, how long it holds, links that work once, signing out."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.auth import Role
from daemon.auth.refusals import LinkSpent, SignInOver
from daemon.errors import NotFound
from daemon.settings import AuthSettings
from tests.helpers.auth import PASSWORD, AuthHouse, Reply, auth_house

HOUR = 3600.0


async def signed_in(house: AuthHouse, **headers: str) -> Reply:
    """Sign in and return the answer."""
    client = house.public.with_(**headers)
    return await client.call("POST", "/v1/sign-in", user="ana", password=PASSWORD)


async def test_the_cookie_is_out_of_reach(house: AuthHouse) -> None:
    """Scripts can't read it, other sites can't use it, caches don't keep it."""
    await house.user()
    reply = await signed_in(house)
    cookie = reply.headers["Set-Cookie"]
    assert cookie.startswith("leadmaster=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.cookie.partition("=")[2] not in str(reply.document)


async def test_behind_tls_the_cookie_never_leaves_it(house: AuthHouse) -> None:
    """The proxy on this machine says so, and the cookie gets the name that browsers guard."""
    await house.user()
    reply = await signed_in(house, X_Forwarded_Proto="https")
    cookie = reply.headers["Set-Cookie"]
    assert cookie.startswith("__Host-leadmaster=")
    assert "Secure" in cookie.split("; ")
    browser = house.public.with_(Cookie=reply.cookie, X_Forwarded_Proto="https")
    assert (await browser.call("GET", "/v1/rules")).document["who"] == "ana"


async def test_a_browser_learns_who_it_is(house: AuthHouse) -> None:
    """Name, scopes, and the token that its pages send along."""
    browser = await house.browser(await house.user("eva", Role.VIEWER))
    reply = await browser.call("GET", "/v1/sign-in")
    assert reply.document["user"] == "eva"
    assert reply.document["way"] == "browser"
    assert "admin" not in reply.document["scopes"]
    assert reply.document["csrf"] == browser.headers["X-CSRF-Token"]
    assert reply.headers["Cache-Control"] == "no-store"


async def test_use_keeps_a_browser_in_and_idleness_does_not(house: AuthHouse) -> None:
    """Twelve hours from the last use, not from the first."""
    browser = await house.browser(await house.user())
    for _ in range(3):
        await house.clock.advance(11 * HOUR)
        assert (await browser.call("GET", "/v1/rules")).status == 200
    await house.clock.advance(12 * HOUR)
    assert (await browser.call("GET", "/v1/rules")).code == "sign_in_over"


async def test_no_use_keeps_a_browser_in_for_ever(short_folder: Path) -> None:
    """After the days that were set one must sign in again."""
    async with auth_house(short_folder, AuthSettings(sign_in_days=1)) as house:
        browser = await house.browser(await house.user())
        for _ in range(3):
            await house.clock.advance(7 * HOUR)
            assert (await browser.call("GET", "/v1/rules")).status == 200
        await house.clock.advance(3 * HOUR)
        assert (await browser.call("GET", "/v1/rules")).code == "sign_in_over"


async def test_a_look_writes_nothing_each_time(house: AuthHouse) -> None:
    """Use is written down every few minutes at most."""
    browser = await house.browser(await house.user())
    before = house.database.commits
    for _ in range(5):
        await browser.call("GET", "/v1/rules")
    assert house.database.commits == before


async def test_signing_out_ends_it_at_once(house: AuthHouse) -> None:
    """The cookie counts no more, and the browser is told to forget it; twice is the same."""
    browser = await house.browser(await house.user())
    reply = await browser.call("DELETE", "/v1/sign-in")
    assert reply.status == 200
    assert reply.cookie == "leadmaster="
    assert (await browser.call("GET", "/v1/rules")).code == "sign_in_over"
    assert (await browser.call("DELETE", "/v1/sign-in")).status == 200
    assert (await house.public.call("DELETE", "/v1/sign-in")).status == 200
    assert await house.audited("ana") == ["create_user", "sign_in", "sign_out"]


async def test_other_sites_can_not_sign_a_browser_out(house: AuthHouse) -> None:
    """Without our page's token the sign-in stays."""
    browser = await house.browser(await house.user())
    reply = await browser.call("DELETE", "/v1/sign-in", {"X-CSRF-Token": ""})
    assert reply.code == "csrf_refused"
    assert (await browser.call("GET", "/v1/rules")).status == 200


async def test_a_link_signs_in_once(house: AuthHouse) -> None:
    """Made over the control socket; its secret stands behind the #, which is sent to nobody."""
    await house.control.call("POST", "/v1/users", name="ana", role="admin")
    made = await house.control.call("POST", "/v1/sign-in-links", user="ana")
    address, _, secret = made.document["url"].partition("#")
    assert address == f"{house.public.base}/sign-in"
    first = await house.public.call("POST", "/v1/sign-in/link", link=secret)
    assert (first.status, first.document["user"]) == (200, "ana")
    browser = house.public.with_(Cookie=first.cookie)
    assert (await browser.call("GET", "/v1/rules")).document["who"] == "ana"
    second = await house.public.call("POST", "/v1/sign-in/link", link=secret)
    assert (second.status, second.code) == (401, "link_spent")
    assert await house.audited("ana") == ["create_user", "make_link", "sign_in"]


async def test_of_two_at_once_one_gets_in(house: AuthHouse) -> None:
    """A link that was copied is worth one sign-in, however fast the second is."""
    await house.user()
    secret = (await house.auth.sign_ins.make_link("ana", "root")).secret
    replies = await asyncio.gather(
        *(house.public.call("POST", "/v1/sign-in/link", link=secret) for _ in range(8))
    )
    assert sorted(reply.status for reply in replies) == [200] + [401] * 7
    assert (await house.audited("ana")).count("sign_in") == 1


async def test_a_link_lives_ten_minutes(house: AuthHouse) -> None:
    """At nine minutes it is good, at ten it is not; a new one clears the old away."""
    await house.user()
    links = house.auth.sign_ins
    early, late = await links.make_link("ana", "root"), await links.make_link("ana", "root")
    assert late.expires_at - house.clock.now() == timedelta(minutes=10)
    await house.clock.advance(599)
    await links.by_link(early.secret, "")
    await house.clock.advance(1)
    with pytest.raises(LinkSpent):
        await links.by_link(late.secret, "")
    await links.make_link("ana", "root")
    count = await house.database.read(lambda r: r.value("SELECT count(*) FROM sign_in_links"))
    assert count == 1


async def test_links_are_for_those_who_may_come_in(house: AuthHouse) -> None:
    """No link for strangers or the disabled, and none that outlives the disabling."""
    await house.user("ana")
    await house.user("eva")
    link = await house.auth.sign_ins.make_link("eva", "root")
    await house.auth.users.disable("eva", "ana")
    with pytest.raises(LinkSpent):
        await house.auth.sign_ins.by_link(link.secret, "")
    for name in ("eva", "stranger"):
        with pytest.raises(NotFound):
            await house.auth.sign_ins.make_link(name, "root")


async def test_links_are_made_on_this_machine_alone(house: AuthHouse) -> None:
    """The public door has no such route, not even for administrators."""
    browser = await house.browser(await house.user())
    assert (await browser.call("POST", "/v1/sign-in-links", user="ana")).status == 404


async def test_links_begin_with_the_public_address(short_folder: Path) -> None:
    """What people open is the proxy's name where one is set."""
    settings = AuthSettings(public_url="https://leads.example.org/")
    async with auth_house(short_folder, settings) as house:
        await house.user()
        made = await house.control.call("POST", "/v1/sign-in-links", user="ana")
        assert made.document["url"].startswith("https://leads.example.org/sign-in#")


async def test_nothing_that_signs_in_is_stored(house: AuthHouse) -> None:
    """Whoever reads the file, or a backup of it, gets in nowhere."""
    await house.user()
    reply = await signed_in(house)
    link = await house.auth.sign_ins.make_link("ana", "root")
    token = await house.token("ana")
    await house.database.checkpoint()
    content = house.database.path.read_bytes()
    for secret in (reply.cookie.partition("=")[2], link.secret, token, PASSWORD):
        assert secret.encode() not in content
    private = house.auth.keys.private.private_bytes_raw()
    assert private not in content


async def test_sign_ins_that_are_over_are_cleared_away(house: AuthHouse) -> None:
    """The next sign-in removes them."""
    await house.user()
    await signed_in(house)
    await house.clock.advance(13 * HOUR)
    await signed_in(house)
    count = await house.database.read(lambda r: r.value("SELECT count(*) FROM sign_ins"))
    assert count == 1


async def test_one_changes_ones_own_password(house: AuthHouse) -> None:
    """It takes the old one, and signs every browser of the user out."""
    one = await house.browser(await house.user())
    other = await house.browser("ana")
    path, new = "/v1/sign-in/password", "another good sentence"
    refused = await one.call("POST", path, current="wrong", new=new)
    assert refused.code == "sign_in_failed"
    weak = await one.call("POST", path, current=PASSWORD, new="short")
    assert (weak.status, weak.code) == (422, "password_refused")
    assert (await one.call("POST", path, current=PASSWORD, new=new)).status == 200
    for browser in (one, other):
        assert (await browser.call("GET", "/v1/rules")).code == "sign_in_over"
    assert (await house.public.call("POST", "/v1/sign-in", user="ana", password=new)).status == 200


async def test_a_token_changes_no_password(house: AuthHouse) -> None:
    """A program that was given a token must not take the account over."""
    await house.user()
    client = house.bearer(await house.token("ana"))
    reply = await client.call("POST", "/v1/sign-in/password", current=PASSWORD, new="x" * 12)
    assert (reply.status, reply.code) == (400, "bad_request")


async def test_a_connection_that_lasts_is_looked_at_again(house: AuthHouse) -> None:
    """What a new request would be refused, an old connection is refused too."""
    await house.user()
    fresh = await house.auth.sign_ins.by_password("ana", PASSWORD, "")
    identity = await house.auth.sign_ins.identify(fresh.secret)
    assert await house.auth.recheck(identity) == identity
    await house.auth.sign_ins.end(fresh.secret)
    with pytest.raises(SignInOver):
        await house.auth.recheck(identity)
