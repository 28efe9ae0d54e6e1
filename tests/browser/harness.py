"""A whole house behind its console on TCP, with a stand-in for signing in; and a Chromium."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler
from playwright.async_api import (
    Browser,
    BrowserContext,
    Page,
    ViewportSize,
    async_playwright,
    expect,
)
from yarl import URL

from daemon.app import House
from daemon.auth import ALL_SCOPES, Identity, SignInMethod
from daemon.auth.scopes import Scope
from daemon.http import health, v1, ws
from daemon.http.auth.identify import know
from daemon.http.pages import console
from daemon.http.problems import problems
from daemon.http.streams import OPEN, close_streams
from daemon.http.vitals import VITALS, Vitals
from daemon.settings import Settings
from tests.helpers.doors import AT_ONCE, Caller, Json

CHROMIUM: Final = "/usr/bin/chromium"
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LAPTOP: Final[ViewportSize] = {"width": 1280, "height": 860}
PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
PATIENCE: Final = 20_000
"""Milliseconds that whatever is expected may take on a busy machine; else it is there at once."""

expect.set_options(timeout=PATIENCE)


@dataclass(slots=True)
class Console:
    """A console that is open: the house behind it, a caller of its `/v1`, and its address."""

    house: House
    api: Caller
    url: str
    runner: web.AppRunner

    async def cut(self) -> None:
        """Stop serving, as a daemon does that is restarted."""
        await self.runner.cleanup()

    async def serve_again(self) -> None:
        """Serve at the same address, as the daemon does that was restarted."""
        self.runner = web.AppRunner(application(self.runner.app[VITALS]), shutdown_timeout=1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", URL(self.url).port).start()

    async def ready(self, name: str = "ventas", **options: Json) -> None:
        """Add a session and wait until it is ready; without a script it is so at once."""
        at_once = {"script": script_at(self.house.settings.state_dir, {}, name)}
        await self.started(name, **(at_once | options))
        await self.state_of(name, {"ready"})

    async def started(self, name: str, **options: Json) -> None:
        """Add a session and start it."""
        await self.api.post("/v1/sessions", name=name, channel="simulated", options=options)
        await self.api.post(f"/v1/sessions/{name}/start")

    async def state_of(self, name: str, wanted: Iterable[str]) -> None:
        """Wait until a session is in one of these states."""
        news = self.house.bus.subscribe()
        try:
            async with asyncio.timeout(20):
                while self.house.sessions.view(name).state not in set(wanted):
                    await anext(aiter(news))
        finally:
            news.close()

    async def import_list(self, content: bytes, **options: Json) -> None:
        """Bring a list in."""
        upload = await self.api.call("POST", "/v1/uploads?filename=l.csv", data=content)
        order = {"upload": upload.document["upload"], "options": options}
        await self.api.call("POST", "/v1/imports", json=order)


def application(vitals: Vitals, scopes: frozenset[Scope] = ALL_SCOPES) -> web.Application:
    """Return the console and `/v1`, where everybody is Ana with these scopes."""

    @web.middleware
    async def as_ana(request: web.Request, handler: Handler) -> web.StreamResponse:
        know(request, Identity("ana", "ana", scopes, SignInMethod.BROWSER))
        return await handler(request)

    made = web.Application(middlewares=[problems, as_ana])
    made[VITALS] = vitals
    made[OPEN] = set()
    made.on_shutdown.append(close_streams)
    ws.open_stream(made)
    made.add_routes([*health.routes, *v1.routes, *console.routes])
    return made


@contextlib.asynccontextmanager
async def opened(
    settings: Settings, scopes: frozenset[Scope] = ALL_SCOPES
) -> AsyncIterator[Console]:
    """Open a house and its console on a free port."""
    vitals = Vitals(lambda: 0.0)
    async with House.open(settings) as house, aiohttp.ClientSession() as client:
        vitals.house = house
        runner = web.AppRunner(application(vitals, scopes), shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        made = Console(house, Caller(client, url), url, runner)
        try:
            yield made
        finally:
            await made.cut()


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Start Debian's Chromium, with nothing that asks the network by itself."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def looking(
    browser: Browser, console: Console, path: str = "/", **options: Json
) -> AsyncIterator[Page]:
    """Open a page; the test fails for anything that its console or its policy complains of."""
    context: BrowserContext = await browser.new_context(
        base_url=console.url, **{"viewport": LAPTOP, "locale": "en-GB", **options}
    )
    complaints: list[str] = []
    page = await context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda said: complaints.append(said.text) if "Content Security" in said.text else None,
    )
    try:
        await page.goto(path)
        yield page
    finally:
        await context.close()
    assert complaints == []


def script_at(folder: Path, script: Mapping[str, Any], name: str = "script") -> str:
    """Store what the virtual phones do, else at once; return the path for a session's options."""
    path = folder / f"{name}.json"
    path.write_text(json.dumps({**AT_ONCE, **script}), encoding="utf-8")
    return str(path)
