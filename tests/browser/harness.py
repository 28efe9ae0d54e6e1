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

from daemon.app import Application
from daemon.auth import ALL_SCOPES, Identity, SignInMethod
from daemon.auth.scopes import Scope
from daemon.http import health, v1, ws
from daemon.http.auth.identify import set_identity
from daemon.http.pages import console
from daemon.http.problems import answer_errors_with_problems
from daemon.http.streams import OPEN_STREAMS, close_streams
from daemon.http.vitals import DAEMON_HEALTH, DaemonHealth
from daemon.settings import Settings
from tests.helpers.doors import IMMEDIATE_SCRIPT, HttpClient, Json

CHROMIUM: Final = "/usr/bin/chromium"
CHROMIUM_FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LAPTOP_VIEWPORT: Final[ViewportSize] = {"width": 1280, "height": 860}
PHONE_VIEWPORT: Final[ViewportSize] = {"width": 390, "height": 844}
EXPECT_TIMEOUT_MS: Final = 20_000
"""Milliseconds that whatever is expected may take on a busy machine; else it is there at once."""

expect.set_options(timeout=EXPECT_TIMEOUT_MS)


@dataclass(slots=True)
class ConsoleServer:
    """A console that is open: the house behind it, a caller of its `/v1`, and its address."""

    services: Application
    api: HttpClient
    url: str
    runner: web.AppRunner

    async def stop_serving(self) -> None:
        """Stop serving, as a daemon does that is restarted."""
        await self.runner.cleanup()

    async def serve_again(self) -> None:
        """Serve at the same address, as the daemon does that was restarted."""
        self.runner = web.AppRunner(
            build_console_application(self.runner.app[DAEMON_HEALTH]), shutdown_timeout=1
        )
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", URL(self.url).port).start()

    async def add_ready_session(self, name: str = "ventas", **options: Json) -> None:
        """Add a session and wait until it is ready; without a script it is so at once."""
        at_once = {"script": write_phone_script(self.services.settings.state_dir, {}, name)}
        await self.start_session(name, **(at_once | options))
        await self.wait_for_session_state(name, {"ready"})

    async def start_session(self, name: str, **options: Json) -> None:
        """Add a session and start it."""
        await self.api.post("/v1/sessions", name=name, channel="simulated", options=options)
        await self.api.post(f"/v1/sessions/{name}/start")

    async def wait_for_session_state(self, name: str, wanted: Iterable[str]) -> None:
        """Wait until a session is in one of these states."""
        news = self.services.bus.subscribe()
        try:
            async with asyncio.timeout(20):
                while self.services.sessions.view(name).state not in set(wanted):
                    await anext(aiter(news))
        finally:
            news.close()

    async def import_list(self, content: bytes, **options: Json) -> None:
        """Bring a list in."""
        upload = await self.api.call("POST", "/v1/uploads?filename=l.csv", data=content)
        order = {"upload": upload.document["upload"], "options": options}
        await self.api.call("POST", "/v1/imports", json=order)


def build_console_application(
    vitals: DaemonHealth, scopes: frozenset[Scope] = ALL_SCOPES
) -> web.Application:
    """Return the console and `/v1`, where everybody is Ana with these scopes."""

    @web.middleware
    async def as_ana(request: web.Request, handler: Handler) -> web.StreamResponse:
        set_identity(request, Identity("ana", "ana", scopes, SignInMethod.BROWSER))
        return await handler(request)

    made = web.Application(middlewares=[answer_errors_with_problems, as_ana])
    made[DAEMON_HEALTH] = vitals
    made[OPEN_STREAMS] = set()
    made.on_shutdown.append(close_streams)
    ws.install_websocket(made)
    made.add_routes([*health.routes, *v1.RESOURCE_ROUTES, *console.routes])
    return made


@contextlib.asynccontextmanager
async def open_console(
    settings: Settings, scopes: frozenset[Scope] = ALL_SCOPES
) -> AsyncIterator[ConsoleServer]:
    """Open a house and its console on a free port."""
    vitals = DaemonHealth(lambda: 0.0)
    async with Application.open(settings) as house, aiohttp.ClientSession() as client:
        vitals.services = house
        runner = web.AppRunner(build_console_application(vitals, scopes), shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        made = ConsoleServer(house, HttpClient(client, url), url, runner)
        try:
            yield made
        finally:
            await made.stop_serving()


@contextlib.asynccontextmanager
async def launch_chromium() -> AsyncIterator[Browser]:
    """Start Debian's Chromium, with nothing that asks the network by itself."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=list(CHROMIUM_FLAGS)
        )
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def open_page(
    browser: Browser, console: ConsoleServer, path: str = "/", **options: Json
) -> AsyncIterator[Page]:
    """Open a page; the test fails for anything that its console or its policy complains of."""
    context: BrowserContext = await browser.new_context(
        base_url=console.url, **{"viewport": LAPTOP_VIEWPORT, "locale": "en-GB", **options}
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


def write_phone_script(folder: Path, script: Mapping[str, Any], name: str = "script") -> str:
    """Store what the virtual phones do, else at once; return the path for a session's options."""
    path = folder / f"{name}.json"
    path.write_text(json.dumps({**IMMEDIATE_SCRIPT, **script}), encoding="utf-8")
    return str(path)
