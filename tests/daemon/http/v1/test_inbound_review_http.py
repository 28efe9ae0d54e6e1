"""Messages of contacts that a person reads: the list and the classification, over HTTP."""

from __future__ import annotations

import pytest

from daemon.api.identity import parse_identity
from daemon.api.signals import InboundMessage
from tests.helpers.client.http import DAYTIME, HttpClient, HttpServer

PHONE = "+5491141234567"
VAGUE, STOP = "el lunes te digo", "sacame de tu base de datos"


async def receive(api: HttpClient, server: HttpServer, text: str) -> str:
    """Receive a message of a prospect; return its id."""
    await api.post("/v1/sessions", name="main", channel="simulated")
    await api.post("/v1/prospects", phone=PHONE, cartera_origen="feria", permission="relationship")
    await server.services.signal_handlers.inbound.handle_inbound(
        "main", InboundMessage("IN1", parse_identity(PHONE), text, DAYTIME)
    )
    (stored,) = (await api.get("/v1/inbound")).document["items"]
    return str(stored["id"])


async def test_a_message_is_listed_and_classified(api: HttpClient, server: HttpServer) -> None:
    """With its cause, its words and what it may mean; the same meaning again changes nothing."""
    message = await receive(api, server, VAGUE)
    (listed,) = (await api.get("/v1/review/inbound")).document["items"]
    assert listed["meanings"] == ["welcome", "no", "neither"]
    found = listed["message"]
    assert (found["id"], found["cause"], found["quote"]) == (message, "not_understood", VAGUE)
    assert found["sentence"] == "The message was not understood; a person should read it."
    said = await api.post(f"/v1/inbound/{message}/classify", meaning="no", reason="she said so")
    assert (said.status, said.document["meaning"]) == (200, "no")
    again = await api.post(f"/v1/inbound/{message}/classify", meaning="no")
    assert again.status == 200
    assert (await api.get("/v1/review/inbound")).document["items"] == []
    (entry,) = (await api.get("/v1/audit?action=classify")).document["items"]
    assert entry["entry"]["subject"] == message
    assert entry["entry"]["detail"]["meaning"] == "no"


async def test_an_answer_is_listed_and_changed(api: HttpClient, server: HttpServer) -> None:
    """With what it can still become; a final one is not listed."""
    message = await receive(api, server, "el lunes te digo")
    await api.post(f"/v1/inbound/{message}/classify", meaning="welcome")
    (answered,) = (await api.get("/v1/review/inbound?answered=true")).document["items"]
    assert (answered["message"]["id"], answered["message"]["meaning"]) == (message, "welcome")
    assert answered["meanings"] == ["no", "neither"]
    assert (await api.post(f"/v1/inbound/{message}/classify", meaning="no")).status == 200
    assert (await api.get("/v1/review/inbound")).document["items"] == []


async def test_a_misread_opt_out_is_listed_apart(api: HttpClient, server: HttpServer) -> None:
    """It waits for nobody; a person may correct it, with a reason."""
    message = await receive(api, server, STOP)
    assert (await api.get("/v1/review/inbound")).document["items"] == []
    (listed,) = (await api.get("/v1/review/inbound?correctable=true")).document["items"]
    assert (listed["message"]["id"], listed["message"]["cause"]) == (message, "opt_out")
    path = f"/v1/inbound/{message}/classify"
    refused = await api.post(path, meaning="neither")
    assert (refused.status, refused.document["code"]) == (400, "bad_request")
    said = await api.post(path, meaning="neither", reason="of another list")
    assert (said.status, said.document["lifted"]) == (200, True)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"meaning": "suppress"}, 409, "conflict"),
        ({"meaning": "yes"}, 400, "bad_request"),
        ({}, 400, "bad_request"),
    ],
)
async def test_what_it_can_not_mean_is_refused(
    api: HttpClient, server: HttpServer, body: dict[str, str], status: int, code: str
) -> None:
    """With a sentence, and it waits on."""
    message = await receive(api, server, VAGUE)
    refused = await api.post(f"/v1/inbound/{message}/classify", **body)
    assert (refused.status, refused.document["code"]) == (status, code)
    assert len((await api.get("/v1/review/inbound")).document["items"]) == 1
    gone = await api.post("/v1/inbound/inb_0/classify", meaning="no")
    assert (gone.status, gone.document["code"]) == (404, "not_found")


async def test_a_minor_is_confirmed(api: HttpClient, server: HttpServer) -> None:
    """A program that only sends the meaning erases nobody."""
    path = f"/v1/inbound/{await receive(api, server, 'tengo 14 años')}/classify"
    refused = await api.post(path, meaning="minor")
    assert (refused.status, "a person confirms" in refused.document["detail"]) == (400, True)
    done = await api.call("POST", path, json={"meaning": "minor", "confirmed": True})
    assert (done.status, done.document["erased"]) == (200, True)
