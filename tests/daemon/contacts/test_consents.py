"""Consent recorded afterwards, numbers given as WhatsApp, and the withdrawal of a wrong record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.contacts.consents import ConsentInput, ConsentMethod, EvidenceResult
from daemon.errors import BadRequest, Conflict, NotFound
from statemachines.message import MessageState
from statemachines.prospect import ValidationState
from storage import evidence, prospects
from storage.evidence import Evidence, EvidenceKind
from storage.prospects import ProspectRecord
from storage.suppressions import SuppressionSource
from tests.helpers.services.messaging import ANA, MessagingServices, open_messaging_services

S = MessageState
YESTERDAY = -1


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[MessagingServices]:
    """Everything that runs, with one session."""
    async with open_messaging_services(tmp_path) as opened:
        await opened.add_session()
        yield opened


async def get_prospect(services: MessagingServices, phone: str = ANA) -> ProspectRecord:
    """Return the prospect of a number."""
    contact = await services.resolve_contact(phone)
    found = await services.database.read(lambda r: prospects.find_prospect_by_contact(r, contact))
    assert found is not None
    return found


async def list_evidence(services: MessagingServices) -> list[Evidence]:
    """Return what is known of Ana, newest first."""
    contact = await services.resolve_contact(ANA)
    return await services.database.read(lambda r: evidence.list_contact_evidence(r, contact))


def build_consent(services: MessagingServices, *, days: float = YESTERDAY) -> ConsentInput:
    """Return a consent that was given by telephone so many days from now."""
    when = services.clock.now() + timedelta(days=days)
    return ConsentInput(
        how=ConsentMethod.CALL,
        when=when.isoformat(),
        heard_by="Marta",
        words="sí, mandame la lista",
    )


async def record(services: MessagingServices, *, days: float = YESTERDAY) -> EvidenceResult:
    """Record that Ana agreed."""
    prospect = await get_prospect(services)
    return await services.consents.record_consent(
        prospect.id, build_consent(services, days=days), "eva"
    )


async def enqueue_for_later(services: MessagingServices) -> str:
    """Ask for a message that can't go within the next hour."""
    later = services.clock.now() + timedelta(hours=1)
    return await services.enqueue_and_settle(ANA, "Hola, Ana", not_before=later)


async def test_a_recorded_consent_opens_the_machine(services: MessagingServices) -> None:
    """Permission, score and queue follow at once; how, when, who heard it and words are kept."""
    await services.add_prospect(permission="relationship")
    waiting = await enqueue_for_later(services)
    assert await services.get_state(waiting) is S.HELD
    result = await record(services)
    await services.clock.settle()
    assert (result.prospect.permission, result.reevaluated) == ("opted_in", 1)
    assert await services.get_state(waiting) is S.CLEARED
    piece = next(each for each in await list_evidence(services) if each.id == result.record)
    assert (piece.kind, piece.value, piece.quote) == (
        EvidenceKind.CONSENT,
        "call",
        "sí, mandame la lista",
    )
    assert piece.source == "heard by Marta, recorded by eva"
    assert piece.at == services.clock.now() - timedelta(days=1)
    assert ("eva", "record_consent", result.prospect.id, "heard by Marta") in (
        await services.list_audit_entries()
    )
    await services.clock.advance(3601)
    assert await services.get_state(waiting) is S.SENT


@pytest.mark.parametrize(
    ("when", "sentence"),
    [
        ("2099-01-01", "still to come"),
        ("2099-01-01T10:00:00-03:00", "still to come"),
        ("2026-01-01T10:00:00", "no moment with its zone"),
        ("last week", "no day"),
        ("", "no day"),
    ],
)
async def test_a_moment_that_can_not_be_is_refused(
    services: MessagingServices, when: str, sentence: str
) -> None:
    """In the future, without a zone, or no moment at all."""
    await services.add_prospect(permission="public_source")
    prospect = await get_prospect(services)
    consent = ConsentInput(how=ConsentMethod.FORM, when=when, heard_by="Marta", words="sí")
    with pytest.raises(BadRequest, match=sentence):
        await services.consents.record_consent(prospect.id, consent, "eva")
    assert (await get_prospect(services)).permission == "public_source"


@pytest.mark.parametrize("missing", ["heard_by", "words"])
async def test_a_consent_that_nobody_heard_is_none(
    services: MessagingServices, missing: str
) -> None:
    """Who heard it and what was said can't be blank."""
    await services.add_prospect()
    given = {"heard_by": "Marta", "words": "sí", missing: "  "}
    consent = ConsentInput(how=ConsentMethod.PAPER, when="2026-01-01", **given)
    with pytest.raises(BadRequest, match=missing):
        await services.consents.record_consent((await get_prospect(services)).id, consent, "eva")


async def test_no_consent_over_a_suppression(services: MessagingServices) -> None:
    """Their own word, or an operator's entry: each says what lifts it."""
    await services.add_prospect()
    await services.suppress(ANA)
    with pytest.raises(Conflict, match="opt-out list since") as refused:
        await record(services)
    assert "correct it" in refused.value.hint
    assert (await list_evidence(services))[0].kind is not EvidenceKind.CONSENT
    await services.suppression.suppress(
        ANA, source=SuppressionSource.CONTACT, reason="said stop", who="contact"
    )
    with pytest.raises(Conflict, match="in their own words on 2026-") as refused:
        await record(services)
    assert "ALTA" in refused.value.hint


async def test_no_consent_over_a_refusal(services: MessagingServices) -> None:
    """They said no: the sentence has the day and their words, and what opens it again."""
    contact = await services.add_prospect()
    await services.add_evidence(contact, EvidenceKind.DECLINED, "refused")
    with pytest.raises(Conflict, match="They said no on 2026-") as refused:
        await record(services)
    assert "message of theirs" in refused.value.hint
    assert (await get_prospect(services)).permission == "refused"


async def test_what_was_agreed_before_a_refusal_counts_no_more(
    services: MessagingServices,
) -> None:
    """They opted in again since: a consent from before the no is refused, a later one is not."""
    contact, now = await services.add_prospect(permission=None), services.clock.now()
    await services.add_evidence(
        contact, EvidenceKind.DECLINED, "refused", at=now - timedelta(days=2)
    )
    await services.add_evidence(
        contact, EvidenceKind.INBOUND, "opt_in", at=now - timedelta(hours=25)
    )
    with pytest.raises(Conflict, match="before counts no more"):
        await record(services, days=-3)
    assert (await record(services, days=-0.5)).prospect.permission == "opted_in"


async def test_a_withdrawn_record_stops_the_queue(services: MessagingServices) -> None:
    """What waits on it is evaluated again, and nothing leaves; the record itself stays."""
    await services.add_prospect(permission="none")
    result = await record(services)
    waiting = await enqueue_for_later(services)
    assert await services.get_state(waiting) is S.CLEARED
    prospect = result.prospect.id
    after = await services.consents.withdraw(
        prospect, result.record, who="eva", reason="another Ana"
    )
    await services.clock.settle()
    assert (after.prospect.permission, after.reevaluated) == ("none", 1)
    assert await services.get_state(waiting) is S.BLOCKED
    await services.clock.advance(7200)
    assert "sending" not in await services.list_states(waiting)
    kinds = [each.kind for each in await list_evidence(services)]
    assert kinds == [EvidenceKind.WITHDRAWN, EvidenceKind.PERMISSION, EvidenceKind.CONSENT]
    with pytest.raises(Conflict, match="withdrawn already"):
        await services.consents.withdraw(prospect, result.record, who="eva", reason="again")


async def test_a_message_in_an_operators_hands_goes_back_too(services: MessagingServices) -> None:
    """Taken and not opened, it is evaluated again with the rest."""
    await services.add_session("by-hand", channel="manual", number=None)
    await services.add_prospect(permission="none")
    result = await record(services)
    message = await services.enqueue_and_settle(ANA, "Hola, Ana", session="by-hand")
    await services.manual.take(message, "eva")
    await services.consents.withdraw(
        result.prospect.id, result.record, who="eva", reason="another Ana"
    )
    await services.clock.settle()
    assert await services.get_state(message) is S.BLOCKED


async def test_only_what_grants_can_be_withdrawn(services: MessagingServices) -> None:
    """A no stays, whoever regrets it; a record of somebody else is not found."""
    contact = await services.add_prospect()
    await services.add_evidence(contact, EvidenceKind.DECLINED, "refused")
    (no, granted) = await list_evidence(services)
    prospect = (await get_prospect(services)).id
    with pytest.raises(Conflict, match="can't be withdrawn"):
        await services.consents.withdraw(prospect, no.id, who="eva", reason="regret")
    with pytest.raises(NotFound):
        await services.consents.withdraw(prospect, 10**9, who="eva", reason="regret")
    with pytest.raises(BadRequest):
        await services.consents.withdraw(prospect, granted.id, who="eva", reason=" ")


async def give(services: MessagingServices) -> EvidenceResult:
    """Say that Ana gave her number as her WhatsApp."""
    prospect = await get_prospect(services)
    return await services.consents.record_given_number(
        prospect.id, where="fair in Rosario", how="field «WhatsApp» of the form", who="eva"
    )


async def add_unchecked(services: MessagingServices) -> None:
    """Enter Ana, who agreed, with a number that nobody checked."""
    await services.add_prospect(on_whatsapp="unknown", validation=ValidationState.UNCHECKED)


async def test_a_number_given_as_whatsapp_has_its_first_send(services: MessagingServices) -> None:
    """An operator's validation, with evidence and an end; what waited for a check goes."""
    await add_unchecked(services)
    message = await services.enqueue_and_settle()
    assert await services.get_state(message) is S.DEFERRED
    given = (await give(services)).prospect
    await services.clock.settle()
    assert (given.validado_tecnicamente, given.on_whatsapp) == (True, "yes")
    assert given.expires_at == services.clock.now() + timedelta(days=90)
    piece = next(
        each
        for each in await list_evidence(services)
        if each.kind is EvidenceKind.GIVEN_AS_WHATSAPP
    )
    assert piece.quote == "fair in Rosario: field «WhatsApp» of the form"
    assert await services.get_state(message) is S.SENT


async def test_the_first_undelivered_message_takes_it_back(services: MessagingServices) -> None:
    """After 72 hours without a sign the number is unchecked again, and can't be stated again."""
    await add_unchecked(services)
    await give(services)
    message = await services.enqueue_and_settle()
    assert await services.get_state(message) is S.SENT
    await services.clock.leap(timedelta(hours=71).total_seconds())
    await services.validation.sweep()
    assert (await get_prospect(services)).validation is ValidationState.VALIDATED
    await services.clock.leap(timedelta(hours=1).total_seconds())
    await services.validation.sweep()
    after = await get_prospect(services)
    assert (after.validation, after.validado_tecnicamente, after.on_whatsapp) == (
        ValidationState.UNCHECKED,
        None,
        "unknown",
    )
    with pytest.raises(Conflict, match="does not work on WhatsApp"):
        await give(services)


async def test_what_a_message_of_theirs_proved_is_not_taken_back(
    services: MessagingServices,
) -> None:
    """A withdrawn statement takes nothing away that is known otherwise."""
    await add_unchecked(services)
    result = await give(services)
    await services.execute_sql("UPDATE prospects SET validated_at = '2026-12-01T00:00:00.000Z'")
    after = await services.consents.withdraw(
        result.prospect.id, result.record, who="eva", reason="misread"
    )
    assert after.prospect.validation is ValidationState.VALIDATED


async def test_a_withdrawn_statement_leaves_the_number_unchecked(
    services: MessagingServices,
) -> None:
    """The operator was wrong: the number waits for a check like any other."""
    await add_unchecked(services)
    result = await give(services)
    after = await services.consents.withdraw(
        result.prospect.id, result.record, who="eva", reason="misread"
    )
    assert after.prospect.validation is ValidationState.UNCHECKED
    assert after.prospect.validado_tecnicamente is None
