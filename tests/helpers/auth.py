"""A small door with the real check, on port 0 and on a unix socket, over a real database."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from argon2 import PasswordHasher

from daemon.auth import ALL_SCOPES, Auth, Identity, Role, Scope, SignInMethod
from daemon.auth.passwords import Passwords
from daemon.http import auth as door_auth
from daemon.http import control
from daemon.http.problems import problems
from daemon.http.vitals import VITALS, Vitals
from daemon.settings import AuthSettings, DaemonSettings, Settings
from storage import audit
from storage.db import Database
from tests.helpers.clock import FakeClock
from tests.helpers.database import opened_database

PASSWORD = "correct horse battery"
FAST = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""As argon2id as the real one, and a thousand times cheaper."""
OWNER = Identity("root", "", ALL_SCOPES, SignInMethod.CONTROL)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came."""

    status: int
    document: Any
    headers: Mapping[str, str]
    cookie: str = ""

    @property
    def code(self) -> str:
        """Return the code of a problem; empty where it is none."""
        return self.document.get("code", "") if isinstance(self.document, dict) else ""


@dataclass(slots=True)
class Client:
    """Speaks to a door with whatever headers a test wants."""

    session: aiohttp.ClientSession
    base: str
    headers: dict[str, str] = field(default_factory=dict)

    async def call(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, /, **body: object
    ) -> Reply:
        """Make a request; the body goes as JSON where there is one."""
        async with self.session.request(
            method,
            self.base + path,
            headers={**self.headers, **(headers or {})},
            data=json.dumps(body) if body else None,
        ) as response:
            text = await response.text()
            document = json.loads(text) if "json" in response.content_type else text
            cookies = [f"{name}={morsel.value}" for name, morsel in response.cookies.items()]
            return Reply(
                response.status, document, dict(response.headers), cookies[0] if cookies else ""
            )

    def with_(self, **headers: str) -> Client:
        """Return a client that always sends these headers too; `_` stands for a hyphen."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Client(self.session, self.base, {**self.headers, **named})


@dataclass(slots=True)
class AuthHouse:
    """The auth room of a test, its doors and its clock."""

    settings: Settings
    database: Database
    clock: FakeClock
    auth: Auth
    public: Client
    control: Client

    async def user(self, name: str = "ana", role: Role = Role.ADMIN) -> str:
        """Make a user with the usual password; return the name."""
        await self.auth.users.create(name, role, "root", password=PASSWORD)
        return name

    async def token(
        self, user: str, *scopes: Scope, hours: float = 1.0, maker: Identity = OWNER
    ) -> str:
        """Make a token for a user, with one harmless scope where none is named."""
        wanted = scopes or (Scope.SESSIONS_READ,)
        life = timedelta(hours=hours)
        return (await self.auth.tokens.make(maker, user, "crm", wanted, life)).token

    def bearer(self, token: str) -> Client:
        """Return a client that sends a token."""
        return self.public.with_(Authorization=f"Bearer {token}")

    async def browser(self, user: str) -> Client:
        """Return a client that is signed in, and does what our own pages do."""
        reply = await self.public.call("POST", "/v1/sign-in", user=user, password=PASSWORD)
        assert reply.status == 200, reply.document
        return self.public.with_(
            Cookie=reply.cookie, Origin=self.public.base, X_CSRF_Token=reply.document["csrf"]
        )

    async def audited(self, subject: str) -> list[str]:
        """Return what the audit says was done to a subject, oldest first."""
        found = await self.database.read(lambda reader: audit.of_subject(reader, subject))
        return [entry.action for entry in found]


@contextlib.asynccontextmanager
async def auth_house(
    folder: Path, settings: AuthSettings | None = None
) -> AsyncIterator[AuthHouse]:
    """Open database, auth room and both doors in `folder`."""
    wanted = Settings(daemon=DaemonSettings(state_dir=str(folder)), auth=settings or AuthSettings())
    clock, vitals = FakeClock(), Vitals(lambda: 0.0)
    async with contextlib.AsyncExitStack() as stack:
        database = await stack.enter_async_context(opened_database(folder))
        auth = await Auth.open(database, clock, wanted, environ={}, passwords=Passwords(FAST))
        base = await stack.enter_async_context(_public(vitals, auth))
        vitals.doors["http"] = base
        socket = folder / "control.sock"
        await stack.enter_async_context(_control(vitals, auth, socket))
        tcp = await stack.enter_async_context(_session(aiohttp.TCPConnector()))
        unix = await stack.enter_async_context(_session(aiohttp.UnixConnector(str(socket))))
        yield AuthHouse(
            wanted, database, clock, auth, Client(tcp, base), Client(unix, "http://leadmaster")
        )


def _session(connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


@contextlib.asynccontextmanager
async def _public(vitals: Vitals, auth: Auth) -> AsyncIterator[str]:
    application = web.Application(middlewares=[problems, door_auth.authenticated])
    _furnish(application, vitals, auth)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def _control(vitals: Vitals, auth: Auth, path: Path) -> AsyncIterator[None]:
    peers = control.peers_only(control.owners())
    application = web.Application(middlewares=[problems, peers, door_auth.as_owner])
    _furnish(application, vitals, auth)
    application.add_routes(door_auth.control_routes)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.SockSite(runner, control.bind(path)).start()
        yield
    finally:
        await runner.cleanup()


def _furnish(application: web.Application, vitals: Vitals, auth: Auth) -> None:
    """Add the sign-in routes, and a few of the real table that say who came in."""
    application[VITALS] = vitals
    door_auth.open_to(application, lambda: auth)
    application.add_routes(door_auth.routes)
    application.router.add_get("/health", _anybody)
    application.router.add_get("/v1/sessions", _who)
    application.router.add_post("/v1/halt", _who)
    application.router.add_get("/v1/rules", _who)
    application.router.add_get("/v1/events", _stream)
    application.router.add_get("/v1/forgotten", _who)


async def _anybody(_request: web.Request) -> web.Response:
    return web.json_response({"status": "alive"})


async def _who(request: web.Request) -> web.Response:
    identity = door_auth.identity_of(request)
    return web.json_response(
        {"who": request[control.WHO], "scopes": sorted(identity.scopes), "way": identity.way}
    )


@door_auth.may_sign_in_later
async def _stream(request: web.Request) -> web.StreamResponse:
    """Greet whoever signed in, at the handshake or by the first message."""
    socket = web.WebSocketResponse(protocols=("leadmaster.v1",))
    await socket.prepare(request)
    if request.get(control.WHO) is None:
        await door_auth.sign_in_late(request, (await socket.receive_json())["token"])
    await socket.send_json({"hello": door_auth.identity_of(request).who})
    await socket.close()
    return socket
