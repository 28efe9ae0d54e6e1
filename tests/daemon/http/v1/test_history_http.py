"""`/v1/history` over HTTP: what status says until the past is known, and bad requests."""

from __future__ import annotations

from storage.tx import Tx
from tests.helpers.client.http import HttpClient, HttpServer

CSV = "teléfono;fecha y hora;mensaje\n+5491145550001;2025-03-01 10:00;BAJA\n".encode()


def forget_declaration(tx: Tx) -> None:
    """Let nobody have said that there is no history."""
    tx.execute("DELETE FROM history_declarations")


async def list_history_warnings(api: HttpClient, path: str) -> list[str]:
    """Return what a path warns of the past."""
    warnings = (await api.get(path)).document["warnings"]
    return [each["sentence"] for each in warnings if each["code"] == "history_unknown"]


async def test_status_and_readiness_say_that_the_past_is_not_known(
    api: HttpClient, server: HttpServer
) -> None:
    """It blocks nothing; a file that was imported ends it."""
    await server.services.database.write(forget_declaration)
    ready = await api.get("/ready")
    assert (ready.status, ready.document["ready"]) == (200, True)
    [sentence] = await list_history_warnings(api, "/ready")
    assert "leadmaster history import FILE" in sentence
    assert await list_history_warnings(api, "/v1/status") == [sentence]
    upload = await api.call("POST", "/v1/uploads?filename=bajas.csv", data=CSV)
    order = {"upload": upload.document["upload"], "options": {"kind": "received"}}
    preview = await api.post("/v1/history/preview", **order)
    assert preview.document["requests"] == {"opt_out": 1}
    done = await api.post("/v1/history", **order, plan=preview.document["plan"])
    assert done.document["new"]["received"] == 1
    assert await list_history_warnings(api, "/v1/status") == []
    found = await api.get("/v1/suppressions/check?phone=%2B5491145550001")
    assert found.document["suppressed"]


async def test_what_was_not_previewed_is_a_conflict_and_a_bad_option_a_sentence(
    api: HttpClient,
) -> None:
    """Never a 500, and nothing is written."""
    upload = await api.call("POST", "/v1/uploads?filename=bajas.csv", data=CSV)
    order = {"upload": upload.document["upload"]}
    assert (await api.post("/v1/history", **order, plan="another")).status == 409
    for options in (
        {"mapping": {"colour": "x"}},
        {"mapping": {"body": "no such header"}},
        {"time_zone": "../etc/passwd"},
        {"source": "no such source"},
    ):
        reply = await api.post("/v1/history/preview", **order, options=options)
        assert 400 <= reply.status < 500, options
        assert reply.document["detail"].endswith((".", ";", ":")), options
    assert (await api.post("/v1/history/none", reason="")).status == 400
    assert (await api.get("/v1/history")).document["imports"] == []
