"""Who uses the service while a test changes it: a page that is open, and clients of the API."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

import aiohttp
from playwright.async_api import Page

from tests.helpers.client.browser import launch_chromium, wait_until_live
from tests.systemd.booted.booted_service import CORE, BootedService

URL: Final = "http://127.0.0.1:3012"
CLIENTS: Final = 4
_PAUSE_SECONDS: Final = 0.05
_WATCH_STATE: Final = """
new MutationObserver(() => {
  const state = document.getElementById("live").dataset.state;
  if (state !== "live") window.notLiveAt ??= Date.now() / 1000;
}).observe(document.getElementById("live"), {attributes: true});
"""
"""Notes when the page first says that it is not live."""


async def measure_notice(service: BootedService, page: Page, since: float) -> float:
    """Return how many seconds after the core's first stop the page said that it is not live.

    ``since`` is a time before that stop, in seconds since 1970.
    """
    # Each package restarts the core: the page says it at the first time.
    stops = await asyncio.to_thread(
        service.root.read_journal, f"--unit={CORE}", f"--since=@{since:.0f}", "LM_EVENT=stopping"
    )
    stopped_at = int(stops[0]["__REALTIME_TIMESTAMP"]) / 1_000_000
    noticed_at: float = await page.evaluate("window.notLiveAt")
    return noticed_at - stopped_at


@contextlib.asynccontextmanager
async def open_console(service: BootedService) -> AsyncIterator[Page]:
    """Open the page of messages, which has a search, signed in as somebody new."""
    as_root = ("leadmaster", "--state-dir", "/var/lib/leadmaster")
    if "eva" not in await service.run(*as_root, "users", "list"):
        await service.run(*as_root, "users", "add", "eva", "--role", "operator", "--link-only")
    link = await service.linked.post("sign-in-links", user="eva")
    async with launch_chromium() as browser:
        page = await browser.new_page(base_url=URL)
        await page.goto(link["url"])
        await wait_until_live(page)
        await page.goto("/messages")
        await wait_until_live(page)
        await page.evaluate(_WATCH_STATE)
        yield page


@contextlib.asynccontextmanager
async def run_load(service: BootedService) -> AsyncIterator[Counter[object]]:
    """Ask the API all the time, by a few clients; yield how often each status came.

    An error of a connection counts as a status of its own name.
    """
    token = await service.linked.post("tokens", name="load", user="eva", scopes=["prospects:read"])
    answers: Counter[object] = Counter()
    ended = asyncio.Event()

    async def ask() -> None:
        headers = {"Authorization": f"Bearer {token['token']}"}
        # A connection for each: as a proxy in front opens them.
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(URL, connector=connector, headers=headers) as client:
            while not ended.is_set():
                try:
                    async with client.get("/v1/prospects") as answer:
                        await answer.read()
                        answers[answer.status] += 1
                except aiohttp.ClientError as error:
                    answers[type(error).__name__] += 1
                # Without it they take the processor that the upgrade needs.
                await asyncio.sleep(_PAUSE_SECONDS)

    clients = [asyncio.create_task(ask()) for _ in range(CLIENTS)]
    try:
        yield answers
    finally:
        ended.set()
        await asyncio.gather(*clients)
