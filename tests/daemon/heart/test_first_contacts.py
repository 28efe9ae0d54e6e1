"""What became of a number's first contacts is a fact, counted from rows; so is a campaign."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from daemon.api.effects import ContactRequest
from statemachines.message import MessageState
from storage import contacts, first_contacts, spends
from storage.evidence import EvidenceKind
from storage.first_contacts import FirstContacts, Share
from storage.spends import Spend
from tests.daemon.heart.looking import begin, begin_apart, facts_of, receipt
from tests.daemon.heart.rules import written
from tests.helpers.heart import ANA, BETO, NO_VETOES, OUR_NUMBER, SmallHouse, small_house
from tests.helpers.wire import Say

S = MessageState
DAY = 86_400.0
RATES = ("answered", "undelivered", "complaint")


async def rates(house: SmallHouse, to: str = ANA, session: str = "main") -> tuple[object, ...]:
    """Return the three rates that a message would be judged by."""
    facts = await facts_of(house, to, session=session)
    return tuple(facts[f"session.{name}_rate"] for name in RATES)


async def record_of(house: SmallHouse, number: str = OUR_NUMBER) -> FirstContacts:
    """Return a number's record as it is counted."""
    at = house.clock.now()
    return await house.database.read(lambda reader: first_contacts.of_number(reader, number, at))


async def test_a_number_that_wrote_to_nobody_has_no_rates(house: SmallHouse) -> None:
    """Unknown, never nought of nought."""
    assert await rates(house) == (None, None, None)


async def test_nine_first_contacts_say_nothing_and_ten_do(house: SmallHouse) -> None:
    """One complaint of two people would be a half."""
    sent = await begin(house, 9)
    await house.clock.leap(7 * DAY)
    assert await rates(house) == (None, None, None)
    sent += await begin(house, 1, start=9)
    await receipt(house, sent[-1], "delivered")
    await house.clock.leap(4 * DAY)
    assert await rates(house) == (0.0, 0.9, 0.0)


@pytest.mark.parametrize(("many", "of"), [(19, 19), (20, 20), (21, 20)])
async def test_the_last_twenty_count(house: SmallHouse, many: int, of: int) -> None:
    """The oldest and the youngest were answered; of 21 only the youngest is among them."""
    [oldest, *_, youngest] = await begin_apart(house, many)
    for message in (oldest, youngest):
        await house.inbound((await house.message(message)).contact)
    await house.clock.leap(4 * DAY)
    answered = 2 if many == of else 1
    found = await record_of(house)
    assert found.answered == Share(answered, of)
    assert (await rates(house))[0] == round(answered / of, 3)


async def test_people_have_three_days_to_answer(house: SmallHouse) -> None:
    """Who was written to lately is not counted, answered or not."""
    [one, *_] = await begin(house, 10)
    await house.inbound((await house.message(one)).contact)
    await house.clock.leap(3 * DAY - 60)
    assert (await record_of(house)).answered == Share(0, 0)
    await house.clock.leap(60)
    assert (await record_of(house)).answered == Share(1, 10)


@pytest.mark.parametrize("wish", [ContactRequest.REFUSED, ContactRequest.OPT_OUT])
async def test_a_refusal_is_no_answer(house: SmallHouse, wish: ContactRequest) -> None:
    """They wrote, to say no; it did arrive, though."""
    [one, *_] = await begin(house, 10)
    await house.inbound((await house.message(one)).contact, wish)
    await house.clock.leap(3 * DAY)
    found = await record_of(house)
    assert (found.answered, found.undelivered) == (Share(0, 10), Share(9, 10))


async def test_delivery_has_a_day_and_what_is_known_earlier_counts_earlier(
    house: SmallHouse,
) -> None:
    """Delivered, read and failed count at once; an acknowledged one without more, after a day."""
    delivered, read, failed, *_ = await begin(house, 12)
    await receipt(house, delivered, "delivered")
    await receipt(house, read, "read")
    await receipt(house, failed, "failed")
    assert (await record_of(house)).undelivered == Share(1, 3)
    await house.clock.leap(DAY)
    assert (await record_of(house)).undelivered == Share(10, 12)
    assert (await rates(house))[1] == 0.833


async def test_what_certainly_never_left_was_no_first_contact(house: SmallHouse) -> None:
    """Refused by the wire, or in doubt until somebody knows."""
    house.wire.script.extend([Say.REFUSE, Say.UNKNOWN])
    refused = await house.post(ANA)
    await house.prospect(BETO)
    doubtful = await house.post(BETO)
    assert [await house.state(each) for each in (refused, doubtful)] == [S.FAILED, S.IN_DOUBT]
    await house.clock.leap(4 * DAY)
    assert (await record_of(house)).complained == Share(0, 0)
    await receipt(house, doubtful, "delivered", wire_id="which nobody knew")
    assert (await record_of(house)).complained == Share(0, 1)


async def test_by_hand_nobody_hears_of_a_delivery(house: SmallHouse) -> None:
    """It is a first contact of the number, to be answered or complained of."""
    await house.session("hand", channel="manual")
    message = await house.post(session="hand")
    await house.manual.take(message, "eva")
    await house.manual.reveal(message, "eva")
    await house.manual.confirm(message, "eva")
    await house.inbound(await house.contact(ANA))
    await house.clock.leap(4 * DAY)
    found = await record_of(house)
    assert (found.answered, found.undelivered) == (Share(1, 1), Share(0, 0))


async def test_a_complaint_counts_at_once_for_the_contact_it_came_from(house: SmallHouse) -> None:
    """One that is older than the message complained of something else."""
    sent = await begin(house, 10)
    now = house.clock.now()
    for message, at in ((sent[0], now), (sent[1], now - timedelta(days=30))):
        contact = (await house.message(message)).contact
        await house.evidence(contact, EvidenceKind.COMPLAINT, "hostile_refusal", at=at)
    assert (await rates(house))[2] == 0.1


async def test_second_messages_and_own_chats_are_no_first_contacts_of_ours(
    house: SmallHouse,
) -> None:
    """What was typed on the phone is in the budget; there is no message to look back on."""
    await house.post(ANA)
    await house.post(ANA, "Otra cosa")
    at = house.clock.now()
    await house.database.write(
        lambda tx: spends.add(tx, OUR_NUMBER, Spend.NEW_CHAT, session="main", message=None, at=at)
    )
    assert (await record_of(house)).complained == Share(0, 1)


async def test_another_numbers_first_contacts_do_not_count(house: SmallHouse) -> None:
    """All sessions of one number share its record; a number of its own has its own."""
    other = "+5491144440009"
    await house.session("same")
    await house.session("other", number=other)
    for name in ("same", "other"):
        house.outbox.serve(name)
    await begin(house, 10)
    await house.clock.leap(4 * DAY)
    assert await rates(house, session="same") == (0.0, 1.0, 0.0)
    assert await rates(house, session="other") == (None, None, None)
    assert (await record_of(house, other)).complained == Share(0, 0)


async def test_a_session_without_a_number_has_a_record_under_its_name(house: SmallHouse) -> None:
    """As it has a budget."""
    await house.session("fresh", number=None)
    house.outbox.serve("fresh")
    await begin(house, 10, session="fresh")
    assert (await rates(house, session="fresh"))[2] == 0.0
    assert (await record_of(house, "fresh")).complained == Share(0, 10)


async def test_who_answered_under_another_name_answered(house: SmallHouse) -> None:
    """A hidden id that turns out to be theirs brings its words along."""
    [one, *_] = await begin(house, 10)
    known = await house.message(one)
    await house.clock.advance(60)
    at = house.clock.now()
    names = house.aliases.of_lid("998877665544332@lid")
    hidden = await house.database.write(lambda tx: contacts.resolve(tx, names, at))
    await house.inbound(hidden)
    await house.clock.leap(4 * DAY)
    assert (await record_of(house)).answered == Share(0, 10)
    both = (*house.aliases.of_phone(known.recipient), *names)
    await house.database.write(lambda tx: contacts.resolve(tx, both, at))
    assert (await record_of(house)).answered == Share(1, 10)


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
    async with small_house(tmp_path, rules=written(tmp_path, NO_VETOES + text)) as house:
        await house.session()
        house.outbox.serve("main")
        [one, *_] = await begin(house, 10)
        contact = (await house.message(one)).contact
        await house.evidence(contact, EvidenceKind.COMPLAINT, "refused_marketing")
        await house.clock.leap(3 * DAY)
        await house.prospect(BETO)
        found = await house.message(await house.post(BETO))
        assert (found.state, found.reason_code) == (S.DEFERRED, "bad_number")
        assert found.due_at == house.clock.now() + timedelta(hours=6)
