"""The control socket: private, checked by the kernel's word, never taken from a living daemon."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from daemon.errors import StartRefused
from daemon.http import authentication, control_socket
from daemon.http.problems import answer_errors_with_problems


@pytest.fixture
def path(short_folder: Path) -> Path:
    """Return where the socket goes: a short name, as unix sockets want it."""
    return short_folder / "inner" / "control.sock"


@pytest.fixture
def listener(path: Path) -> Iterator[socket.socket]:
    """Return a bound control socket."""
    with control_socket.bind_control_socket(path) as bound:
        yield bound


def mode(path: Path) -> int:
    """Return a file's permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def test_socket_and_folder_are_the_owners_alone(path: Path, listener: socket.socket) -> None:
    """Nobody else may even connect, whatever the umask was."""
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700
    assert listener.family is socket.AF_UNIX


def test_the_mode_does_not_depend_on_the_umask(path: Path) -> None:
    """A permissive umask opens nothing, not even for a moment."""
    before = os.umask(0)
    try:
        with control_socket.bind_control_socket(path):
            assert mode(path) == 0o600
    finally:
        os.umask(before)


def test_what_a_dead_daemon_left_is_replaced(path: Path) -> None:
    """A socket file that nobody serves any more does not stop the next start."""
    control_socket.bind_control_socket(path).close()
    assert path.exists()
    with control_socket.bind_control_socket(path) as again:
        assert again.getsockname() == str(path)


def test_a_living_daemon_keeps_its_socket(path: Path, listener: socket.socket) -> None:
    """A second daemon is told in one sentence, and the first goes on."""
    with pytest.raises(StartRefused, match="Another daemon answers"):
        control_socket.bind_control_socket(path)
    assert path.exists()
    assert listener.fileno() >= 0


def test_other_files_are_left_alone(path: Path) -> None:
    """What is not a socket is never deleted."""
    path.parent.mkdir()
    path.write_text("precious")
    with pytest.raises(StartRefused, match="is not a socket"):
        control_socket.bind_control_socket(path)
    assert path.read_text() == "precious"


def test_an_impossible_path_is_one_sentence(short_folder: Path) -> None:
    """A name that is too long, or a folder that is a file, refuses the start."""
    with pytest.raises(StartRefused, match="can't be opened"):
        control_socket.bind_control_socket(short_folder / ("x" * 150))
    (short_folder / "file").touch()
    with pytest.raises(StartRefused, match="can't be opened"):
        control_socket.bind_control_socket(short_folder / "file" / "control.sock")


async def _who(request: web.Request) -> web.Response:
    return web.json_response({"who": request[authentication.ACTOR]})


async def _ask(path: Path, allowed: frozenset[int]) -> tuple[int, dict[str, str]]:
    application = web.Application(
        middlewares=[answer_errors_with_problems, control_socket.build_peer_check(allowed)]
    )
    application.router.add_get("/who", _who)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.SockSite(runner, control_socket.bind_control_socket(path)).start()
        connector = aiohttp.UnixConnector(str(path))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get("http://leadmaster/who") as response,
        ):
            return response.status, await response.json(content_type=None)
    finally:
        await runner.cleanup()


async def test_the_peers_user_name_becomes_who(path: Path) -> None:
    """The kernel says who is at the other end; the name is what the audit keeps."""
    status, answer = await _ask(path, control_socket.get_allowed_uids())
    assert (status, answer) == (200, {"who": control_socket.get_user_name(os.geteuid())})


async def test_another_user_is_refused(path: Path) -> None:
    """Whoever is neither root nor the daemon's user gets 403 and a sentence."""
    status, answer = await _ask(path, frozenset({os.geteuid() + 1}))
    assert status == 403
    assert answer["code"] == "not_allowed"


async def test_tcp_vouches_for_nobody() -> None:
    """The peer check never lets a TCP connection through."""
    application = web.Application(
        middlewares=[
            answer_errors_with_problems,
            control_socket.build_peer_check(control_socket.get_allowed_uids()),
        ]
    )
    application.router.add_get("/who", _who)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{host}:{port}/who") as response,
        ):
            assert response.status == 403
    finally:
        await runner.cleanup()


def test_a_user_without_a_name_is_called_by_number() -> None:
    """A user id that no password file knows still has a name in the audit."""
    assert control_socket.get_user_name(4_000_000_001) == "uid 4000000001"
