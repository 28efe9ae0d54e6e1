"""The worker as a systemd unit: its one connection, its command line, its folder, its watchdog.

The socket unit (`Accept=no`) hands over the listening socket as descriptor 3. The first connection
of the daemon's user is accepted; the worker ends with it, and the next one starts another worker.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import socket
import struct
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from daemon.linked_worker.protocol import WorkerUnavailable
from daemon.worker_protocol import Event, WorkerArguments, encode_frame

LISTENING_FD: Final = 3
ACCEPT_SECONDS: Final = 20.0
"""A unit is started by a connection, so one is waiting; this bounds what a wrong start costs."""
_SESSION_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
"""As the daemon names them; here it becomes the name of a folder."""
_REFUSAL_SECONDS: Final = 5.0
_MAX_LINE_BYTES: Final = 1 << 16
_CREDENTIALS: Final = struct.Struct("3i")  # struct ucred: process, user and group id


class NotAUnit(Exception):
    """The process was not started as a unit, or not by a daemon; the text says what is wrong."""


def take_listening_socket() -> socket.socket:
    """Return the socket that systemd passes; raise :class:`NotAUnit` where it passes none."""
    passed, process = os.environ.pop("LISTEN_FDS", ""), os.environ.pop("LISTEN_PID", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if (passed, process) != ("1", str(os.getpid())):
        raise NotAUnit("systemd passes no socket: start the socket unit, and not the service.")
    listening = socket.socket(fileno=LISTENING_FD)
    if not listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise NotAUnit("The socket that systemd passes does not listen: it needs Accept=no.")
    return listening


def find_user_id(name: str) -> int:
    """Return the id of the daemon's user; raise :class:`NotAUnit` where there is no such user."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise NotAUnit(f"There is no user {name!r} on this machine.") from None


def accept_daemon(listening: socket.socket, user_id: int) -> socket.socket:
    """Return the first connection of the daemon's user; those of other users are closed.

    Raises :class:`NotAUnit` where nobody connects in time.
    """
    listening.settimeout(ACCEPT_SECONDS)
    while True:
        try:
            connection, _ = listening.accept()
        except TimeoutError:
            raise NotAUnit(f"Nobody connected for {ACCEPT_SECONDS:g} s.") from None
        if (peer := read_peer_user(connection)) == user_id:
            connection.settimeout(None)
            return connection
        sys.stderr.write(f"Refused a connection of the user {peer}, who is not the daemon's.\n")
        connection.close()


def read_peer_user(connection: socket.socket) -> int:
    """Return the id of the user at the other end, as the kernel saw it at the connection."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    user_id: int = _CREDENTIALS.unpack(raw)[1]
    return user_id


def receive_arguments(connection: socket.socket, module: str) -> Sequence[str]:
    """Return the command line that the daemon sends first, for this module.

    Raises :class:`NotAUnit` where something else comes, or nothing in time.
    """
    connection.settimeout(ACCEPT_SECONDS)
    line = bytearray()
    try:
        # Byte by byte: what follows the line belongs to the protocol.
        while not line.endswith(b"\n") and len(line) < _MAX_LINE_BYTES:
            if not (byte := connection.recv(1)):
                raise NotAUnit("The daemon ended before it had said what to do.")
            line += byte
        received = msgspec.json.decode(bytes(line), type=WorkerArguments)
    except (TimeoutError, msgspec.MsgspecError):
        raise NotAUnit("What connected did not say which session to serve.") from None
    if received.module != module:
        raise NotAUnit(f"The daemon asks for another worker: {received.module!r}.")
    connection.settimeout(None)
    return received.arguments


def get_state_folder() -> str:
    """Return the unit's StateDirectory; raise :class:`NotAUnit` where it has none."""
    if not (folder := os.environ.get("STATE_DIRECTORY")):
        raise NotAUnit("The unit has no StateDirectory=, where the login would be kept.")
    return folder


def find_session_folder(state: Path, session: str) -> Path:
    """Return a session's folder; raise :class:`NotAUnit` for what can't be a session's name.

    Each session has its own, so a slot that is given to another one holds no login for it.
    """
    if not _SESSION_NAME.fullmatch(session):
        raise NotAUnit(f"{session!r} is not the name of a session.")
    return state / session


def refuse_others(listening: socket.socket) -> None:
    """Tell everybody who connects from now on that the worker is taken, until the process ends."""
    listening.settimeout(None)
    threading.Thread(target=_refuse_each, args=(listening,), daemon=True).start()


def _refuse_each(listening: socket.socket) -> None:
    sentence = "Another session has this worker already: give each session a slot of its own."
    answer = encode_frame(Event(WorkerUnavailable(sentence)))
    while True:
        connection, _ = listening.accept()
        with contextlib.suppress(OSError), connection:
            # Read first: a socket that is closed with something unread loses the answer too.
            connection.settimeout(_REFUSAL_SECONDS)
            connection.recv(_MAX_LINE_BYTES)
            connection.sendall(answer)


def feed_watchdog() -> None:
    """Tell systemd that the worker is alive; does nothing where no systemd asks."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify,
        ):
            # An address that begins with @ is in the abstract namespace.
            notify.sendto(b"WATCHDOG=1", address.replace("@", "\0", 1))
