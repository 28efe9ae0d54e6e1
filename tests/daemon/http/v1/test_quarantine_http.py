"""The quarantine over HTTP: listed, counted where health is asked for, and settled by a person."""

from __future__ import annotations

from daemon.sessions.signal_check import RejectedSignal
from tests.helpers.client.http import HttpClient, HttpServer

ANA = "+5491141234567"


async def quarantine_message(server: HttpServer, wire_id: str) -> None:
    """Let a message come in that can't be stored."""
    kept = {"wire_id": wire_id, "sender": ANA, "text": "hola �"}
    sentence = "The channel simulated reported InboundMessage.text, which holds half a character."
    rejected = RejectedSignal(
        "ventas", "simulated", "InboundMessage", "text_unstorable", sentence, kept
    )
    await server.services.signal_handlers.quarantine.handle_rejected("ventas", rejected)


async def test_what_could_not_be_stored_is_listed_page_by_page_and_settled(
    api: HttpClient, server: HttpServer
) -> None:
    """Oldest first, with what was kept of it; settled with a reason, once."""
    await api.post("/v1/sessions", name="ventas", channel="simulated")
    for wire_id in ("A", "B"):
        await quarantine_message(server, wire_id)
    page = (await api.get("/v1/quarantine?limit=1&session=ventas")).document
    (first,) = page["items"]
    assert (first["id"], first["kept"]["wire_id"]) == (page["next"], "A")
    assert (first["reason_code"], first["settled_at"]) == ("text_unstorable", None)
    path = f"/v1/quarantine/{first['id']}/settle"
    assert (await api.post(path, reason="")).status == 400
    settled = (await api.post(path, reason="a greeting")).document
    assert (settled["settled_reason"], bool(settled["settled_by"])) == ("a greeting", True)
    assert (await api.post(path, reason="again")).status == 409
    assert (await api.post("/v1/quarantine/qua_0/settle", reason="nothing")).status == 404
    (second,) = (await api.get("/v1/quarantine")).document["items"]
    assert second["kept"]["wire_id"] == "B"
    assert (await api.get("/v1/quarantine?settled=true")).document["items"] == [settled]


async def test_readiness_and_status_warn_of_what_waits(api: HttpClient, server: HttpServer) -> None:
    """Nothing is blocked by it; the sentence says how to see it."""
    await api.post("/v1/sessions", name="ventas", channel="simulated")
    assert (await api.get("/v1/status")).document["quarantined"] == 0
    await quarantine_message(server, "A")
    ready = (await api.get("/ready")).document
    assert ready["ready"] is True
    (warning,) = ready["warnings"]
    assert warning["code"] == "quarantine"
    assert warning["sentence"].startswith("1 incoming item could not be stored")
    assert "leadmaster quarantine" in warning["sentence"]
    status = (await api.get("/v1/status")).document
    assert (status["quarantined"], status["warnings"]) == (1, [warning])
    await quarantine_message(server, "B")
    (warning,) = (await api.get("/ready")).document["warnings"]
    assert warning["sentence"].startswith("2 incoming items")
