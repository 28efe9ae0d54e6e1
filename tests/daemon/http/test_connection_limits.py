"""Connections of a real daemon: too many, too slow, unreadable, and for another host."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from daemon.http.connections import PUBLIC_LIMITS, ConnectionLimiter
from tests.helpers.client.process import (
    CLI_SETTINGS,
    DaemonCommands,
    DaemonProcess,
    poll_until,
    run_daemon,
)

pytestmark = pytest.mark.slow

PATIENCE = 60.0
HALF_REQUEST = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: "
SLOW_SIGN_IN = b"POST /v1/sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n{"


@dataclass(frozen=True, slots=True)
class Doors:
    """The two servers of a running daemon, and its command line."""

    daemon: DaemonProcess
    public: tuple[str, int]
    token: str

    @property
    def cli(self) -> DaemonCommands:
        """Return the command line of this daemon."""
        return DaemonCommands(self.daemon)

    @property
    def pid(self) -> int:
        """Return the daemon's process id."""
        assert self.daemon.process is not None
        return self.daemon.process.pid

    def connect(self, server: str = "public") -> socket.socket:
        """Return a connection to the `public` server or to the `control` socket."""
        family = socket.AF_INET if server == "public" else socket.AF_UNIX
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.settimeout(PATIENCE)
        address = self.public if server == "public" else str(self.cli.folder / "control.sock")
        connection.connect(address)
        return connection

    @contextlib.contextmanager
    def hold_connections(
        self, count: int, sent: bytes, server: str = "public"
    ) -> Iterator[list[socket.socket]]:
        """Keep so many connections open, on each of which this was sent and nothing more."""
        with contextlib.ExitStack() as stack:
            held = []
            for _ in range(count):
                held.append(stack.enter_context(contextlib.closing(self.connect(server))))
                with contextlib.suppress(ConnectionError):  # refused already
                    held[-1].sendall(sent)
            yield held

    def ask(self, sent: Sequence[bytes], server: str = "public") -> tuple[int, str, Any]:
        """Send pieces, each after the daemon has had time for the one before; read the answer."""
        with contextlib.closing(self.connect(server)) as connection:
            for index, piece in enumerate(sent):
                if index:  # an answer to another request: the daemon has looked at its connections
                    self.daemon.client.get("status")
                connection.sendall(piece)
            return read_answer(connection)

    def halt_and_resume(self) -> None:
        """Halt sending and resume it by the command line."""
        self.cli("halt", "a drill")
        assert self.daemon.client.get("status")["halt"]["reason"] == "a drill"
        self.daemon.client.post("resume", reason="the drill is over")

    def count_descriptors(self) -> int:
        """Return how many descriptors the daemon has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    @contextlib.contextmanager
    def limit_descriptors(self, more: int) -> Iterator[None]:
        """Leave the daemon so many descriptors besides those that it has open."""
        before = resource.prlimit(self.pid, resource.RLIMIT_NOFILE)
        # The highest number in use counts, not how many: there may be gaps below it.
        used = max(int(path.name) for path in Path(f"/proc/{self.pid}/fd").iterdir()) + 1
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (used + more, before[1]))
        try:
            yield
        finally:
            resource.prlimit(self.pid, resource.RLIMIT_NOFILE, before)


def read_answer(connection: socket.socket) -> tuple[int, str, Any]:
    """Return status, content type and document of the next answer."""
    with connection.makefile("rb") as stream:
        status = int(stream.readline().split()[1])
        lines = iter(lambda: stream.readline().decode().strip(), "")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        content = stream.read(int(headers.get("content-length", "0")))
        return status, headers.get("content-type", ""), json.loads(content or b"null")


def is_ended(connection: socket.socket) -> bool:
    """Return whether the daemon has ended a connection."""
    with contextlib.suppress(ConnectionError):
        while connection.recv(1 << 16):
            pass
    return True


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """Run a daemon with an administrator and a token."""
    folder = tmp_path_factory.mktemp("doors")
    environ = {"LEADMASTER_AUTH__PUBLIC_URL": "https://leads.example.org/"}
    settings = CLI_SETTINGS.format(folder=folder)
    with run_daemon(folder, settings, environ, state=".") as daemon:
        client = daemon.client
        where = urlsplit(client.get("status")["addresses"]["http"])
        client.post("users", name="ana", role="admin")
        scopes = ["messages:write", "messages:read", "prospects:read", "sessions:read"]
        made = client.post("tokens", user="ana", name="test", scopes=scopes, hours=1000)
        assert where.hostname is not None
        assert where.port is not None
        yield Doors(daemon, (where.hostname, where.port), made["token"])


@pytest.mark.parametrize("server", ["public", "control"])
def test_half_requests_do_not_keep_a_halt_out(doors: Doors, server: str) -> None:
    """A hundred connections that never finish their request leave room for the command line."""
    with doors.limit_descriptors(60), doors.hold_connections(100, HALF_REQUEST, server):
        doors.halt_and_resume()
        # What the control socket takes is not there for others.
        answer = doors.ask([b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"])
        assert answer[0] == 200 if server == "public" else answer[0] in {200, 503}


def test_requests_in_progress_do_not_keep_a_halt_out(doors: Doors) -> None:
    """Where every public connection is busy the next is refused, and the control socket is open."""
    with doors.limit_descriptors(60), doors.hold_connections(100, SLOW_SIGN_IN):
        doors.halt_and_resume()
        with contextlib.ExitStack() as held:

            def is_one_more_refused() -> bool:
                connection = held.enter_context(contextlib.closing(doors.connect()))
                connection.settimeout(1)
                with contextlib.suppress(ConnectionError, TimeoutError):  # it found room
                    connection.sendall(SLOW_SIGN_IN)
                    return connection.recv(1 << 16).startswith(b"HTTP/1.1 503")
                return False

            poll_until(is_one_more_refused, "a refusal")
    poll_until(
        lambda: doors.ask([b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"])[0] == 200,
        "an answer once there is room",
    )
    assert "out of system resource" not in doors.daemon.log.read_text()


async def test_who_has_the_last_descriptor_is_refused() -> None:
    """To count the open ones takes another, and there is none: the connection is not left alone."""
    limiter = ConnectionLimiter(web.Server(answer_nothing), PUBLIC_LIMITS)
    connection, before = limiter(), resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        assert not limiter.admit(connection)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert limiter.admit(connection)


async def answer_nothing(_: web.BaseRequest) -> web.Response:
    """Handle no request: none is made."""
    return web.Response()


def test_two_thousand_connections_are_bounded(doors: Doors) -> None:
    """A newcomer takes the place of who has waited longest; commands and requests go on."""
    before = doors.count_descriptors()
    with doors.hold_connections(2000, b"") as held:
        doors.halt_and_resume()
        assert doors.ask([b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"])[0] == 200
        assert doors.count_descriptors() < before + 1600
        assert is_ended(held[0])


def test_a_head_that_does_not_arrive_ends_its_connection(doors: Doors) -> None:
    """However slowly it goes on: no byte buys more time, before or after an answered request."""
    whole = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with doors.hold_connections(3, b"") as (silent, half, later):
        half.sendall(HALF_REQUEST)
        later.sendall(whole)
        assert read_answer(later)[0] == 200
        with contextlib.suppress(ConnectionError):
            for _ in range(30):
                half.sendall(b"X")
                later.sendall(b"X")
                doors.ask([whole])
        assert read_answer(half)[0] == 408
        assert is_ended(silent)
        assert is_ended(later)


HEAD = "HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
UNREADABLE = {
    "a long request line": (431, ["GET /" + "a" * 9000 + " HTTP/1.1\r\n\r\n"]),
    "a very long request line": (431, ["GET /" + "a" * 300_000 + " HTTP/1.1\r\n\r\n"]),
    "a long header": (431, ["GET /health HTTP/1.1\r\nX: " + "a" * 9000 + "\r\n\r\n"]),
    "many headers": (431, ["GET /health HTTP/1.1\r\n" + "X: a\r\n" * 500 + "\r\n"]),
    "TLS": (400, ["\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"]),
    "no HTTP": (400, ["hello\r\n\r\n"]),
    "an unknown method": (400, ["FROB /health HTTP/1.1\r\nHost: localhost\r\n\r\n"]),
    "no host": (400, ["GET /health HTTP/1.1\r\n\r\n"]),
    "two hosts": (400, ["GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"]),
    "two lengths": (
        400,
        [f"POST /v1/messages {HEAD}Content-Length: 1\r\nContent-Length: 2\r\n\r\n"],
    ),
    "a length and chunks": (
        400,
        [f"POST /v1/messages {HEAD}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ),
    "an endless length": (400, [f"POST /v1/messages {HEAD}Content-Length: {'9' * 30}\r\n\r\n"]),
    "a bad chunk": (
        400,
        [f"POST /v1/messages {HEAD}Transfer-Encoding: chunked\r\n\r\nZZ\r\nabc\r\n0\r\n\r\n"],
    ),
    "a bad chunk after a good one": (
        400,
        [f"POST /v1/messages {HEAD}Transfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n", "-7\r\nx\r\n"],
    ),
    "raw bytes in a path": (400, [f"GET /v1/sessions/\xff\xfe {HEAD}\r\n"]),
    "a path that is no UTF-8": (400, [f"GET /v1/sessions/%ff%fe {HEAD}\r\n"]),
    "a surrogate in a path": (400, [f"GET /v1/sessions/%ed%a0%80 {HEAD}\r\n"]),
    "a query that is no UTF-8": (400, [f"GET /v1/prospects?text=%ff {HEAD}\r\n"]),
    "a key that is no UTF-8": (
        400,
        [
            (
                f"POST /v1/messages {HEAD}Idempotency-Key: \xff\r\nContent-Length: 33\r\n\r\n"
                '{"to":"+5491141234567","text":"a"}'
            )
        ],
    ),
    "a text that is no UTF-8": (
        400,
        [f'POST /v1/messages {HEAD}Content-Length: 10\r\n\r\n{{"to":"\xff"}}'],
    ),
    "a password that is no UTF-8": (
        400,
        [
            (
                f"POST /v1/sign-in {HEAD}Content-Length: 30\r\n\r\n"
                '{"user":"ana","password":"\xff\xfe"}'
            )
        ],
    ),
    "a known path by another method": (405, [f"PUT /v1/messages {HEAD}\r\n"]),
    "an unknown path": (404, [f"GET /nowhere {HEAD}\r\n"]),
    "a large body": (413, [f"POST /v1/messages {HEAD}Content-Length: 99999999\r\n\r\n"]),
    "a compressed body": (
        415,
        [f"POST /v1/messages {HEAD}Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{{}}"],
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_can_not_be_read_is_a_problem_document(doors: Doors, name: str) -> None:
    """Whoever finds the fault, ours or the library: a 4xx with code, sentence, hint and id."""
    status, pieces = UNREADABLE[name]
    sent = [piece.replace("{token}", doors.token).encode("latin-1") for piece in pieces]
    answer = doors.ask(sent)
    assert answer[:2] == (status, "application/problem+json")
    assert answer[2]["status"] == status
    assert answer[2]["detail"]
    assert answer[2]["hint"]
    assert answer[2]["request_id"].startswith("req_")
    assert doors.token not in json.dumps(answer[2])
    assert "request_failed" not in doors.daemon.log.read_text()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:{port}", 200),
        ("127.0.0.1", 200),
        ("[::1]:{port}", 200),
        ("leads.example.org", 200),
        ("LEADS.example.org.:8443", 200),
        ("evil.example", 421),
        ("evil.leads.example.org", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.nip.example:{port}", 421),
        ("[::1", 421),
        ("203.0.113.7", 421),
    ],
)
def test_a_request_for_another_host_is_refused(doors: Doors, host: str, status: int) -> None:
    """A site that gives its own name our address gets nothing, not even whether we live."""
    said = host.format(port=doors.public[1])
    answer = doors.ask([f"GET /health HTTP/1.1\r\nHost: {said}\r\n\r\n".encode()])
    assert answer[0] == status
    if status == 421:
        assert (answer[2]["code"], "public_url" in answer[2]["hint"]) == ("host_refused", True)


def test_a_whole_address_is_checked_too(doors: Doors) -> None:
    """A request line may name a host besides the header."""
    line = b"GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert doors.ask([line])[0] == 421


def test_pipelined_requests_are_answered_in_order(doors: Doors) -> None:
    """A batch on one connection: every answer is whole, and the last one ends it."""
    good = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
    with contextlib.closing(doors.connect()) as connection:
        connection.sendall((good + b"\r\n") * 200 + good + b"Connection: close\r\n\r\n")
        stream = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert stream.count(b"HTTP/1.1 200 OK") == stream.count(b'"status":"alive"') == 201


def test_the_daemon_is_well_after_all_this(doors: Doors) -> None:
    """Nothing is left of them: no error in the log, no descriptor that stays."""
    connection = HTTPConnection(*doors.public, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request("GET", "/health")
        assert connection.getresponse().status == 200
    log = [
        json.loads(line) for line in doors.daemon.log.read_text().splitlines() if line[:1] == "{"
    ]
    assert [line for line in log if line.get("level") in {"error", "critical"}] == []
    poll_until(lambda: doors.count_descriptors() < 100, "all connections closed")
