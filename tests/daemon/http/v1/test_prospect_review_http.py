"""Prospects that wait for a person's word on themselves, through the doors."""

from __future__ import annotations

from storage import contacts
from tests.helpers.client.http import DAYTIME, HttpClient, HttpServer

PHONE = "+5491141234567"
LOOK = "They may be asking us to stop; a person should read the message."


async def waiting(api: HttpClient, doors: HttpServer) -> str:
    """Return a prospect whose words a person should read."""
    entry = {"phone": PHONE, "cartera_origen": "feria", "permission": "relationship"}
    made = (await api.post("/v1/prospects", **entry)).document
    await doors.services.database.write(
        lambda tx: contacts.request_contact_review(tx, made["contact"], LOOK, DAYTIME)
    )
    return str(made["id"])


async def test_a_waiting_prospect_is_listed_and_approved(
    api: HttpClient, server: HttpServer
) -> None:
    """With why and since when; the answer says who, why and until when, and the audit keeps it."""
    prospect = await waiting(api, server)
    (listed,) = (await api.get("/v1/review/prospects")).document["items"]
    assert (listed["prospect"]["id"], listed["sentence"]) == (prospect, LOOK)
    path = f"/v1/review/prospects/{prospect}"
    said = (await api.post(f"{path}/approve", reason="she only jokes")).document
    assert (said["outcome"], said["reason"]) == ("approved", "she only jokes")
    assert said["expires_at"] > said["at"]
    assert (await api.get("/v1/review/prospects")).document["items"] == []
    (entry,) = (await api.get("/v1/audit?action=approve_prospect")).document["items"]
    assert entry["entry"]["subject"] == prospect


async def test_a_rejection_has_no_end(api: HttpClient, server: HttpServer) -> None:
    """It holds until another word."""
    path = f"/v1/review/prospects/{await waiting(api, server)}"
    prospect = path.rpartition("/")[2]
    before = (await api.get(f"/v1/prospects/{prospect}")).document
    assert (before["review"], before["reviewed"]) == ("waiting", None)
    said = (await api.post(f"{path}/reject", reason="a competitor")).document
    after = (await api.get(f"/v1/prospects/{prospect}")).document
    assert (after["review"], after["reviewed"]["reason"]) == ("rejected", "a competitor")
    assert (said["outcome"], said["expires_at"]) == ("rejected", None)
    assert (await api.get("/v1/review/prospects")).document["items"] == []


async def test_a_word_without_reason_or_prospect_is_refused(
    api: HttpClient, server: HttpServer
) -> None:
    """400 and 404, and the prospect waits on."""
    prospect = await waiting(api, server)
    assert (await api.post(f"/v1/review/prospects/{prospect}/reject")).status == 400
    gone = await api.post("/v1/review/prospects/pro_0/approve", reason="why not")
    assert (gone.status, gone.document["code"]) == (404, "not_found")
    assert len((await api.get("/v1/review/prospects")).document["items"]) == 1
