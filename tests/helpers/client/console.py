"""The console behind a server on which everybody is signed in, and data for its pages."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler
from msgspec.structs import replace
from yarl import URL

from daemon.auth import ALL_SCOPES, Principal, SignInMethod
from daemon.auth.identity import Scope
from daemon.bootstrap import open_services
from daemon.http import console, health, v1, websocket
from daemon.http.authentication import install_authentication, set_identity
from daemon.http.console.language import DEFAULT_LANGUAGE, LANGUAGES
from daemon.http.health import DAEMON_HEALTH, DaemonHealth, require_services
from daemon.http.problems import answer_errors_with_problems
from daemon.http.streaming import OPEN_STREAMS, close_streams
from daemon.services import Services
from daemon.settings import Settings
from statemachines.message import MessageState, is_legal_transition
from storage import messages
from storage.messages import MessageRecord
from storage.tx import Tx
from tests.helpers.client.http import (
    DAYTIME,
    IMMEDIATE_SCRIPT,
    HttpClient,
    HttpReply,
    Json,
    declare_no_history,
)
from tests.helpers.page_language import find_foreign_texts, find_internal_words
from tests.helpers.transport import write_session_script


@dataclass(slots=True)
class ConsoleServer:
    """A running console: its services, a client of its `/v1`, and its address."""

    services: Services
    api: HttpClient
    url: str
    runner: web.AppRunner

    async def stop_serving(self) -> None:
        """Stop serving, as a daemon that is being restarted."""
        await self.runner.cleanup()

    async def serve_again(self) -> None:
        """Serve at the same address again, as a daemon that was restarted."""
        self.runner = web.AppRunner(
            build_console_application(self.runner.app[DAEMON_HEALTH]), shutdown_timeout=1
        )
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", URL(self.url).port).start()

    async def add_ready_session(self, name: str = "ventas", **script: Json) -> None:
        """Add a session and wait until it is ready, which takes no time without a script."""
        await self.start_session(name, **script)
        await self.wait_for_session_state(name, {"ready"})

    async def start_session(self, name: str, **script: Json) -> None:
        """Add a session, whose phone does at once what a script does not say, and start it."""
        await self.add_session(name, **script)
        await self.api.post(f"/v1/sessions/{name}/start")

    async def add_session(self, name: str = "ventas", **script: Json) -> None:
        """Add a session that is not started, whose phone follows a script."""
        state_dir = self.services.settings.state_dir
        write_session_script(state_dir, name, IMMEDIATE_SCRIPT | script)
        await self.api.post("/v1/sessions", name=name, channel="simulated")

    async def wait_for_session_state(self, name: str, wanted: Iterable[str]) -> None:
        """Wait until a session is in one of these states."""
        # Subscribed before the first comparison, so that no change is missed.
        news = self.services.bus.subscribe()
        try:
            async with asyncio.timeout(20):
                while self.services.sessions.view(name).state not in set(wanted):
                    await anext(aiter(news))
        finally:
            news.close()

    async def import_list(self, content: bytes, **options: Json) -> None:
        """Import a list."""
        upload = await self.api.call("POST", "/v1/uploads?filename=l.csv", data=content)
        order = {"upload": upload.document["upload"], "options": options}
        preview = await self.api.call("POST", "/v1/imports/preview", json=order)
        order["plan"] = preview.document["plan"]
        await self.api.call("POST", "/v1/imports", json=order)


def build_console_application(
    daemon_health: DaemonHealth, scopes: frozenset[Scope] = ALL_SCOPES
) -> web.Application:
    """Return the console and `/v1`; every request is Ana's, with these scopes.

    A browser with a cookie `operator` is that person's.
    """

    @web.middleware
    async def as_ana(request: web.Request, handler: Handler) -> web.StreamResponse:
        who = request.cookies.get("operator", "ana")
        set_identity(request, Principal(who, who, scopes, SignInMethod.CONTROL))
        return await handler(request)

    made = web.Application(middlewares=[answer_errors_with_problems, as_ana])
    made[DAEMON_HEALTH] = daemon_health
    # Streams ask it whether the rights that they began with are the same.
    install_authentication(made, lambda: require_services(daemon_health).auth)
    made[OPEN_STREAMS] = set()
    made.on_shutdown.append(close_streams)
    websocket.install_websocket(made)
    made.add_routes([*health.routes, *v1.RESOURCE_ROUTES, *v1.ACCOUNT_ROUTES, *console.routes])
    return made


@contextlib.asynccontextmanager
async def open_console(
    settings: Settings, scopes: frozenset[Scope] = ALL_SCOPES
) -> AsyncIterator[ConsoleServer]:
    """Open the application and its console on a free port."""
    daemon_health = DaemonHealth(lambda: 0.0)
    async with open_services(settings) as services, aiohttp.ClientSession() as client:
        daemon_health.services = services
        # As where the control socket is open: else readiness names it, and no page is calm.
        daemon_health.addresses["control"] = str(settings.control_socket)
        await services.database.write(declare_no_history)
        runner = web.AppRunner(build_console_application(daemon_health, scopes), shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        made = ConsoleServer(services, HttpClient(client, url), url, runner)
        try:
            yield made
        finally:
            await made.stop_serving()


ANA_CSV = "Nombre;Teléfono;Origen;Consentimiento\nAna;+5491141234567;feria;sí\n".encode()


PROSPECT_CSV_HEADER = "Nombre;Teléfono;Origen;Consentimiento\n"


ANA_ROW = "Ana;+5491141234567;feria;relación previa\n"


BETO_ROW = "Beto;+5491141234568;feria;relación previa\n"


LANDLINE_ROW = "Carla;+541143219876;feria;relación previa\n"


ACKNOWLEDGED_STATES = frozenset({MessageState.SENT, MessageState.DELIVERED, MessageState.READ})


async def wait_for_message_state(
    console: ConsoleServer, message: str, states: Collection[MessageState]
) -> MessageRecord:
    """Wait until a message is in one of these states."""
    async with asyncio.timeout(20):
        while True:
            found = await console.services.database.read(
                lambda r: messages.require_message(r, message)
            )
            if found.state in states:
                return found
            await asyncio.sleep(0.02)


async def hold_messages(console: ConsoleServer, *people: str) -> list[str]:
    """Import people and queue a message to each; return the ids once all are held."""
    await console.add_ready_session(defaults={"ack_delay": 0.05})
    await console.import_list((PROSPECT_CSV_HEADER + "".join(people)).encode())
    found = []
    for person in people:
        order = {"to": person.split(";")[1], "text": f"Hola {person.split(';')[0]}"}
        reply = await console.api.call("POST", "/v1/messages", json=order)
        await wait_for_message_state(console, reply.document["id"], {MessageState.HELD})
        found.append(reply.document["id"])
    return found


def build_prospect_csv(count: int) -> bytes:
    """Return a list of people from a public source, without their consent."""
    rows = (f"Persona {n};+54911412345{n:02d};guía" for n in range(count))
    return ("Nombre;Teléfono;Origen\n" + "\n".join(rows) + "\n").encode()


async def queue_manual_messages(console: ConsoleServer, count: int) -> list[str]:
    """Queue a message to each of so many people; return the ids once all wait for a person."""
    await console.add_ready_session()
    await console.import_list(build_prospect_csv(count))
    batch = [
        {"to": f"+54911412345{n:02d}", "text": f"Hola, Persona {n}: su número está en la guía {n}"}
        for n in range(count)
    ]
    reply = await console.api.call("POST", "/v1/messages", json=batch)
    found = [item["message"]["id"] for item in reply.document["items"]]
    for each in found:
        await wait_for_message_state(console, each, {MessageState.CLEARED})
    return found


HTMX_HEADERS = {"HX-Request": "true"}


async def get_page(console: ConsoleServer, path: str, **headers: str) -> HttpReply:
    """Return a page; fail for another status than 200."""
    reply = await console.api.call("GET", path, headers=headers)
    assert reply.status == 200, reply.document
    return reply


# Parts of a page in which braces may be: code, and values for scripts.
_NOT_FOR_READERS = re.compile(
    r"<pre.*?</pre>|<code.*?</code>|<textarea.*?</textarea>|<blockquote.*?</blockquote>"
    r"|<meta[^>]*>|data-(?:and-)?then=\"[^\"]*\"",
    re.DOTALL,
)
_UNFILLED_WORD = re.compile(r"\{\w+\}")


async def render(
    console: ConsoleServer,
    *paths: str,
    status: int = 200,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Render pages in every language; return the English ones, joined.

    Fails for another status, and for a placeholder that was not filled in.
    """
    found = []
    for path in paths:
        for code in LANGUAGES:
            cookie = {"Cookie": f"language={code}"}
            reply = await console.api.call("GET", path, headers={**headers, **cookie})
            assert reply.status == status, (path, code, reply.document)
            left = _UNFILLED_WORD.findall(_NOT_FOR_READERS.sub("", reply.document))
            assert left == [], (path, code)
            found += [reply.document] if code == DEFAULT_LANGUAGE else []
    return "\n".join(found)


async def check_page_words(
    console: ConsoleServer,
    *paths: str,
    status: int = 200,
    people_wrote: Collection[str] = (),
    headers: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Ask for pages in both languages; fail where one says what its readers do not know.

    That is a text in the other language, but for what people wrote, and a name from inside.
    """
    found = []
    for path in paths:
        for code in LANGUAGES:
            cookie = {"Cookie": f"language={code}"}
            reply = await console.api.call("GET", path, headers={**headers, **cookie})
            assert reply.status == status, (path, reply.document)
            written = console.api.written | set(people_wrote)
            # A Spanish page has no English whatever people wrote: here they write Spanish.
            spanish = written if code == "en" else ()
            texts = find_foreign_texts(code, reply.document, spanish)
            # A file has codes too, for programs.
            texts += [] if ".csv" in path else find_internal_words(code, reply.document, written)
            found += [(path, code, text) for text in texts]
    assert found == [], found


async def update_session_record(console: ConsoleServer, name: str, **columns: Json) -> None:
    """Change columns of a session's record."""
    # Past the state machine: no script leads through every state.
    repository = console.services.sessions._require_session(name).repository  # noqa: SLF001
    changed = replace(repository.record, **columns)
    await repository.save(changed, console.services.clock.now())


def find_message_path(target: MessageState, channel: str) -> list[MessageState]:
    """Return the shortest legal path of a message to a state."""
    # Breadth first: the first path that arrives is the shortest.
    paths = deque([[MessageState.QUEUED]])
    while paths[0][-1] is not target:
        path = paths.popleft()
        paths += [
            [*path, step]
            for step in MessageState
            if step not in path and is_legal_transition(path[-1], step, channel)
        ]
    return paths[0][1:]


def move_message_to_state(
    message: str, target: MessageState, channel: str, tx: Tx, *, sentence: str = "They read it."
) -> None:
    """Move a message to a state, with the proofs that each transition on the way requires."""
    for step in find_message_path(target, channel):
        proofs: dict[MessageState, dict[str, Any]] = {
            MessageState.SENDING: {"decision": "dec_1", "permit": f"per_{message}"},
            MessageState.SENT: {"wire_id": f"wire_{message}", "sent_at": DAYTIME},
            MessageState.TAKEN: {"taken_by": "ana", "lease_until": DAYTIME + timedelta(days=1)},
        }
        why = {"reason_code": "led", "sentence": sentence, "who": "ana"}
        messages.transition_message(tx, message, step, at=DAYTIME, **why, **proofs.get(step, {}))
