"""Each page as a document: what it shows, to whom, with which headers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from daemon.auth import ROLE_SCOPES, Role
from daemon.auth.errors import SignInEnded, Unauthorized
from daemon.auth.identity import ALL_SCOPES, Principal, SignInMethod
from daemon.errors import LeadMasterError, NotFound
from daemon.http.authentication import set_identity
from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import CONTENT_SECURITY_POLICY, render_page
from daemon.http.console.navigation import PLACES
from daemon.http.console.sign_in import redirect_to_sign_in
from statemachines.message import MessageState
from storage import audit, console_queries, messages
from tests.helpers.client.console import HTMX_HEADERS, ConsoleServer, get_page, open_console
from tests.helpers.client.http import build_settings

pytestmark = pytest.mark.slow

PEOPLE = "Nombre;Teléfono;Origen;Consentimiento\nAna;+5491141234567;feria;sí\n".encode()
PHONE = "+5491141234567"
PAGES = [tab.path for place in PLACES for tab in place.tabs]


async def enqueue_message_to_ana(console: ConsoleServer, text: str = "Hola Ana") -> str:
    """Ask for a message to Ana; return its id once the gate has judged it."""
    await console.add_ready_session()
    await console.import_list(PEOPLE, statement="ticked the box")
    order = {"to": PHONE, "text": text}
    reply = await console.api.call("POST", "/v1/messages?wait=verdict", json=order)
    found: str = reply.document["id"]
    return found


async def test_what_happens_while_a_page_is_read_is_in_its_stream(console: ConsoleServer) -> None:
    """The stream of a page begins before its content was read: nothing is on neither."""

    @render_errors
    async def show_while_halted(request: web.Request) -> web.StreamResponse:
        await console.api.post("/v1/halt", reason="after the content was read")
        error = NotFound("A page.")
        return await render_page(request, "problem.html", active_page="", error=error)

    assert console.runner.app is not None
    request = make_mocked_request("GET", "/a-page", app=console.runner.app)
    set_identity(request, Principal("ana", "ana", ALL_SCOPES, SignInMethod.CONTROL))
    before = await console.services.database.high_water()
    page = await show_while_halted(request)
    assert isinstance(page, web.Response)
    assert f'data-seq="{before}"' in str(page.text)
    assert await console.services.database.high_water() > before


@pytest.mark.parametrize("path", [*PAGES, "/sign-in"])
async def test_every_page_has_a_policy_that_lets_nothing_in(
    console: ConsoleServer, path: str
) -> None:
    """No inline script or style, nothing from outside, in no frame; and nobody keeps a copy."""
    reply = await get_page(console, path)
    assert reply.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'")
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert reply.headers["Cache-Control"] == "no-store"
    assert not re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=", reply.document)
    addresses = re.findall(r'(?:src|href|action)="([^"]*)"', reply.document)
    assert all(each.startswith(("/", "#")) for each in addresses)


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_speaks_spanish(console: ConsoleServer, path: str) -> None:
    """By the browser's wish, or by the choice that was made; and it says so to screen readers."""
    wished = await get_page(console, path, **{"Accept-Language": "es-AR,es;q=0.9"})
    assert '<html lang="es"' in wished.document
    chosen = await get_page(console, path, **{"Accept-Language": "es", "Cookie": "language=en"})
    assert '<html lang="en"' in chosen.document


async def test_files_are_kept_for_good_under_their_version(console: ConsoleServer) -> None:
    """A new version is a new address; an old one is not served something else."""
    page = (await get_page(console, "/")).document
    address = re.findall(r'href="(/static/\w+/console\.css)"', page)[0]
    assert "immutable" in (await get_page(console, address)).headers["Cache-Control"]
    for wrong in ("/static/old/console.css", address.replace("console.css", "shell.py")):
        assert (await console.api.get(wrong)).status == 404


async def test_an_empty_house_teaches_the_next_step(console: ConsoleServer) -> None:
    """The first page says that no phone is linked, and leads to where one is."""
    page = (await get_page(console, "/")).document
    assert "No phone is linked yet" in page
    assert 'href="/sessions"' in page
    assert "No phones yet" in (await get_page(console, "/sessions")).document
    assert "No messages yet" in (await get_page(console, "/messages")).document


async def test_today_says_what_can_be_sent_and_what_waits(console: ConsoleServer) -> None:
    """One sentence; a session that shows a code is a line; the day's messages are a picture."""
    await enqueue_message_to_ana(console)
    await console.start_session("norte")
    await console.wait_for_session_state("norte", {"awaiting_scan"})
    page = (await get_page(console, "/")).document
    assert "You can send: 1000 of 1000 new chats left" in page or "999 of 1000" in page
    assert "norte: scan the code" in page
    assert "Scan the code with the phone, under Linked devices." in page
    assert "<dt>Created</dt>" in page


async def test_a_halt_is_the_first_thing_that_today_says(console: ConsoleServer) -> None:
    """By whom, since when and why, on every page; and its end asks for a reason."""
    await console.api.post("/v1/halt", reason="a drill in the morning")
    for path in PAGES:
        page = (await get_page(console, path)).document
        assert "ana stopped all sending at" in page
        assert "a drill in the morning" in page
    assert "All sending has been stopped since" in (await get_page(console, "/")).document
    assert 'data-call="/v1/resume"' in (await get_page(console, "/pieces/halt")).document


async def test_a_halt_tells_its_consequence_in_numbers(console: ConsoleServer) -> None:
    """Before anything stops, a person reads how many messages will wait."""
    await console.api.post("/v1/sessions", name="ventas", channel="simulated")
    await console.import_list(PEOPLE, statement="ticked the box")
    await console.api.post("/v1/messages", to=PHONE, text="Hola", not_before="2026-03-05T14:00:00Z")
    asked = (await get_page(console, "/pieces/halt")).document
    assert "1 waiting message stays where it is" in asked
    assert (
        "1 of its messages waits"
        in (await get_page(console, "/pieces/sessions/ventas/stop")).document
    )


async def test_a_message_tells_why_and_when(console: ConsoleServer) -> None:
    """Its story, the gate's verdict with every point, and what it waits for; its number masked."""
    page = (await get_page(console, f"/messages/{await enqueue_message_to_ana(console)}")).document
    assert "Queued" in page
    assert "Why: the verdict" in page
    assert "+54 9 11 ••••-4567" in page
    assert PHONE not in page
    assert re.search(r'gate\.yaml:\d+|score\.yaml:\d+|class="points"', page)


async def test_messages_are_found_by_name_number_words_and_id(console: ConsoleServer) -> None:
    """A search asks for the list alone, with accents or without; a percent sign is itself."""
    identity = await enqueue_message_to_ana(console, "Cien % de descuento a Ñandú")
    texts = ("ana", "ána", "1234567", "descuento", "Cien %25", "nandu", "ñandu", "ÑANDÚ")
    for text in (*texts, identity):
        found = (await get_page(console, f"/messages?text={text}", **HTMX_HEADERS)).document
        assert identity in found, text
        assert "<html" not in found
    for text in ("nobody", "99", "%25%25"):
        assert (
            identity
            not in (await get_page(console, f"/messages?text={text}", **HTMX_HEADERS)).document
        )
    assert "No message matches" in (await get_page(console, "/messages?text=nobody")).document


async def test_lists_go_on_where_they_ended(console: ConsoleServer) -> None:
    """The next page begins after the last of this one; the audit's likewise."""
    for number in range(3):
        await console.api.post("/v1/sessions", name=f"s{number}", channel="simulated")
    first = (await get_page(console, "/audit?limit=2&action=session_created")).document
    more = re.findall(r'hx-get="(/audit\?[^"]+)"', first)[0].replace("&amp;", "&")
    second = (await get_page(console, more, **HTMX_HEADERS)).document
    names = re.findall(r"<code>(s\d)</code>", first + second)
    assert names == ["s2", "s1", "s0"]


async def test_a_number_is_shown_whole_to_whoever_asks_and_that_is_audited(
    console: ConsoleServer,
) -> None:
    """The page holds the mask alone; the whole number comes by a call that leaves a trace."""
    identity = await enqueue_message_to_ana(console)
    shown = await console.api.post("/reveal", kind="message", id=identity)
    assert shown.document == {"phone": PHONE}
    assert shown.headers["Cache-Control"] == "no-store"
    entry = (
        await console.services.database.read(
            lambda r: audit.list_subject_audit_entries(r, identity)
        )
    )[-1]
    assert (entry.who, entry.action) == ("ana", "number_revealed")
    assert (await console.api.post("/reveal", kind="session", id="nobody")).status == 404


async def test_a_code_is_shown_to_those_who_may_pair_alone(short_folder: Path) -> None:
    """A viewer sees that a code is on show, never the code; and no button that is refused."""
    async with open_console(build_settings(short_folder), ROLE_SCOPES[Role.VIEWER]) as viewer:
        await viewer.start_session("ventas")
        await viewer.wait_for_session_state("ventas", {"awaiting_scan"})
        page = (await get_page(viewer, "/sessions")).document
        assert 'data-state="awaiting_scan"' in page
        assert 'class="qr"' not in page
        assert 'data-call="/v1/sessions' not in page
        assert 'href="/audit"' not in page


@pytest.mark.parametrize(
    "path", ["/messages/msg_none", "/sessions/nobody", "/messages?state=flying"]
)
async def test_what_is_not_there_is_told_as_a_page(console: ConsoleServer, path: str) -> None:
    """What happened, to what, and what to do: never a bare error, never JSON."""
    reply = await console.api.get(path)
    assert reply.status in {400, 404}
    assert "<h1>" in reply.document
    assert "error" not in re.sub(r"<[^>]+>", "", reply.document).lower()


@pytest.mark.parametrize("refusal", [Unauthorized, SignInEnded])
async def test_a_browser_without_a_sign_in_is_led_to_the_door(
    refusal: type[LeadMasterError],
) -> None:
    """A page is; data, changes and programs get the refusal. And it leads back, to us alone."""

    async def refuse(_request: web.Request) -> web.StreamResponse:
        raise refusal("Nobody is signed in.")

    page = make_mocked_request("GET", "/messages?text=ana", headers={"Accept": "text/html"})
    with pytest.raises(web.HTTPSeeOther) as led:
        await redirect_to_sign_in(page, refuse)
    assert led.value.location == "/sign-in?back=/messages%3Ftext%3Dana"
    for method, path in (("GET", "/v1/status"), ("POST", "/messages")):
        refused = make_mocked_request(method, path, headers={"Accept": "text/html"})
        with pytest.raises(refusal):
            await redirect_to_sign_in(refused, refuse)


@pytest.mark.parametrize("back", ["//evil.example", "/\\evil.example", "https://evil.example"])
async def test_the_door_leads_back_to_our_own_pages_alone(
    console: ConsoleServer, back: str
) -> None:
    """A link to the sign-in page can't be made to lead anywhere else."""
    page = (await console.api.get(f"/sign-in?back={back}")).document
    assert 'data-back="/"' in page
    assert "evil" not in page


async def test_listings_count_what_waits(console: ConsoleServer) -> None:
    """How many stand in a state, and since when the first does."""
    identity = await enqueue_message_to_ana(console)
    found = await console.services.database.read(lambda r: messages.require_message(r, identity))
    waiting = await console.services.database.read(
        lambda r: console_queries.count_messages_in_states(r, (found.state, MessageState.FAILED))
    )
    assert (waiting.count, waiting.since) == (1, found.changed_at)
