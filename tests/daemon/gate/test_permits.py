"""Permits: leave for one text to one recipient through one session, once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

import pytest
from msgspec.structs import replace

from daemon.api.permit import Permit, PermitRefused, PermitSigner, PermitVerifier, hash_body
from daemon.gate.gate import EvaluationPhase
from storage import decisions
from storage.tx import Tx
from tests.helpers.clock import MIDDAY
from tests.helpers.services.messaging import ANA, BETO, MessagingServices

TEXT = "Hola, Ana"


FOR_ANA = {"message": "msg_1", "recipient": ANA, "body": hash_body(TEXT), "session": "main"}


@pytest.fixture(scope="module")
def signer() -> PermitSigner:
    """The gate's pen."""
    return PermitSigner()


@pytest.fixture
def verifier(signer: PermitSigner) -> PermitVerifier:
    """Whoever stands at the wire."""
    return PermitVerifier(signer.public_key)


@pytest.fixture
def permit(signer: PermitSigner) -> Permit:
    """A signed permit for Ana, valid for ten minutes."""
    return signer.sign(
        Permit(
            id="per_1",
            message="msg_1",
            recipient=ANA,
            body=hash_body(TEXT),
            session="main",
            decision="dec_1",
            ruleset="0" * 64,
            issued_at=MIDDAY,
            expires_at=MIDDAY + timedelta(minutes=10),
        )
    )


def refused(
    verifier: PermitVerifier,
    permit: Permit,
    other: Mapping[str, str] = MappingProxyType({}),
    *,
    minutes: float = 0,
) -> str:
    """Present a permit for a send and return why it was refused."""
    asked = {**FOR_ANA, **other}
    with pytest.raises(PermitRefused) as caught:
        verifier.redeem(permit, now=MIDDAY + timedelta(minutes=minutes), **asked)
    return caught.value.reason_code


def test_a_permit_lets_its_message_through_once(permit: Permit, verifier: PermitVerifier) -> None:
    """The second time it is a used one."""
    verifier.redeem(permit, **FOR_ANA, now=MIDDAY)
    assert refused(verifier, permit) == "permit_used"


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"body": hash_body("Hola, Ana!")}, "permit_body_differs"),
        ({"recipient": BETO}, "permit_recipient_differs"),
        ({"session": "second"}, "permit_session_differs"),
    ],
)
def test_a_permit_is_for_nothing_else(
    permit: Permit, verifier: PermitVerifier, other: dict[str, str], code: str
) -> None:
    """Another text, recipient or session is refused, and the permit is not used up by it."""
    assert refused(verifier, permit, other) == code
    verifier.redeem(permit, **FOR_ANA, now=MIDDAY)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "per_2"},
        {"message": "msg_2"},
        {"recipient": BETO},
        {"body": hash_body("Other")},
        {"session": "second"},
        {"decision": "dec_2"},
        {"ruleset": "1" * 64},
        {"issued_at": MIDDAY - timedelta(days=1)},
        {"expires_at": MIDDAY + timedelta(days=1)},
        {"signature": ""},
        {"signature": "no hex"},
        {"signature": "ab" * 64},
    ],
)
def test_an_altered_permit_is_a_forgery(
    permit: Permit, verifier: PermitVerifier, change: dict[str, object]
) -> None:
    """Every field stands under the signature."""
    assert refused(verifier, replace(permit, **change)) == "permit_forged"


def test_another_gates_permit_is_a_forgery(permit: Permit, verifier: PermitVerifier) -> None:
    """Only this process's key signs."""
    assert refused(verifier, PermitSigner().sign(permit)) == "permit_forged"


def test_a_permit_ends_with_its_time(permit: Permit, verifier: PermitVerifier) -> None:
    """At ten minutes sharp it is over."""
    assert refused(verifier, permit, minutes=10) == "permit_expired"


@pytest.mark.parametrize("minutes", [-60, -6 / 60])
def test_a_clock_that_is_set_back_makes_no_permit_last_longer(
    permit: Permit, verifier: PermitVerifier, minutes: float
) -> None:
    """It is valid again from the moment on which it was signed; the gate can give another one."""
    assert refused(verifier, permit, minutes=minutes) == "permit_not_yet_valid"
    verifier.redeem(permit, **FOR_ANA, now=MIDDAY - timedelta(seconds=5))


def test_a_used_permit_is_no_fresh_one_after_the_clock_jumped_on_and_back(
    permit: Permit, signer: PermitSigner
) -> None:
    """What was used is kept in mind by elapsed time, for a day."""
    elapsed = 0.0
    verifier = PermitVerifier(signer.public_key, lambda: elapsed)
    verifier.redeem(permit, **FOR_ANA, now=MIDDAY)
    noon = MIDDAY + timedelta(days=400)
    later = signer.sign(
        replace(permit, id="per_2", issued_at=noon, expires_at=noon + timedelta(minutes=10))
    )
    elapsed = 24 * 3600.0
    verifier.redeem(later, **FOR_ANA, now=noon)
    assert refused(verifier, permit) == "permit_used"


def test_a_used_permit_is_not_forgotten_while_it_could_be_shown_again(
    permit: Permit, signer: PermitSigner, verifier: PermitVerifier
) -> None:
    """The ledger lets go of ids only after their end; the clock may go back a little."""
    verifier.redeem(permit, **FOR_ANA, now=MIDDAY)
    later = signer.sign(
        replace(permit, id="per_2", expires_at=MIDDAY + timedelta(minutes=20, seconds=30))
    )
    at = MIDDAY + timedelta(minutes=10, seconds=30)
    verifier.redeem(later, **FOR_ANA, now=at)
    assert refused(verifier, permit, minutes=9.9) == "permit_used"


async def test_a_decision_has_one_permit_and_a_permit_is_redeemed_once(
    services: MessagingServices,
) -> None:
    """The database itself refuses the second of either."""
    message = await services.get_message(await services.enqueue_and_settle())
    assert message.permit is not None
    assert message.decision is not None

    for permit, decision in ((message.permit, "dec_other"), ("per_other", message.decision)):

        def job(tx: Tx, permit: str = permit, decision: str = decision) -> None:
            decisions.redeem_permit(
                tx,
                permit=permit,
                message=message.id,
                decision=decision,
                document="{}",
                at=MIDDAY,
                expires_at=MIDDAY,
            )

        with pytest.raises(Exception, match=r"UNIQUE|FOREIGN"):
            await services.database.write(job)


async def test_the_gate_signs_nothing_that_it_did_not_allow(services: MessagingServices) -> None:
    """Asking for a permit after a `block` is a defect, and said so."""
    await services.suppress(BETO)
    message = await services.get_message(await services.enqueue_and_settle(BETO))
    look = await services.gate.evaluate(message, EvaluationPhase.RELEASE)
    with pytest.raises(ValueError, match="did not allow"):
        services.gate.sign_permit(look, "dec_1", timedelta(minutes=1))
