"""Deliveries over HTTP: scopes, decisions, files, and what is refused with a sentence."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest

from daemon.api.identity import parse_identity
from daemon.api.signals import InboundMessage
from daemon.auth import ALL_SCOPES, Principal, Role, SignInMethod
from tests.helpers.client.http import HttpClient, HttpServer, create_ready_session

pytestmark = pytest.mark.slow

PHONE = "+5491141234567"
OWNER = Principal("root", "", ALL_SCOPES, SignInMethod.CONTROL)
TERMS: dict[str, object] = {"price_cents": 450_000, "reasons": ["Ya era cliente"]}


async def add_interested(api: HttpClient, server: HttpServer) -> str:
    """Let a validated prospect write, and record that they are interested; return the contact."""
    await create_ready_session(api)
    made = await api.post(
        "/v1/prospects", phone=PHONE, cartera_origen="feria", permission="relationship", name="Ana"
    )
    services = server.services
    signal = InboundMessage("IN1", parse_identity(PHONE), "¿Cuánto sale?", services.clock.now())
    await services.signal_handlers.inbound.handle_inbound("ventas", signal)
    prospect = made.document["id"]
    await api.post(f"/v1/prospects/{prospect}/validate", validated=True, reason="she answered")
    contact = made.document["contact"]
    await api.post(f"/v1/conversations/{contact}/outcome", outcome="interested")
    return str(contact)


async def add_client(api: HttpClient) -> str:
    """Add a client with terms."""
    client = (await api.post("/v1/clients", name="Dentalia SA")).document["id"]
    assert (await api.post(f"/v1/clients/{client}/terms", **TERMS)).status == 200
    return str(client)


async def sign_in_operator(server: HttpServer) -> HttpClient:
    """Return a client with a token of an operator."""
    auth = server.services.auth
    await auth.users.create_user("beto", Role.OPERATOR, "root")
    scopes = ALL_SCOPES - {"admin", "rules:write"}
    token = (await auth.tokens.issue_token(OWNER, "beto", "test", scopes, timedelta(hours=1))).token
    server.public.session.headers["Authorization"] = f"Bearer {token}"
    return server.public


async def test_a_delivery_and_its_files(api: HttpClient, server: HttpServer) -> None:
    """The preview's hash freezes; the bytes have the hash that is stored; events name the row."""
    contact, client = await add_interested(api, server), await add_client(api)
    await api.post(f"/v1/conversations/{contact}/share/answer", client=client, allowed=True)
    preview = (await api.post("/v1/deliveries/preview", client=client)).document
    assert [each["row"]["name"] for each in preview["people"]] == ["Ana"]
    assert (await api.post("/v1/deliveries", client=client, hash="other")).status == 409
    made = await api.post("/v1/deliveries", client=client, hash=preview["hash"])
    assert made.status == 201
    detail: dict[str, Any] = made.document
    id_ = detail["delivery"]["id"]
    for file in detail["files"]:
        path = f"/v1/deliveries/{id_}/files/0/{file['format']}"
        async with api.session.get(f"{api.base}{path}") as response:
            content = await response.read()
            assert response.headers["Cache-Control"] == "no-store"
            name = f'attachment; filename="delivery-1.{file["format"]}"'
            assert response.headers["Content-Disposition"] == name
        assert hashlib.sha256(content).hexdigest() == file["hash"]
    for path in ("0/pdf", "x/csv", "7/csv", "99999999/csv"):
        assert (await api.get(f"/v1/deliveries/{id_}/files/{path}")).status == 404
    row = f"/v1/deliveries/{id_}/rows/1"
    assert (await api.post(f"{row}/withdraw", note="so it is")).status == 409
    assert (await api.post(f"{row}/dispute", reason="Ya era cliente", on="30/11")).status == 400
    day = detail["delivery"]["at"][:10]
    disputed = await api.post(f"{row}/dispute", reason="Ya era cliente", on=day)
    assert disputed.document["rows"][0]["state"] == "disputed"
    assert (await api.post(f"{row}/accept", note="She was not")).status == 200
    money = (await api.get(f"/v1/deliveries/money?month={day[:7]}")).document["items"]
    assert [each["amount_cents"] for each in money] == [450_000]
    assert (await api.get("/v1/deliveries/money?month=2026-99")).status == 400
    listed = (await api.get(f"/v1/deliveries?client={client}")).document["items"]
    assert [each["counts"] for each in listed] == [{"accepted": 1}]
    assert (await api.get("/v1/deliveries/del_1")).status == 404
    later = f"/v1/clients/{client}/later-opt-outs"
    assert (await api.get(later)).document["items"] == []
    assert (await api.post(f"{later}/reported", count=1)).status == 409
    assert (await api.get("/v1/clients/cli_1/later-opt-outs")).status == 404


async def test_only_an_admin_decides_to_hand_over(api: HttpClient, server: HttpServer) -> None:
    """Somebody who was not asked about this client: 403 for an operator, an entry for an admin."""
    await add_interested(api, server)
    client = await add_client(api)
    preview = (await api.post("/v1/deliveries/preview", client=client)).document
    [left] = preview["left_out"]
    assert (left["reason"], left["decidable"]) == ("sharing_unknown", True)
    decided = {"client": client, "decided": [left["id"]]}
    preview = (await api.post("/v1/deliveries/preview", **decided)).document
    body = {**decided, "hash": preview["hash"], "decision": "She said so on the phone"}
    operator = await sign_in_operator(server)
    assert (await operator.post("/v1/deliveries", **body)).status == 403
    made = await api.post("/v1/deliveries", **body)
    assert made.document["rows"][0]["ground"] == "decision"
    id_ = made.document["delivery"]["id"]
    replaced = {"prospect": left["id"], "note": "so it is", "decision": "again"}
    assert (await operator.post(f"/v1/deliveries/{id_}/rows/1/replace", **replaced)).status == 403
    entries = (await api.get("/v1/decision-entries")).document["items"]
    assert [each["subject"] for each in entries] == [f"delivery.{id_}"]
