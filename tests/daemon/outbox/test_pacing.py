"""Budgets of a phone number: when a message may go, never whether."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.numbers.budgets import Budgets
from daemon.outbox.pacing import Pacing, get_budget_key
from daemon.settings import PacingSettings
from statemachines.message import MessageState
from storage import evaluation_context, spends
from storage.evaluation_context import SessionContext
from storage.spends import SpendKind
from storage.tx import Reader
from tests.helpers.clock import FakeClock
from tests.helpers.puppet_channel import PuppetChannel, ScriptedSendResult
from tests.helpers.services.messaging import (
    OUR_NUMBER,
    MessagingServices,
    build_phone,
    open_messaging_services,
)

S = MessageState
SHIPPED = PacingSettings()
NO_GAP = PacingSettings(new_chat_gap_minutes=0)
TEXTS = (
    "Hola, ¿sigue en pie la visita del jueves?",
    "Le escribo por la mesa de roble que vio",
    "Tenemos turno libre para su auto el lunes",
    "El presupuesto del techo está terminado",
    "¿Quiere que le reserve las dos entradas?",
    "Llegó la tela azul que nos había pedido",
)


async def people(services: MessagingServices, count: int, *, known: bool = False) -> list[str]:
    """Enter prospects; ``known`` ones wrote to us long ago."""
    numbers = [build_phone(number) for number in range(count)]
    for number in numbers:
        contact = await services.add_prospect(number)
        if known:
            await services.add_inbound(contact)
    return numbers


async def post_all(services: MessagingServices, numbers: Sequence[str]) -> list[str]:
    """Enqueue a text of its own for each, a second apart."""
    posted = []
    for number, text in zip(numbers, TEXTS, strict=False):
        posted.append(await services.enqueue_and_settle(number, text))
        await services.clock.advance(1)
    return posted


def at_the_wire(services: MessagingServices) -> list[float]:
    """Return when each send went, in whole seconds after the first."""
    first = services.wire.sends[0].at
    return [round((sent.at - first).total_seconds()) for sent in services.wire.sends]


async def test_six_messages_a_minute_leave_through_a_session(tmp_path: Path) -> None:
    """The seventh waits until the first is a minute old."""
    async with open_messaging_services(
        tmp_path, pacing=PacingSettings(messages_per_minute=2)
    ) as services:
        await services.add_session()
        await post_all(services, await people(services, 4, known=True))
        await services.clock.advance(120)
        assert at_the_wire(services) == [0, 1, 60, 61]


@pytest.mark.parametrize(("days", "budget"), [(0, 3), (6.9, 3), (7, 5), (29.9, 5), (30, 10)])
async def test_a_numbers_budget_of_new_chats_grows_with_its_age(
    tmp_path: Path, days: float, budget: int
) -> None:
    """Three in the first week, five to day 30, then ten."""
    async with open_messaging_services(tmp_path) as services:
        await services.add_session(linked_days=days)
        at = services.clock.now()
        pacing = Pacing(Budgets(SHIPPED))
        found = await services.database.read(
            lambda reader: pacing.get_new_chat_budget(reader, around(reader, services), at)
        )
        assert found == budget
        assert at == services.clock.now()


def around(reader: Reader, services: MessagingServices, name: str = "main") -> SessionContext:
    """Return a session's standing."""
    return evaluation_context.read_session_context(reader, name, services.clock.now())


async def test_a_number_that_was_never_linked_counts_as_new(tmp_path: Path) -> None:
    """Its budget is that of the first week, under the session's own name."""
    async with open_messaging_services(tmp_path) as services:
        await services.add_session(number=None)
        session = await services.database.read(lambda reader: around(reader, services))
        pacing, now = Pacing(Budgets(SHIPPED)), services.clock.now()
        found = await services.database.read(
            lambda reader: pacing.get_new_chat_budget(reader, session, now)
        )
        assert found == 3
        assert get_budget_key(session) == "main"


async def test_new_chats_keep_a_quarter_of_an_hour_between_them(tmp_path: Path) -> None:
    """Three first contacts: at 0, 15 and 30 minutes."""
    async with open_messaging_services(tmp_path, pacing=SHIPPED) as services:
        await services.add_session()
        await post_all(services, await people(services, 3))
        await services.clock.advance(1900)
        assert at_the_wire(services) == [0, 900, 1800]


async def test_the_day_after_the_budget_is_there_again(tmp_path: Path) -> None:
    """Rolling: the fourth goes 24 hours after the first, not at midnight."""
    async with open_messaging_services(tmp_path, pacing=NO_GAP) as services:
        await services.add_session(linked_days=1)
        posted = await post_all(services, await people(services, 4))
        assert len(services.wire.sends) == 3
        await services.clock.leap(86_400 - 10)
        assert await services.get_state(posted[3]) is S.CLEARED
        await services.clock.leap(20)
        await services.clock.advance(1)
        assert await services.get_state(posted[3]) is S.SENT


async def test_who_wrote_to_us_is_no_new_chat_and_goes_before_all_others(tmp_path: Path) -> None:
    """The budget is spent and the reply still goes, first."""
    async with open_messaging_services(tmp_path, pacing=NO_GAP) as services:
        await services.add_session(linked_days=1)
        numbers = await people(services, 5)
        await post_all(services, numbers[:4])
        await services.add_inbound(await services.resolve_contact(numbers[4]))
        reply = await services.enqueue_and_settle(numbers[4], "Sí, claro")
        assert await services.get_state(reply) is S.SENT
        assert len(services.wire.sends) == 4


async def test_replies_go_first(tmp_path: Path) -> None:
    """While the line was down two waited; the answer overtakes the offer."""
    async with open_messaging_services(tmp_path) as services:
        await services.add_session()
        await services.bring_line_down()
        first, second = await people(services, 2)
        await services.enqueue_and_settle(first, "Una oferta muy buena")
        await services.clock.advance(5)
        await services.add_inbound(await services.resolve_contact(second))
        await services.enqueue_and_settle(second, "Sí, claro")
        await services.bring_line_up()
        await services.clock.settle()
        assert services.wire.sent_texts() == ["Sí, claro", "Una oferta muy buena"]


async def test_a_second_message_to_the_same_person_is_no_new_chat(tmp_path: Path) -> None:
    """The budget counts people, not messages."""
    async with open_messaging_services(tmp_path, pacing=NO_GAP) as services:
        await services.add_session(linked_days=1)
        numbers = await people(services, 4)
        await services.bring_line_down()
        again = await services.enqueue(numbers[0], "Una cosa más, si me permite")
        posted = await post_all(services, numbers)
        await services.bring_line_up()
        await services.clock.advance(5)
        assert await services.get_state(again) is S.SENT
        assert await services.get_state(posted[3]) is S.CLEARED


async def test_a_certain_refusal_gives_the_new_chat_back(tmp_path: Path) -> None:
    """Who never got a message was no new chat."""
    async with open_messaging_services(tmp_path, pacing=NO_GAP) as services:
        await services.add_session(linked_days=1)
        services.wire.results.extend(
            [ScriptedSendResult.REFUSE, ScriptedSendResult.REFUSE, ScriptedSendResult.REFUSE]
        )
        await post_all(services, await people(services, 6))
        assert (
            len([sent for sent in services.wire.sends if sent.result is ScriptedSendResult.ACK])
            == 3
        )


async def test_a_doubt_keeps_what_it_spent(tmp_path: Path) -> None:
    """It may have left."""
    async with open_messaging_services(tmp_path, pacing=NO_GAP) as services:
        await services.add_session(linked_days=1)
        services.wire.default_result = ScriptedSendResult.UNKNOWN
        await post_all(services, await people(services, 4))
        assert len(services.wire.sends) == 3


async def test_a_restart_widens_no_budget(tmp_path: Path) -> None:
    """The ledger is in the database, and so are the gap and the minute."""
    clock = FakeClock()
    wire = PuppetChannel(clock)
    async with open_messaging_services(
        tmp_path, pacing=SHIPPED, clock=clock, wire=wire
    ) as services:
        await services.add_session()
        await post_all(services, await people(services, 3))
        assert len(wire.sends) == 1
    for _ in range(3):
        async with open_messaging_services(tmp_path, pacing=SHIPPED, clock=clock, wire=wire):
            await clock.advance(10)
            assert len(wire.sends) == 1


async def test_a_new_pairing_widens_no_budget(tmp_path: Path) -> None:
    """Budgets belong to the phone number, over all sessions and channels of it."""
    async with open_messaging_services(tmp_path, pacing=NO_GAP) as services:
        await services.add_session(linked_days=1)
        numbers = await people(services, 4)
        await post_all(services, numbers[:3])
        await services.add_session("again", linked_days=0)
        message = await services.enqueue_and_settle(numbers[3], TEXTS[3], session="again")
        assert await services.get_state(message) is S.CLEARED
        [left] = await services.database.read(
            lambda reader: [
                services.pacing.count_new_chats_left(reader, around(reader, services, "again"), at)
                for at in (services.clock.now(),)
            ]
        )
        assert left == 0


async def test_a_clock_that_went_back_widens_no_budget(tmp_path: Path) -> None:
    """What was spent in the future was spent all the same."""
    async with open_messaging_services(tmp_path, pacing=SHIPPED) as services:
        await services.add_session()
        at = services.clock.now()
        tomorrow = at + timedelta(days=1)
        await services.database.write(
            lambda tx: spends.insert_spend(
                tx, OUR_NUMBER, SpendKind.NEW_CHAT, session="main", message=None, at=tomorrow
            )
        )
        slot = await services.database.read(
            lambda reader: services.pacing.find_slot(
                reader, around(reader, services), at, first_contact=True, by_hand=False
            )
        )
        assert slot.reason_code == "new_chat_gap"
        assert slot.at == tomorrow + timedelta(minutes=15)


async def test_a_number_whose_new_chats_are_stopped_answers_and_begins_nothing(
    services: MessagingServices,
) -> None:
    """The breaker: replies go on."""
    await services.execute_sql(
        "UPDATE numbers SET new_chats_stopped_at = '2026-03-03T00:00:00.000Z'"
    )
    first = await services.enqueue_and_settle()
    assert await services.get_state(first) is S.CLEARED
    await services.outbox.cancel(first, "eva", "not now")
    await services.add_inbound(await services.resolve_contact("+5491145550001"))
    assert await services.get_state(await services.enqueue_and_settle(text="Sí, claro")) is S.SENT
    at = services.clock.now()
    left = await services.database.read(
        lambda reader: services.pacing.count_new_chats_left(reader, around(reader, services), at)
    )
    assert left == 0
    by_hand = await services.database.read(
        lambda reader: services.pacing.find_slot(
            reader, around(reader, services), at, first_contact=True, by_hand=True
        )
    )
    assert (by_hand.at, by_hand.reason_code) == (None, "new_chats_stopped")


async def test_a_budget_of_nothing_is_never_open(tmp_path: Path) -> None:
    """Only a person's change of the setting opens it."""
    nothing = PacingSettings(new_chats_later=0, manual_new_chats_later=0)
    async with open_messaging_services(tmp_path, pacing=nothing) as services:
        await services.add_session()
        await services.add_prospect()
        message = await services.enqueue_and_settle()
        await services.clock.leap(3 * 3600)
        assert await services.get_state(message) is S.CLEARED
        at = services.clock.now()
        slots = await services.database.read(
            lambda reader: [
                services.pacing.find_slot(
                    reader, around(reader, services), at, first_contact=True, by_hand=by_hand
                )
                for by_hand in (False, True)
            ]
        )
        assert [slot.reason_code for slot in slots] == ["no_new_chats", "no_manual_new_chats"]
        assert not any(slot.is_open(at) for slot in slots)


async def test_what_pacing_holds_back_costs_the_gate_no_look(tmp_path: Path) -> None:
    """Pacing is asked first: a full queue does not make the gate busy at each ring."""
    async with open_messaging_services(tmp_path, pacing=SHIPPED) as services:
        await services.add_session()
        await post_all(services, await people(services, 6))
        before = await services.query_rows("SELECT count(*) FROM decisions")
        for _ in range(10):
            await services.outbox.wake()
            await services.clock.settle()
        assert await services.query_rows("SELECT count(*) FROM decisions") == before
        assert len(services.wire.sends) == 1
