"""The control socket: a private unix socket, and the check of the user who connects."""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import socket
import stat
import struct
from functools import lru_cache
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from daemon.errors import NotAllowed, StartRefused
from daemon.http.authentication import ACTOR

_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid: struct ucred of unix(7)


def bind_control_socket(path: Path) -> socket.socket:
    """Return a socket that listens at `path` and is open to its owner only.

    The file of a daemon that has ended is replaced. Raises :class:`StartRefused` where a running
    one answers, or the path can't be used.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        _remove_stale_socket(path)
        # Set before it has a name, so that there is no moment at which others could connect.
        os.fchmod(listener.fileno(), _MODE)
        listener.bind(str(path))
        listener.listen(128)
    except BaseException as error:
        listener.close()
        if not isinstance(error, OSError):
            raise
        raise StartRefused(
            f"The control socket {path} can't be opened: {error.strerror or error}.",
            hint="Give the folder to the daemon's user, or name another with --socket.",
        ) from error
    listener.setblocking(False)
    return listener


def remove_control_socket(path: Path) -> None:
    """Remove the file of a socket that was closed."""
    path.unlink(missing_ok=True)


def _remove_stale_socket(path: Path) -> None:
    """Remove the socket file of a daemon that has ended; raise for any other file."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise StartRefused(
                f"{path} is not a socket, so it is left alone.",
                hint="Move that file away, or name another socket with --socket.",
            )
        if _is_answering(path):
            raise StartRefused(
                f"Another daemon answers on {path}.",
                hint="Stop it first, or give this one a state folder of its own.",
            )
        path.unlink()


def _is_answering(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(str(path)) not in {errno.ECONNREFUSED, errno.ENOENT}


def get_allowed_uids() -> frozenset[int]:
    """Return the user ids that may use the control socket: root and the daemon's own."""
    return frozenset({0, os.geteuid()})


def build_peer_check(allowed: frozenset[int]) -> Middleware:
    """Return the middleware that admits these users only, and sets their name."""

    @web.middleware
    async def check_peer(request: web.Request, handler: Handler) -> web.StreamResponse:
        uid = _get_peer_uid(request)
        if uid not in allowed:
            raise NotAllowed(
                "The control socket obeys root and the daemon's own user only.",
                hint="Run the command as root, or as the user that runs the daemon.",
            )
        request[ACTOR] = get_user_name(uid)
        return await handler(request)

    return check_peer


def _get_peer_uid(request: web.Request) -> int:
    """Return the user id of the connecting process, or -1 where it is unknown."""
    # From the kernel, and not from the client: it can't be forged.
    line = request.get_extra_info("socket")
    if line is None or line.family != socket.AF_UNIX:
        return -1
    credentials = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    uid: int = _CREDENTIALS.unpack(credentials)[1]
    return uid


@lru_cache(maxsize=64)  # the password database is read from the disk, at each request
def get_user_name(uid: int) -> str:
    """Return a user's name, or the number where the user has no entry in the password database."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
