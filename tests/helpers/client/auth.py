"""The auth service behind small HTTP servers, and a client that can send any header."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import aiohttp
from aiohttp import web
from argon2 import PasswordHasher

from daemon.auth import ALL_SCOPES, AuthService, Principal, Role, Scope, SignInMethod
from daemon.auth.password_check import Passwords
from daemon.http import authentication, control_socket, v1
from daemon.http.health import DAEMON_HEALTH, DaemonHealth
from daemon.http.problems import answer_errors_with_problems
from daemon.settings import AuthSettings, DaemonSettings, Settings
from storage import audit
from storage.db import Database
from tests.helpers.client.http import HttpClient, HttpReply, get_base_url, serve_application
from tests.helpers.clock import FakeClock
from tests.helpers.services.database import open_database

PASSWORD = "correct horse battery"
FAST_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""argon2id like the real one, but about a thousand times cheaper."""
CONTROL_IDENTITY = Principal("root", "", ALL_SCOPES, SignInMethod.CONTROL)


@dataclass(slots=True)
class AuthClient:
    """Sends requests with the headers that a test wants, and keywords as the body."""

    http: HttpClient
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def session(self) -> aiohttp.ClientSession:
        """Return the session that its requests go through."""
        return self.http.session

    @property
    def base(self) -> str:
        """Return the address of the server."""
        return self.http.base

    async def call(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, /, **body: object
    ) -> HttpReply:
        """Send a request; the body goes as JSON where there is one."""
        sent = {**self.headers, **(headers or {})}
        data = json.dumps(body) if body else None
        return await self.http.call(method, path, headers=sent, data=data)

    def with_headers(self, **headers: str) -> AuthClient:
        """Return a client that always sends these headers too, with `_` in place of hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return AuthClient(self.http, {**self.headers, **named})


@dataclass(slots=True)
class AuthServices:
    """The auth service of a test, its servers and its clock."""

    settings: Settings
    database: Database
    clock: FakeClock
    auth: AuthService
    public: AuthClient
    control: AuthClient

    async def create_user(self, name: str = "ana", role: Role = Role.ADMIN) -> str:
        """Make a user with the usual password; return the name."""
        await self.auth.users.create_user(name, role, "root", password=PASSWORD)
        return name

    async def create_token(
        self, user: str, *scopes: Scope, hours: float = 1.0, maker: Principal = CONTROL_IDENTITY
    ) -> str:
        """Make a token for a user, with one harmless scope where none is named."""
        wanted = scopes or (Scope.SESSIONS_READ,)
        life = timedelta(hours=hours)
        return (await self.auth.tokens.issue_token(maker, user, "crm", wanted, life)).token

    def bearer(self, token: str) -> AuthClient:
        """Return a client that sends a token."""
        return self.public.with_headers(Authorization=f"Bearer {token}")

    async def sign_in_browser(self, user: str) -> AuthClient:
        """Return a client that is signed in, with the headers that our pages send."""
        reply = await self.public.call("POST", "/v1/sign-in", user=user, password=PASSWORD)
        assert reply.status == 200, reply.document
        return self.public.with_headers(
            Cookie=reply.cookie, Origin=self.public.base, X_CSRF_Token=reply.document["csrf"]
        )

    async def list_audited_actions(self, subject: str) -> list[str]:
        """Return the audited actions on a subject, oldest first."""
        found = await self.database.read(
            lambda reader: audit.list_subject_audit_entries(reader, subject)
        )
        return [entry.action for entry in found]


@contextlib.asynccontextmanager
async def open_auth_services(
    folder: Path, settings: AuthSettings | None = None
) -> AsyncIterator[AuthServices]:
    """Open the database, the auth service and both servers in `folder`."""
    wanted = Settings(daemon=DaemonSettings(state_dir=str(folder)), auth=settings or AuthSettings())
    clock, health = FakeClock(), DaemonHealth(lambda: 0.0)
    async with contextlib.AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(folder))
        auth = await AuthService.open(
            database, clock, wanted, environ={}, passwords=Passwords(FAST_HASHER)
        )
        base = await stack.enter_async_context(_serve_public(health, auth))
        health.addresses["http"] = base
        socket = folder / "control.sock"
        await stack.enter_async_context(_serve_control(health, auth, socket))
        tcp = await stack.enter_async_context(_open_client_session(aiohttp.TCPConnector()))
        unix = await stack.enter_async_context(
            _open_client_session(aiohttp.UnixConnector(str(socket)))
        )
        yield AuthServices(
            wanted,
            database,
            clock,
            auth,
            AuthClient(HttpClient(tcp, base)),
            AuthClient(HttpClient(unix, "http://leadmaster")),
        )


def _open_client_session(connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
    # Without a cookie jar: each test says itself which cookie is sent.
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


@contextlib.asynccontextmanager
async def _serve_public(health: DaemonHealth, auth: AuthService) -> AsyncIterator[str]:
    application = web.Application(
        middlewares=[answer_errors_with_problems, authentication.authenticate]
    )
    _add_routes(application, health, auth)
    async with serve_application(application) as runner:
        yield get_base_url(runner)


@contextlib.asynccontextmanager
async def _serve_control(
    health: DaemonHealth, auth: AuthService, path: Path
) -> AsyncIterator[None]:
    peers = control_socket.build_peer_check(control_socket.get_allowed_uids())
    application = web.Application(
        middlewares=[answer_errors_with_problems, peers, authentication.grant_all_scopes]
    )
    _add_routes(application, health, auth)
    bound = control_socket.bind_control_socket(path)
    async with serve_application(application, bound=bound):
        yield


def _add_routes(application: web.Application, health: DaemonHealth, auth: AuthService) -> None:
    """Add the sign-in routes, and a few real paths that answer with the caller's identity."""
    application[DAEMON_HEALTH] = health
    authentication.install_authentication(application, lambda: auth)
    application.add_routes(v1.ACCOUNT_ROUTES)
    application.router.add_get("/health", _answer_health)
    application.router.add_get("/v1/sessions", _answer_identity)
    application.router.add_post("/v1/halt", _answer_identity)
    application.router.add_get("/v1/rules", _answer_identity)
    application.router.add_get("/v1/events", _answer_stream)
    # A path without a row in the table of scopes, which must be refused.
    application.router.add_get("/v1/forgotten", _answer_identity)


async def _answer_health(_request: web.Request) -> web.Response:
    return web.json_response({"status": "alive"})


async def _answer_identity(request: web.Request) -> web.Response:
    identity = authentication.get_identity(request)
    return web.json_response(
        {
            "who": request[authentication.ACTOR],
            "scopes": sorted(identity.scopes),
            "method": identity.method,
        }
    )


@authentication.allow_late_sign_in
async def _answer_stream(request: web.Request) -> web.StreamResponse:
    """Answer with the identity that signed in, at the handshake or by the first message."""
    socket = web.WebSocketResponse(protocols=("leadmaster.v1",))
    await socket.prepare(request)
    if request.get(authentication.ACTOR) is None:
        await authentication.authenticate_first_message(
            request, (await socket.receive_json())["token"]
        )
    await socket.send_json({"hello": authentication.get_identity(request).who})
    await socket.close()
    return socket
