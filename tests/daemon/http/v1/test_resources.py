"""Resources that are read: decisions, inbound, audit, stats, review, pairing, suppressions."""

from __future__ import annotations

import pytest

from storage import contacts, inbound
from storage.inbound import InboundRecord
from storage.tx import Tx
from tests.helpers.client.http import (
    DAYTIME,
    HELD_PHONE,
    HttpClient,
    HttpServer,
    hold_message,
    read_lines_until,
)


async def test_decisions_are_searched(api: HttpClient) -> None:
    """By message, verdict, phase and rule set; a word that is no verdict is named."""
    message = await hold_message(api)
    for query, count in (
        (f"message={message['id']}", 1),
        ("verdict=review&phase=enqueue", 1),
        ("verdict=block", 0),
        ("phase=release", 0),
        ("ruleset=0000", 0),
    ):
        found = (await api.get(f"/v1/decisions?{query}")).document["items"]
        assert len(found) == count, query
    (decision,) = (await api.get("/v1/decisions")).document["items"]
    begins = decision["ruleset"][:12]
    assert (await api.get(f"/v1/decisions?ruleset={begins}")).document["items"] == [decision]
    assert (await api.get("/v1/decisions?verdict=maybe")).status == 400


async def test_a_review_is_taken_by_one(api: HttpClient, server: HttpServer) -> None:
    """While another person looks at it nobody else decides; given back, or taken again, it is."""
    message, review = await hold_message(api), server.services.review
    path = f"/v1/review/{message['id']}"
    await review.take(message["id"], "eva")
    (waiting,) = (await api.get("/v1/review")).document["items"]
    assert (waiting["taken_by"], waiting["state"]) == ("eva", "held")
    for word, body in (("take", {}), ("return", {}), ("approve", {"reason": "I know them"})):
        refused = await api.post(f"{path}/{word}", **body)
        assert (refused.status, "eva" in refused.document["detail"]) == (409, True)
    await review.take(message["id"], "eva")
    await review.return_message(message["id"], "eva")
    assert (await api.post(f"{path}/take")).document["taken_by"]
    assert (await api.post(f"{path}/return")).document["taken_by"] is None
    assert (await api.post(f"{path}/take")).status == 200
    approved = await api.post(f"{path}/approve", reason="I know them")
    assert (approved.status, approved.document["taken_by"]) == (200, None)


async def test_what_came_in_is_listed(api: HttpClient, server: HttpServer) -> None:
    """By contact, session and request, newest first; what we typed ourselves is not among it."""
    await api.post("/v1/sessions", name="ventas", channel="simulated")
    aliases = server.services.aliases

    def write(tx: Tx) -> None:
        contact = contacts.resolve_contact(tx, aliases.from_phone(HELD_PHONE), DAYTIME)
        for number, (request, own) in enumerate(
            (("none", False), ("opt_out", False), ("none", True))
        ):
            record = InboundRecord(
                id=f"inb_{number}",
                session="ventas",
                wire_id=str(number),
                contact=contact,
                at=DAYTIME,
                received_at=DAYTIME,
                text="" if own else "hola",
                request=request,
                own=own,
            )
            inbound.insert_inbound(tx, record)

    await server.services.database.write(write)
    found = (await api.get("/v1/inbound?session=ventas&limit=1")).document
    assert ([each["id"] for each in found["items"]], found["next"]) == (["inb_1"], "inb_1")
    older = (await api.get("/v1/inbound?after=inb_1")).document
    assert ([each["id"] for each in older["items"]], older["next"]) == (["inb_0"], None)
    requests = (await api.get("/v1/inbound?request=opt_out")).document["items"]
    assert [each["request"] for each in requests] == ["opt_out"]
    assert (await api.get("/v1/inbound?request=coffee")).status == 400


async def test_the_audit_is_read_page_by_page(api: HttpClient) -> None:
    """Newest first; filtered by who, what and about whom; the cursor is an entry's number."""
    await api.post("/v1/halt", reason="a drill")
    await api.post("/v1/resume", reason="it is over")
    first = (await api.get("/v1/audit?limit=1")).document
    second = (await api.get(f"/v1/audit?limit=1&after={first['next']}")).document
    actions = [page["items"][0]["entry"]["action"] for page in (first, second)]
    assert actions == ["resume", "halt"]
    assert (await api.get("/v1/audit?who=nobody")).document["items"] == []
    assert (await api.get("/v1/audit?action=halt")).document["items"][0]["entry"]["who"]
    assert (await api.get("/v1/audit?after=0")).status == 400
    assert (await api.get("/v1/audit?after=null")).status == 400


async def test_stats_count_what_there_is(api: HttpClient) -> None:
    """How far messages came since a moment, and what stands where."""
    await hold_message(api)
    found = (await api.get("/v1/stats")).document
    assert found["funnel"]["asked"] == found["messages"]["held"] == 1
    assert found["decisions"] == {"review": 1}
    assert found["prospects"] == {"validated": 1}
    assert found["for_review"]["count"] == 1
    for number in ("4", "-1.5", "1e9"):
        refused = await api.get(f"/v1/stats?since={number}")
        said = "since: is not a date and time; write it like 2026-03-02T14:00:00Z."
        assert (refused.status, refused.document["detail"]) == (400, said)
    later = (await api.get("/v1/stats?since=2026-04-01T00:00:00Z")).document
    assert later["funnel"]["asked"] == 0


@pytest.mark.parametrize(
    ("form", "media", "begins"),
    [
        ("json", "application/json", "{"),
        ("svg", "image/svg+xml", "<?xml"),
        ("text", "text/plain", ""),
    ],
)
async def test_a_pairing_code_comes_as_data_or_drawn(
    api: HttpClient, form: str, media: str, begins: str
) -> None:
    """A program, a page and a terminal each get what they can show; no cache keeps it."""
    await show_pairing_code(api)
    async with api.session.get(f"{api.base}/v1/sessions/ventas/qr?as={form}") as reply:
        assert (reply.status, reply.content_type) == (200, media)
        assert reply.headers["Cache-Control"] == "no-store"
        assert (await reply.text()).startswith(begins)


async def test_a_pairing_code_is_a_picture(api: HttpClient) -> None:
    """PNG, for chat tools that show pictures."""
    await show_pairing_code(api)
    async with api.session.get(f"{api.base}/v1/sessions/ventas/qr?as=png") as reply:
        assert (await reply.read()).startswith(b"\x89PNG")
    assert (await api.get("/v1/sessions/ventas/qr?as=gif")).status == 400


async def show_pairing_code(api: HttpClient) -> None:
    """Wait until a session shows a code; its phone scans late."""
    options = {"seed": 1, "scan_after": 600}
    await api.post("/v1/sessions", name="ventas", channel="simulated", options=options)
    await api.post("/v1/sessions/ventas/start")
    await read_lines_until(
        api, "/v1/sessions/ventas/pairing", lambda line: line["type"] == "session.qr_shown"
    )


async def test_a_session_tells_its_moves_and_is_deleted_twice(api: HttpClient) -> None:
    """History by region; a second delete changes nothing."""
    await api.post("/v1/sessions", name="ventas", channel="simulated")
    await api.post("/v1/sessions/ventas/start")
    moves = (await api.get("/v1/sessions/ventas/history")).document["items"]
    assert ("stopped", "starting") in [(move["previous"], move["state"]) for move in moves]
    for _ in range(2):
        assert (await api.call("DELETE", "/v1/sessions/ventas")).document == {"deleted": "ventas"}
    assert (await api.get("/v1/sessions/ventas/history")).status == 404


async def test_a_list_is_suppressed(api: HttpClient) -> None:
    """An upload with numbers; what is none is named by its record, and the rest goes in."""
    content = "número\n11 4123-4567\nnadie\n".encode("cp1252")
    upload = await api.call("POST", "/v1/uploads?filename=lista.csv", data=content)
    order = {"upload": upload.document["upload"], "reason": "a register"}
    done = (await api.post("/v1/suppressions/import", **order)).document
    assert (done["added"], done["already"], done["rejected"][0]["record"]) == (1, 0, 3)
    check = (await api.get("/v1/suppressions/check?phone=%2B5491141234567")).document
    assert check["suppressed"]
    assert check["records"][0]["source"] == "import"
    assert not (await api.get("/v1/suppressions/check?phone=1155559999")).document["suppressed"]


async def test_what_a_client_has_is_not_sent_again(api: HttpClient) -> None:
    """An ETag that still holds is 304 with nothing; a change makes a new one."""
    first = await api.get("/v1/prospects")
    tag = {"If-None-Match": first.headers["ETag"]}
    again = await api.call("GET", "/v1/prospects", headers=tag)
    assert (again.status, again.document, again.headers["ETag"]) == (304, "", tag["If-None-Match"])
    await api.post("/v1/prospects", phone=HELD_PHONE, cartera_origen="feria")
    assert (await api.call("GET", "/v1/prospects", headers=tag)).status == 200


async def test_large_answers_are_compressed_for_who_can(server: HttpServer) -> None:
    """A long list is small on its way by TCP; a short answer, and a page, stay as they are."""
    made = await server.control.post("/v1/users", name="ana", role="admin")
    assert made.status == 201
    order = {"name": "crm", "user": "ana", "scopes": ["sessions:read"]}
    token = (await server.control.post("/v1/tokens", **order)).document["token"]
    headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "gzip"}
    session, base = server.public.session, server.public.base
    async with session.get(f"{base}/openapi.json", headers=headers) as reply:
        whole = int(reply.headers["Content-Length"])
        assert (reply.headers["Content-Encoding"], reply.headers["Vary"]) == (
            "gzip",
            "Accept-Encoding",
        )
        assert whole < len(await reply.read()) / 5
    async with session.get(f"{base}/v1/sessions", headers=headers) as reply:
        assert "Content-Encoding" not in reply.headers
