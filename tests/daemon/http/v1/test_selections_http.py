"""Selections over HTTP: each action about the rows that were counted, and about no others."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from statemachines.message import MessageState
from tests.helpers.client.console import ConsoleServer, open_console, wait_for_message_state
from tests.helpers.client.http import HttpClient, HttpReply, build_settings

pytestmark = pytest.mark.slow

PHONES = ("+5491141234501", "+5491141234502", "+5491141234503")
PROSPECT_ACTIONS: dict[str, dict[str, str]] = {
    "check": {},
    "validate": {"reason": "I called them"},
    "consent": {"how": "call", "when": "2026-03-01", "heard_by": "ana", "words": "sí, dale"},
    "suppress": {"reason": "they asked"},
}


@pytest.fixture
async def console(short_folder: Path) -> AsyncIterator[ConsoleServer]:
    """Open a console with a phone that is ready and three people."""
    async with open_console(build_settings(short_folder)) as made:
        await made.add_ready_session("ventas", defaults={"ack_delay": 0.05})
        for n, phone in enumerate(PHONES):
            entry = {"phone": phone, "name": f"Persona {n}", "cartera_origen": "feria"}
            added = await made.api.post("/v1/prospects", **entry, permission="relationship")
            assert added.status == 201, added.document
        yield made


async def select(api: HttpClient, rows: str, **chosen: object) -> dict[str, Any]:
    """Return a selection as the server counts it."""
    reply = await api.post(f"/v1/{rows}/selection", **chosen)
    assert reply.status == 200, reply.document
    found: dict[str, Any] = reply.document
    return found


async def act(api: HttpClient, rows: str, action: str, hash_: str, **body: object) -> HttpReply:
    """Do something about a selection."""
    return await api.post(f"/v1/{rows}/selection/{action}", hash=hash_, **body)


def read_csv(reply: HttpReply) -> list[dict[str, str]]:
    """Return the records of a file."""
    return list(csv.DictReader(io.StringIO(reply.document, newline="")))


async def read_prospects(api: HttpClient) -> list[dict[str, Any]]:
    """Return the details of all prospects."""
    rows = (await api.get("/v1/prospects?limit=200")).document["items"]
    return [(await api.get(f"/v1/prospects/{each['id']}")).document for each in rows]


@pytest.mark.parametrize("action", [*PROSPECT_ACTIONS, "export"])
async def test_an_action_on_prospects_is_about_those_that_were_counted(
    console: ConsoleServer, action: str
) -> None:
    """About somebody more it is refused, and nothing is done; else it is done for each."""
    api, fields = console.api, PROSPECT_ACTIONS.get(action, {})
    everybody = {"filter": {"text": "persona"}}
    found = await select(api, "prospects", **everybody)
    assert (found["count"], sorted(found["names"])) == (3, [f"Persona {n}" for n in range(3)])
    entry = {"phone": "+5491141234599", "name": "Persona 9", "cartera_origen": "feria"}
    await api.post("/v1/prospects", **entry, permission="relationship")
    before = await read_prospects(api)
    late = await act(api, "prospects", action, found["hash"], **everybody, **fields)
    assert (late.status, late.code) == (409, "conflict")
    assert "it is 4 now. Nothing was done." in late.document["detail"]
    assert await read_prospects(api) == before
    found = await select(api, "prospects", **everybody)
    done = await act(api, "prospects", action, found["hash"], **everybody, **fields)
    assert done.status == 200, done.document
    after = await read_prospects(api)
    if action == "export":
        assert [each["name"] for each in read_csv(done)] == [f"Persona {n}" for n in (0, 1, 2, 9)]
        return
    assert (done.document["done"], done.document["refused"]) == (4, 0)
    match action:
        case "check":
            assert {each["prospect"]["on_whatsapp"] for each in after} == {"yes"}
        case "validate":
            assert {each["prospect"]["validado_tecnicamente"] for each in after} == {True}
        case "consent":
            assert {each["prospect"]["permission"] for each in after} == {"opted_in"}
        case _:
            assert all(each["suppressed"] for each in after)


async def test_who_is_left_out_is_named(console: ConsoleServer) -> None:
    """A consent over an opt-out is refused for that person alone."""
    await console.api.post("/v1/suppressions", phone=PHONES[0], reason="asked for it")
    found = await select(console.api, "prospects", filter={})
    agreed: dict[str, Any] = {**PROSPECT_ACTIONS["consent"], "filter": {}}
    done = await act(console.api, "prospects", "consent", found["hash"], **agreed)
    assert (done.document["done"], done.document["refused"]) == (2, 1)
    [refusal] = done.document["refusals"]
    assert (refusal["name"], bool(refusal["sentence"])) == ("Persona 0", True)


async def hold(console: ConsoleServer, *phones: str) -> list[str]:
    """Queue a message to each, and return the ids once they are held."""
    found = []
    for phone in phones:
        made = await console.api.post("/v1/messages", to=phone, text=f"Hola {phone[-2:]}")
        found.append(str(made.document["id"]))
        await wait_for_message_state(console, found[-1], {MessageState.HELD})
    return found


@pytest.mark.parametrize(
    ("action", "ended"),
    [
        ("approve", {"queued", "cleared", "sending", "sent", "delivered", "read", "deferred"}),
        ("reject", {"blocked"}),
        ("cancel", {"cancelled"}),
    ],
)
async def test_an_action_on_messages_is_about_those_that_were_counted(
    console: ConsoleServer, action: str, ended: set[str]
) -> None:
    """By a filter or by ids; one that is held since makes it another selection."""
    api, fields = console.api, {"reason": "looked at them"}
    await hold(console, *PHONES[:2])
    held = {"filter": {"state": "held"}}
    found = await select(api, "messages", **held)
    assert (found["count"], sorted(found["names"])) == (2, ["Persona 0", "Persona 1"])
    [third] = await hold(console, PHONES[2])
    late = await act(api, "messages", action, found["hash"], **held, **fields)
    assert (late.status, late.code) == (409, "conflict")
    rows = (await api.get("/v1/messages")).document["items"]
    assert {each["state"] for each in rows} == {"held"}
    one = await select(api, "messages", ids=[third])
    done = await act(api, "messages", action, one["hash"], ids=[third], **fields)
    assert (done.document["done"], done.document["refused"]) == (1, 0)
    done = await act(api, "messages", action, found["hash"], **held, **fields)
    assert (done.document["done"], done.document["refused"]) == (2, 0), "the two that were counted"
    rows = (await api.get("/v1/messages")).document["items"]
    assert {each["state"] for each in rows} <= ended
    again = await select(api, "messages", ids=[third])
    if action == "reject":
        done = await act(api, "messages", action, again["hash"], ids=[third], **fields)
        assert [each["id"] for each in done.document["refusals"]] == [third]


async def test_the_audit_is_exported_as_it_was_counted(console: ConsoleServer) -> None:
    """By a filter or by numbers; an entry that came since makes it another selection."""
    api, added = console.api, {"filter": {"action": "create_prospect"}}
    found = await select(api, "audit", **added)
    assert (found["count"], found["names"]) == (3, ["ana"])
    records = read_csv(await act(api, "audit", "export", found["hash"], **added))
    assert [each["action"] for each in records] == ["create_prospect"] * 3
    assert {each["who"] for each in records} == {"ana"}
    await api.post("/v1/prospects", phone="+5491141234599", cartera_origen="feria")
    late = await act(api, "audit", "export", found["hash"], **added)
    assert (late.status, late.code) == (409, "conflict")
    numbers = [each["number"] for each in records[:2]]
    found = await select(api, "audit", ids=numbers)
    chosen = read_csv(await act(api, "audit", "export", found["hash"], ids=numbers))
    assert chosen == records[:2]


@pytest.mark.parametrize("rows", ["prospects", "messages", "audit"])
async def test_a_selection_is_by_ids_or_by_a_filter(console: ConsoleServer, rows: str) -> None:
    """Not by both, by neither, or by an unknown word."""
    both = {"ids": ["x"], "filter": {}}
    bodies: list[dict[str, Any]] = [{}, both, {"filter": {"nonsense": "x"}}, {"ids": []}]
    for body in bodies:
        reply = await console.api.post(f"/v1/{rows}/selection", **body)
        assert reply.status == 400, (body, reply.document)
