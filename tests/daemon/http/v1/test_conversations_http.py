"""Chats over HTTP: who waits, answers through the gate, outcomes with effects, and undoing them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from daemon.api.identity import parse_identity
from daemon.api.signals import InboundMessage
from daemon.auth import ALL_SCOPES, Principal, Role, SignInMethod
from storage import evidence, outcomes, prospects, suppressions
from storage.evidence import EvidenceKind
from storage.tx import Reader
from tests.helpers.client.http import HttpClient, HttpReply, HttpServer, create_ready_session

pytestmark = pytest.mark.slow

PHONE, STRANGER = "+5491141234567", "+5491144445555"
ASKED = "¿Cuánto sale?"
OWNER = Principal("root", "", ALL_SCOPES, SignInMethod.CONTROL)


async def receive(server: HttpServer, text: str, *, phone: str = PHONE, id_: str = "IN1") -> None:
    """Receive a message, written now."""
    services = server.services
    signal = InboundMessage(id_, parse_identity(phone), text, services.clock.now())
    await services.signal_handlers.inbound.handle_inbound("ventas", signal)


async def begin_chat(api: HttpClient, server: HttpServer, text: str = ASKED) -> str:
    """Let a prospect write to a session that is ready; return the contact."""
    await create_ready_session(api)
    await api.post("/v1/prospects", phone=PHONE, cartera_origen="feria", permission="relationship")
    await receive(server, text)
    [found] = (await api.get("/v1/conversations?tab=all")).document["items"]
    return str(found["contact"])


async def list_waiting(api: HttpClient) -> list[dict[str, Any]]:
    """Return the rows of those who wait."""
    rows: list[dict[str, Any]] = (await api.get("/v1/conversations")).document["items"]
    return rows


async def reply(api: HttpClient, contact: str, text: str, **more: object) -> HttpReply:
    """Answer what is in the chat now, unless another line is named."""
    seen = (await api.get(f"/v1/conversations/{contact}")).document["last_seen"]
    body = {"last_seen": seen, "key": text, **more}
    return await api.post(f"/v1/conversations/{contact}/reply", text=text, **body)


async def wait_for_state(api: HttpClient, message: str, states: set[str]) -> dict[str, Any]:
    """Return a message once it is in one of the states."""
    async with asyncio.timeout(60), api.session.get(f"{api.base}/v1/events?follow=true") as stream:
        while True:
            found: dict[str, Any] = (await api.get(f"/v1/messages/{message}")).document["message"]
            if found["state"] in states:
                return found
            await stream.content.readline()


async def sign_in_second(server: HttpServer) -> HttpClient:
    """Return a client with a token of another person."""
    auth = server.services.auth
    await auth.users.create_user("beto", Role.OPERATOR, "root")
    scopes = ALL_SCOPES - {"admin", "rules:write"}
    token = (await auth.tokens.issue_token(OWNER, "beto", "test", scopes, timedelta(hours=1))).token
    server.public.session.headers["Authorization"] = f"Bearer {token}"
    return server.public


async def test_an_answer_ends_the_wait_once_it_left(api: HttpClient, server: HttpServer) -> None:
    """It is a reply, waits five seconds, leaves once for two taps, and a draft ends with it."""
    contact = await begin_chat(api, server)
    [row] = await list_waiting(api)
    assert (row["contact"], row["last_text"], row["waits"], row["unread"]) == (
        *(contact, ASKED, True, True),
    )
    await api.post(f"/v1/conversations/{contact}/read", read=True)
    assert [each["unread"] for each in await list_waiting(api)] == [False]
    await api.post(f"/v1/conversations/{contact}/draft", text="Sale")
    first, second = await asyncio.gather(
        *(reply(api, contact, "Sale mil", key="box-1") for _ in range(2))
    )
    assert (first.status, second.status) == (202, 202)
    assert first.document["id"] == second.document["id"]
    message = await wait_for_state(api, first.document["id"], {"sent", "delivered", "read"})
    assert (message["kind"], message["not_before"] > message["created_at"]) == ("reply", True)
    assert await list_waiting(api) == []
    chat = (await api.get(f"/v1/conversations/{contact}")).document
    assert [line["theirs"] for line in chat["lines"]] == [True, False]
    assert (chat["draft"], chat["mode"]) == ("", "reply")


async def test_two_operators_do_not_answer_past_each_other(
    api: HttpClient, server: HttpServer
) -> None:
    """A lease with the first key, its own drafts, and 409 with the lines that came meanwhile."""
    contact, beto = await begin_chat(api, server), await sign_in_second(server)
    path = f"/v1/conversations/{contact}"
    await api.post(f"{path}/draft", text="Hola")
    shown = (await beto.post(f"{path}/draft", text="Buenas")).document
    assert shown["writing_by"] == "root"
    seen = (await beto.get(path)).document
    assert (seen["draft"], (await api.get(path)).document["draft"]) == ("Buenas", "Hola")
    busy = await reply(beto, contact, "Buenas, mil")
    assert (busy.status, busy.code) == (409, "conflict")
    assert "root is answering" in busy.document["detail"]
    assert (await reply(api, contact, "Hola, mil")).status == 202
    late = await reply(beto, contact, "Buenas, mil", last_seen=seen["last_seen"])
    assert (late.status, late.code) == (409, "conversation_moved")
    assert [line["text"] for line in late.document["lines"]] == ["Hola, mil"]
    assert (await beto.get(path)).document["draft"] == "Buenas", "what he typed is kept"
    await receive(server, "¿Y el envío?", id_="IN2")
    moved = await reply(api, contact, "otra", last_seen=seen["last_seen"])
    assert [line["theirs"] for line in moved.document["lines"]] == [False, True]
    forced = await reply(beto, contact, "Buenas, con envío mil dos", take_over=True)
    assert forced.status == 202


async def read_prospect(server: HttpServer, contact: str) -> tuple[str, str, object]:
    """Return intent, permission and validation of the contact's prospect."""
    found = await server.services.database.read(
        lambda r: prospects.find_prospect_by_contact(r, contact)
    )
    assert found is not None
    return found.intent, found.permission, found.validado_tecnicamente


@pytest.mark.parametrize(
    ("outcome", "action", "intent", "permission", "cancels"),
    [
        ("interested", "hand_over", "clear", "relationship", False),
        ("not_interested", "close", "none", "refused", True),
        ("third_party", "close", "none", "relationship", False),
        ("number_changed_owner", "invalidate_phone", "none", "none", True),
    ],
)
async def test_an_outcome_has_its_effects_and_they_are_taken_back(
    api: HttpClient,
    server: HttpServer,
    outcome: str,
    action: str,
    intent: str,
    permission: str,
    cancels: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    """With their words as the quote; the chat is closed and opens again."""
    contact = await begin_chat(api, server, "Sí, me interesa, mandame información")
    later = (server.services.clock.now() + timedelta(hours=2)).isoformat()
    queued = await api.call(
        *("POST", "/v1/messages?wait=verdict"),
        json={"to": PHONE, "text": "Te llamo", "campaign": "feria", "not_before": later},
    )
    before = await read_prospect(server, contact)
    done = await api.post(f"/v1/conversations/{contact}/outcome", outcome=outcome)
    assert (done.status, done.document["next_action"]) == (200, action), done.document
    assert (done.document["cancelled_messages"] > 0) == cancels
    assert (await read_prospect(server, contact))[:2] == (intent, permission)
    if outcome == "number_changed_owner":
        assert (await read_prospect(server, contact))[2] is False
    assert await list_waiting(api) == []
    [kept] = await server.services.database.read(
        lambda r: outcomes.list_contact_outcomes(r, contact)
    )
    assert (kept.outcome, kept.quote) == (outcome, "Sí, me interesa, mandame información")
    undone = await api.post(f"/v1/conversations/{contact}/outcome/undo", id=kept.id)
    assert undone.status == 200
    assert await read_prospect(server, contact) == before
    assert [each["waits"] for each in await list_waiting(api)] == [True]
    rows = (await api.get("/v1/messages")).document["items"]
    assert len(rows) == 1 + cancels, "what was cancelled is queued again"
    assert queued.status == 202
    again = await api.post(f"/v1/conversations/{contact}/outcome/undo", id=kept.id)
    assert (again.status, again.code) == (409, "conflict")


async def test_a_minor_is_erased_after_a_confirmation(api: HttpClient, server: HttpServer) -> None:
    """Nothing but the hash is left, and it can't be undone."""
    contact = await begin_chat(api, server, "tengo 15 años")
    path = f"/v1/conversations/{contact}/outcome"
    asked = await api.post(path, outcome="minor")
    assert (asked.status, "confirmed" in asked.document["detail"]) == (400, True)
    done = await api.post(path, outcome="minor", confirmed=True)
    assert (done.document["erased"], done.document["id"]) == (True, None)
    assert (await api.get(f"/v1/conversations/{contact}")).status == 404
    hashes = [each.hash for each in server.services.aliases.from_phone(PHONE)]
    left = await server.services.database.read(
        lambda r: suppressions.list_suppressions_by_hash(r, hashes)
    )
    assert left
    assert {each.contact for each in left} == {None}


async def test_a_stranger_is_masked_until_a_person_looks(
    api: HttpClient, server: HttpServer
) -> None:
    """Neither text nor number is in a list or the chat; the look is audited."""
    await create_ready_session(api)
    await receive(server, "¿Cenamos hoy?", phone=STRANGER)
    assert await list_waiting(api) == []
    listed = await api.get("/v1/conversations?tab=strangers")
    [row] = listed.document["items"]
    chat = await api.get(f"/v1/conversations/{row['contact']}")
    for reply_ in (listed, chat):
        assert "Cenamos" not in str(reply_.document)
        assert STRANGER not in str(reply_.document)
    assert chat.document["mode"] == "stranger"
    shown = await api.post(f"/v1/conversations/{row['contact']}/reveal")
    assert [line["text"] for line in shown.document["items"]] == ["¿Cenamos hoy?"]
    [entry] = (await api.get("/v1/audit?action=stranger_revealed")).document["items"]
    assert entry["entry"]["subject"] == row["contact"]


async def test_a_private_chat_leaves_a_hash_and_nothing_else(
    api: HttpClient, server: HttpServer
) -> None:
    """The words are erased at once, later ones are not stored, and an opt-out still counts."""
    await create_ready_session(api)
    await receive(server, "¿Cenamos hoy?", phone=STRANGER)
    [row] = (await api.get("/v1/conversations?tab=strangers")).document["items"]
    path = f"/v1/conversations/{row['contact']}"
    assert (await api.post(f"{path}/private")).document["erased"] is True
    await receive(server, "¿A las nueve?", phone=STRANGER, id_="IN2")
    assert (await api.get("/v1/conversations?tab=strangers")).document["items"] == []

    def count_traces(reader: Reader) -> list[int]:
        tables = ("inbound", "evidence", "aliases", "private_contacts")
        return [reader.value(f"SELECT count(*) FROM {each}") for each in tables]

    *traces, hashes = await server.services.database.read(count_traces)
    assert (traces, hashes > 0) == ([0, 0, 0], True)
    await receive(server, "BAJA", phone=STRANGER, id_="IN3")
    check = await api.get(f"/v1/suppressions/check?phone={quote(STRANGER)}")
    assert check.document["suppressed"] is True
    again = await api.post(f"{path}/private")
    assert again.status == 404


async def test_a_stranger_becomes_a_prospect_who_can_be_answered(
    api: HttpClient, server: HttpServer
) -> None:
    """By what they wrote: it opened a conversation, and proves the number."""
    await create_ready_session(api)
    await receive(server, ASKED, phone=STRANGER)
    [row] = (await api.get("/v1/conversations?tab=strangers")).document["items"]
    path = f"/v1/conversations/{row['contact']}"
    made = await api.post(f"{path}/prospect", name="Beto")
    kept = {name: made.document[name] for name in ("phone", "cartera_origen", "name", "permission")}
    assert kept == {
        "phone": STRANGER,
        "cartera_origen": "nos escribió",
        "name": "Beto",
        "permission": "conversation",
    }
    assert made.document["validado_tecnicamente"] is True
    [waiting] = await list_waiting(api)
    assert (waiting["name"], waiting["last_text"]) == ("Beto", ASKED)
    sent = await reply(api, row["contact"], "Sale mil")
    await wait_for_state(api, sent.document["id"], {"sent", "delivered", "read"})
    assert (await api.post(f"{path}/prospect")).status == 409
    assert (await api.post(f"{path}/private")).status == 409


async def test_others_see_who_looks_at_a_chat(api: HttpClient, server: HttpServer) -> None:
    """By name, until they leave, or for 45 seconds after their page was last heard of."""
    contact, beto = await begin_chat(api, server), await sign_in_second(server)
    path = f"/v1/conversations/{contact}"
    assert (await api.post(f"{path}/view")).document["viewing_by"] == []
    assert (await beto.post(f"{path}/view")).document["viewing_by"] == ["root"]
    assert (await api.get(path)).document["viewing_by"] == ["beto/test"]
    await beto.post(f"{path}/view", viewing=False)
    assert (await api.get(path)).document["viewing_by"] == []


async def test_chats_are_found_by_name_number_and_words_without_accents(
    api: HttpClient, server: HttpServer
) -> None:
    """And strangers are not, whose words nobody may read."""
    contact = await begin_chat(api, server, "¿Hacen envíos?")
    await api.call("PATCH", f"/v1/prospects/{await find_prospect_id(api)}", json=NAMED)
    await receive(server, "¿Hacen envíos?", phone=STRANGER, id_="IN2")
    for text in ("nunez", "ENVIOS", "4123 4567", "Núñez"):
        found = (await api.get(f"/v1/conversations?tab=all&text={quote(text)}")).document["items"]
        assert [each["contact"] for each in found] == [contact], text
    for tab, text in (("strangers", "envios"), ("all", "x")):
        found = (await api.get(f"/v1/conversations?tab={tab}&text={quote(text)}")).document["items"]
        assert found == [], (tab, text)


NAMED = {"name": "Paula Núñez", "reason": "a test"}


async def find_prospect_id(api: HttpClient) -> str:
    """Return the id of the only prospect."""
    [found] = (await api.get("/v1/prospects")).document["items"]
    return str(found["id"])


async def test_the_reading_of_their_words_is_proposed_until_it_is_confirmed(
    api: HttpClient, server: HttpServer
) -> None:
    """With the message that shows it, also where courtesy followed."""
    contact = await begin_chat(api, server)
    await receive(server, "Gracias", id_="IN2")
    shown = (await api.get(f"/v1/conversations/{contact}")).document
    proposal = shown["proposal"]
    assert (proposal["outcome"], proposal["intent"]) == ("interested", "asked")
    assert proposal["inbound"] == shown["lines"][0]["id"]
    path = f"/v1/conversations/{contact}"
    await api.post(f"{path}/outcome", outcome="interested", inbound=proposal["inbound"])
    after = (await api.get(path)).document
    assert after["proposal"] is None
    assert after["outcomes"][0]["quote"] == ASKED


async def test_close_snooze_and_mine_move_a_chat_between_the_tabs(
    api: HttpClient, server: HttpServer
) -> None:
    """Each for all, until it is undone."""
    contact = await begin_chat(api, server)
    path = f"/v1/conversations/{contact}"

    async def list_tabs() -> set[str]:
        tabs = ("waiting", "mine", "snoozed", "strangers", "all")
        return {
            tab for tab in tabs if (await api.get(f"/v1/conversations?tab={tab}")).document["items"]
        }

    assert await list_tabs() == {"waiting", "all"}
    await api.post(f"{path}/take")
    until = (server.services.clock.now() + timedelta(hours=1)).isoformat()
    await api.post(f"{path}/snooze", until=until)
    assert await list_tabs() == {"mine", "snoozed", "all"}
    await api.post(f"{path}/snooze", until=None)
    closed = await api.post(f"{path}/close")
    assert closed.document["closed_by"] == "root"
    assert await list_tabs() == {"all"}
    await api.post(f"{path}/close", closed=False)
    assert await list_tabs() == {"waiting", "mine", "all"}
    past = (server.services.clock.now() - timedelta(hours=1)).isoformat()
    assert (await api.post(f"{path}/snooze", until=past)).code == "bad_request"
    assert (await api.post("/v1/conversations/con_0/close")).status == 404


async def test_who_refused_or_opted_out_has_no_box_and_gets_no_forged_answer(
    api: HttpClient, server: HttpServer
) -> None:
    """The mode says so with the day and the words; the gate blocks what is sent all the same."""
    contact = await begin_chat(api, server, "No, gracias, no me interesa")
    chat = (await api.get(f"/v1/conversations/{contact}")).document
    assert (chat["mode"], chat["quote"]) == ("refused", "No, gracias, no me interesa")
    forged = await reply(api, contact, "¿Seguro?")
    blocked = await wait_for_state(api, forged.document["id"], {"blocked"})
    assert "said no" in blocked["sentence"]
    await receive(server, "BAJA", id_="IN2")
    assert (await api.get(f"/v1/conversations/{contact}")).document["mode"] == "suppressed"
    again = await reply(api, contact, "¿Seguro, seguro?")
    await wait_for_state(api, again.document["id"], {"blocked"})


async def test_a_check_says_what_a_send_would_and_stores_nothing(
    api: HttpClient, server: HttpServer
) -> None:
    """A reply may go now, a number of nobody can't, and no row is written."""
    await begin_chat(api, server)
    before = await server.services.database.high_water()
    now = (await api.post("/v1/messages/check", to=PHONE, text="Sale mil")).document
    assert (now["outlook"], now["kind"], now["session"]) == ("now", "reply", "ventas")
    nobody = (await api.post("/v1/messages/check", to="+5491150001111", text="Hola")).document
    assert (nobody["outlook"], nobody["kind"]) == ("no", "commercial")
    refused = await api.post("/v1/messages/check", to=PHONE, text=" ")
    assert (refused.status, refused.code) == (400, "bad_request")
    await api.post("/v1/halt", reason="a test")
    halted = (await api.post("/v1/messages/check", to=PHONE, text="Sale mil")).document
    assert (halted["outlook"], halted["reason_code"]) == ("later", "halt")
    assert (await api.get("/v1/messages")).document["items"] == []
    assert await server.services.database.high_water() == before + 1, "the halt alone"


async def test_interest_is_kept_as_evidence_with_its_message(
    api: HttpClient, server: HttpServer
) -> None:
    """A person's word, dated by the writing; their question keeps the stronger intent."""
    contact = await begin_chat(api, server)
    await api.post(f"/v1/conversations/{contact}/outcome", outcome="interested")
    known = await server.services.database.read(
        lambda r: evidence.list_contact_evidence(r, contact)
    )
    [said] = [each for each in known if each.kind is EvidenceKind.CLASSIFICATION]
    assert (said.value, said.quote, said.source) == ("welcome", ASKED, "classified by root")
    assert (await read_prospect(server, contact))[0] == "asked"
