"""What became of a number's first contacts is a fact, counted from rows; so is a campaign."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from daemon.api.effects import ContactRequest
from daemon.api.identity import parse_identity
from statemachines.message import MessageState
from storage import contacts, first_contacts, spends
from storage.evidence import EvidenceKind
from storage.first_contacts import FirstContactRates, FirstContactShare
from storage.spends import SpendKind
from tests.helpers.puppet_channel import ScriptedSendResult
from tests.helpers.services.messaging import (
    ANA,
    BETO,
    GATE_WITHOUT_VETOES,
    OUR_NUMBER,
    MessagingServices,
    open_messaging_services,
)
from tests.helpers.services.messaging_scenarios import (
    add_receipt,
    get_facts,
    send_first_messages,
    send_first_messages_apart,
    write_gate_rules,
)

pytestmark = pytest.mark.slow

S = MessageState
DAY = 86_400.0
RATES = ("answered", "undelivered", "complaint")


async def rates(
    services: MessagingServices, to: str = ANA, session: str = "main"
) -> tuple[object, ...]:
    """Return the three rates that a message would be judged by."""
    facts = await get_facts(services, to, session=session)
    return tuple(facts[f"session.{name}_rate"] for name in RATES)


async def record_of(services: MessagingServices, number: str = OUR_NUMBER) -> FirstContactRates:
    """Return a number's record as it is counted."""
    at = services.clock.now()
    return await services.database.read(
        lambda reader: first_contacts.get_first_contact_rates(reader, number, at)
    )


async def test_a_number_that_wrote_to_nobody_has_no_rates(services: MessagingServices) -> None:
    """Unknown, never nought of nought."""
    assert await rates(services) == (None, None, None)


async def test_nine_first_contacts_say_nothing_and_ten_do(services: MessagingServices) -> None:
    """One complaint of two people would be a half."""
    sent = await send_first_messages(services, 9)
    await services.clock.leap(7 * DAY)
    assert await rates(services) == (None, None, None)
    sent += await send_first_messages(services, 1, start=9)
    await add_receipt(services, sent[-1], "delivered")
    await services.clock.leap(4 * DAY)
    assert await rates(services) == (0.0, 0.9, 0.0)


@pytest.mark.parametrize(("many", "of"), [(19, 19), (20, 20), (21, 20)])
async def test_the_last_twenty_count(services: MessagingServices, many: int, of: int) -> None:
    """The oldest and the youngest were answered; of 21 only the youngest is among them."""
    [oldest, *_, youngest] = await send_first_messages_apart(services, many)
    for message in (oldest, youngest):
        await services.add_inbound((await services.get_message(message)).contact)
    await services.clock.leap(4 * DAY)
    answered = 2 if many == of else 1
    found = await record_of(services)
    assert found.answered == FirstContactShare(answered, of)
    assert (await rates(services))[0] == round(answered / of, 3)


async def test_people_have_three_days_to_answer(services: MessagingServices) -> None:
    """Who was written to lately is not counted, answered or not."""
    [one, *_] = await send_first_messages(services, 10)
    await services.add_inbound((await services.get_message(one)).contact)
    await services.clock.leap(3 * DAY - 60)
    assert (await record_of(services)).answered == FirstContactShare(0, 0)
    await services.clock.leap(60)
    assert (await record_of(services)).answered == FirstContactShare(1, 10)


@pytest.mark.parametrize("contact_request", [ContactRequest.DECLINED, ContactRequest.OPT_OUT])
async def test_a_refusal_is_no_answer(
    services: MessagingServices, contact_request: ContactRequest
) -> None:
    """They wrote, to say no; it did arrive, though."""
    [one, *_] = await send_first_messages(services, 10)
    await services.add_inbound((await services.get_message(one)).contact, contact_request)
    await services.clock.leap(3 * DAY)
    found = await record_of(services)
    assert (found.answered, found.undelivered) == (
        FirstContactShare(0, 10),
        FirstContactShare(9, 10),
    )


async def test_delivery_has_a_day_and_what_is_known_earlier_counts_earlier(
    services: MessagingServices,
) -> None:
    """Delivered, read and failed count at once; an acknowledged one without more, after a day."""
    delivered, read, failed, *_ = await send_first_messages(services, 12)
    await add_receipt(services, delivered, "delivered")
    await add_receipt(services, read, "read")
    await add_receipt(services, failed, "failed")
    assert (await record_of(services)).undelivered == FirstContactShare(1, 3)
    await services.clock.leap(DAY)
    assert (await record_of(services)).undelivered == FirstContactShare(10, 12)
    assert (await rates(services))[1] == 0.833


async def test_what_certainly_never_left_was_no_first_contact(services: MessagingServices) -> None:
    """Refused by the wire, or in doubt until somebody knows."""
    services.wire.results.extend([ScriptedSendResult.REFUSE, ScriptedSendResult.UNKNOWN])
    refused = await services.enqueue_and_settle(ANA)
    await services.add_prospect(BETO)
    doubtful = await services.enqueue_and_settle(BETO)
    assert [await services.get_state(each) for each in (refused, doubtful)] == [
        S.FAILED,
        S.IN_DOUBT,
    ]
    await services.clock.leap(4 * DAY)
    assert (await record_of(services)).complained == FirstContactShare(0, 0)
    await add_receipt(services, doubtful, "delivered", wire_id="which nobody knew")
    await services.clock.advance(30)  # the phone has not reported it as typed there
    assert (await record_of(services)).complained == FirstContactShare(0, 1)


async def test_by_hand_nobody_hears_of_a_delivery(services: MessagingServices) -> None:
    """It is a first contact of the number, to be answered or complained of."""
    await services.add_session("hand", channel="manual")
    message = await services.enqueue_and_settle(session="hand")
    await services.manual.take(message, "eva")
    await services.manual.reveal(message, "eva")
    await services.manual.confirm(message, "eva")
    await services.add_inbound(await services.resolve_contact(ANA))
    await services.clock.leap(4 * DAY)
    found = await record_of(services)
    assert (found.answered, found.undelivered) == (FirstContactShare(1, 1), FirstContactShare(0, 0))


async def test_a_complaint_counts_at_once_for_the_contact_it_came_from(
    services: MessagingServices,
) -> None:
    """One that is older than the message complained of something else."""
    sent = await send_first_messages(services, 10)
    now = services.clock.now()
    for message, at in ((sent[0], now), (sent[1], now - timedelta(days=30))):
        contact = (await services.get_message(message)).contact
        await services.add_evidence(contact, EvidenceKind.COMPLAINT, "hostile_refusal", at=at)
    assert (await rates(services))[2] == 0.1


async def test_second_messages_and_own_chats_are_no_first_contacts_of_ours(
    services: MessagingServices,
) -> None:
    """What was typed on the phone is in the budget; there is no message to look back on."""
    await services.enqueue_and_settle(ANA)
    await services.enqueue_and_settle(ANA, "Otra cosa")
    at = services.clock.now()
    await services.database.write(
        lambda tx: spends.insert_spend(
            tx, OUR_NUMBER, SpendKind.NEW_CHAT, session="main", message=None, at=at
        )
    )
    assert (await record_of(services)).complained == FirstContactShare(0, 1)


async def test_another_numbers_first_contacts_do_not_count(services: MessagingServices) -> None:
    """All sessions of one number share its record; a number of its own has its own."""
    other = "+5491144440009"
    await services.add_session("same")
    await services.add_session("other", number=other)
    await send_first_messages(services, 10)
    await services.clock.leap(4 * DAY)
    assert await rates(services, session="same") == (0.0, 1.0, 0.0)
    assert await rates(services, session="other") == (None, None, None)
    assert (await record_of(services, other)).complained == FirstContactShare(0, 0)


async def test_a_session_without_a_number_has_a_record_under_its_name(
    services: MessagingServices,
) -> None:
    """As it has a budget."""
    await services.add_session("fresh", number=None)
    await send_first_messages(services, 10, session="fresh")
    assert (await rates(services, session="fresh"))[2] == 0.0
    assert (await record_of(services, "fresh")).complained == FirstContactShare(0, 10)


async def test_who_answered_under_another_name_answered(services: MessagingServices) -> None:
    """A hidden id that turns out to be theirs brings its words along."""
    [one, *_] = await send_first_messages(services, 10)
    known = await services.get_message(one)
    await services.clock.advance(60)
    at = services.clock.now()
    names = services.aliases.from_identities(parse_identity("998877665544332@lid"))
    hidden = await services.database.write(lambda tx: contacts.resolve_contact(tx, names, at))
    await services.add_inbound(hidden)
    await services.clock.leap(4 * DAY)
    assert (await record_of(services)).answered == FirstContactShare(0, 10)
    both = (*services.aliases.from_phone(known.recipient), *names)
    await services.database.write(lambda tx: contacts.resolve_contact(tx, both, at))
    assert (await record_of(services)).answered == FirstContactShare(1, 10)


UNLUCKY = """\
vetoes:
  - id: bad_number
    reason: "Too many complain of this number"
    when: {session.complaint_rate|gte: 0.1}
    if_missing: skip
    defer: 6h
"""
SILENT = UNLUCKY.replace("session.complaint_rate|gte: 0.1", "session.answered_rate|lt: 0.15")
LOST = UNLUCKY.replace("session.complaint_rate|gte: 0.1", "session.undelivered_rate|gt: 0.25")


@pytest.mark.parametrize("text", [UNLUCKY, SILENT, LOST])
async def test_a_rule_on_a_rate_makes_the_next_message_wait(tmp_path: Path, text: str) -> None:
    """The first ones go, since nothing is known of the number yet."""
    async with open_messaging_services(
        tmp_path, rules=write_gate_rules(tmp_path, GATE_WITHOUT_VETOES + text)
    ) as services:
        await services.add_session()
        [one, *_] = await send_first_messages(services, 10)
        contact = (await services.get_message(one)).contact
        await services.add_evidence(contact, EvidenceKind.COMPLAINT, "refused_marketing")
        await services.clock.leap(3 * DAY)
        await services.add_prospect(BETO)
        found = await services.get_message(await services.enqueue_and_settle(BETO))
        assert (found.state, found.reason_code) == (S.DEFERRED, "bad_number")
        assert found.due_at == services.clock.now() + timedelta(hours=6)
