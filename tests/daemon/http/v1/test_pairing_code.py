"""`/v1/sessions/{name}/pairing-code` and `linking-answers`: what comes before a phone is linked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.helpers.client.http import HttpClient, HttpServer, read_lines_until
from tests.helpers.transport import write_session_script

PATH = "/v1/sessions/ventas/pairing-code"
NUMBER = "+5491155550001"


async def add_session(api: HttpClient, folder: Path, **script: Any) -> None:  # noqa: ANN401
    """Add a simulated session whose phone does what the script says."""
    write_session_script(folder, "ventas", {"step": 0.02, **script})
    made = await api.post("/v1/sessions", name="ventas", channel="simulated")
    assert made.status == 201


async def test_a_code_is_given_with_its_time_and_its_steps(
    api: HttpClient, short_folder: Path
) -> None:
    """The session is started for it; no cache keeps the answer, and the QR is not shown."""
    await add_session(api, short_folder, scan_after=None)
    assert (await api.get(PATH)).status == 404
    given = await api.post(PATH, phone="+54 9 11 5555-0001")
    assert (given.status, given.headers["Cache-Control"]) == (201, "no-store")
    code = given.document
    assert re.fullmatch("[1-9A-HJ-NP-TV-Z]{4}-[1-9A-HJ-NP-TV-Z]{4}", code["code"])
    assert 150 < code["seconds_left"] <= 160
    assert code["steps"][-1] == "Type the code."
    again = await api.get(PATH)
    assert (again.status, again.document["code"]) == (200, code["code"])
    assert again.headers["Cache-Control"] == "no-store"
    assert (await api.get("/v1/sessions/ventas/qr")).status == 404
    session = (await api.get("/v1/sessions/ventas")).document
    assert (session["state"], session["pairing_method"]) == ("awaiting_scan", "code")
    assert session["user_action"] == "enter_code"
    lines = await read_lines_until(
        api,
        "/v1/sessions/ventas/pairing",
        lambda line: line["type"] == "session.pairing_code_shown",
    )
    assert lines[-1]["data"]["code"] == code["code"]


async def test_the_number_that_was_given_is_linked(api: HttpClient, short_folder: Path) -> None:
    """As people write it."""
    await add_session(api, short_folder, scan_after=0.2)
    await api.post(PATH, phone="+54 9 11 5555-0001")
    lines = await read_lines_until(
        api, "/v1/sessions/ventas/pairing", lambda line: line["data"].get("state") == "ready"
    )
    assert lines
    assert (await api.get("/v1/sessions/ventas")).document["phone"] == NUMBER
    refused = await api.post(PATH, phone=NUMBER)
    assert (refused.status, "already" in refused.document["detail"]) == (409, True)


async def test_what_can_not_be_linked_is_told(api: HttpClient, short_folder: Path) -> None:
    """A text that is no number, a number that gets no code, and a name that no session has."""
    await add_session(api, short_folder, pairing="no_code")
    wrong = await api.post(PATH, phone="nobody")
    assert (wrong.status, "can't be used" in wrong.document["detail"]) == (400, True)
    assert (await api.get("/v1/sessions/ventas")).document["state"] == "stopped"
    none = await api.post(PATH, phone=NUMBER)
    assert (none.status, "gave no code" in none.document["detail"]) == (503, True)
    assert (await api.post("/v1/sessions/nobody/pairing-code", phone=NUMBER)).status == 404


async def test_code_and_number_are_in_no_event_no_audit_and_no_view(
    api: HttpClient, server: HttpServer, short_folder: Path
) -> None:
    """They pass, and nothing keeps them."""
    await add_session(api, short_folder, scan_after=None)
    code = (await api.post(PATH, phone=NUMBER)).document["code"]
    audit = (await api.get("/v1/audit")).document["items"]
    assert "session_pairing_code_requested" in str(audit)
    history = (await api.get("/v1/sessions/ventas/history")).document
    session = (await api.get("/v1/sessions/ventas")).document
    events = await server.services.database.read(
        lambda reader: [tuple(row) for row in reader.all("SELECT * FROM events")]
    )
    kept = str([audit, history, session, events])
    assert code not in kept
    assert NUMBER not in kept


async def test_answers_about_a_number_are_stored_with_who_gave_them(api: HttpClient) -> None:
    """Newest first; a word or a day that can't be is refused."""
    await api.post("/v1/sessions", name="ventas", channel="simulated")
    path = "/v1/sessions/ventas/linking-answers"
    assert (await api.get(path)).document["items"] == []
    given = await api.post(path, number_age="under_a_month", banned="yes", banned_on="2026-01-05")
    assert given.status == 201
    assert given.document["who"]
    (kept,) = (await api.get(path)).document["items"]
    assert kept == given.document
    assert (kept["number_age"], kept["banned"]) == ("under_a_month", "yes")
    assert kept["banned_on"] == "2026-01-05"
    for wrong in (
        {"number_age": "old", "banned": "no"},
        {"number_age": "longer"},
        {"number_age": "longer", "banned": "no", "banned_on": "2026-01-05"},
        {"number_age": "longer", "banned": "yes", "banned_on": "2999-01-05"},
        {"number_age": "longer", "banned": "yes", "banned_on": "yesterday"},
    ):
        assert (await api.post(path, **wrong)).status == 400
    assert (await api.get("/v1/sessions/nobody/linking-answers")).status == 404
    assert len((await api.get(path)).document["items"]) == 1
