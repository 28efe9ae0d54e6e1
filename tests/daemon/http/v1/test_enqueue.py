"""Many messages at once: each is stored whole or not at all, and each has its own answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from daemon.bus import EventBus
from daemon.events import SendingHalted
from tests.helpers.client.http import DAYTIME, HttpClient, HttpServer

PHONE = "+5491141234567"
OTHER = "+5491141234568"


def order(phone: str = PHONE, **more: str) -> dict[str, Any]:
    """Return a message to send."""
    return {"to": phone, "text": "Hola", **more}


async def test_each_item_has_its_own_result(api: HttpClient) -> None:
    """What can't be taken does not keep the others out; the order is the one that was given."""
    await api.post("/v1/sessions", name="ventas", channel="simulated")
    batch = [order(), order("nobody"), order(OTHER, text=" ")]
    reply = await api.call("POST", "/v1/messages?wait=verdict", json=batch)
    assert reply.status == 202
    first, second, third = reply.document["items"]
    assert (first["status"], first["problem"]) == (202, None)
    assert first["message"]["state"] != "queued"
    assert (second["status"], second["problem"]["code"]) == (422, "number_rejected")
    assert (third["status"], third["problem"]["code"]) == (400, "bad_request")
    assert len((await api.get("/v1/messages")).document["items"]) == 1


async def test_a_batch_again_is_the_same_messages(api: HttpClient) -> None:
    """Each item's own key makes a repeated batch harmless; another text under it is refused."""
    await api.post("/v1/sessions", name="ventas", channel="simulated")
    batch = [order(key="a"), order(OTHER, key="b")]
    first = (await api.call("POST", "/v1/messages", json=batch)).document["items"]
    batch[1]["text"] = "Chau"
    again = (await api.call("POST", "/v1/messages", json=batch)).document["items"]
    assert again[0]["message"]["id"] == first[0]["message"]["id"]
    assert again[1]["problem"]["code"] == "idempotency_conflict"


async def test_one_key_can_not_stand_for_many(api: HttpClient) -> None:
    """The header is for one message; a list says so."""
    headers = {"Idempotency-Key": "k"}
    reply = await api.call("POST", "/v1/messages", json=[order()], headers=headers)
    assert (reply.status, "key" in reply.document["hint"]) == (400, True)


async def test_a_list_has_bounds(api: HttpClient) -> None:
    """Nothing, or more than five hundred, is refused as a whole."""
    for batch in ([], [order()] * 501):
        assert (await api.call("POST", "/v1/messages", json=batch)).status == 400


async def test_who_waits_is_answered_even_when_news_are_lost(server: HttpServer) -> None:
    """In a flood of other news the answer is the message as it stands."""
    api, bus = server.control, server.services.bus
    await api.post("/v1/sessions", name="ventas", channel="simulated")
    news = bus.subscribe()
    asking = asyncio.create_task(
        api.call("POST", "/v1/messages?wait=verdict", json=[order(), order(OTHER)])
    )
    async for published in news:
        if published.event.type == "message.changed":
            break
    news.close()
    flood(bus)
    items = (await asking).document["items"]
    assert all(item["message"]["id"] for item in items)


def flood(bus: EventBus) -> None:
    """Publish more than any listener has room for."""
    for _ in range(5000):
        bus.publish(SendingHalted(subject="installation", at=DAYTIME, who="x", reason="x"))


@pytest.mark.parametrize("name", ["not_before", "not_after"])
@pytest.mark.parametrize(
    "moment", ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"]
)
async def test_the_ends_of_the_calendar_are_refused(
    api: HttpClient, name: str, moment: str
) -> None:
    """Where no time can be reckoned with any more, it says so; alone and in a list."""
    await api.post("/v1/sessions", name="ventas", channel="simulated")
    one = await api.call("POST", "/v1/messages", json=order(**{name: moment}))
    many = await api.call("POST", "/v1/messages", json=[order(**{name: moment}), order()])
    said = f"{name}: the year must be from 1970 to 9998."
    assert (one.status, one.document["detail"]) == (400, said)
    first, second = many.document["items"]
    assert (first["status"], first["problem"]["detail"], second["status"]) == (400, said, 202)


async def test_figures_since_the_ends_of_the_calendar_are_refused(api: HttpClient) -> None:
    """A query's moment has the same bounds."""
    reply = await api.get("/v1/stats?since=9999-12-31T23:59:59-14:00")
    assert (reply.status, reply.document["detail"]) == (
        400,
        "since: the year must be from 1970 to 9998.",
    )


@pytest.mark.parametrize(("key", "said"), [("", "must not be empty"), ("k" * 201, "at most 200")])
async def test_the_header_has_the_bounds_of_the_key(api: HttpClient, key: str, said: str) -> None:
    """An empty key would promise what is not kept, and one without end fills the file."""
    await api.post("/v1/sessions", name="ventas", channel="simulated")
    headers = {"Idempotency-Key": key}
    reply = await api.call("POST", "/v1/messages", json=order(), headers=headers)
    assert reply.status == 400
    assert said in reply.document["detail"]
    assert reply.document["detail"].startswith("Idempotency-Key: ")
    assert (await api.get("/v1/messages")).document["items"] == []


async def test_two_keys_for_one_message_are_refused(api: HttpClient) -> None:
    """Which of them would hold, nobody could know; the same one twice is one."""
    await api.post("/v1/sessions", name="ventas", channel="simulated")
    headers = {"Idempotency-Key": "a"}
    other = await api.call("POST", "/v1/messages", json=order(key="b"), headers=headers)
    same = await api.call("POST", "/v1/messages", json=order(key="a"), headers=headers)
    assert (other.status, same.status) == (400, 202)
