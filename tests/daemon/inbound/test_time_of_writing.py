"""Effects of an inbound follow its time of writing; the past changes facts by its date alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.api.effects import AddNote, AskReview, Intent, QueueReply, SetIntent
from daemon.api.signals import Origin
from daemon.gate.consent import Permission, derive_permission
from statemachines.message import MessageState
from statemachines.prospect import ValidationState
from storage import contacts, evidence, inbound, messages
from storage.tx import Reader
from tests.helpers.services.contacts import (
    ANA,
    InboundInterpreter,
    InboundServices,
    build_inbound_services,
    open_contact_services,
)

DAY = timedelta(days=1)
PAST_PEER, OWN_PEER = "+5491151000001", "+5491151000002"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[InboundServices]:
    """The handlers over a real database."""
    async with open_contact_services(tmp_path) as people:
        yield build_inbound_services(people)


async def read_permission(desk: InboundServices, phone: str = ANA) -> Permission:
    """Return what the evidence says now."""
    contact = await desk.people.resolve_contact(phone)
    known = await desk.people.database.read(lambda r: evidence.list_contact_evidence(r, contact))
    return derive_permission(known, desk.people.clock.now())


async def read_review_reason(desk: InboundServices, phone: str = ANA) -> str | None:
    """Return why commercial messages to a contact wait for a person, if they do."""
    contact = await desk.people.resolve_contact(phone)
    found = await desk.people.database.read(lambda r: contacts.get_contact(r, contact))
    return found.review_reason if found else None


async def test_replayed_history_cancels_nothing_that_was_queued_after_it_was_written(
    desk: InboundServices,
) -> None:
    """A message of theirs of last year, and one that was typed on the phone."""
    theirs = await desk.people.queue_message(PAST_PEER)
    typed = await desk.people.queue_message(OWN_PEER)
    await desk.receive_case("F1-history")
    assert await desk.people.get_message_state(theirs) is MessageState.QUEUED
    assert await desk.people.get_message_state(typed) is MessageState.QUEUED
    assert await read_permission(desk, PAST_PEER) is Permission.NONE


@pytest.mark.parametrize("origin", [Origin.LIVE, Origin.OFFLINE, Origin.HISTORY])
async def test_a_message_cancels_what_was_queued_before_it_was_written(
    desk: InboundServices, origin: Origin
) -> None:
    """However it came: one was queued before, one after."""
    before = await desk.people.queue_message(ANA, text="Hola")
    await desk.people.clock.advance(3600)
    after = await desk.people.queue_message(ANA, text="Buenas")
    await desk.receive_text("hola", age=timedelta(minutes=30), origin=origin)
    assert await desk.people.get_message_state(before) is MessageState.CANCELLED
    assert await desk.people.get_message_state(after) is MessageState.QUEUED


async def test_a_time_in_whole_seconds_is_not_before_what_was_queued_in_that_second(
    desk: InboundServices,
) -> None:
    """Platforms cut the fraction off: written a moment later, it seems to be older."""
    await desk.people.clock.advance(0.9)
    message = await desk.people.queue_message(ANA)
    await desk.receive_text("hola", age=timedelta(seconds=0.9))
    assert await desk.people.get_message_state(message) is MessageState.CANCELLED


async def test_what_is_typed_on_the_phone_ends_only_what_was_queued_before_it(
    desk: InboundServices,
) -> None:
    """The owner wrote an hour ago; the second message was asked for since."""
    before = await desk.people.queue_message(ANA, text="Hola")
    await desk.people.clock.advance(3600)
    after = await desk.people.queue_message(ANA, text="Buenas")
    await desk.receive_own_message("OWN1", age=timedelta(minutes=30))
    assert await desk.people.get_message_state(before) is MessageState.CANCELLED
    assert await desk.people.get_message_state(after) is MessageState.QUEUED


@pytest.mark.parametrize(("age", "booked"), [(29 * DAY, 2), (31 * DAY, 0)])
async def test_an_own_message_is_booked_by_its_date_where_a_budget_still_looks(
    desk: InboundServices, age: timedelta, booked: int
) -> None:
    """A whole history of own messages does not fill the ledger."""
    await desk.people.resolve_contact(ANA)
    await desk.receive_own_message("OLD", age=age)
    dates: list[str] = await desk.people.database.read(_list_spend_dates)
    assert len(dates) == booked
    assert all(date.startswith("2026-02-02") for date in dates)


def _list_spend_dates(reader: Reader) -> list[str]:
    return [row["at"] for row in reader.all("SELECT at FROM spends")]


async def test_an_opt_out_suppresses_whatever_its_date(desk: InboundServices) -> None:
    """It was said last year, and everything that waits today is cancelled, replies too."""
    sale = await desk.people.queue_message(ANA)
    reply = await desk.people.queue_message(ANA, kind="reply")
    await desk.receive_text("BAJA", age=400 * DAY, origin=Origin.HISTORY)
    assert await desk.people.suppression.check(ANA)
    assert await desk.people.get_message_state(sale) is MessageState.CANCELLED
    assert await desk.people.get_message_state(reply) is MessageState.CANCELLED


async def test_an_opt_out_from_before_their_opt_in_suppresses_nothing(
    desk: InboundServices,
) -> None:
    """History comes in any order: the opt-in of last month is the last word."""
    await desk.receive_text("ALTA", age=30 * DAY, origin=Origin.HISTORY)
    await desk.receive_text("BAJA", age=60 * DAY, origin=Origin.HISTORY)
    assert not await desk.people.suppression.check(ANA)
    assert await read_permission(desk) is Permission.OPTED_IN


async def test_an_opt_in_from_between_two_opt_outs_lifts_nothing(desk: InboundServices) -> None:
    """The suppression dates from the first; the second is the last word."""
    await desk.receive_text("BAJA", age=60 * DAY, origin=Origin.HISTORY)
    await desk.receive_text("BAJA", age=10 * DAY, origin=Origin.HISTORY)
    await desk.receive_text("ALTA", age=30 * DAY, origin=Origin.HISTORY)
    assert await desk.people.suppression.check(ANA)


async def test_a_refusal_of_the_past_refuses_by_its_date(desk: InboundServices) -> None:
    """It holds, unless they wrote again since."""
    await desk.receive_text("no, gracias", age=100 * DAY, origin=Origin.HISTORY)
    assert await read_permission(desk) is Permission.REFUSED
    await desk.receive_text("hola, ¿precio?")
    assert await read_permission(desk) is Permission.CONVERSATION


@pytest.mark.parametrize(
    ("age", "origin"), [(20 * DAY, Origin.LIVE), (timedelta(0), Origin.HISTORY)]
)
async def test_the_past_changes_nothing_but_facts(
    tmp_path: Path, age: timedelta, origin: Origin
) -> None:
    """No plugin is asked: no reply, no intent, no note, no review."""
    effects = [
        QueueReply("Ya te paso"),
        SetIntent(Intent.CLEAR, "me interesa"),
        AddNote("llamar"),
        AskReview("pidió factura"),
    ]
    async with open_contact_services(tmp_path) as people:
        desk = build_inbound_services(people, more={"helper": InboundInterpreter(effects)})
        prospect = await desk.add_prospect()
        await desk.receive_text("me interesa, ¿cuánto sale?", age=age, origin=origin)
        after = await desk.get_prospect(prospect)
        assert (after.intent, after.notes) == ("none", "")
        assert await read_review_reason(desk) is None
        found = await people.database.read(messages.list_messages)
        assert found == []


async def test_past_words_that_may_ask_us_to_stop_are_read_by_a_person(
    desk: InboundServices,
) -> None:
    """A look costs ten seconds, however old they are."""
    await desk.receive_text("Baja el precio y compro", age=90 * DAY, origin=Origin.HISTORY)
    assert await read_review_reason(desk)


async def test_no_reply_is_queued_when_its_time_is_over(tmp_path: Path) -> None:
    """The session was away for two days; their question gets no automatic answer now."""
    plugin = InboundInterpreter([QueueReply("Ya te paso"), AddNote("llamar")])
    async with open_contact_services(tmp_path) as people:
        desk = build_inbound_services(people, more={"helper": plugin})
        prospect = await desk.add_prospect()
        await desk.receive_text("¿precio?", age=2 * DAY, origin=Origin.OFFLINE)
        assert (await desk.get_prospect(prospect)).notes == "llamar"
        assert await people.database.read(messages.list_messages) == []


async def test_an_older_intent_does_not_replace_a_newer_one(tmp_path: Path) -> None:
    """The messages of two days come in the wrong order."""
    plugin = InboundInterpreter([SetIntent(Intent.CLEAR, "sí")])
    async with open_contact_services(tmp_path) as people:
        desk = build_inbound_services(people, more={"helper": plugin})
        prospect = await desk.add_prospect()
        await desk.receive_text("sí")
        plugin.answer = [SetIntent(Intent.WEAK, "quizás")]
        await desk.receive_text("quizás", age=DAY, origin=Origin.OFFLINE)
        assert (await desk.get_prospect(prospect)).intent == "clear"


@pytest.mark.parametrize(
    ("age", "state"),
    [(10 * DAY, ValidationState.VALIDATED), (100 * DAY, ValidationState.UNCHECKED)],
)
async def test_a_past_message_validates_no_longer_than_from_its_date(
    desk: InboundServices, age: timedelta, state: ValidationState
) -> None:
    """It proves that they could be reached then: for 90 days from then."""
    prospect = await desk.add_prospect()
    await desk.receive_text("hola", age=age, origin=Origin.HISTORY)
    after = await desk.get_prospect(prospect)
    assert after.validation is state
    if after.expires_at is not None:
        assert after.expires_at == desk.people.clock.now() - age + 90 * DAY


async def test_the_past_asks_for_no_answer(desk: InboundServices) -> None:
    """It is stored as what it is: no one waits for an answer to it."""
    await desk.receive_text("¿precio?", age=90 * DAY, origin=Origin.HISTORY)
    contact = await desk.people.resolve_contact(ANA)
    [record] = await desk.people.database.read(lambda r: inbound.list_contact_inbound(r, contact))
    assert (record.origin, record.past) == ("history", True)
