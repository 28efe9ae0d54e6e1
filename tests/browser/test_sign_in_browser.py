"""Signing in by the real server: no page without it, a link works once, and out is out."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import msgspec
import pytest
from playwright.async_api import Browser, Error, Page, Route, ViewportSize, expect

from daemon.http.problems import PROBLEM_JSON
from daemon.settings import ClockSettings
from tests.helpers.client.browser import (
    LAPTOP_VIEWPORT,
    PHONE_VIEWPORT,
    list_axe_violations,
    wait_until_live,
)
from tests.helpers.client.http import HttpServer, build_settings, open_http_server

PASSWORD = "correct horse battery staple"


@pytest.fixture
async def server(short_folder: Path) -> AsyncIterator[HttpServer]:
    """Open the application with its real servers and an operator in it."""
    # On the watch on the wall: by it, the browser judges whether a cookie has run out.
    settings = msgspec.structs.replace(build_settings(short_folder), clock=ClockSettings())
    async with open_http_server(settings) as opened:
        made = await opened.control.post(
            "/v1/users", name="ana", role="operator", password=PASSWORD
        )
        assert made.status == 201, made.document
        yield opened


@contextlib.asynccontextmanager
async def a_stranger(browser: Browser, opened: HttpServer) -> AsyncIterator[Page]:
    """Open a browser that nobody has signed in with."""
    context = await browser.new_context(base_url=opened.public.base, viewport=LAPTOP_VIEWPORT)
    try:
        yield await context.new_page()
    finally:
        await context.close()


async def test_a_link_signs_in_once_and_leaves_no_trace(
    server: HttpServer, browser: Browser
) -> None:
    """Its secret is in no address that the browser keeps; a second time it asks for a password."""
    made = await server.control.post("/v1/sign-in-links", user="ana")
    link = made.document["url"]
    async with a_stranger(browser, server) as page:
        await page.goto(link)
        await expect(page.get_by_role("heading", name="No phone is linked yet")).to_be_visible()
        assert "#" not in page.url
        await wait_until_live(page)
        await page.context.clear_cookies()
        await page.goto(link)
        await expect(page.get_by_role("alert")).to_be_visible()
        await expect(page.get_by_label("Password")).to_be_visible()


async def test_whoever_is_nobody_is_led_to_the_door_and_back(
    server: HttpServer, browser: Browser
) -> None:
    """A page asked for is the page that is shown once the password is right."""
    async with a_stranger(browser, server) as page:
        await page.goto("/messages?text=ana")
        await page.get_by_label("Name").fill("ana")
        await page.get_by_label("Password").fill("wrong horse")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("alert")).to_be_visible()
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await page.wait_for_url("**/messages?text=ana")
        await expect(page.locator("#search")).to_have_value("ana")


async def test_orders_carry_the_sign_ins_own_token(server: HttpServer, browser: Browser) -> None:
    """What is pressed is done in the name of whoever is signed in; after signing out, nothing."""
    made = await server.control.post("/v1/sign-in-links", user="ana")
    async with a_stranger(browser, server) as page:
        await page.goto(made.document["url"])
        await wait_until_live(page)
        await page.keyboard.press("Shift+H")
        await page.locator("#dialog .danger").click()
        await expect(page.locator("#halt-banner")).to_contain_text("ana stopped all sending")
        await page.route("**/v1/sign-in", partial(answer_after_the_stream, server))
        await page.locator("#user-menu summary").click()
        await page.get_by_role("button", name="Sign out").click()
        await page.wait_for_url("**/sign-in")
        await page.goto("/sessions")
        await page.wait_for_url("**/sign-in?back=/sessions")


async def answer_after_the_stream(server: HttpServer, route: Route) -> None:
    """Answer whoever signs out once their page's stream has ended, and the page knows why."""
    if route.request.method != "DELETE":
        await route.continue_()
        return
    answer = await route.fetch()
    page = route.request.frame.page
    async with page.expect_response("**/v1/sign-in"):  # the page asks why the stream has ended
        await server.control.post("/v1/sessions", name="ventas", channel="simulated")
    with contextlib.suppress(Error):  # of a page that is left
        await page.evaluate("fetch('/v1/sign-in').then(() => 0)")  # it has read that answer by now
    await route.fulfill(response=answer)


async def test_a_browser_that_is_signed_out_elsewhere_is_led_to_the_door(
    server: HttpServer, browser: Browser
) -> None:
    """With the next thing that happens the page is left; the door says why, and leads back."""
    made = await server.control.post("/v1/sign-in-links", user="ana")
    async with a_stranger(browser, server) as page:
        await page.goto(made.document["url"])
        await wait_until_live(page)
        await page.goto("/?of=today")
        await wait_until_live(page)
        await server.control.post("/v1/users/ana/revoke")
        await server.control.post("/v1/sessions", name="ventas", channel="simulated")
        await page.wait_for_url("**/sign-in?ended&back=%2F%3Fof%3Dtoday", timeout=10_000)
        await expect(page.get_by_text("Your sign-in has expired")).to_be_visible()
        await page.get_by_label("Name").fill("ana")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await page.wait_for_url("**/?of=today")


@pytest.mark.parametrize(
    ("locale", "viewport", "title", "back"),
    [
        ("es-AR", PHONE_VIEWPORT, "En /mensajes no hay ninguna página.", "Volver a Hoy"),
        ("en-GB", LAPTOP_VIEWPORT, "There is no page at /mensajes.", "Back to Today"),
    ],
)
async def test_an_address_that_leads_nowhere_is_a_page(
    server: HttpServer,
    browser: Browser,
    locale: str,
    viewport: ViewportSize,
    title: str,
    back: str,
) -> None:
    """In the reader's language, with the menu and a way back; a page that is not for them too."""
    made = await server.control.post("/v1/sign-in-links", user="ana")
    context = await browser.new_context(
        base_url=server.public.base, viewport=viewport, locale=locale
    )
    async with context:
        page = await context.new_page()
        await page.goto(made.document["url"])
        await wait_until_live(page)
        answer = await page.goto("/mensajes")
        assert answer is not None
        assert answer.status == 404
        await expect(page.get_by_role("heading", level=1)).to_have_text(title)
        assert await list_axe_violations(page) == []
        if folder := os.environ.get("SCREENSHOTS"):
            await page.screenshot(path=f"{folder}/unknown-{locale}.png")
        await page.get_by_role("link", name=back).click()
        await page.wait_for_url(server.public.base + "/")
        refused = await page.goto("/audit")
        assert refused is not None
        assert refused.status == 403
        await expect(page.get_by_role("navigation").first).to_be_visible()
        data = await context.request.get("/v1/mensajes", headers={"Accept": "text/html"})
        assert (data.status, data.headers["content-type"].partition(";")[0]) == (404, PROBLEM_JSON)


async def test_while_nothing_can_be_served_a_browser_is_shown_a_page(
    server: HttpServer, browser: Browser
) -> None:
    """A sentence with a way back, and no document for programs."""
    made = await server.control.post("/v1/sign-in-links", user="ana")
    services = server.health.services
    try:
        async with a_stranger(browser, server) as page:
            await page.goto(made.document["url"])
            await wait_until_live(page)
            server.health.services = None
            answer = await page.goto("/")
            assert answer is not None
            assert answer.status == 503
            await expect(page.get_by_role("heading", level=1)).to_contain_text("LeadMaster is")
            await expect(page.get_by_role("link", name="Back to Today")).to_be_visible()
    finally:
        server.health.services = services
