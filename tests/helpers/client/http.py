"""The daemon's HTTP servers in this process, and a client for each."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import msgspec
from aiohttp import web

from daemon.bootstrap import open_services
from daemon.http.health import DaemonHealth
from daemon.http.server import serve_control_socket, serve_public
from daemon.services import Services
from daemon.settings import (
    ClockSettings,
    DaemonSettings,
    Settings,
    SimulatedSettings,
)
from storage import history
from storage.history import HistoryDeclaration
from storage.tx import Tx
from tests.helpers.page_language import list_written_texts
from tests.helpers.services.messaging import UNLIMITED_PACING

Json: TypeAlias = Any
DAYTIME = datetime(2026, 3, 3, 14, 0, tzinfo=UTC)
"""A Tuesday morning in Buenos Aires: every window is open."""

IMMEDIATE_SCRIPT = {"scan_after": 0.05, "step": 0.02}
"""A script with which codes are scanned and connections come up almost at once."""


def build_settings(folder: Path, **daemon: Json) -> Settings:
    """Return settings for a test's folder: daytime, large budgets, any port, fast phones."""
    folder.mkdir(exist_ok=True)
    script = folder / "at_once.json"
    script.write_text(json.dumps(IMMEDIATE_SCRIPT), encoding="utf-8")
    return Settings(
        daemon=DaemonSettings(state_dir=str(folder), port=0, drain_seconds=1, **daemon),
        # An injected clock, so that business hours do not depend on when the tests run.
        clock=ClockSettings(start=DAYTIME),
        pacing=UNLIMITED_PACING,
        simulated=SimulatedSettings(script=str(script)),
    )


def build_wall_clock_settings(folder: Path) -> Settings:
    """Return the same settings by the machine's own clock, as a manual session needs it."""
    return msgspec.structs.replace(build_settings(folder), clock=ClockSettings())


@dataclass(frozen=True, slots=True)
class HttpReply:
    """An answer: its status, its document, its headers."""

    status: int
    document: Json
    headers: Mapping[str, str]
    cookie: str = ""

    @property
    def code(self) -> str:
        """Return the code of a problem; empty for another document."""
        return self.document.get("code", "") if isinstance(self.document, dict) else ""


_SHORTEST_TEXT = 3


class HttpClient:
    """Sends requests to one server."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self.session = session
        self.base = base
        self.written: set[str] = set()
        """What was sent as text: the words of people, in whatever language."""

    async def get(self, path: str) -> HttpReply:
        """Send a GET request."""
        return await self.call("GET", path)

    async def post(self, path: str, **body: Json) -> HttpReply:
        """Send a POST request with a JSON body."""
        return await self.call("POST", path, json=body)

    async def call(self, method: str, path: str, **options: Json) -> HttpReply:
        """Send any request; an answer that is no JSON is returned as text."""
        self._remember_texts(options)
        async with self.session.request(method, self.base + path, **options) as response:
            text = await response.text()
            document: Json = text
            if response.content_type == "application/x-ndjson":
                document = [json.loads(line) for line in text.splitlines() if line]
            elif response.content_type.endswith("json"):
                document = json.loads(text)
            cookies = [f"{name}={morsel.value}" for name, morsel in response.cookies.items()]
            cookie = cookies[0] if cookies else ""
            return HttpReply(response.status, document, response.headers.copy(), cookie)

    def _remember_texts(self, options: Mapping[str, Json]) -> None:
        texts = list(list_written_texts(options.get("json")))
        if isinstance(data := options.get("data"), bytes):
            texts += re.split(r"[\n;,]", data.decode(errors="replace"))
        self.written |= {each.strip() for each in texts if len(each.strip()) >= _SHORTEST_TEXT}


@contextlib.asynccontextmanager
async def serve_application(
    application: web.Application,
    *,
    bound: socket.socket | None = None,
    shutdown_seconds: float = 0.1,
) -> AsyncIterator[web.AppRunner]:
    """Serve an application on any free port, or on a bound socket."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=shutdown_seconds)
    await runner.setup()
    try:
        site = web.SockSite(runner, bound) if bound else web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield runner
    finally:
        await runner.cleanup()


def get_base_url(runner: web.AppRunner) -> str:
    """Return the address of a server on a port."""
    return "http://{}:{}".format(*runner.addresses[0][:2])


@dataclass(frozen=True, slots=True)
class HttpServer:
    """The running servers and the services behind them."""

    services: Services
    health: DaemonHealth
    control: HttpClient
    public: HttpClient


def declare_no_history(tx: Tx) -> None:
    """Store that nothing was sent before, so that status and Today page do not ask for it."""
    history.insert_history_declaration(tx, HistoryDeclaration(DAYTIME, "ana", "todo es nuevo"))


@contextlib.asynccontextmanager
async def open_http_server(settings: Settings) -> AsyncIterator[HttpServer]:
    """Open services and servers in the order of `leadmaster run`."""
    health = DaemonHealth(lambda: 0.0)
    path = settings.control_socket
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(serve_public(settings, health))
        application = await stack.enter_async_context(open_services(settings))
        health.services = application
        await application.database.write(declare_no_history)
        await stack.enter_async_context(health.event_counts.counting(application.bus))
        await stack.enter_async_context(serve_control_socket(path, health))
        unix = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path)))
        )
        tcp = await stack.enter_async_context(aiohttp.ClientSession())
        yield HttpServer(
            application,
            health,
            HttpClient(unix, "http://leadmaster"),
            HttpClient(tcp, health.addresses["http"]),
        )


async def read_lines_until(
    caller: HttpClient,
    path: str,
    wanted: Callable[[dict[str, Any]], bool],
    meanwhile: Callable[[], Awaitable[object]] | None = None,
) -> list[dict[str, Any]]:
    """Read a stream up to the wanted line; run `meanwhile` once the stream has begun."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(20), caller.session.get(caller.base + path) as response:
        if meanwhile is not None:
            await meanwhile()
        async for line in response.content:
            found += [json.loads(line)] if line.strip() else []
            if found and wanted(found[-1]):
                return found
    return found


def is_ready_line(line: dict[str, Any]) -> bool:
    """Return whether a line of a pairing says that the session is ready."""
    return bool(line["data"].get("state") == "ready")


async def create_ready_session(api: HttpClient, name: str = "ventas") -> None:
    """Add a session and wait until it is ready."""
    await api.post("/v1/sessions", name=name, channel="simulated")
    await api.post(f"/v1/sessions/{name}/start")
    await read_lines_until(api, f"/v1/sessions/{name}/pairing", is_ready_line)


HELD_PHONE = "+5491141234567"


async def hold_message(api: HttpClient) -> dict[str, Any]:
    """Return a held message, the first one to a customer."""
    await create_ready_session(api)
    entry = {"phone": HELD_PHONE, "cartera_origen": "feria", "permission": "relationship"}
    made = (await api.post("/v1/prospects", **entry)).document
    word = {"validated": True, "reason": "I called them"}
    await api.post(f"/v1/prospects/{made['id']}/validate", **word)
    order = {"to": HELD_PHONE, "text": "Hola Ana"}
    message = (await api.call("POST", "/v1/messages?wait=verdict", json=order)).document
    assert message["state"] == "held", message["sentence"]
    found: dict[str, Any] = message
    return found
