"""The four lines of the morning: each changes with what happens, and counts only what is true."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from daemon.api.identity import parse_identity
from daemon.api.signals import InboundMessage
from daemon.backup.status import BackupStatus, SealedCopy, write_status
from daemon.settings import ClockSettings, PacingSettings
from statemachines.message import MessageState
from storage import messages
from storage.tx import Tx
from tests.helpers.client.http import (
    DAYTIME,
    HttpClient,
    HttpServer,
    build_settings,
    create_ready_session,
    open_http_server,
)

pytestmark = pytest.mark.slow

PEOPLE = ("+5491141234560", "+5491141234561", "+5491141234562", "+5491141234563")


@pytest.fixture
async def server(short_folder: Path) -> AsyncIterator[HttpServer]:
    """Open a server whose numbers begin two chats a day at most."""
    pacing = PacingSettings(new_chats_first_week=2, new_chat_gap_minutes=0)
    settings = msgspec.structs.replace(build_settings(short_folder), pacing=pacing)
    async with open_http_server(settings) as opened:
        await create_ready_session(opened.control)
        for phone in PEOPLE:
            entry = {"phone": phone, "name": "Beto Ruiz", "cartera_origen": "feria"}
            agreed = {"permission": "opted_in", "statement": "form of the fair"}
            made = (await opened.control.post("/v1/prospects", **entry, **agreed)).document
            word = {"validated": True, "reason": "I called them"}
            await opened.control.post(f"/v1/prospects/{made['id']}/validate", **word)
        yield opened


async def read_morning(api: HttpClient) -> dict[str, Any]:
    """Return the report."""
    reply = await api.get("/v1/morning")
    assert reply.status == 200, reply.document
    found: dict[str, Any] = reply.document
    return found


async def test_each_line_says_what_is_true_now(api: HttpClient, server: HttpServer) -> None:
    """A phone, who waits and whom to answer first, what expired, and what leaves later today."""
    calm = await read_morning(api)
    [phone] = calm["phones"]
    assert (phone["state"], phone["can_send"], phone["new_chats"]) == ("ready", True, True)
    assert (calm["troubles"], calm["waiting"]["count"], calm["leaving"]["count"]) == ([], 0, 0)

    await _receive(server, PEOPLE[0])
    waiting = (await read_morning(api))["waiting"]
    [row] = (await api.get("/v1/conversations")).document["items"]
    assert waiting == {"count": 1, "since": row["since"], "contact": row["contact"]}

    later, tomorrow = DAYTIME + timedelta(hours=2), DAYTIME + timedelta(hours=30)
    ids = [await _queue(api, phone, later) for phone in PEOPLE[1:]]
    await _queue(api, PEOPLE[0], tomorrow)
    leaving = (await read_morning(api))["leaving"]
    assert leaving["count"] == 2, "three new chats wait, and the number may begin two"
    assert datetime.fromisoformat(leaving["first_at"]) == later

    await server.services.database.write(partial(_expire, ids[0]))
    [trouble] = (await read_morning(api))["troubles"]
    assert (trouble["kind"], trouble["count"], trouble["name"]) == ("expired", 1, "Beto Ruiz")

    await api.post("/v1/halt", reason="a drill")
    halted = await read_morning(api)
    assert (halted["halted"], halted["leaving"]["count"]) == (True, 0)


async def test_a_late_backup_is_a_trouble_of_the_night(short_folder: Path) -> None:
    """Of an installation with a clock of its own there is no backup to miss."""
    settings = msgspec.structs.replace(build_settings(short_folder), clock=ClockSettings())
    old = datetime.now(UTC) - timedelta(hours=50)
    copy = SealedCopy("old.age", old, 1, old, {}, 0)
    write_status(
        settings,
        BackupStatus(recipient="age1x", key_made_at=old, key_confirmed_at=old, copies=(copy,)),
    )
    async with open_http_server(settings) as opened:
        [trouble] = (await read_morning(opened.control))["troubles"]
    assert (trouble["kind"], trouble["count"]) == ("backup", 1)


def _expire(message: str, tx: Tx) -> None:
    why = {"reason_code": "expired", "sentence": "It could not go in time.", "who": "clock"}
    messages.transition_message(tx, message, MessageState.EXPIRED, at=DAYTIME, **why)


async def _receive(server: HttpServer, phone: str) -> None:
    at = server.services.clock.now()
    signal = InboundMessage(phone, parse_identity(phone), "¿Cuánto sale?", at)
    await server.services.signal_handlers.inbound.handle_inbound("ventas", signal)


async def _queue(api: HttpClient, phone: str, not_before: datetime) -> str:
    body = {"to": phone, "text": f"Hola {phone}", "not_before": not_before.isoformat()}
    reply = await api.call("POST", "/v1/messages?wait=verdict", json=body)
    assert reply.document["state"] == "cleared", reply.document
    return str(reply.document["id"])
