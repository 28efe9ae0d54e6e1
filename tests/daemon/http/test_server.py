"""The HTTP servers over real sockets.

What they answer, how they refuse, and what they never show.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from daemon.bus import EventBus
from daemon.errors import BodyTooLarge, NotFound, StartRefused
from daemon.events import GateFaulted, PluginFailed, SendingHalted
from daemon.http.health import DaemonHealth, EventCounts
from daemon.http.server import serve_public
from daemon.http.streaming import iterate_events
from daemon.http.uploads import UploadStore
from daemon.http.version import VERSION
from tests.helpers.client.http import (
    DAYTIME,
    HttpClient,
    HttpServer,
    build_settings,
    create_ready_session,
    is_ready_line,
    open_http_server,
    read_lines_until,
)
from tests.helpers.services.database import open_database

pytestmark = pytest.mark.slow

PHONE = "+5491141234567"
SAMPLE = "Nombre;Teléfono;Origen;Consentimiento\nAna;+5491141234567;feria;sí\nX;nada;feria;no\n"


async def imported(api: HttpClient, text: str = SAMPLE) -> dict[str, Any]:
    """Bring a list in; return the last line that the import said."""
    upload = await api.call("POST", "/v1/uploads?filename=lista.csv", data=text.encode())
    order = {"upload": upload.document["upload"], "options": {}}
    preview = await api.call("POST", "/v1/imports/preview", json=order)
    order["plan"] = preview.document["plan"]
    said = await api.call("POST", "/v1/imports", json=order)
    last: dict[str, Any] = said.document[-1]
    return last


async def test_health_says_alive(server: HttpServer) -> None:
    """The public door answers that the process lives, without any right."""
    reply = await server.public.get("/health")
    assert (reply.status, reply.document["status"]) == (200, "alive")


async def test_health_is_the_running_release_s_while_the_package_is_exchanged(
    server: HttpServer,
) -> None:
    """During an upgrade no file says which release this is; the process lives on as it was."""
    before = sys.path[:]
    sys.path.clear()
    try:
        reply = await server.public.get("/health")
    finally:
        sys.path[:] = before
    assert reply.status == 200
    assert reply.document["version"] == VERSION


async def test_ready_is_200_when_everything_is_open(server: HttpServer) -> None:
    """With migrations, rules, outbox and sockets there is no blocker."""
    reply = await server.control.get("/ready")
    assert (reply.status, reply.document["blockers"]) == (200, [])
    assert reply.document == {"ready": True, "blockers": [], "warnings": [], "halt": None}


async def test_ready_names_what_is_missing(server: HttpServer) -> None:
    """Before the house is open, and while it closes, 503 and the reasons."""
    house, server.health.services = server.health.services, None
    starting = await server.control.get("/ready")
    server.health.services = house
    server.health.closing = True
    closing = await server.control.get("/ready")
    assert starting.status == closing.status == 503
    codes = [blocker["code"] for blocker in starting.document["blockers"]]
    assert codes == ["migrations", "rules", "outbox"]
    assert closing.document["blockers"][0]["code"] == "closing"


async def test_ready_names_what_hangs(server: HttpServer) -> None:
    """A late loop, an outbox that stands still and a missing socket block readiness."""
    vitals = server.health
    vitals.lag = lambda: 60.0
    server.services.evaluator.busy_since = server.services.outbox.last_active - 3600
    vitals.addresses.pop("control")
    blockers = (await server.control.get("/ready")).document["blockers"]
    assert {blocker["code"] for blocker in blockers} == {"loop", "outbox", "sockets"}
    assert {stall.code for stall in await vitals.find_stalls()} == {"loop", "outbox"}
    vitals.addresses["control"] = ""


async def test_a_closed_database_blocks_readiness(server: HttpServer) -> None:
    """A writer that refuses is named by its own code, and is no hang."""
    await server.services.database.close()
    blockers = (await server.control.get("/ready")).document["blockers"]
    assert [blocker["code"] for blocker in blockers] == ["closed"]
    assert await server.health.find_stalls() == []


async def test_a_halt_is_shown_and_blocks_nothing(server: HttpServer) -> None:
    """A person's order is no fault of the daemon."""
    await server.control.post("/v1/halt", reason="a drill")
    reply = await server.control.get("/ready")
    assert (reply.status, reply.document["halt"]["reason"]) == (200, "a drill")


async def test_metrics_tell_states_and_faults(server: HttpServer) -> None:
    """The figures are Prometheus' text, with queues, sessions, verdicts, writer and lag."""
    await server.control.post("/v1/sessions", name="ventas", channel="simulated")
    reply = await server.control.get("/metrics")
    assert reply.status == 200
    assert 'leadmaster_sessions{state="stopped"} 1.0' in reply.document
    for name in ("event_loop_lag_seconds", "halted 0.0", "writer_commits_total"):
        assert f"leadmaster_{name}" in reply.document


@pytest.mark.parametrize("path", ["/v1/status", "/ready", "/metrics", "/docs", "/v1/nowhere"])
async def test_the_public_door_asks_who_comes(server: HttpServer, path: str) -> None:
    """What needs a right is refused to strangers; they are not told what there is."""
    reply = await server.public.get(path)
    assert (reply.status, reply.document["code"]) == (401, "unauthorized")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "leads.example.org"])  # noqa: S104
async def test_a_wider_address_must_be_meant(short_folder: Path, host: str) -> None:
    """Nobody opens the daemon to a network by mistake; the refusal names the setting."""
    settings = build_settings(short_folder, host=host)
    with pytest.raises(StartRefused, match="other machines") as refused:
        async with serve_public(settings, DaemonHealth(lambda: 0.0)):
            pass
    assert "open_to_network" in refused.value.hint


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2"])
async def test_any_address_of_this_machine_will_do(short_folder: Path, host: str) -> None:
    """A loopback address is nobody else's, by number or by name."""
    vitals = DaemonHealth(lambda: 0.0)
    async with serve_public(build_settings(short_folder, host=host), vitals):
        assert vitals.addresses["http"].startswith("http://127.0.0.")


async def test_who_means_it_may_listen_wider(short_folder: Path) -> None:
    """With the setting a wide address is opened."""
    settings = build_settings(short_folder, host="0.0.0.0", open_to_network=True)  # noqa: S104
    async with serve_public(settings, DaemonHealth(lambda: 0.0)):
        pass


async def test_an_address_in_use_refuses_the_start(server: HttpServer, short_folder: Path) -> None:
    """A taken port is one sentence that names it."""
    port = int(server.health.addresses["http"].rpartition(":")[2])
    taken = build_settings(short_folder / "other")
    settings = type(taken)(daemon=type(taken.daemon)(port=port))
    with pytest.raises(StartRefused, match=f":{port} can't be opened"):
        async with serve_public(settings, DaemonHealth(lambda: 0.0)):
            pass


async def test_status_shows_the_whole_house(api: HttpClient) -> None:
    """One answer holds version, addresses, halt, queues and sessions."""
    found = (await api.get("/v1/status")).document
    assert found["addresses"].keys() == {"http", "control"}
    assert found["now"].startswith("2026-03-03T14:")
    assert found["blockers"] == []
    assert found["warnings"] == []


async def test_every_error_is_a_problem_with_a_request_id(api: HttpClient) -> None:
    """A refusal has code, detail, hint and the id that the log knows it by."""
    reply = await api.get("/v1/sessions/nobody")
    assert reply.status == 404
    assert reply.headers["Content-Type"].startswith("application/problem+json")
    assert reply.document.keys() >= {"code", "detail", "hint", "request_id", "status"}
    assert reply.headers["X-Request-Id"] == reply.document["request_id"]


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/v1/messages", {"to": 5, "text": "x"}, "to: must be a text"),
        ("/v1/messages", {"to": PHONE}, "text"),
        ("/v1/messages", {"to": PHONE, "text": "x", "txt": "y"}, "txt"),
        (
            "/v1/messages",
            {"to": PHONE, "text": "x", "not_before": "2026-03-03T10:00"},
            "not_before",
        ),
        ("/v1/halt", {"reason": ""}, "reason"),
        ("/v1/halt", {}, "reason"),
    ],
)
async def test_a_bad_body_is_400_and_names_the_field(
    api: HttpClient, path: str, body: dict[str, Any], named: str
) -> None:
    """Whoever sends a bad body learns which field it was."""
    reply = await api.post(path, **body)
    assert (reply.status, reply.document["code"]) == (400, "bad_request")
    assert named in reply.document["detail"]


async def test_what_is_no_json_is_400(api: HttpClient) -> None:
    """Broken JSON is the caller's fault and said so."""
    reply = await api.call("POST", "/v1/halt", data=b"{oops")
    assert (reply.status, reply.document["code"]) == (400, "bad_request")


@pytest.mark.parametrize("query", ["limit=0", "limit=9999", "limit=many", "state=flying", "x=1"])
async def test_a_bad_query_is_400(api: HttpClient, query: str) -> None:
    """Limits and words of a query are checked like a body."""
    reply = await api.get(f"/v1/messages?{query}")
    assert (reply.status, reply.document["code"]) == (400, "bad_request")


async def test_a_body_too_large_is_413(api: HttpClient) -> None:
    """Nobody fills the memory with one request."""
    reply = await api.call("POST", "/v1/halt", data=io.BytesIO(b" " * ((1 << 20) + 1)))
    assert (reply.status, reply.document["code"]) == (413, "body_too_large")


async def test_a_wrong_method_is_405(api: HttpClient) -> None:
    """The library's own refusals are problems too."""
    assert (await api.call("PUT", "/v1/halt")).document["code"] == "method_not_allowed"


async def test_a_fault_shows_no_internals(api: HttpClient, server: HttpServer) -> None:
    """An unexpected error is 500 with a request id; what broke stands in the log alone."""
    server.health.event_counts = None  # type: ignore[assignment]
    reply = await api.get("/metrics")
    assert (reply.status, reply.document["code"]) == (500, "internal")
    assert reply.document["request_id"] in reply.document["hint"]
    assert "Traceback" not in str(reply.document)
    assert "NoneType" not in str(reply.document)


async def test_a_closed_house_is_503(api: HttpClient, server: HttpServer) -> None:
    """While there is no house behind the door, the answer says to come back."""
    house, server.health.services = server.health.services, None
    reply = await api.get("/v1/status")
    server.health.services = house
    assert (reply.status, reply.document["code"]) == (503, "unavailable")


async def test_a_storage_error_keeps_its_code(api: HttpClient, server: HttpServer) -> None:
    """A closed database is 503 under its own code, not a 500."""
    await server.services.database.close()
    reply = await api.get("/v1/halt")
    assert (reply.status, reply.document["code"]) == (503, "closed")


async def test_halt_and_resume(api: HttpClient) -> None:
    """A halt names who, when and why; a resume without one is a conflict."""
    halted = (await api.post("/v1/halt", reason="too many answers")).document
    assert halted["who"]
    assert (await api.get("/v1/halt")).document["halt"]["reason"] == "too many answers"
    assert (await api.post("/v1/resume", reason="all is well")).status == 200
    again = await api.post("/v1/resume", reason="all is well")
    assert (again.status, again.document["code"]) == (409, "conflict")


async def test_a_session_from_made_to_deleted(api: HttpClient) -> None:
    """Create, start, see the code, stop, acknowledge nothing, log out, delete."""
    made = await api.post("/v1/sessions", name="ventas", channel="simulated")
    assert (made.status, made.document["state"]) == (201, "stopped")
    none = await api.get("/v1/sessions/ventas/qr")
    assert (none.status, "its pairing is: none" in none.document["detail"]) == (404, True)
    await api.post("/v1/sessions/ventas/start")
    pairing = "/v1/sessions/ventas/pairing"
    await read_lines_until(api, pairing, lambda line: line["type"] == "session.qr_shown")
    shown = await api.get("/v1/sessions/ventas/qr")
    assert shown.document.keys() >= {"code", "index", "maximum", "expires_at", "seconds_left"}
    assert shown.document["pairing"] == "issued"
    assert shown.headers["Cache-Control"] == "no-store"
    stopped = (await api.post("/v1/sessions/ventas/stop")).document
    assert (stopped["state"], stopped["pairing"]) == ("stopped", "cancelled")
    listed = (await api.get("/v1/sessions")).document["items"]
    assert [session["name"] for session in listed] == ["ventas"]
    assert (await api.call("DELETE", "/v1/sessions/ventas")).document == {"deleted": "ventas"}
    assert (await api.get("/v1/sessions/ventas")).status == 404


async def test_an_order_that_nobody_knows_is_404(api: HttpClient) -> None:
    """Only the orders of a session are routes."""
    assert (await api.post("/v1/sessions/ventas/explode")).status == 404


async def test_events_come_from_the_log_and_then_live_without_holes(api: HttpClient) -> None:
    """A tail from the beginning tells everything once, in order, and goes on."""
    await api.post("/v1/halt", reason="a drill")
    before = (await api.get("/v1/status")).document["seq"]

    async def resume() -> None:
        await api.post("/v1/resume", reason="over")

    path = "/v1/events?after=0"
    found = await read_lines_until(api, path, lambda line: line["seq"] == before + 1, resume)
    assert [line["seq"] for line in found] == list(range(1, before + 2))
    assert found[-1]["type"] == "sending.resumed"


async def test_events_without_a_place_begin_now_and_can_be_narrowed(api: HttpClient) -> None:
    """Without `after` only what happens next is told; `type` keeps to some of it."""
    await api.post("/v1/halt", reason="a drill")

    async def change() -> None:
        await api.post("/v1/resume", reason="over")
        await api.post("/v1/halt", reason="again")

    path = "/v1/events?type=sending.halted"
    found = await read_lines_until(api, path, lambda _line: True, change)
    assert found[0]["data"]["reason"] == "again"


@pytest.mark.parametrize("query", ["after=-1", "after=x", "type=no.such", "until=1"])
async def test_a_bad_tail_is_refused(api: HttpClient, query: str) -> None:
    """A stream that can't begin is an ordinary problem."""
    assert (await api.get(f"/v1/events?{query}")).status == 400


async def test_a_listener_who_falls_behind_is_told_where_to_go_on(tmp_path: Path) -> None:
    """A full queue ends the stream with the last number that was told."""
    bus = EventBus()
    subscription = bus.subscribe(limit=1)
    halted = SendingHalted("installation", DAYTIME, "ana", "a drill")
    for seq in (1, 2, 3):
        bus.publish(halted, seq)
    async with open_database(tmp_path) as database:
        told = [line async for line in iterate_events(database, subscription, 0)]
    assert [(line["type"], line["seq"]) for line in told] == [
        ("sending.halted", 1),
        ("stream.lagged", 1),
    ]


async def test_a_pairing_is_streamed_to_its_end(api: HttpClient) -> None:
    """State and code are told as they are, then each change, up to ready."""
    await api.post("/v1/sessions", name="ventas", channel="simulated")

    async def start() -> None:
        await api.post("/v1/sessions/ventas/start")

    found = await read_lines_until(api, "/v1/sessions/ventas/pairing", is_ready_line, start)
    states = [line["data"].get("state", line["type"]) for line in found]
    assert states == [
        "stopped",
        "starting",
        "awaiting_scan",
        "session.qr_shown",
        "pairing",
        "connecting",
        "syncing",
        "ready",
    ]


async def test_streams_end_when_the_doors_close(short_folder: Path) -> None:
    """A listener does not hold up the shutdown, and sees an orderly end."""
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(short_folder / "control.sock"))
            )
        )
        async with open_http_server(build_settings(short_folder)):
            response = await client.get("http://leadmaster/v1/events")
        async with asyncio.timeout(5):
            assert (await response.content.read()).strip() == b""


async def test_a_list_is_uploaded_previewed_imported_and_reported(api: HttpClient) -> None:
    """The whole way of a list, with its rejects, and nothing the second time."""
    upload = await api.call("POST", "/v1/uploads?filename=lista.csv", data=SAMPLE.encode())
    order = {"upload": upload.document["upload"], "options": {}}
    preview = (await api.call("POST", "/v1/imports/preview", json=order)).document
    assert (preview["total"], preview["mapping"]["phone"]) == (2, "Teléfono")
    done = await imported(api)
    report = done["report"]
    assert done["type"] == "finished"
    assert report["counts"]["accepted"] == 1
    assert (await api.get(f"/v1/imports/{report['id']}")).document["counts"] == report["counts"]
    rejects = (await api.get(f"/v1/imports/{report['id']}/rejects")).document["items"]
    assert [each["record"] for each in rejects] == [3]
    assert (await imported(api))["report"]["repeated"] is True


async def test_only_what_was_previewed_is_imported(api: HttpClient) -> None:
    """What can't be imported is refused at its preview, and what was not previewed is a 409."""
    upload = await api.call("POST", "/v1/uploads?filename=lista.csv", data=b"a;b\n1;2\n")
    order = {"upload": upload.document["upload"], "options": {}}
    refused = await api.call("POST", "/v1/imports/preview", json=order)
    assert refused.document["code"] == "import_rejected"
    assert (await api.call("POST", "/v1/imports", json=order)).status == 400
    stale = await api.call("POST", "/v1/imports", json={**order, "plan": "0" * 64})
    assert (stale.status, stale.document["code"]) == (409, "conflict")


@pytest.mark.parametrize("name", ["", "..", "%2F"])
async def test_an_upload_needs_a_name(api: HttpClient, name: str) -> None:
    """A name that names nothing, or another folder, is refused."""
    reply = await api.call("POST", f"/v1/uploads?filename={name}", data=b"x")
    assert reply.status == 400


async def test_an_upload_past_the_limit_leaves_nothing(tmp_path: Path) -> None:
    """A file that is too large is refused on the way, and what came is deleted."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 6
        yield b"x" * 6

    uploads = UploadStore(tmp_path, limit=10)
    with pytest.raises(BodyTooLarge, match="larger"):
        await uploads.save("lista.csv", chunks())
    assert list((tmp_path / "uploads").iterdir()) == []


async def test_uploads_are_forgotten_after_their_days(tmp_path: Path) -> None:
    """What is older than the moment goes; the rest stays."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"

    uploads = UploadStore(tmp_path)
    kept = await uploads.save("lista.csv", chunks())
    assert uploads.delete_older(DAYTIME - timedelta(days=9000)) == 0
    assert uploads.get_path(kept).read_bytes() == b"x"
    assert uploads.delete_older(datetime.now(UTC) + timedelta(days=1)) == 1
    with pytest.raises(NotFound):
        uploads.get_path(kept)


def test_faults_are_counted_by_what_failed() -> None:
    """Gate faults by reason, plugin failures by plugin, everything by type."""
    tally = EventCounts()
    tally.count(GateFaulted("msg_1", DAYTIME, "engines_disagree", "They disagree."))
    tally.count(PluginFailed("listener", DAYTIME, "hook", "It raised."))
    assert tally.gate_faults == {"engines_disagree": 1}
    assert tally.plugin_failures == {"listener": 1}
    assert tally.events == {"gate.faulted": 1, "plugin.failed": 1}


@pytest.mark.parametrize("upload", ["up_0123456789abcdef", "../../etc", "x"])
async def test_an_unknown_upload_is_404(api: HttpClient, upload: str) -> None:
    """An upload is found by its id alone, never by a path."""
    reply = await api.call("POST", "/v1/imports/preview", json={"upload": upload})
    assert reply.status == 404


async def test_prospects_are_found_shown_checked_and_validated(api: HttpClient) -> None:
    """A prospect by id or number: dossier, an operator's word, and a check."""
    await imported(api)
    found = (await api.get("/v1/prospects?text=ana")).document["items"]
    assert len(found) == 1
    dossier = (await api.get(f"/v1/prospects/{PHONE}")).document
    assert dossier["prospect"]["id"] == found[0]["id"]
    assert dossier["evidence"]
    word = {"validated": True, "reason": "I called them"}
    validated = await api.post(f"/v1/prospects/{found[0]['id']}/validate", **word)
    assert validated.document["validation"] == "validated"
    assert (await api.get("/v1/prospects?validation=validated")).document["items"]
    assert (await api.get("/v1/prospects?validation=maybe")).status == 400
    assert (await api.get("/v1/prospects/pro_none")).status == 404
    checked = await api.post(f"/v1/prospects/{PHONE}/check")
    assert checked.status in {200, 409, 503}  # without a ready session nobody can be asked


async def test_lists_come_in_pages(api: HttpClient) -> None:
    """`next` leads through a list and ends as null."""
    await imported(api, "phone\n" + "".join(f"+54911412345{n:02}\n" for n in range(5)))
    first = (await api.get("/v1/prospects?limit=3")).document
    second = (await api.get(f"/v1/prospects?limit=3&after={first['next']}")).document
    assert (len(first["items"]), len(second["items"]), second["next"]) == (3, 2, None)


async def test_suppressing_and_correcting(api: HttpClient) -> None:
    """An operator's suppression can be corrected, once; another form is the same person."""
    done = await api.post("/v1/suppressions", phone=PHONE, reason="asked on the phone")
    assert done.document["new"] >= 1
    assert (await api.get("/v1/suppressions")).document["items"][0]["reason"]
    lift = {"phone": "+541141234567", "reason": "wrong person"}
    assert (await api.post("/v1/suppressions/lift", **lift)).status == 200
    assert (await api.post("/v1/suppressions/lift", **lift)).status == 409
    assert (await api.post("/v1/suppressions", phone="no number", reason="because")).status == 422
    nobody = await api.post("/v1/suppressions", phone="con_nobody", reason="because")
    assert nobody.status == 404


async def test_the_rules_in_force_are_shown(api: HttpClient) -> None:
    """Both sets, by hash, engine and file."""
    found = (await api.get("/v1/rules")).document
    assert found["gate"]["files"][0].endswith("gate.yaml")
    assert len(found["score"]["hash"]) == 64


async def test_a_message_is_accepted_judged_explained_and_cancelled(api: HttpClient) -> None:
    """202 with an id; a verdict when asked for; the whole story; one key is one message."""
    await create_ready_session(api)
    await imported(api)
    order = {"to": PHONE, "text": "Hola Ana"}
    key = {"Idempotency-Key": "k1"}
    first = await api.call("POST", "/v1/messages?wait=verdict", json=order, headers=key)
    assert first.status == 202
    assert first.document["state"] != "queued"
    again = await api.call("POST", "/v1/messages", json=order, headers=key)
    assert again.document["id"] == first.document["id"]
    other = await api.call("POST", "/v1/messages", json={**order, "text": "x"}, headers=key)
    assert (other.status, other.document["code"]) == (409, "idempotency_conflict")
    identity = first.document["id"]
    story = (await api.get(f"/v1/messages/{identity}")).document
    assert story["history"][0]["state"] == "queued"
    decision = (await api.get(f"/v1/messages/{identity}/explain")).document
    assert (await api.get(f"/v1/decisions/{decision['id']}")).document == decision
    assert (await api.get("/v1/messages?limit=1")).document["items"][0]["id"] == identity
    settled = await api.post(f"/v1/messages/{identity}/settle", state="failed", reason="checked")
    assert settled.status == 409
    assert (await api.get("/v1/messages/msg_none")).status == 404
    assert (await api.get("/v1/decisions/dec_none")).status == 404


async def test_a_waiting_message_can_be_cancelled(api: HttpClient) -> None:
    """What has not left is cancelled with a reason; twice is a conflict."""
    await api.post("/v1/sessions", name="ventas", channel="simulated")
    await imported(api, "phone;permission\n+5491141234567;relación previa\n")
    order = {"to": PHONE, "text": "Hola Ana"}
    message = (await api.call("POST", "/v1/messages?wait=verdict", json=order)).document
    assert message["state"] == "deferred"
    path = f"/v1/messages/{message['id']}/cancel"
    cancelled = await api.post(path, reason="changed my mind")
    assert cancelled.document["state"] == "cancelled"
    assert (await api.post(path, reason="changed my mind")).status == 409
    found = (await api.get("/v1/messages?state=cancelled,held")).document["items"]
    assert [each["id"] for each in found] == [message["id"]]
    unjudged = (await api.get("/v1/messages/msg_none/explain")).status
    assert unjudged == 404


async def test_review_and_manual_refuse_what_is_not_there(api: HttpClient) -> None:
    """Empty lists are lists; an unknown message is 404 at every step."""
    assert (await api.get("/v1/review")).document["items"] == []
    assert (await api.get("/v1/manual")).document["items"] == []
    because = {"reason": "because of that"}
    for path, body in (
        ("review/msg_x/approve", because),
        ("review/msg_x/reject", because),
        ("manual/msg_x/take", {}),
        ("manual/msg_x/reveal", {}),
        ("manual/msg_x/confirm", {}),
        ("manual/msg_x/cancel", because),
        ("manual/msg_x/return", {}),
    ):
        assert (await api.post(f"/v1/{path}", **body)).status == 404, path
