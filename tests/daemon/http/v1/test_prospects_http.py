"""Prospects by hand over HTTP: entered, put right, exported; and what is refused."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from tests.helpers.client.http import HttpClient, HttpServer

PHONE = "+5491141234567"
OTHER = "+5491141234568"
NEW = {"phone": PHONE, "cartera_origen": "feria", "name": "Ana Paz"}


async def entered(api: HttpClient, **more: str) -> dict[str, Any]:
    """Enter a prospect; return it."""
    reply = await api.post("/v1/prospects", **{**NEW, **more})
    assert reply.status == 201, reply.document
    found: dict[str, Any] = reply.document
    return found


async def test_a_prospect_is_entered_with_its_permission(api: HttpClient) -> None:
    """What a person says of permission is evidence, with who said it and where it is from."""
    made = await entered(api, permission="relationship", statement="a customer since 2020")
    assert (made["permission"], made["validation"]) == ("relationship", "unchecked")
    assert made["score_contactabilidad"] == 30
    (piece,) = (await api.get(f"/v1/prospects/{made['id']}")).document["evidence"]
    assert (piece["value"], piece["quote"]) == ("relationship", "a customer since 2020")
    assert piece["source"].endswith("from feria")


async def test_a_refusal_is_entered_as_one(api: HttpClient) -> None:
    """Whoever said no is kept as such."""
    assert (await entered(api, permission="refused"))["permission"] == "refused"


async def test_one_person_is_one_prospect(api: HttpClient) -> None:
    """Another form of the number is the same person: 409 names the one who is there."""
    made = await entered(api)
    again = await api.post("/v1/prospects", phone="+54 11 4123-4567", cartera_origen="web")
    assert (again.status, again.document["code"]) == (409, "conflict")
    assert made["id"] in again.document["detail"]


async def test_a_number_is_found_as_people_write_it(api: HttpClient) -> None:
    """As it is dialled in its town and from elsewhere, with the 9 or without, whole or its end."""
    await entered(api)
    await entered(api, phone="+541143219876", name="Beto")
    for text, name in {
        **dict.fromkeys(("11 4123-4567", "+54 9 11 4123-4567", "+54 11 4123 4567"), "Ana Paz"),
        **dict.fromkeys(("011 15 4123-4567", "15 4123-4567", "(011) 4123.4567"), "Ana Paz"),
        **dict.fromkeys(("5491141234567", "4567", "wa.me/5491141234567"), "Ana Paz"),
        **dict.fromkeys(("011 4321-9876", "+54 11 4321 9876"), "Beto"),
        **dict.fromkeys(("11 4123-4568", "15", "011 15 4123-9999")),
    }.items():
        for path in ("/v1/prospects", "/v1/exports/prospects.csv"):
            reply = await api.call("GET", path, params={"text": text})
            found = reply.document
            listed = (
                [row["name"] for row in csv.DictReader(io.StringIO(found))]
                if isinstance(found, str)
                else [each["name"] for each in found["items"]]
            )
            assert listed == ([name] if name else []), (path, text)


@pytest.mark.parametrize(
    ("wrong", "status", "word"),
    [
        ({"phone": "nobody"}, 422, "phone"),
        ({"permission": "opted_in"}, 400, "statement"),
        ({"permission": "conversation"}, 400, "permission"),
        ({"cartera_origen": ""}, 400, "cartera_origen"),
    ],
)
async def test_what_can_not_be_entered(
    api: HttpClient, wrong: dict[str, str], status: int, word: str
) -> None:
    """A number that is none, an opt-in that nobody can explain, a prospect from nowhere."""
    reply = await api.post("/v1/prospects", **{**NEW, **wrong})
    assert (reply.status, word in reply.document["detail"]) == (status, True)


async def test_texts_are_put_right_one_by_one(api: HttpClient, server: HttpServer) -> None:
    """What is not named stays; the audit has who and why, but none of the words."""
    made = await entered(api, trade="plumber")
    fixed = await api.call(
        "PATCH", f"/v1/prospects/{made['id']}", json={"name": "Ana Díaz", "reason": "misspelt"}
    )
    assert (fixed.document["name"], fixed.document["trade"]) == ("Ana Díaz", "plumber")
    line = (await api.get(f"/v1/audit?subject={made['id']}")).document["items"][0]["entry"]
    assert (line["action"], line["reason"]) == ("correct_prospect", "misspelt")
    assert line["detail"] == {"set": ["name"]}
    nothing = await api.call("PATCH", f"/v1/prospects/{made['id']}", json={"reason": "none at all"})
    assert nothing.status == 400
    assert server.services.prospects is server.services.prospects


async def test_another_spelling_keeps_what_is_known(api: HttpClient) -> None:
    """The same line in its mobile form is still the same person, validated or not."""
    made = await entered(api, phone="+541141234567")
    word = {"validated": True, "reason": "I called them"}
    await api.post(f"/v1/prospects/{made['id']}/validate", **word)
    fixed = await renumbered(api, made["id"], PHONE)
    assert (fixed["phone"], fixed["validation"]) == (PHONE, "validated")


async def test_another_line_begins_anew(api: HttpClient) -> None:
    """A check of the wrong number says nothing of the right one; the permission goes along."""
    made = await entered(api, permission="relationship")
    word = {"validated": True, "reason": "I called them"}
    await api.post(f"/v1/prospects/{made['id']}/validate", **word)
    fixed = await renumbered(api, made["id"], OTHER)
    assert (fixed["phone"], fixed["validation"]) == (OTHER, "unchecked")
    assert (fixed["on_whatsapp"], fixed["permission"]) == ("unknown", "relationship")
    assert fixed["validado_tecnicamente"] is None


async def renumbered(api: HttpClient, prospect: str, phone: str) -> dict[str, Any]:
    """Put a number right; return the prospect."""
    body = {"phone": phone, "reason": "misread"}
    reply = await api.call("PATCH", f"/v1/prospects/{prospect}", json=body)
    assert reply.status == 200, reply.document
    found: dict[str, Any] = reply.document
    return found


async def test_what_waits_for_the_wrong_number_is_cancelled(api: HttpClient) -> None:
    """Nothing goes to a stranger once it is known that they are one."""
    made = await entered(api, permission="relationship")
    await api.post("/v1/sessions", name="ventas", channel="simulated")
    order = {"to": PHONE, "text": "Hola Ana"}
    message = (await api.call("POST", "/v1/messages?wait=verdict", json=order)).document
    assert message["state"] == "deferred"
    await renumbered(api, made["id"], OTHER)
    story = (await api.get(f"/v1/messages/{message['id']}")).document["message"]
    assert (story["state"], story["reason_code"]) == ("cancelled", "number_corrected")


async def test_a_new_number_is_no_way_out_of_an_opt_out(api: HttpClient) -> None:
    """Whoever is suppressed stays so, whatever number is written down."""
    made = await entered(api)
    await api.post("/v1/suppressions", phone=PHONE, reason="asked on the phone")
    body = {"phone": OTHER, "reason": "misread"}
    reply = await api.call("PATCH", f"/v1/prospects/{made['id']}", json=body)
    assert (reply.status, "opted out" in reply.document["detail"]) == (409, True)


async def test_a_number_that_somebody_has_is_not_given_twice(api: HttpClient) -> None:
    """The right number may be another prospect's: then there are two, and a person decides."""
    made = await entered(api)
    await entered(api, phone=OTHER)
    body = {"phone": OTHER, "reason": "misread"}
    reply = await api.call("PATCH", f"/v1/prospects/{made['id']}", json=body)
    assert reply.status == 409
    gone = await api.call("PATCH", "/v1/prospects/pro_none", json=body)
    assert gone.status == 404


async def test_an_export_is_csv_that_runs_nothing(api: HttpClient) -> None:
    """Every prospect, with the words of the vocabulary; a formula is text."""
    await entered(api, name="=HYPERLINK(1)", notes="two\nlines")
    await entered(api, phone=OTHER)
    reply = await api.get("/v1/exports/prospects.csv")
    assert reply.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(reply.document)))
    assert [row["phone"] for row in rows] == [PHONE, OTHER]
    assert (rows[0]["name"], rows[0]["notes"]) == ("'=HYPERLINK(1)", "two\nlines")
    none = await api.get("/v1/exports/prospects.csv?validation=validated")
    assert none.document.count("\n") == 1


async def test_the_suppressed_are_exported(api: HttpClient) -> None:
    """The list goes out as it would come in again."""
    await api.post("/v1/suppressions", phone=PHONE, reason="asked on the phone")
    rows = list(
        csv.DictReader(io.StringIO((await api.get("/v1/exports/suppressions.csv")).document))
    )
    assert {row["source"] for row in rows} == {"operator"}
