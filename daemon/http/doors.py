"""The two doors: the public one on TCP and the control socket. Who opens one, closes it."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from daemon.auth import Auth
from daemon.errors import StartRefused, Unavailable
from daemon.http import auth, control, health, reference, v1, ws
from daemon.http.compression import compressed
from daemon.http.limits import BODY_LIMIT, bounded, patient
from daemon.http.pages import console, doorstep, telling
from daemon.http.problems import problems
from daemon.http.streams import OPEN, close_streams
from daemon.http.vitals import VITALS, Vitals, opened
from daemon.settings import Settings

ANSWER_SECONDS: Final = 60.0
_CLOSE_SECONDS: Final = 3.0


def public_application(vitals: Vitals) -> web.Application:
    """Return what TCP shows: health to anybody, all else to whoever proves that they may."""
    application = _application(
        vitals,
        telling.in_their_language,
        problems,
        doorstep.show_to_the_door,
        compressed,
        auth.authenticated,
        in_time,
        bounded,
    )
    for routes in (health.routes, v1.routes, auth.routes, reference.routes, console.routes):
        application.add_routes(patient(routes))
    return application


def control_application(vitals: Vitals, allowed: frozenset[int] | None = None) -> web.Application:
    """Return the whole interface, for `allowed` users (root and our own where None)."""
    peers = control.peers_only(control.owners() if allowed is None else allowed)
    application = _application(vitals, problems, peers, auth.as_owner)
    for routes in (health.routes, v1.routes, auth.routes, auth.control_routes):
        application.add_routes(patient(routes))
    return application


def _application(vitals: Vitals, *middlewares: Middleware) -> web.Application:
    def auth_room() -> Auth:
        return opened(vitals).auth

    application = web.Application(
        middlewares=[*middlewares, in_time, bounded], client_max_size=BODY_LIMIT
    )
    application[VITALS] = vitals
    application[OPEN] = set()
    auth.open_to(application, auth_room)
    application.on_shutdown.append(close_streams)
    ws.open_stream(application)
    return application


@web.middleware
async def in_time(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let no request take for ever but those that are meant to."""
    if getattr(request.match_info.handler, "endless", False):
        return await handler(request)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await handler(request)
    except TimeoutError as error:
        raise Unavailable(f"This took longer than {ANSWER_SECONDS:g} s.") from error


@contextlib.asynccontextmanager
async def public_door(
    settings: Settings, vitals: Vitals, passed: int | None = None
) -> AsyncIterator[None]:
    """Serve the public application on `passed`, a socket of the service manager, or bind one.

    Raises :class:`StartRefused` where the address is taken, or wider than was said to be meant.
    """
    listener = _inherited(passed) if passed is not None else _bound(settings)
    async with _serving(public_application(vitals), listener):
        host, port = listener.getsockname()[:2]
        vitals.doors["http"] = f"http://{host}:{port}"
        yield
        del vitals.doors["http"]


@contextlib.asynccontextmanager
async def control_door(path: Path, vitals: Vitals) -> AsyncIterator[None]:
    """Serve everything on the control socket at `path`; the file goes with the door."""
    listener = control.bind(path)
    try:
        async with _serving(control_application(vitals), listener):
            vitals.doors["control"] = str(path)
            yield
            del vitals.doors["control"]
    finally:
        control.unbind(path)


@contextlib.asynccontextmanager
async def _serving(application: web.Application, listener: socket.socket) -> AsyncIterator[None]:
    """Serve on a listener, and close it at the end, even of a start that is given up."""
    with contextlib.closing(listener):
        runner = web.AppRunner(
            application,
            access_log=None,
            shutdown_timeout=_CLOSE_SECONDS,
            auto_decompress=False,  # the library answers what it can't read with bare words
        )
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            yield
        finally:
            await runner.cleanup()


def _inherited(descriptor: int) -> socket.socket:
    listener = socket.socket(fileno=descriptor)
    listener.setblocking(False)
    return listener


def _bound(settings: Settings) -> socket.socket:
    host, port = settings.daemon.host, settings.daemon.port
    if not (settings.daemon.open_to_network or _is_loopback(host)):
        raise StartRefused(
            f"[daemon] host = {host!r} can be reached from other machines, without TLS.",
            hint="Keep 127.0.0.1 and put nginx in front; or set [daemon] open_to_network = true.",
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
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
