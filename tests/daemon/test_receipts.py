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
from tests.helpers.people import ANA, ANA_OLD_FORM, BETO, Desk, opened_desk, opened_people

S = MessageState
DELIVERED, READ, FAILED = ReceiptKind.DELIVERED, ReceiptKind.READ, ReceiptKind.FAILED


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """The desk, over a real database."""
    async with opened_people(tmp_path) as people:
        yield opened_desk(people)


async def move(desk: Desk, message: str, *states: MessageState, wire_id: str = "") -> None:
    """Take a message along the legal moves, with the proof that a state needs."""
    at = desk.people.clock.now()

    def job(tx: Tx) -> None:
        for state in states:
            proof: dict[str, object] = {}
            if state is S.SENDING:
                proof = {"decision": "dec_1", "permit": "per_1"}
            if state is S.SENT:
                proof = {"wire_id": wire_id, "sent_at": at}
            messages.move(
                tx, message, state, at=at, reason_code="t", sentence="t", who="test", **proof
            )

    await desk.people.database.write(job)


async def sent(desk: Desk, wire_id: str = "W1") -> str:
    """Return a message that was acknowledged."""
    message = await desk.people.message(ANA)
    await move(desk, message, S.CLEARED, S.SENDING, S.SENT, wire_id=wire_id)
    return message


async def doubtful(desk: Desk) -> str:
    """Return a message of which nobody knows whether it left."""
    message = await desk.people.message(ANA)
    await move(desk, message, S.CLEARED, S.SENDING, S.IN_DOUBT)
    return message


async def record(desk: Desk, message: str) -> MessageRecord:
    """Return the message as it stands."""
    return await desk.people.database.read(lambda r: messages.must(r, message))


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
    desk: Desk, kinds: list[ReceiptKind], state: MessageState
) -> None:
    """Late ones, repeated ones and contradictions never move it back."""
    message = await sent(desk)
    for kind in kinds:
        await desk.receipt("W1", kind)
    assert await desk.people.state(message) is state


async def test_a_receipt_that_comes_before_the_acknowledgement_waits_for_it(desk: Desk) -> None:
    """The platform is faster than its own answer to us."""
    message = await desk.people.message(ANA)
    await move(desk, message, S.CLEARED, S.SENDING)
    await desk.receipt("W1", READ)
    await desk.receipt("W1", DELIVERED)
    await move(desk, message, S.SENT, wire_id="W1")
    at = desk.people.clock.now()
    found = await record(desk, message)
    await desk.people.database.write(lambda tx: receipts.apply_early(tx, found, at))
    history = await desk.people.database.read(lambda r: messages.history(r, message))
    assert [line["state"] for line in history][-3:] == ["sent", "delivered", "read"]


async def test_an_undeliverable_message_takes_the_validation_back(desk: Desk) -> None:
    """The platform's word counts at once."""
    prospect = await desk.prospect()
    await desk.writes("hola")
    await sent(desk)
    await desk.receipt("W1", FAILED, reason_code="undeliverable")
    after = await desk.read_prospect(prospect)
    assert (after.validation, after.validado_tecnicamente) == (ValidationState.NOT_REACHABLE, False)
    known = await desk.people.database.read(lambda r: evidence.of_contact(r, after.contact))
    assert [e.value for e in known if e.kind is EvidenceKind.BOUNCE] == ["undeliverable"]


async def test_an_undeliverable_message_to_a_stranger_is_evidence_all_the_same(desk: Desk) -> None:
    """There is no prospect whose validation could change."""
    message = await sent(desk)
    await desk.receipt("W1", FAILED, reason_code="undeliverable")
    contact = (await record(desk, message)).contact
    known = await desk.people.database.read(lambda r: evidence.of_contact(r, contact))
    assert [each.kind for each in known] == [EvidenceKind.BOUNCE]


async def test_who_refuses_marketing_complains_and_said_no(desk: Desk) -> None:
    """The platform hands their word on; the number is as good as it was."""
    prospect = await desk.prospect()
    await desk.writes("hola")
    await sent(desk)
    await desk.receipt("W1", FAILED, reason_code="refused_marketing")
    after = await desk.read_prospect(prospect)
    assert (after.validation, after.permission) == (ValidationState.VALIDATED, "refused")
    known = await desk.people.database.read(lambda r: evidence.of_contact(r, after.contact))
    said = {(each.kind, each.value) for each in known}
    assert (EvidenceKind.COMPLAINT, "refused_marketing") in said
    assert (EvidenceKind.REFUSAL, "refused") in said
    assert EvidenceKind.BOUNCE not in {kind for kind, _ in said}


async def test_any_other_failure_says_nothing_of_the_number(desk: Desk) -> None:
    """A template was paused; the line is fine."""
    prospect = await desk.prospect()
    await desk.writes("hola")
    message = await sent(desk)
    await desk.receipt("W1", FAILED, reason_code="template_paused")
    assert (await record(desk, message)).reason_code == "template_paused"
    assert (await desk.read_prospect(prospect)).validation is ValidationState.VALIDATED


async def test_a_receipt_settles_the_one_message_in_doubt(desk: Desk) -> None:
    """Only one can be on its way to a contact, so the unknown id is its own."""
    message = await doubtful(desk)
    await desk.receipt("W9", DELIVERED, recipient=ANA_OLD_FORM)
    after = await record(desk, message)
    assert (after.state, after.wire_id) == (S.DELIVERED, "W9")
    await desk.receipt("W9", READ)
    assert await desk.people.state(message) is S.READ


async def test_a_receipt_that_came_during_the_send_settles_the_doubt_later(desk: Desk) -> None:
    """The acknowledgement was lost, the receipt was not: it is found when the doubt begins."""
    message = await desk.people.message(ANA)
    await move(desk, message, S.CLEARED, S.SENDING)
    await desk.receipt("W9", DELIVERED)
    await move(desk, message, S.IN_DOUBT)
    found = await record(desk, message)
    at = desk.people.clock.now()
    await desk.people.database.write(lambda tx: receipts.settle_doubt(tx, found.contact, at))
    assert await desk.people.state(message) is S.DELIVERED


async def test_two_unknown_ids_settle_nothing(desk: Desk) -> None:
    """A person decides: one of them may be anybody's."""
    message = await desk.people.message(ANA)
    await move(desk, message, S.CLEARED, S.SENDING)
    await desk.receipt("W8", DELIVERED)
    await desk.receipt("W9", DELIVERED)
    await move(desk, message, S.IN_DOUBT)
    await desk.receipt("W9", READ)
    assert await desk.people.state(message) is S.IN_DOUBT


async def test_what_was_typed_on_the_phone_settles_nothing(desk: Desk) -> None:
    """Its receipt is its own."""
    message = await doubtful(desk)
    await desk.own("OWN1")
    await desk.receipt("OWN1", DELIVERED)
    assert await desk.people.state(message) is S.IN_DOUBT


@pytest.mark.parametrize(
    ("wire_id", "recipient", "age", "kind"),
    [
        ("W9", ANA, timedelta(minutes=5), DELIVERED),
        ("W9", BETO, timedelta(0), DELIVERED),
        ("W9", ANA, timedelta(0), FAILED),
    ],
)
async def test_a_receipt_of_something_else_settles_nothing(
    desk: Desk, wire_id: str, recipient: str, age: timedelta, kind: ReceiptKind
) -> None:
    """From before the send, to somebody else, or saying that it failed."""
    message = await doubtful(desk)
    await desk.receipt(wire_id, kind, recipient=recipient, age=age)
    assert await desk.people.state(message) is S.IN_DOUBT


async def test_our_own_message_coming_back_is_not_the_phones(desk: Desk) -> None:
    """The platform shows the phone what we sent; that is no conversation typed by hand."""
    message = await sent(desk)
    sale = await desk.people.message(ANA)
    await desk.own("W1")
    assert await desk.people.state(message) is S.SENT
    assert await desk.people.state(sale) is S.QUEUED
