"""The two HTTP servers, public (TCP) and control socket: builds, binds and closes them."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, cast

from aiohttp import web
from aiohttp.typedefs import Middleware

from daemon.auth import AuthService
from daemon.errors import StartRefused
from daemon.http import authentication, console, control_socket, health, v1, websocket
from daemon.http.connections import (
    ACCEPTED_AT_ONCE,
    CONTROL_LIMITS,
    PUBLIC_LIMITS,
    ConnectionLimiter,
    ConnectionLimits,
)
from daemon.http.console import error_translation, sign_in
from daemon.http.health import DAEMON_HEALTH, DaemonHealth, require_services
from daemon.http.middleware import (
    BODY_LIMIT,
    compress_response,
    defer_continue,
    limit_body,
    limit_duration,
)
from daemon.http.openapi import docs_page
from daemon.http.problems import answer_errors_with_problems
from daemon.http.request_target import build_host_check, check_target_encoding
from daemon.http.streaming import OPEN_STREAMS, close_streams
from daemon.settings import Settings

_LAST_REQUESTS_SECONDS: Final = 0.1
_SHUTDOWN_SECONDS: Final = 3.0
_PENDING_CONNECTIONS: Final = 128


def build_public_application(daemon_health: DaemonHealth, settings: Settings) -> web.Application:
    """Return the application on TCP: health for anybody, everything else with authentication."""
    # Outermost first: an error of authentication passes the redirect to the sign-in page, becomes
    # a problem document, and is shown as a page to who asked for one, else translated.
    application = _build_application(
        daemon_health,
        error_translation.translate_problems,
        error_translation.render_problem_pages,
        answer_errors_with_problems,
        sign_in.redirect_to_sign_in,
        compress_response,
        build_host_check(settings),
        authentication.authenticate,
    )
    for routes in (
        health.routes,
        v1.RESOURCE_ROUTES,
        v1.ACCOUNT_ROUTES,
        docs_page.routes,
        console.routes,
    ):
        application.add_routes(defer_continue(routes))
    return application


def build_control_application(daemon_health: DaemonHealth) -> web.Application:
    """Return the application on the control socket, for root and the daemon's own user."""
    peers = control_socket.build_peer_check(control_socket.get_allowed_uids())
    application = _build_application(
        daemon_health, answer_errors_with_problems, peers, authentication.grant_all_scopes
    )
    for routes in (
        health.routes,
        v1.RESOURCE_ROUTES,
        v1.ACCOUNT_ROUTES,
    ):
        application.add_routes(defer_continue(routes))
    return application


def _build_application(daemon_health: DaemonHealth, *middlewares: Middleware) -> web.Application:
    def get_auth_service() -> AuthService:
        return require_services(daemon_health).auth

    application = web.Application(
        middlewares=[*middlewares, check_target_encoding, limit_duration, limit_body],
        client_max_size=BODY_LIMIT,
    )
    application[DAEMON_HEALTH] = daemon_health
    application[OPEN_STREAMS] = set()
    authentication.install_authentication(application, get_auth_service)
    application.on_shutdown.append(close_streams)
    websocket.install_websocket(application)
    return application


@contextlib.asynccontextmanager
async def serve_public(
    settings: Settings,
    daemon_health: DaemonHealth,
    inherited_descriptor: int | None = None,
    *,
    limits: ConnectionLimits = PUBLIC_LIMITS,
) -> AsyncIterator[None]:
    """Serve the public application on a socket of the service manager, or bind one.

    Raises :class:`StartRefused` where the address is taken, or reachable from other machines
    without `open_to_network`.
    """
    listener = (
        _adopt_socket(inherited_descriptor)
        if inherited_descriptor is not None
        else _bind_public_socket(settings)
    )
    application = build_public_application(daemon_health, settings)
    async with _serve(application, listener, limits):
        host, port = listener.getsockname()[:2]
        daemon_health.addresses["http"] = f"http://{host}:{port}"
        yield
        del daemon_health.addresses["http"]


@contextlib.asynccontextmanager
async def serve_control_socket(path: Path, daemon_health: DaemonHealth) -> AsyncIterator[None]:
    """Serve the whole interface on the control socket at `path`; remove the file at the end."""
    listener = control_socket.bind_control_socket(path)
    try:
        application = build_control_application(daemon_health)
        async with _serve(application, listener, CONTROL_LIMITS):
            daemon_health.addresses["control"] = str(path)
            yield
            del daemon_health.addresses["control"]
    finally:
        control_socket.remove_control_socket(path)


@contextlib.asynccontextmanager
async def _serve(
    application: web.Application, listener: socket.socket, limits: ConnectionLimits
) -> AsyncIterator[None]:
    """Serve on a listening socket, and close it at the end, also after a failed start."""
    with contextlib.closing(listener):
        if listener.family != socket.AF_UNIX:
            # Connections inherit it: a client that reads nothing of its answer is given up.
            milliseconds = int(limits.unread_seconds * 1000)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        runner = web.AppRunner(application, shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            server = cast("web.Server", runner.server)  # there from the set-up on
            accepting = await asyncio.get_running_loop().create_server(
                ConnectionLimiter(server, limits), sock=listener, backlog=ACCEPTED_AT_ONCE
            )
            # What may wait in the kernel is no matter of how many are accepted at once.
            listener.listen(_PENDING_CONNECTIONS)
            try:
                yield
            finally:
                accepting.close()
                # What was accepted last is read, before connections without a request are closed.
                await asyncio.sleep(_LAST_REQUESTS_SECONDS)
        finally:
            await runner.cleanup()


def _adopt_socket(descriptor: int) -> socket.socket:
    listener = socket.socket(fileno=descriptor)
    listener.setblocking(False)
    return listener


def _bind_public_socket(settings: Settings) -> socket.socket:
    host, port = settings.daemon.host, settings.daemon.port
    if not (settings.daemon.open_to_network or _is_loopback(host)):
        raise StartRefused(
            f"[daemon] host = {host!r} can be reached from other machines, without TLS.",
            hint="Keep 127.0.0.1 and put nginx in front; or set [daemon] open_to_network = true.",
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    # A restart would else be refused while connections of the last process are in TIME_WAIT.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise StartRefused(
            f"The address {host}:{port} can't be opened: {error.strerror or error}.",
            hint="Stop what listens there, or set [daemon] port to another.",
        ) from error
    listener.setblocking(False)
    return listener


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
