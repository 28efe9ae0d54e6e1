"""The breaker of a number: what stops its new chats, that replies go on, and who resumes."""

from __future__ import annotations

import pytest

from daemon.api.effects import ContactRequest
from daemon.api.identity import parse_identity
from daemon.api.signals import InboundMessage
from daemon.errors import BadRequest, Conflict, NotFound
from statemachines.message import MessageState
from statemachines.vocabulary import BreakerCause
from storage import spends
from storage.breaker_trips import BreakerTrip, list_breaker_trips
from storage.evidence import EvidenceKind
from storage.numbers import find_number
from tests.helpers.puppet_channel import ScriptedSendResult
from tests.helpers.services.messaging import (
    BETO,
    OUR_NUMBER,
    MessagingServices,
    build_phone,
)
from tests.helpers.services.messaging_scenarios import add_receipt, send_first_messages

pytestmark = pytest.mark.slow

S = MessageState
HOUR, DAY = 3600.0, 86_400.0


async def opt_out(services: MessagingServices, message: str) -> None:
    """Let the recipient of a message ask for no more, in words."""
    contact = (await services.get_message(message)).contact
    await services.add_inbound(contact, ContactRequest.OPT_OUT)


async def complain(services: MessagingServices, message: str) -> None:
    """Let the recipient of a message complain."""
    contact = (await services.get_message(message)).contact
    await services.add_evidence(contact, EvidenceKind.COMPLAINT, "hostile_refusal")


async def answer(services: MessagingServices, messages: list[str]) -> None:
    """Let the recipients of messages answer with interest."""
    for message in messages:
        await services.add_inbound((await services.get_message(message)).contact)


async def deliver(services: MessagingServices, messages: list[str]) -> None:
    """Let the platform report messages as delivered."""
    for message in messages:
        await add_receipt(services, message, "delivered")


async def list_trips(services: MessagingServices) -> list[BreakerTrip]:
    """Return every stop of our number."""
    return await services.database.read(lambda reader: list_breaker_trips(reader, OUR_NUMBER))


async def review(services: MessagingServices) -> list[tuple[BreakerCause, str]]:
    """Let the breaker look at its counts; return the cause and detail of each stop in force."""
    await services.breaker.review()
    trips = await list_trips(services)
    return [(trip.cause, trip.detail) for trip in trips if trip.resumed_at is None]


async def test_the_third_opt_out_of_twenty_stops_new_chats(services: MessagingServices) -> None:
    """Two do not; a person's entry on the telephone counts as one."""
    sent = await send_first_messages(services, 20)
    await opt_out(services, sent[0])
    await opt_out(services, sent[1])
    assert await review(services) == []
    await services.suppress(build_phone(2))
    assert await review(services) == [(BreakerCause.OPT_OUTS, "3 of 20")]


async def test_an_opt_out_from_before_the_last_twenty_is_not_counted(
    services: MessagingServices,
) -> None:
    """What counts are the latest first contacts."""
    sent = await send_first_messages(services, 22)
    for message in (sent[0], sent[1], sent[21]):
        await opt_out(services, message)
    assert await review(services) == []


async def test_the_second_complaint_stops_new_chats(services: MessagingServices) -> None:
    """Of however few."""
    sent = await send_first_messages(services, 2)
    await complain(services, sent[0])
    assert await review(services) == []
    await complain(services, sent[1])
    assert await review(services) == [(BreakerCause.COMPLAINTS, "2 of 2")]


async def test_a_quarter_undelivered_after_a_day_stops_new_chats(
    services: MessagingServices,
) -> None:
    """Of at least ten; before a day is over, nobody is missed."""
    sent = await send_first_messages(services, 12)
    await deliver(services, sent[3:])
    await services.clock.leap(DAY - 60)
    assert await review(services) == []
    await services.clock.leap(60)
    assert await review(services) == [(BreakerCause.UNDELIVERED, "3 of 12")]


async def test_of_nine_first_contacts_undelivered_ones_stop_nothing(
    services: MessagingServices,
) -> None:
    """They say nothing yet."""
    await send_first_messages(services, 9)
    await services.clock.leap(DAY)
    assert await review(services) == []


@pytest.mark.parametrize(
    ("answered", "stopped", "warned"), [(1, True, True), (2, False, True), (5, False, False)]
)
async def test_few_answers_after_three_days_stop_or_warn(
    services: MessagingServices, answered: int, *, stopped: bool, warned: bool
) -> None:
    """1 of 30 stops, 2 of 30 warn, 5 of 30 do neither; the warning is announced once."""
    sent = await send_first_messages(services, 30)
    await deliver(services, sent)
    await answer(services, sent[:answered])
    await services.clock.leap(3 * DAY - 60)
    assert await review(services) == []
    await services.clock.leap(60)
    causes = [cause for cause, _ in await review(services)]
    assert causes == ([BreakerCause.UNANSWERED] if stopped else [])
    await review(services)
    announced = [each.type for each in services.published].count("number.new_chats_warned")
    assert announced == int(warned)


async def test_a_stopped_number_replies_and_begins_nothing_until_a_person_resumes(
    services: MessagingServices,
) -> None:
    """By hand neither. The reason is recorded, and the same opt-outs do not count again."""
    await send_first_messages(services, 3)
    for number in range(3):
        sender, now = parse_identity(build_phone(number)), services.clock.now()
        wrote = InboundMessage(f"W{number}", sender, "BAJA", now)
        await services.signal_handlers.inbound.handle_inbound("main", wrote)
    await services.clock.settle()
    [trip] = await list_trips(services)
    assert (trip.cause, trip.detail) == (BreakerCause.OPT_OUTS, "3 of 3")
    assert "number.new_chats_stopped" in [each.type for each in services.published]

    fresh = await services.enqueue_and_settle(text="Hola, ¿sigue buscando casa?")
    assert await services.get_state(fresh) is S.CLEARED
    await services.add_prospect(BETO)
    await services.add_inbound(await services.resolve_contact(BETO))
    reply = await services.enqueue_and_settle(BETO, "Sí, claro")
    assert await services.get_state(reply) is S.SENT

    with pytest.raises(BadRequest):
        await services.breaker.resume(OUR_NUMBER, "eva", " ")
    await services.breaker.resume(OUR_NUMBER, "eva", "the list was wrong")
    await services.clock.settle()
    assert await services.get_state(fresh) is S.SENT
    assert await review(services) == []
    [resumed] = await list_trips(services)
    assert (resumed.resumed_by, resumed.resumed_reason) == ("eva", "the list was wrong")
    assert ("eva", "new_chats_resumed", OUR_NUMBER, "the list was wrong") in (
        await services.list_audit_entries()
    )


async def test_after_a_resume_the_counts_start_anew(services: MessagingServices) -> None:
    """Two more opt-outs do not stop it, a third does."""
    for message in await send_first_messages(services, 3):
        await opt_out(services, message)
    await review(services)
    await services.breaker.resume(OUR_NUMBER, "eva", "looked at")
    later = await send_first_messages(services, 3, start=10)
    await opt_out(services, later[0])
    await opt_out(services, later[1])
    assert await review(services) == []
    await opt_out(services, later[2])
    assert await review(services) == [(BreakerCause.OPT_OUTS, "3 of 3")]


async def test_a_refund_after_a_resume_hides_no_later_contact(services: MessagingServices) -> None:
    """The number of a spend is never given twice: the next first contacts are counted."""
    for message in await send_first_messages(services, 3):
        await opt_out(services, message)
    await review(services)
    newest = (await services.query_rows("SELECT message FROM spends ORDER BY id DESC"))[0][0]
    await services.breaker.resume(OUR_NUMBER, "eva", "looked at")
    await services.database.write(lambda tx: spends.refund_message_spends(tx, str(newest)))
    for message in await send_first_messages(services, 3, start=10):
        await opt_out(services, message)
    assert await review(services) == [(BreakerCause.OPT_OUTS, "3 of 3")]


async def test_only_what_is_stopped_can_be_resumed(services: MessagingServices) -> None:
    """Another number is not known here."""
    with pytest.raises(Conflict, match="not stopped"):
        await services.breaker.resume(OUR_NUMBER, "eva", "just so")
    with pytest.raises(NotFound):
        await services.breaker.resume("+5491100009999", "eva", "just so")


async def test_a_restriction_of_the_platform_stops_the_number_until_a_person_resumes(
    services: MessagingServices,
) -> None:
    """Its end opens the session alone; each further one stops the number again."""
    for round_ in range(2):
        await services.restrict_session()
        assert await review(services) == [(BreakerCause.RESTRICTED, "restricted")]
        await services.reopen_session()
        assert await review(services) == [(BreakerCause.RESTRICTED, "restricted")]
        fresh = await services.enqueue_and_settle(text=f"Hola, {round_}")
        assert await services.get_state(fresh) is S.CLEARED
        await services.outbox.cancel(fresh, "eva", "later")
        await services.breaker.resume(OUR_NUMBER, "eva", "fewer people from now on")


async def test_a_release_counts_for_itself(services: MessagingServices) -> None:
    """Where the opt-outs came without an event, the first contact behind them does not leave."""
    sent = await send_first_messages(services, 3)
    await services.bring_line_down()
    fresh = await services.enqueue_and_settle(text="Hola, ¿sigue buscando casa?")
    for message in sent:
        await opt_out(services, message)
    await services.execute_sql("UPDATE numbers SET new_chats_stopped_at = NULL")
    await services.execute_sql("DELETE FROM breaker_trips")
    await services.bring_line_up()
    await services.clock.settle()
    assert await services.get_state(fresh) is not S.SENT
    assert [cause for cause, _ in await review(services)] == [BreakerCause.OPT_OUTS]


async def test_a_failure_that_the_platform_reports_counts_at_once(
    services: MessagingServices,
) -> None:
    """Three of ten failed, and nobody waits for a day."""
    sent = await send_first_messages(services, 10)
    await deliver(services, sent[3:])
    for message in sent[:3]:
        await add_receipt(services, message, "failed")
    await services.clock.settle()
    number = await services.database.read(lambda reader: find_number(reader, OUR_NUMBER))
    assert number is not None
    assert number.new_chats_stopped_at is not None


async def test_what_was_certainly_not_sent_counts_for_nothing(services: MessagingServices) -> None:
    """A refusal before the wire is no first contact."""
    services.wire.results.extend([ScriptedSendResult.REFUSE] * 3)
    for number in range(3):
        await services.add_prospect(build_phone(number))
        await services.enqueue_and_settle(build_phone(number), f"Hola {number}")
    await services.clock.leap(DAY)
    assert await review(services) == []
