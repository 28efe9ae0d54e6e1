"""The two HTTP servers, public (TCP) and control socket: builds, binds and closes them."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from daemon.auth import AuthService
from daemon.errors import StartRefused
from daemon.http import authentication, console, control_socket, health, v1, websocket
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
from daemon.http.streaming import OPEN_STREAMS, close_streams
from daemon.settings import Settings

_SHUTDOWN_SECONDS: Final = 3.0


def build_public_application(daemon_health: DaemonHealth) -> web.Application:
    """Return the application on TCP: health for anybody, everything else with authentication."""
    # Outermost first: an error of authentication passes the redirect to the sign-in page, becomes
    # a problem document, and is translated.
    application = _build_application(
        daemon_health,
        error_translation.translate_problems,
        answer_errors_with_problems,
        sign_in.redirect_to_sign_in,
        compress_response,
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
        v1.CONTROL_SOCKET_ROUTES,
    ):
        application.add_routes(defer_continue(routes))
    return application


def _build_application(daemon_health: DaemonHealth, *middlewares: Middleware) -> web.Application:
    def get_auth_service() -> AuthService:
        return require_services(daemon_health).auth

    application = web.Application(
        middlewares=[*middlewares, limit_duration, limit_body], client_max_size=BODY_LIMIT
    )
    application[DAEMON_HEALTH] = daemon_health
    application[OPEN_STREAMS] = set()
    authentication.install_authentication(application, get_auth_service)
    application.on_shutdown.append(close_streams)
    websocket.install_websocket(application)
    return application


@contextlib.asynccontextmanager
async def serve_public(
    settings: Settings, daemon_health: DaemonHealth, inherited_descriptor: int | None = None
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
    async with _serve(build_public_application(daemon_health), listener):
        host, port = listener.getsockname()[:2]
        daemon_health.addresses["http"] = f"http://{host}:{port}"
        yield
        del daemon_health.addresses["http"]


@contextlib.asynccontextmanager
async def serve_control_socket(path: Path, daemon_health: DaemonHealth) -> AsyncIterator[None]:
    """Serve the whole interface on the control socket at `path`; remove the file at the end."""
    listener = control_socket.bind_control_socket(path)
    try:
        async with _serve(build_control_application(daemon_health), listener):
            daemon_health.addresses["control"] = str(path)
            yield
            del daemon_health.addresses["control"]
    finally:
        control_socket.remove_control_socket(path)


@contextlib.asynccontextmanager
async def _serve(application: web.Application, listener: socket.socket) -> AsyncIterator[None]:
    """Serve on a listening socket, and close it at the end, also after a failed start."""
    with contextlib.closing(listener):
        runner = web.AppRunner(
            application,
            access_log=None,  # addresses may contain phone numbers
            shutdown_timeout=_SHUTDOWN_SECONDS,
            auto_decompress=False,  # aiohttp would unpack before anybody counts; see limit_body()
        )
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            yield
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
