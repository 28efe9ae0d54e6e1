"""Consent and statements on numbers over HTTP: recorded, refused with a reason, withdrawn."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from storage import contacts, evidence
from storage.evidence import EvidenceKind
from storage.tx import Tx
from tests.helpers.client.http import HttpClient, HttpServer, hold_message

PHONE = "+5491141234567"
CONSENT = {"how": "call", "when": "2026-03-01", "heard_by": "Marta", "words": "sí, escribime"}


async def enter_prospect(api: HttpClient, permission: str = "public_source") -> dict[str, Any]:
    """Enter a prospect; return it."""
    reply = await api.post(
        "/v1/prospects", phone=PHONE, cartera_origen="feria", permission=permission
    )
    assert reply.status == 201, reply.document
    found: dict[str, Any] = reply.document
    return found


async def test_a_consent_is_recorded_by_number_and_withdrawn_by_its_record(
    api: HttpClient,
) -> None:
    """The answer has the prospect as it is then, and the record that can be withdrawn."""
    made = await enter_prospect(api)
    recorded = await api.post(f"/v1/prospects/{PHONE}/consent", **CONSENT)
    assert (recorded.status, recorded.document["prospect"]["permission"]) == (201, "opted_in")
    detail = (await api.get(f"/v1/prospects/{made['id']}")).document
    piece = next(e for e in detail["evidence"] if e["id"] == recorded.document["record"])
    assert (piece["kind"], piece["value"], piece["quote"]) == ("consent", "call", "sí, escribime")
    assert piece["at"].startswith("2026-03-01T03:00:00")  # midnight in Buenos Aires
    path = f"/v1/prospects/{made['id']}/evidence/{piece['id']}/withdraw"
    withdrawn = await api.post(path, reason="another Ana")
    assert withdrawn.status == 200
    assert withdrawn.document["prospect"]["permission"] == "public_source"
    assert (await api.post(path, reason="another Ana")).status == 409


async def test_a_held_message_is_reevaluated(api: HttpClient) -> None:
    """A customer's first message was held; what she agreed to lets it go."""
    held = await hold_message(api)
    recorded = await api.post(f"/v1/prospects/{PHONE}/consent", **CONSENT)
    assert recorded.document["reevaluated"] == 1
    history = (await api.get(f"/v1/messages/{held['id']}")).document["history"]
    assert "consent_recorded" in [each["reason_code"] for each in history]


async def test_no_consent_over_a_no(api: HttpClient) -> None:
    """The answer says when they said no, and what opens it again."""
    await enter_prospect(api, permission="refused")
    refused = await api.post(f"/v1/prospects/{PHONE}/consent", **CONSENT)
    assert (refused.status, refused.code) == (409, "conflict")
    assert refused.document["detail"].startswith("They said no on 2026-03-03")


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"how": "telepathy"}, "how"),
        ({"when": "tomorrow"}, "when"),
        ({"when": "2026-03-04"}, "still to come"),
        ({"heard_by": ""}, "heard_by"),
        ({"words": ""}, "words"),
    ],
)
async def test_what_can_not_be_recorded(api: HttpClient, wrong: dict[str, str], word: str) -> None:
    """An unknown way, a moment that can't be, nobody who heard it, nothing that was said."""
    await enter_prospect(api)
    reply = await api.post(f"/v1/prospects/{PHONE}/consent", **{**CONSENT, **wrong})
    assert (reply.status, word in reply.document["detail"]) == (400, True)


async def test_a_given_number_is_validated_and_can_be_withdrawn(api: HttpClient) -> None:
    """Where and how stand in the evidence; the withdrawal leaves the number unchecked."""
    await enter_prospect(api)
    given = await api.post(
        f"/v1/prospects/{PHONE}/given-as-whatsapp", where="fair", how="the form's field"
    )
    assert (given.status, given.document["prospect"]["validation"]) == (201, "validated")
    path = f"/v1/prospects/{PHONE}/evidence/{given.document['record']}/withdraw"
    withdrawn = (await api.post(path, reason="misread")).document["prospect"]
    assert (withdrawn["validation"], withdrawn["on_whatsapp"]) == ("unchecked", "unknown")


@pytest.mark.parametrize("record", ["x", "0", "9" * 30, "-1"])
async def test_a_record_that_is_none_is_not_found(api: HttpClient, record: str) -> None:
    """Words, and numbers that no database counts to, are no records."""
    await enter_prospect(api)
    reply = await api.post(f"/v1/prospects/{PHONE}/evidence/{record}/withdraw", reason="wrong")
    assert reply.status == 404


async def test_a_conversation_ends_in_every_answer_without_anything_coming_in(
    server: HttpServer,
) -> None:
    """What was stored while they talked is shown as it is now: list, filter, export and detail."""
    api, services = server.control, server.services
    made = await enter_prospect(api)
    spoke_at = services.clock.now() - timedelta(hours=30)

    def hear(tx: Tx) -> None:
        contact = made["contact"]
        evidence.insert_evidence(
            tx, contact, EvidenceKind.INBOUND, "interested", at=spoke_at, source="test"
        )
        services.scoring.refresh_prospect(
            tx, contact, spoke_at, reason_code="test", sentence="They wrote."
        )

    await services.database.write(hear)
    listed = (await api.get("/v1/prospects")).document["items"]
    detail = (await api.get(f"/v1/prospects/{PHONE}")).document["prospect"]
    exported = (await api.get("/v1/exports/prospects.csv?permission=relationship")).document
    assert [each["permission"] for each in (*listed, detail)] == ["relationship"] * 2
    assert exported.count("\n") == 2
    assert (await api.get("/v1/prospects?permission=conversation")).document["items"] == []


async def test_no_consent_for_who_is_somebody_else(server: HttpServer) -> None:
    """They wrote that it is another person's number: nobody's consent opens that."""
    made = await enter_prospect(server.control)
    at = server.services.clock.now()
    await server.services.database.write(
        lambda tx: evidence.insert_evidence(
            tx, made["contact"], EvidenceKind.INBOUND, "wrong_person", at=at, source="test"
        )
    )
    refused = await server.control.post(f"/v1/prospects/{PHONE}/consent", **CONSENT)
    assert (refused.status, "another person" in refused.document["detail"]) == (409, True)


async def test_no_permission_is_entered_over_a_refusal(server: HttpServer) -> None:
    """Somebody who said no as a stranger is added without a permission, or not at all."""
    services, at = server.services, server.services.clock.now()

    def refuse(tx: Tx) -> None:
        contact = contacts.resolve_contact(tx, services.aliases.from_phone(PHONE), at)
        evidence.insert_evidence(
            tx, contact, EvidenceKind.DECLINED, "refused", at=at, source="test"
        )

    await services.database.write(refuse)
    entry = {"phone": PHONE, "cartera_origen": "feria", "permission": "relationship"}
    refused = await server.control.post("/v1/prospects", **entry)
    assert (refused.status, refused.document["detail"].startswith("They said no")) == (409, True)
    assert (await enter_prospect(server.control))["permission"] == "refused"
