"""A body that is too large is refused in one way, at every door, however it comes."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from daemon.auth import ALL_SCOPES, Role
from daemon.http.middleware import BODY_LIMIT
from daemon.http.openapi.docs_page import get_api_document
from daemon.http.uploads import FILE_LIMIT
from tests.helpers.client.auth import CONTROL_IDENTITY
from tests.helpers.client.http import HttpServer
from tests.helpers.client.process import poll_until

PATIENCE = 20.0
PIECE = b"x" * (64 << 10)
BODIES = [
    f"{method.upper()} {path}"
    for path, methods in get_api_document()["paths"].items()
    for method, said in methods.items()
    if "requestBody" in said
]


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """What came back on a connection made by hand."""

    status: int
    headers: Mapping[str, str]
    document: Any


@dataclass(frozen=True, slots=True)
class RawConnection:
    """A connection to a door, on which a test says what it likes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send_head(self, request: str, **headers: str) -> None:
        """Send the head of a request; `_` in a header's name stands for a hyphen."""
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        text = "\r\n".join([f"{request} HTTP/1.1", "Host: localhost", *lines, "", ""])
        await self.send(text.encode())

    async def send(self, content: bytes) -> None:
        """Send bytes."""
        self.writer.write(content)
        await self.writer.drain()

    async def send_chunks(self, count: int) -> None:
        """Send so many pieces of a chunked body, and never the last; stop where nobody reads."""
        with contextlib.suppress(ConnectionError):
            for _ in range(count):
                await self.send(b"%x\r\n%s\r\n" % (len(PIECE), PIECE))

    async def read_answer(self) -> RawAnswer:
        """Read the answer."""
        async with asyncio.timeout(PATIENCE):
            status, headers = parsed(await self.reader.readuntil(b"\r\n\r\n"))
            content = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return RawAnswer(status, headers, json.loads(content) if content else None)

    async def read_statuses(self) -> list[int]:
        """Read the statuses of all that comes, up to the final answer."""
        statuses: list[int] = []
        while not statuses or statuses[-1] == 100:
            statuses.append((await self.read_answer()).status)
        return statuses


def parsed(head: bytes) -> tuple[int, dict[str, str]]:
    """Return the status and the headers of an answer; the phrase beside the status is nobody's."""
    first, *rest = head.decode().splitlines()
    pairs = (line.partition(": ") for line in rest if line)
    return int(first.split()[1]), {name.lower(): value for name, _, value in pairs}


class RawConnections:
    """Opens connections to either door."""

    def __init__(self, opened: HttpServer) -> None:
        self._doors = opened

    @contextlib.asynccontextmanager
    async def open_connection(self, door: str) -> AsyncIterator[RawConnection]:
        """Lend a connection to the `public` door or to the `control` socket."""
        if door == "control":
            path = self._doors.services.settings.control_socket
            reader, writer = await asyncio.open_unix_connection(str(path))
        else:
            where = urlsplit(self._doors.public.base)
            reader, writer = await asyncio.open_connection(where.hostname, where.port)
        try:
            yield RawConnection(reader, writer)
        finally:
            writer.transport.abort()

    async def bearer_header(self) -> dict[str, str]:
        """Return the header of somebody who may do everything."""
        room, life = self._doors.services.auth, timedelta(hours=1)
        await room.users.create_user("ana", Role.ADMIN, CONTROL_IDENTITY.who)
        made = await room.tokens.issue_token(CONTROL_IDENTITY, "ana", "crm", ALL_SCOPES, life)
        return {"Authorization": f"Bearer {made.token}"}


@pytest.fixture
def callers(server: HttpServer) -> RawConnections:
    """Return what opens connections to the doors of an open house."""
    return RawConnections(server)


def is_refused(found: RawAnswer, limit: int = BODY_LIMIT) -> None:
    """Check that it is the one refusal: code, sentence with the limit, what to do, request id."""
    assert (found.status, found.headers["content-type"]) == (413, "application/problem+json")
    assert found.headers["connection"] == "close"
    document = found.document
    assert (document["code"], document["title"]) == ("body_too_large", "body too large")
    assert f"{limit:,} bytes" in document["detail"]
    assert document["hint"]
    assert document["request_id"] == found.headers["x-request-id"]


async def test_what_says_that_it_is_too_large_is_refused_unread(callers: RawConnections) -> None:
    """Every route with a body answers before a byte of it was sent."""
    for request in BODIES:
        upload = request.endswith("/uploads")
        limit, query = (FILE_LIMIT, "?filename=a.csv") if upload else (BODY_LIMIT, "")
        async with callers.open_connection("control") as line:
            target = request.format_map(Anything()) + query
            await line.send_head(target, Content_Length=str(limit + 1))
            is_refused(await line.read_answer(), limit)


class Anything(dict[str, str]):
    """Fills whatever a path leaves open."""

    def __missing__(self, name: str) -> str:
        """Return a word that fits every path."""
        return {"command": "start"}.get(name, "x")


@pytest.mark.parametrize("door", ["control", "public"])
@pytest.mark.parametrize("request_", ["POST /v1/messages", "POST /v1/sign-in"])
async def test_what_turns_out_to_be_too_large_is_refused(
    callers: RawConnections, door: str, request_: str
) -> None:
    """A chunked body has no length: it is cut where it passes the limit, and never read on."""
    headers = {} if door == "control" or "sign-in" in request_ else await callers.bearer_header()
    async with callers.open_connection(door) as line:
        await line.send_head(request_, Transfer_Encoding="chunked", **headers)
        await line.send_chunks(BODY_LIMIT // len(PIECE) + 1)
        is_refused(await line.read_answer())


async def test_the_page_of_a_number_refuses_too(callers: RawConnections) -> None:
    """What only the console asks for is no exception."""
    async with callers.open_connection("public") as line:
        bearer = await callers.bearer_header()
        await line.send_head("POST /reveal", Content_Length=str(BODY_LIMIT + 1), **bearer)
        is_refused(await line.read_answer())


async def test_nobody_is_asked_for_a_body_that_is_refused(callers: RawConnections) -> None:
    """`Expect: 100-continue` is answered by the refusal itself, be it for size or for who asks."""
    async with callers.open_connection("public") as line:
        size, expect = str(BODY_LIMIT + 1), "100-continue"
        await line.send_head("POST /v1/sign-in", Content_Length=size, Expect=expect)
        is_refused(await line.read_answer())
    async with callers.open_connection("public") as line:
        await line.send_head("POST /v1/messages", Content_Length="9", Expect="100-continue")
        assert (await line.read_answer()).status == 401


async def test_whoever_asks_first_is_told_to_go_on(callers: RawConnections) -> None:
    """And what they send then is taken."""
    body = b'{"reason": "too many answers"}'
    async with callers.open_connection("control") as line:
        await line.send_head("POST /v1/halt", Content_Length=str(len(body)), Expect="100-continue")
        assert (await line.read_answer()).status == 100
        await line.send(body)
        assert (await line.read_answer()).status == 200


@pytest.mark.parametrize("door", ["control", "public"])
async def test_whoever_asks_first_is_told_once(callers: RawConnections, door: str) -> None:
    """One `100 Continue`, then the answer: a client takes a second one for the answer."""
    body = b'{"reason": "too many answers"}'
    headers = {} if door == "control" else await callers.bearer_header()
    expect = {"Content_Length": str(len(body)), "Expect": "100-continue"}
    async with callers.open_connection(door) as line:
        await line.send_head("POST /v1/halt", **expect, **headers)
        await line.send(body)
        assert await line.read_statuses() == [100, 200]


@pytest.mark.parametrize(("request_", "status"), [("POST /v1/no", 404), ("POST /v1/status", 405)])
@pytest.mark.parametrize("door", ["control", "public"])
async def test_what_no_route_fits_is_told_once_too(
    callers: RawConnections, door: str, request_: str, status: int
) -> None:
    """There the library itself answers first, before anybody is asked who they are."""
    expect = {"Content_Length": "2", "Expect": "100-continue"}
    headers = {} if door == "control" else await callers.bearer_header()
    async with callers.open_connection(door) as line:
        await line.send_head(request_, **expect, **headers)
        await line.send(b"{}")
        assert await line.read_statuses() == [100, status]
    async with callers.open_connection("public") as line:
        await line.send_head(request_, **expect)
        await line.send(b"{}")
        assert await line.read_statuses() == [100, 401]


async def test_a_file_may_be_larger_but_not_for_ever(callers: RawConnections) -> None:
    """An upload without a length is counted as it comes; nothing of it stays."""
    async with callers.open_connection("control") as line:
        path = "POST /v1/uploads?filename=list.csv"
        await line.send_head(path, Transfer_Encoding="chunked")
        await line.send_chunks(FILE_LIMIT // len(PIECE) + 1)
        is_refused(await line.read_answer(), FILE_LIMIT)


async def test_nothing_stays_of_a_file_whose_sender_left(
    server: HttpServer, callers: RawConnections, capfd: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C in the middle of a list leaves no half of it behind, and is nobody's fault."""
    folder = server.services.settings.state_dir / "uploads"
    async with callers.open_connection("control") as line:
        await line.send_head("POST /v1/uploads?filename=list.csv", Content_Length=str(BODY_LIMIT))
        await line.send(PIECE)
        begun = partial(has_bytes, folder)
        await asyncio.to_thread(poll_until, begun, "the beginning of a file")
    await asyncio.to_thread(poll_until, lambda: not list(folder.iterdir()), "its end")
    assert "request_failed" not in "".join(capfd.readouterr())


def has_bytes(folder: Path) -> bool:
    """Tell whether something was stored already."""
    return any(path.stat().st_size for path in folder.glob("*/*"))


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "GZIP, br"])
async def test_a_body_that_would_grow_is_refused(callers: RawConnections, encoding: str) -> None:
    """A thousand bytes may be a million: compressed ones are not taken, nor even looked into."""
    bomb = gzip.compress(b" " * (8 * BODY_LIMIT))
    for request in ("POST /v1/halt", "POST /v1/uploads?filename=a.csv"):
        async with callers.open_connection("control") as line:
            await line.send_head(request, Content_Length=str(len(bomb)), Content_Encoding=encoding)
            await line.send(bomb)
            found = await line.read_answer()
        assert (found.status, found.document["code"]) == (415, "encoding_refused")


def test_every_route_with_a_body_names_the_code() -> None:
    """Whoever makes a client from OpenAPI finds it there."""
    assert BODIES
    for request in BODIES:
        method, path = request.split()
        answers = get_api_document()["paths"][path][method.lower()]["responses"]
        assert "`body_too_large`" in answers["413"]["description"]
        assert "`encoding_refused`" in answers["415"]["description"]
