"""Receipts: forward only, kept for later, and the one way out of a doubt that needs no person."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.api.signals import ReceiptKind
from statemachines.message import MessageState
from statemachines.prospect import ValidationState
from storage import evidence, messages, receipts
from storage.evidence import EvidenceKind
from storage.messages import MessageRecord
from storage.tx import Tx
from tests.helpers.services.contacts import (
    ANA,
    ANA_OLD_FORM,
    BETO,
    InboundServices,
    build_inbound_services,
    open_contact_services,
)

S = MessageState
DELIVERED, READ, FAILED = ReceiptKind.DELIVERED, ReceiptKind.READ, ReceiptKind.FAILED


@pytest.fixture
async def inbound(tmp_path: Path) -> AsyncIterator[InboundServices]:
    """The desk, over a real database."""
    async with open_contact_services(tmp_path) as people:
        yield build_inbound_services(people)


async def move(
    inbound: InboundServices, message: str, *states: MessageState, wire_id: str = ""
) -> None:
    """Take a message along the legal moves, with the proof that a state needs."""
    at = inbound.people.clock.now()

    def job(tx: Tx) -> None:
        for state in states:
            proof: dict[str, object] = {}
            if state is S.SENDING:
                proof = {"decision": "dec_1", "permit": "per_1"}
            if state is S.SENT:
                proof = {"wire_id": wire_id, "sent_at": at}
            messages.transition_message(
                tx, message, state, at=at, reason_code="t", sentence="t", who="test", **proof
            )

    await inbound.people.database.write(job)


async def sent(inbound: InboundServices, wire_id: str = "W1") -> str:
    """Return a message that was acknowledged."""
    message = await inbound.people.queue_message(ANA)
    await move(inbound, message, S.CLEARED, S.SENDING, S.SENT, wire_id=wire_id)
    return message


async def doubtful(inbound: InboundServices) -> str:
    """Return a message of which nobody knows whether it left."""
    message = await inbound.people.queue_message(ANA)
    await move(inbound, message, S.CLEARED, S.SENDING, S.IN_DOUBT)
    return message


async def record(inbound: InboundServices, message: str) -> MessageRecord:
    """Return the message as it stands."""
    return await inbound.people.database.read(lambda r: messages.require_message(r, message))


@pytest.mark.parametrize(
    ("kinds", "state"),
    [
        ([DELIVERED], S.DELIVERED),
        ([DELIVERED, READ], S.READ),
        ([READ, DELIVERED], S.READ),
        ([DELIVERED, DELIVERED], S.DELIVERED),
        ([FAILED], S.FAILED),
        ([DELIVERED, FAILED], S.DELIVERED),
        ([FAILED, DELIVERED], S.FAILED),
    ],
)
async def test_receipts_move_a_message_forward_only(
    inbound: InboundServices, kinds: list[ReceiptKind], state: MessageState
) -> None:
    """Late ones, repeated ones and contradictions never move it back."""
    message = await sent(inbound)
    for kind in kinds:
        await inbound.receive_receipt("W1", kind)
    assert await inbound.people.get_message_state(message) is state


async def test_a_receipt_that_comes_before_the_acknowledgement_waits_for_it(
    inbound: InboundServices,
) -> None:
    """The platform is faster than its own answer to us."""
    message = await inbound.people.queue_message(ANA)
    await move(inbound, message, S.CLEARED, S.SENDING)
    await inbound.receive_receipt("W1", READ)
    await inbound.receive_receipt("W1", DELIVERED)
    await move(inbound, message, S.SENT, wire_id="W1")
    at = inbound.people.clock.now()
    found = await record(inbound, message)
    await inbound.people.database.write(lambda tx: receipts.apply_early_receipts(tx, found, at))
    history = await inbound.people.database.read(
        lambda r: messages.list_message_history(r, message)
    )
    assert [line["state"] for line in history][-3:] == ["sent", "delivered", "read"]


async def test_an_undeliverable_message_takes_the_validation_back(inbound: InboundServices) -> None:
    """The platform's word counts at once."""
    prospect = await inbound.add_prospect()
    await inbound.receive_text("hola")
    await sent(inbound)
    await inbound.receive_receipt("W1", FAILED, reason_code="undeliverable")
    after = await inbound.get_prospect(prospect)
    assert (after.validation, after.validado_tecnicamente) == (ValidationState.NOT_REACHABLE, False)
    known = await inbound.people.database.read(
        lambda r: evidence.list_contact_evidence(r, after.contact)
    )
    assert [e.value for e in known if e.kind is EvidenceKind.BOUNCE] == ["undeliverable"]


async def test_an_undeliverable_message_to_a_stranger_is_evidence_all_the_same(
    inbound: InboundServices,
) -> None:
    """There is no prospect whose validation could change."""
    message = await sent(inbound)
    await inbound.receive_receipt("W1", FAILED, reason_code="undeliverable")
    contact = (await record(inbound, message)).contact
    known = await inbound.people.database.read(lambda r: evidence.list_contact_evidence(r, contact))
    assert [each.kind for each in known] == [EvidenceKind.BOUNCE]


async def test_who_refuses_marketing_complains_and_said_no(inbound: InboundServices) -> None:
    """The platform hands their word on; the number is as good as it was."""
    prospect = await inbound.add_prospect()
    await inbound.receive_text("hola")
    await sent(inbound)
    await inbound.receive_receipt("W1", FAILED, reason_code="refused_marketing")
    after = await inbound.get_prospect(prospect)
    assert (after.validation, after.permission) == (ValidationState.VALIDATED, "refused")
    known = await inbound.people.database.read(
        lambda r: evidence.list_contact_evidence(r, after.contact)
    )
    said = {(each.kind, each.value) for each in known}
    assert (EvidenceKind.COMPLAINT, "refused_marketing") in said
    assert (EvidenceKind.DECLINED, "refused") in said
    assert EvidenceKind.BOUNCE not in {kind for kind, _ in said}


async def test_any_other_failure_says_nothing_of_the_number(inbound: InboundServices) -> None:
    """A template was paused; the line is fine."""
    prospect = await inbound.add_prospect()
    await inbound.receive_text("hola")
    message = await sent(inbound)
    await inbound.receive_receipt("W1", FAILED, reason_code="template_paused")
    assert (await record(inbound, message)).reason_code == "template_paused"
    assert (await inbound.get_prospect(prospect)).validation is ValidationState.VALIDATED


async def test_a_receipt_settles_the_one_message_in_doubt(inbound: InboundServices) -> None:
    """Only one can be on its way to a contact, so the unknown id is its own."""
    message = await doubtful(inbound)
    await inbound.receive_receipt("W9", DELIVERED, recipient=ANA_OLD_FORM)
    await inbound.settle_doubts()
    after = await record(inbound, message)
    assert (after.state, after.wire_id) == (S.DELIVERED, "W9")
    await inbound.receive_receipt("W9", READ)
    assert await inbound.people.get_message_state(message) is S.READ


async def test_a_receipt_settles_what_a_restored_backup_put_in_doubt(
    inbound: InboundServices,
) -> None:
    """No send of it is on record: it was sent after the backup, and the receipt says so."""
    message = await inbound.people.queue_message(ANA)
    await move(inbound, message, S.CLEARED)
    await inbound.people.clock.advance(60)
    await move(inbound, message, S.IN_DOUBT)
    await inbound.receive_receipt("W9", DELIVERED, age=timedelta(seconds=30))
    await inbound.settle_doubts()
    assert await inbound.people.get_message_state(message) is S.DELIVERED


async def test_a_receipt_from_before_the_backup_settles_nothing(inbound: InboundServices) -> None:
    """What it waited as in the backup had not been sent by then."""
    message = await inbound.people.queue_message(ANA)
    await move(inbound, message, S.CLEARED)
    await move(inbound, message, S.IN_DOUBT)
    await inbound.receive_receipt("W9", DELIVERED, age=timedelta(minutes=5))
    await inbound.settle_doubts()
    assert await inbound.people.get_message_state(message) is S.IN_DOUBT


async def test_a_receipt_that_came_during_the_send_settles_the_doubt_later(
    inbound: InboundServices,
) -> None:
    """The acknowledgement was lost, the receipt was not: it is found when the doubt begins."""
    message = await inbound.people.queue_message(ANA)
    await move(inbound, message, S.CLEARED, S.SENDING)
    await inbound.receive_receipt("W9", DELIVERED)
    await move(inbound, message, S.IN_DOUBT)
    await inbound.settle_doubts()
    assert await inbound.people.get_message_state(message) is S.DELIVERED


async def test_a_message_is_not_sent_before_its_send_began(inbound: InboundServices) -> None:
    """WhatsApp's clock counts whole seconds, and may be behind ours."""
    message = await doubtful(inbound)
    await inbound.receive_receipt("W9", DELIVERED, age=timedelta(milliseconds=700))
    await inbound.settle_doubts()
    after = await record(inbound, message)
    assert after.state is S.DELIVERED
    assert after.sent_at is not None
    assert after.sent_at >= after.created_at


async def test_two_unknown_ids_settle_nothing(inbound: InboundServices) -> None:
    """A person decides: one of them may be anybody's."""
    message = await inbound.people.queue_message(ANA)
    await move(inbound, message, S.CLEARED, S.SENDING)
    await inbound.receive_receipt("W8", DELIVERED)
    await inbound.receive_receipt("W9", DELIVERED)
    await move(inbound, message, S.IN_DOUBT)
    await inbound.receive_receipt("W9", READ)
    await inbound.settle_doubts()
    assert await inbound.people.get_message_state(message) is S.IN_DOUBT


@pytest.mark.parametrize("receipt_first", [False, True])
async def test_what_was_typed_on_the_phone_settles_nothing(
    inbound: InboundServices, *, receipt_first: bool
) -> None:
    """Its receipt is its own, also where it comes before the phone's report."""
    message = await doubtful(inbound)
    if receipt_first:
        await inbound.receive_receipt("OWN1", DELIVERED)
        await inbound.settle_doubts(seconds=10)
    await inbound.receive_own_message("OWN1")
    await inbound.receive_receipt("OWN1", DELIVERED)
    await inbound.settle_doubts()
    assert await inbound.people.get_message_state(message) is S.IN_DOUBT


@pytest.mark.parametrize(
    ("wire_id", "recipient", "age", "kind"),
    [
        ("W9", ANA, timedelta(minutes=5), DELIVERED),
        ("W9", BETO, timedelta(0), DELIVERED),
        ("W9", ANA, timedelta(0), FAILED),
    ],
)
async def test_a_receipt_of_something_else_settles_nothing(
    inbound: InboundServices, wire_id: str, recipient: str, age: timedelta, kind: ReceiptKind
) -> None:
    """From before the send, to somebody else, or saying that it failed."""
    message = await doubtful(inbound)
    await inbound.receive_receipt(wire_id, kind, recipient=recipient, age=age)
    await inbound.settle_doubts()
    assert await inbound.people.get_message_state(message) is S.IN_DOUBT


async def test_our_own_message_coming_back_is_not_the_phones(inbound: InboundServices) -> None:
    """The platform shows the phone what we sent; that is no conversation typed by hand."""
    message = await sent(inbound)
    sale = await inbound.people.queue_message(ANA)
    await inbound.receive_own_message("W1")
    assert await inbound.people.get_message_state(message) is S.SENT
    assert await inbound.people.get_message_state(sale) is S.QUEUED
