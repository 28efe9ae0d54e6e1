"""The page of the past: until it is known the Today page asks for it, and a file is previewed."""

from __future__ import annotations

from typing import Any

from storage.tx import Tx
from tests.helpers.client.console import ConsoleServer, get_page

CHATS = (
    "teléfono;fecha y hora;sentido;mensaje;agente\n"
    "+5491145550001;2025-03-01 10:00;recibido;no me interesa;Marta\n"
    "+5491145550001;2025-03-01 09:00;OUTBOX;Hola;Marta\n"
).encode()
HISTORY_PAGE = "/prospects/import/history"


def forget_declaration(tx: Tx) -> None:
    """Let nobody have said that there is no history."""
    tx.execute("DELETE FROM history_declarations")


async def preview(console: ConsoleServer, asked: str = "") -> tuple[str, Any]:
    """Upload the chats; return the id of the upload and the piece of the preview."""
    upload = await console.api.call("POST", "/v1/uploads?filename=chats.csv", data=CHATS)
    id_ = upload.document["upload"]
    path = f"/pieces/history/preview?upload={id_}{asked}"
    return id_, (await get_page(console, path)).document


async def test_the_today_page_asks_until_the_past_is_known(console: ConsoleServer) -> None:
    """With the page that mends it; a person's declaration ends it."""
    assert HISTORY_PAGE not in (await get_page(console, "/")).document
    await console.services.database.write(forget_declaration)
    assert f'href="{HISTORY_PAGE}"' in (await get_page(console, "/")).document
    assert "/pieces/history/none" in (await get_page(console, HISTORY_PAGE)).document
    await console.api.post("/v1/history/none", reason="a new firm")
    assert HISTORY_PAGE not in (await get_page(console, "/")).document
    shown = (await get_page(console, HISTORY_PAGE)).document
    assert "a new firm" in shown
    assert "/pieces/history/none" not in shown


async def test_a_preview_asks_for_words_and_carries_the_order(console: ConsoleServer) -> None:
    """There is no button until every record can be read, or is left out."""
    _, shown = await preview(console)
    assert "OUTBOX" in shown
    assert 'data-call="/v1/history"' not in shown
    assert 'data-call="/v1/history"' in (await preview(console, "&leave_out_rejected=yes"))[1]
    id_, shown = await preview(console, "&word.OUTBOX=sent")
    assert 'data-call="/v1/history"' in shown
    assert "agente" in shown
    options = {"words": {"OUTBOX": "sent"}}
    found = await console.api.post("/v1/history/preview", upload=id_, options=options)
    plan = found.document["plan"]
    assert plan in shown
    done = await console.api.post("/v1/history", upload=id_, plan=plan, options=options)
    assert done.document["new"] == {"sent": 1, "received": 1, "declined": 0, "opt_out": 0}
    assert "chats.csv" in (await get_page(console, HISTORY_PAGE)).document


async def test_a_problem_is_said_inside_the_form(console: ConsoleServer) -> None:
    """Where it can be corrected."""
    _, shown = await preview(console, "&time_zone=Nowhere/Land")
    assert "There is no time zone" in shown
    assert 'id="import-options"' in shown
