"""What the shipped nginx configuration promises, seen through a real nginx."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from daemon.auth import ALL_SCOPES, Principal, Role, SignInMethod
from daemon.cli.client import ControlClient
from daemon.cli.doctor_service import check_proxy
from daemon.errors import BodyTooLarge
from daemon.http.middleware import BODY_LIMIT
from daemon.http.problems import ProblemDetails
from daemon.http.uploads import FILE_LIMIT
from daemon.settings import AuthSettings, Settings
from tests.helpers.client.http import (
    HttpServer,
    build_settings,
    open_http_server,
    serve_application,
)
from tests.helpers.nginx import TRUSTED_PROXY, NginxProxy, free_port, run_nginx

OWNER = Principal("root", "", ALL_SCOPES, SignInMethod.CONTROL)
TRUSTING = ssl.create_default_context()
TRUSTING.check_hostname, TRUSTING.verify_mode = False, ssl.CERT_NONE


@dataclass(frozen=True, slots=True)
class ProxiedServer:
    """A house behind nginx, a client of the site, and a token for all of it."""

    house: HttpServer
    proxy: NginxProxy
    client: aiohttp.ClientSession = field(repr=False)
    token: str = field(repr=False)

    @property
    def bearer(self) -> dict[str, str]:
        """Return the header that lets a program in."""
        return {"Authorization": f"Bearer {self.token}"}


@pytest.fixture
async def site(short_folder: Path, tmp_path: Path) -> AsyncIterator[ProxiedServer]:
    """Open a house, and nginx in front of its public door."""
    async with open_http_server(build_settings(short_folder)) as house:
        room = house.services.auth
        await room.users.create_user("ana", Role.ADMIN, "root", password="correct horse battery")
        made = await room.tokens.issue_token(OWNER, "ana", "crm", ALL_SCOPES, timedelta(hours=1))
        port = int(house.public.base.rpartition(":")[2])
        with run_nginx(port, tmp_path) as proxy:
            async with browser() as client:
                yield ProxiedServer(house, proxy, client, made.token)


@dataclass(slots=True)
class RecordingUpstream:
    """What stands behind nginx instead of a daemon: it tells what reached it."""

    port: int
    heard: list[dict[str, Any]]


@contextlib.asynccontextmanager
async def browser(source: str = "127.0.0.1") -> AsyncIterator[aiohttp.ClientSession]:
    """Lend a client that comes from an address of this machine and believes any certificate."""
    connector = aiohttp.TCPConnector(ssl=TRUSTING, local_addr=(source, 0))
    async with aiohttp.ClientSession(connector=connector) as client:
        yield client


@pytest.fixture
async def listener() -> AsyncIterator[RecordingUpstream]:
    """Listen where the daemon would, and note every request's headers."""
    upstream = RecordingUpstream(0, [])

    async def hear(request: web.Request) -> web.Response:
        upstream.heard.append({name.lower(): value for name, value in request.headers.items()})
        return web.json_response({"path": request.path_qs})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", hear)
    async with serve_application(application) as runner:
        upstream.port = runner.addresses[0][1]
        yield upstream


async def test_pages_come_over_http_2(site: ProxiedServer) -> None:
    """With a certificate of its own, nginx speaks HTTP/2 to whoever can."""
    command = ["curl", "-sk", "--http2", "-o", "-", "-w", "\n%{http_version} %{http_code}"]
    done = await asyncio.to_thread(
        subprocess.run, [*command, f"{site.proxy.base}/health"], capture_output=True, check=True
    )
    answer, told = done.stdout.decode().rsplit("\n", 1)
    assert told == "2 200"
    assert json.loads(answer)["status"] == "alive"


async def test_plain_http_leads_to_tls(site: ProxiedServer) -> None:
    """Whoever forgets the s is led to it, with the method kept."""
    url = f"http://127.0.0.1:{site.proxy.plain}/sessions?x=1"
    async with site.client.get(url, allow_redirects=False) as answer:
        assert answer.status == 308
        assert answer.headers["Location"] == "https://127.0.0.1/sessions?x=1"


async def test_signing_in_works_through_it(site: ProxiedServer) -> None:
    """The daemon sees TLS and the site's own name: a Secure cookie, and its Origin is accepted."""
    body = {"user": "ana", "password": "correct horse battery"}
    headers = {"Origin": site.proxy.base}
    url = f"{site.proxy.base}/v1/sign-in"
    async with site.client.post(url, json=body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-leadmaster=")
    assert "Secure" in cookie


async def test_the_stream_upgrades_and_tells(site: ProxiedServer) -> None:
    """A WebSocket passes, with the token in the subprotocol list, and says hello."""
    protocols = ("leadmaster.v1", f"leadmaster.token.{site.token}")
    async with (
        asyncio.timeout(20),
        site.client.ws_connect(f"{site.proxy.base}/v1/events", protocols=protocols) as stream,
    ):
        assert stream.protocol == "leadmaster.v1"
        assert (await stream.receive_json())["frame"] == "hello"


@pytest.mark.parametrize("path", ["/metrics", "/ready"])
async def test_figures_are_not_for_the_outside(site: ProxiedServer, path: str) -> None:
    """Not even a token of everything opens them there; on the machine itself they answer."""
    async with site.client.get(site.proxy.base + path, headers=site.bearer) as answer:
        assert answer.status == 404
        assert "leadmaster" not in await answer.text()
    assert (await site.house.public.call("GET", path, headers=site.bearer)).status == 200


async def test_bodies_have_a_limit_but_lists_may_be_large(site: ProxiedServer) -> None:
    """More than a megabyte is refused at the door, in the daemon's words; a list passes."""
    large = b"x" * ((1 << 20) + 1)

    async def unmeasured() -> AsyncIterator[bytes]:
        yield large

    url = f"{site.proxy.base}/v1/messages"
    for body in (io.BytesIO(large), unmeasured()):
        async with site.client.post(url, data=body, headers=site.bearer) as answer:
            assert (answer.status, answer.content_type) == (413, "application/problem+json")
            problem = await answer.json(content_type=None)
            assert set(problem) == set(ProblemDetails.__struct_fields__)
            assert (problem["code"], problem["hint"]) == (BodyTooLarge.code, BodyTooLarge.hint)
            assert f"{BODY_LIMIT:,} bytes, or {FILE_LIMIT:,} of" in problem["detail"]
            assert answer.headers["X-Request-Id"] == problem["request_id"]
            assert "Strict-Transport-Security" in answer.headers
    url = f"{site.proxy.base}/v1/uploads?filename=lista.csv"
    async with site.client.post(url, data=io.BytesIO(large), headers=site.bearer) as answer:
        assert answer.status == 201


async def test_no_secret_stands_in_the_logs(site: ProxiedServer) -> None:
    """Neither a token in a header, nor what somebody puts into a query by mistake."""
    url = f"{site.proxy.base}/v1/sessions?token={site.token}"
    async with site.client.get(url, headers=site.bearer) as answer:
        assert answer.status == 200
    async with site.client.get(f"{site.proxy.base}/v1/status", headers=site.bearer) as answer:
        request_id = answer.headers["X-Request-Id"]
    log = await site.proxy.wait_for_log(request_id)
    assert '"GET /v1/sessions" 200' in log
    assert request_id in log
    assert site.token not in log
    assert "?" not in log


async def test_what_fails_says_so_and_puts_nobody_into_the_logs(tmp_path: Path) -> None:
    """No daemon, too many requests, no place for a body: a problem, and not what was asked for."""
    asked = {"search": "+5491155550101", "token": "lm_hidden"}
    referrer = {"Referer": "https://leads.example.org/prospects?search=Quiroga"}
    with run_nginx(free_port(), tmp_path) as proxy:
        (tmp_path / "body").rmdir()
        (tmp_path / "body").touch()  # so that nginx can't store the large body below

        async def ask(method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, Any]]:
            async with client.request(
                method, proxy.base + path, params=asked, headers=referrer, data=body
            ) as answer:
                is_problem = answer.content_type == "application/problem+json"
                assert not is_problem or answer.headers["X-Request-Id"] in await answer.text()
                return answer.status, await answer.json(content_type=None) if is_problem else {}

        async with browser() as client:
            answers = [await ask("GET", "/v1/sign-in") for _ in range(14)]
            assert (await ask("POST", "/v1/imports", b"x" * 500_000))[0] == 500
        log = await proxy.wait_for_log('"POST /v1/imports" 500')
    problems = dict(answers)
    assert {status: problem["code"] for status, problem in problems.items()} == {
        429: "too_many_requests",
        502: "no_answer",
    }
    assert set(problems[502]) == set(ProblemDetails.__struct_fields__)
    assert problems[502]["status"] == 502
    assert '"GET /v1/sign-in" 502' in log
    assert [word for word in ("5491155550101", "lm_hidden", "Quiroga", "?") if word in log] == []


async def test_what_a_client_says_of_itself_is_replaced(
    listener: RecordingUpstream, tmp_path: Path
) -> None:
    """X-Forwarded-For is who connected, not what they wrote there; nothing else is passed on."""
    lies = {
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Proto": "http",
        "Forwarded": "for=203.0.113.7",
        "X-Real-IP": "203.0.113.7",
        "CF-Connecting-IP": "203.0.113.7",
    }
    with run_nginx(listener.port, tmp_path) as proxy:
        async with browser() as client, client.get(proxy.base, headers=lies) as answer:
            assert answer.status == 200
    (heard,) = listener.heard
    assert (heard["x-forwarded-for"], heard["x-forwarded-proto"]) == ("127.0.0.1", "https")
    assert heard["host"] == f"127.0.0.1:{proxy.tls}"
    assert {"forwarded", "x-real-ip"} & heard.keys() == set()


async def test_cloudflare_is_believed(listener: RecordingUpstream, tmp_path: Path) -> None:
    """From one of its addresses the header tells who the client is."""
    told = {"CF-Connecting-IP": "203.0.113.7", "X-Forwarded-For": "198.51.100.1"}
    with run_nginx(listener.port, tmp_path) as proxy:
        async with browser(TRUSTED_PROXY) as client, client.get(proxy.base, headers=told) as answer:
            assert answer.status == 200
    assert listener.heard[0]["x-forwarded-for"] == "203.0.113.7"


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
async def test_a_send_is_never_repeated(tmp_path: Path, method: str) -> None:
    """A daemon that dies in the middle of a request gets it once; the client hears 502.

    Over a connection that served another request before: there nginx would try again by itself.
    """
    seen: list[bytes] = []

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readuntil(b"\r\n\r\n")
        if seen:
            seen.append(first.split()[0])
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        if not seen:
            seen.append((await reader.readuntil(b"\r\n\r\n")).split()[0])
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer_once, "127.0.0.1", 0)
    async with server:
        with run_nginx(server.sockets[0].getsockname()[1], tmp_path) as proxy:
            async with browser() as client:
                async with client.get(f"{proxy.base}/health") as answer:
                    assert answer.status == 200
                async with client.request(method, f"{proxy.base}/v1/messages") as answer:
                    assert answer.status == 502
                # Had it been tried again, over a new connection, this would come second there.
                async with client.get(f"{proxy.base}/health") as answer:
                    assert answer.status == 200
    assert seen == [method.encode(), b"GET"]


@pytest.mark.parametrize(
    ("method", "path", "body", "most"),
    [("POST", "/v1/sign-in/link", {"link": "x"}, 12), ("GET", "/health", None, 160)],
)
async def test_a_flood_is_refused_before_it_reaches_the_daemon(
    site: ProxiedServer, method: str, path: str, body: dict[str, str] | None, most: int
) -> None:
    """Guessing at passwords beyond a few at once, and any other request beyond many."""

    async def ask() -> tuple[int, str]:
        async with site.client.request(method, site.proxy.base + path, json=body) as answer:
            return answer.status, await answer.text()

    answers = await asyncio.gather(*(ask() for _ in range(most + 140)))
    refused = [json.loads(text) for status, text in answers if status == 429]
    assert {status for status, _ in answers} == {429, 401 if body else 200}
    # A slow machine takes its time, in which a few more may pass.
    assert len(refused) >= 20
    assert {each["code"] for each in refused} == {"too_many_requests"}
    assert set(refused[0]) == set(ProblemDetails.__struct_fields__)


@pytest.mark.parametrize(
    ("shipped", "edited", "problem"),
    [
        ("", "", ""),
        (
            "X-Forwarded-For $remote_addr;",
            "X-Forwarded-For $http_x_forwarded_for;",
            "passes on what a client writes",
        ),
        ("X-Forwarded-Proto $scheme;", 'X-Forwarded-Proto "";', "nobody can sign in"),
        ("Host $http_host;", "Host leads.example.com;", "answers /health with 421"),
    ],
)
async def test_the_doctor_tells_what_the_daemon_sees_through_it(
    short_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shipped: str,
    edited: str,
    problem: str,
) -> None:
    """As shipped it is well; each line that somebody edited is found, with what to compare."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "origin.pem"))
    async with open_http_server(build_settings(short_folder)) as house:
        port = int(house.public.base.rpartition(":")[2])
        with run_nginx(port, tmp_path, {shipped: edited}) as proxy:
            settings = Settings(auth=AuthSettings(public_url=proxy.base))
            client = ControlClient(short_folder / "control.sock")
            [found] = await asyncio.to_thread(lambda: list(check_proxy(settings, client)))
    assert (problem in found.sentence, found.ok) == (True, not problem), found
    assert found.command.startswith("diff ") if problem else "as 127.0.0.1" in found.sentence
    [gone] = await asyncio.to_thread(lambda: list(check_proxy(settings, client)))
    assert (gone.ok, gone.command) == (False, "nginx -t && systemctl restart nginx")
