"""A ceiling per person: commercial messages to one contact, whatever else speaks for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.errors import BadRequest
from daemon.outbox.forecast import forecast_message
from statemachines.message import MessageState
from storage import contacts
from storage.evidence import EvidenceKind
from tests.helpers.services.messaging import (
    ANA,
    MessagingServices,
    build_phone,
    open_messaging_services,
)

pytestmark = pytest.mark.slow

S = MessageState


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[MessagingServices]:
    """Everything that runs, with one session."""
    async with open_messaging_services(tmp_path) as opened:
        await opened.add_session()
        yield opened


async def add_ana(services: MessagingServices) -> str:
    """Enter Ana, who agreed and wrote to us ten days ago: nobody scores higher."""
    contact = await services.add_prospect()
    ten_days_ago = services.clock.now() - timedelta(days=10)
    await services.add_evidence(contact, EvidenceKind.INBOUND, "none", at=ten_days_ago)
    return contact


async def test_seven_in_eleven_minutes_are_one(services: MessagingServices) -> None:
    """The first goes; each further one waits until a day after it."""
    await add_ana(services)
    asked = []
    for number in range(7):
        asked.append(await services.enqueue_and_settle(ANA, f"Oferta número {number} de hoy"))
        await services.clock.advance(100)
    states = [await services.get_state(message) for message in asked]
    assert states == [S.SENT, *[S.DEFERRED] * 6]


async def sell(services: MessagingServices, text: str) -> str:
    """Ask for a message of a campaign: commercial, also while they talk to us."""
    return await services.enqueue_and_settle(ANA, text, campaign="feria")


async def test_the_next_one_goes_to_the_hour_a_day_later(services: MessagingServices) -> None:
    """She answered, so a machine may write again: a day after the first, not a minute before."""
    contact = await add_ana(services)
    first = await services.get_message(await sell(services, "Tenemos la lista nueva"))
    await services.clock.advance(3600)
    await services.add_inbound(contact)
    second = await sell(services, "También hay ofertas de mesas")
    found = await services.get_message(second)
    assert first.sent_at is not None
    assert (found.state, found.reason_code) == (S.DEFERRED, "one_in_24_hours")
    assert found.due_at == first.sent_at + timedelta(hours=24)
    await services.clock.leap(23 * 3600 - 60)
    assert await services.get_state(second) is S.DEFERRED
    await services.clock.advance(60)
    assert await services.get_state(second) is S.SENT


async def test_a_third_one_waits_until_a_week_after_the_first(services: MessagingServices) -> None:
    """Two in seven days, whatever they answer."""
    contact = await add_ana(services)
    first = await services.get_message(await sell(services, "Tenemos la lista nueva"))
    assert first.sent_at is not None
    for text in ("También hay ofertas de mesas", "Y sillas plegables de jardín"):
        await services.clock.leap(25 * 3600)
        await services.add_inbound(contact)
        latest = await services.get_message(await sell(services, text))
    assert (latest.state, latest.reason_code) == (S.DEFERRED, "two_in_7_days")
    assert latest.due_at == first.sent_at + timedelta(days=7)


async def test_answers_do_not_count(services: MessagingServices) -> None:
    """However often we answered, the ceiling is for what nobody asked for."""
    contact = await add_ana(services)
    await services.add_inbound(contact)
    for number in range(3):
        answer = await services.enqueue_and_settle(ANA, f"Respuesta {number}: sí, claro")
        assert await services.get_state(answer) is S.SENT
    assert await services.get_state(await sell(services, "Tenemos la lista nueva")) is S.SENT


async def test_an_unanswered_one_is_followed_up_by_hand_after_five_business_days(
    services: MessagingServices,
) -> None:
    """Tuesday's message: the machine never follows it up, a person may from next Tuesday on."""
    await add_ana(services)
    await services.enqueue_and_settle(ANA, "Tenemos la lista nueva")
    later = services.clock.now() + timedelta(days=9)
    second = await services.enqueue_and_settle(ANA, "¿La pudiste ver?", not_after=later)
    found = await services.get_message(second)
    assert (found.state, found.channel) == (S.DEFERRED, "manual")
    assert "follow_up_too_soon" in [
        each["id"]
        for each in (await services.list_decisions(second))[-1].document["vetoes"]  # type: ignore[attr-defined] # as stored
    ]
    await services.clock.leap(timedelta(days=6).total_seconds())
    assert await services.get_state(second) is S.DEFERRED
    await services.clock.leap(timedelta(days=1).total_seconds())
    assert await services.get_state(second) in {S.CLEARED, S.HELD}
    assert (await services.get_message(second)).channel == "manual"


async def test_a_follow_up_outlives_the_wait_for_its_day(services: MessagingServices) -> None:
    """Nobody said how long it may wait: its week begins when it may go, on the fifth business day.

    Of Tuesday 17 March that is Thursday 26: the 23 and the 24 are holidays in Argentina.
    """
    await services.clock.leap(timedelta(days=14).total_seconds())
    await add_ana(services)
    await services.enqueue_and_settle(ANA, "Tenemos la lista nueva")
    second = await services.enqueue_and_settle(ANA, "¿La pudiste ver?")
    found = await services.get_message(second)
    assert (found.state, found.channel) == (S.DEFERRED, "manual")
    assert found.due_at == datetime(2026, 3, 26, 3, tzinfo=UTC)  # midnight in Buenos Aires
    assert found.not_after == found.due_at + timedelta(days=7)
    await services.clock.leap(timedelta(days=9).total_seconds())
    assert await services.get_state(second) in {S.CLEARED, S.HELD}


async def test_a_follow_up_with_an_end_of_its_own_expires_then(services: MessagingServices) -> None:
    """Whoever said until when it may go is believed."""
    await add_ana(services)
    await services.enqueue_and_settle(ANA, "Tenemos la lista nueva")
    ends = services.clock.now() + timedelta(days=2)
    second = await services.enqueue_and_settle(ANA, "¿La pudiste ver?", not_after=ends)
    found = await services.get_message(second)
    assert found.not_after == ends
    forecast = await services.database.read(
        lambda reader: forecast_message(
            reader, services.sessions, services.pacing, found, services.clock.now()
        )
    )
    assert forecast is not None
    assert (forecast.code, forecast.at) == ("expires_waiting", ends)
    await services.clock.leap(timedelta(days=2).total_seconds())
    assert await services.get_state(second) is S.EXPIRED


async def test_what_leaves_makes_other_evaluations_of_the_contact_stale(
    services: MessagingServices,
) -> None:
    """Two sessions at once can't both send on the same count."""
    contact = await add_ana(services)
    before = await services.database.read(lambda r: contacts.get_contact_revision(r, contact))
    await services.enqueue_and_settle(ANA, "Tenemos la lista nueva")
    after = await services.database.read(lambda r: contacts.get_contact_revision(r, contact))
    assert after > before


TEMPLATE = "Hola, soy Leo de la feria de muebles de Rosario. Tenemos lo que pediste: {}. Saludos"
PEOPLE = [build_phone(number) for number in range(6)]


async def send_to_all(services: MessagingServices, **more: object) -> list[MessageState]:
    """Send the same words to six people who agreed, each with a word of its own."""
    states = []
    for phone in PEOPLE:
        await services.add_prospect(phone)
        message = await services.enqueue_and_settle(phone, TEMPLATE.format("mesas"), **more)
        states.append(await services.get_state(message))
    return states


@pytest.mark.parametrize(
    "more", [{}, {"template": "feria"}, {"template": "feria", "typed": "mesas"}]
)
async def test_the_same_words_to_six_people_are_likeness(
    services: MessagingServices, more: dict[str, str]
) -> None:
    """Only the first goes unseen, whatever template the sender names: nobody has approved one."""
    assert await send_to_all(services, **more) == [S.SENT, *[S.HELD] * 5]


async def test_a_name_in_the_greeting_hides_no_likeness(services: MessagingServices) -> None:
    """Six people, each with another word as typed: the rest of the text is the same."""
    states = []
    for phone, name in zip(PEOPLE, ("Ana", "Beto", "Carla", "Dora", "Elsa", "Fabio"), strict=True):
        await services.add_prospect(phone)
        more = {"template": "feria", "typed": name}
        message = await services.enqueue_and_settle(phone, TEMPLATE.format(name), **more)
        states.append(await services.get_state(message))
    assert states == [S.SENT, *[S.HELD] * 5]


async def test_words_that_are_said_to_be_of_a_template_are_compared_too(
    services: MessagingServices,
) -> None:
    """What the others were sent counts whole as well, not what was said to be typed of it."""
    first, second = PEOPLE[:2]
    states = []
    for phone, more in ((first, {"template": "feria", "typed": "mesas"}), (second, {})):
        await services.add_prospect(phone)
        message = await services.enqueue_and_settle(phone, TEMPLATE.format("mesas"), **more)
        states.append(await services.get_state(message))
    assert states == [S.SENT, S.HELD]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"typed": "mesas"}, "goes with a template"),
        ({"typed": "lámparas", "template": "feria"}, "not in the text"),
    ],
)
async def test_typed_words_are_words_of_the_text(
    services: MessagingServices, more: dict[str, str], sentence: str
) -> None:
    """Nobody declares other words to be typed than those that are sent."""
    with pytest.raises(BadRequest, match=sentence):
        await services.enqueue(ANA, TEMPLATE.format("mesas"), **more)
