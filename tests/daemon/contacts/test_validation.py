"""Technical validation: three answers, within a budget, an operator's word, and an end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.api.identity import parse_identity
from daemon.api.transport import OnWhatsApp
from daemon.errors import BadRequest, Conflict, NotFound
from statemachines.prospect import ValidationState as State
from storage import audit, contacts, prospects
from storage.evidence import EvidenceKind
from storage.score_explanations import get_score_explanation
from tests.helpers.services.contacts import ANA, BETO, LID
from tests.helpers.services.validation import ValidationServices, open_validation_services


@pytest.fixture
async def checks(tmp_path: Path) -> AsyncIterator[ValidationServices]:
    """Open the room for one test."""
    async with open_validation_services(tmp_path) as room:
        yield room


async def test_yes_validates_scores_and_explains(checks: ValidationServices) -> None:
    """A yes makes the prospect valid for 90 days, raises the score, and wakes who waited."""
    before = await checks.get_prospect(ANA)
    await checks.defer_until_checked(ANA)
    checks.set_answer(ANA, "yes", whatsapp_id="5491141234567@s.whatsapp.net")
    assert await checks.check_number(ANA) is OnWhatsApp.YES
    after, now = await checks.get_prospect(ANA), checks.services.clock.now()
    assert (before.validado_tecnicamente, after.validado_tecnicamente) == (None, True)
    assert (after.validation, after.on_whatsapp) == (State.VALIDATED, "yes")
    assert after.expires_at == now + timedelta(days=90)
    assert after.whatsapp_id == "5491141234567@s.whatsapp.net"
    assert (before.score_contactabilidad, after.score_contactabilidad) == (30, 70)
    explanation = await checks.services.database.read(
        lambda reader: get_score_explanation(reader, after.score_explanation)
    )
    assert "on WhatsApp" in (explanation or "")
    assert await checks.list_evidence(ANA, EvidenceKind.ON_WHATSAPP) == ["yes"]
    assert checks.requeued_contacts == [after.contact]


async def test_no_makes_it_not_reachable(checks: ValidationServices) -> None:
    """A no sets the flag false; a first no is no bounce."""
    checks.set_answer(ANA, "no")
    assert await checks.check_number(ANA) is OnWhatsApp.NO
    after = await checks.get_prospect(ANA)
    assert (after.validation, after.validado_tecnicamente) == (State.NOT_REACHABLE, False)
    assert await checks.list_evidence(ANA, EvidenceKind.BOUNCE) == []


@pytest.mark.parametrize("broken", [False, True])
async def test_unknown_never_becomes_no(checks: ValidationServices, *, broken: bool) -> None:
    """No answer, or a line that breaks, leaves the prospect undecided and counts the attempt."""
    checks.wire.check_fault = OSError() if broken else None
    for attempt in (1, 2, 3):
        assert await checks.check_number(ANA) is OnWhatsApp.UNKNOWN
        after = await checks.get_prospect(ANA)
        assert (after.validation, after.on_whatsapp) == (State.UNCHECKED, "unknown")
        assert after.validado_tecnicamente is None
        assert after.check_attempts == attempt


async def test_a_yes_that_turns_no_is_a_bounce(checks: ValidationServices) -> None:
    """After the validation ran out, a no of what was a yes is a bounce, and no send."""
    checks.set_answer(ANA, "yes")
    await checks.check_number(ANA)
    await checks.services.clock.leap(timedelta(days=90).total_seconds())
    assert await checks.validation.sweep() == 1
    assert (await checks.get_prospect(ANA)).validation is State.EXPIRED
    checks.set_answer(ANA, "no")
    await checks.check_number(ANA)
    assert await checks.list_evidence(ANA, EvidenceKind.BOUNCE) == ["check_turned_no"]
    assert (await checks.get_prospect(ANA)).validado_tecnicamente is False


async def test_an_expired_validation_waits_and_does_not_block(checks: ValidationServices) -> None:
    """Null, not false, after 90 days; and not a moment before."""
    checks.set_answer(ANA, "yes")
    await checks.check_number(ANA)
    await checks.services.clock.leap(timedelta(days=90).total_seconds() - 1)
    assert await checks.validation.sweep() == 0
    await checks.services.clock.advance(1)
    assert await checks.validation.sweep() == 1
    after = await checks.get_prospect(ANA)
    assert (after.validado_tecnicamente, after.expires_at) == (None, None)
    assert await checks.list_evidence(ANA, EvidenceKind.VALIDATION) == ["expired", "validated"]


async def test_what_is_known_is_not_asked_again(checks: ValidationServices) -> None:
    """A yes holds as long as the validation; a no is taken as it is for 7 days, then by hand."""
    checks.set_answer(ANA, "yes")
    checks.set_answer(BETO, "no")
    for phone, answer in ((ANA, OnWhatsApp.YES), (BETO, OnWhatsApp.NO)):
        assert [await checks.check_number(phone), await checks.check_number(phone)] == [
            answer,
            answer,
        ]
    assert len(checks.wire.checks) == 2
    await checks.services.clock.leap(timedelta(days=7).total_seconds())
    assert await checks.check_number(ANA) is OnWhatsApp.YES
    with pytest.raises(Conflict, match="not_reachable"):
        await checks.check_number(BETO)


async def test_a_hidden_id_joins_the_contact(checks: ValidationServices) -> None:
    """A LID that comes with the answer is another name of the same person from then on."""
    elder = await checks.services.database.write(
        lambda tx: contacts.resolve_contact(
            tx,
            checks.services.aliases.from_identities(parse_identity(LID)),
            checks.services.clock.now() - timedelta(days=1),
        )
    )
    await checks.defer_until_checked(ANA)
    checks.set_answer(ANA, "yes", lid=LID)
    await checks.check_number(ANA)
    after = await checks.get_prospect(ANA)
    assert after.contact == elder
    assert checks.requeued_contacts == [elder]
    assert after.validation is State.VALIDATED
    assert (
        await checks.services.database.read(lambda r: contacts.find_contact_by_alias(r, LID))
        == elder
    )


async def test_a_word_that_came_first_stands(checks: ValidationServices) -> None:
    """An answer that comes after an operator's word changes nothing."""
    prospect = await checks.get_prospect(ANA)

    async def she_calls() -> None:
        await checks.validation.set_by_hand(
            prospect.id, validated=True, who="ana", reason="she called"
        )

    checks.set_answer(ANA, "no")
    checks.wire.before_check_answer = she_calls
    await checks.check_number(ANA)
    assert (await checks.get_prospect(ANA)).validation is State.VALIDATED


@pytest.mark.parametrize(
    ("validated", "state", "flag"),
    [(True, State.VALIDATED, True), (False, State.NOT_REACHABLE, False)],
)
async def test_an_operators_word(
    checks: ValidationServices, *, validated: bool, state: State, flag: bool
) -> None:
    """By hand either way, with a reason, in the audit and as evidence; it expires too."""
    prospect = await checks.get_prospect(ANA)
    await checks.defer_until_checked(ANA)
    await checks.validation.set_by_hand(
        prospect.id, validated=validated, who="ana", reason="spoke with her"
    )
    after = await checks.get_prospect(ANA)
    assert (after.validation, after.validado_tecnicamente) == (state, flag)
    assert (after.expires_at is not None) is validated
    entry = (
        await checks.services.database.read(
            lambda r: audit.list_subject_audit_entries(r, prospect.id)
        )
    )[-1]
    assert (entry.who, entry.action, entry.reason) == ("ana", "validate_by_hand", "spoke with her")
    assert entry.detail == {"validated": validated}
    assert checks.requeued_contacts == [prospect.contact]


async def test_a_word_needs_a_reason_and_somebody(checks: ValidationServices) -> None:
    """No reason, an unknown prospect and an erased one are refused, each with its own error."""
    prospect = await checks.get_prospect(ANA)
    with pytest.raises(BadRequest):
        await checks.validation.set_by_hand(prospect.id, validated=True, who="ana", reason=" ")
    with pytest.raises(NotFound):
        await checks.validation.check("pro_x", "ana")
    await checks.services.database.write(
        lambda tx: prospects.update_prospect(
            tx, prospect.id, at=checks.services.clock.now(), validation="erased"
        )
    )
    with pytest.raises(Conflict):
        await checks.validation.set_by_hand(prospect.id, validated=True, who="ana", reason="x")
