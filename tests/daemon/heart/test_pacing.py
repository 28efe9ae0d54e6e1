"""Budgets of a phone number: when a message may go, never whether."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.pacing import Pacing, budget_of
from daemon.settings import PacingSettings
from statemachines.message import MessageState
from storage import circumstances, spends
from storage.circumstances import SessionCircumstances
from storage.spends import Spend
from storage.tx import Reader
from tests.helpers.clock import FakeClock
from tests.helpers.heart import OUR_NUMBER, SmallHouse, phone, small_house
from tests.helpers.wire import FakeWire, Say

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


async def people(house: SmallHouse, count: int, *, known: bool = False) -> list[str]:
    """Enter prospects; ``known`` ones wrote to us long ago."""
    numbers = [phone(number) for number in range(count)]
    for number in numbers:
        contact = await house.prospect(number)
        if known:
            await house.inbound(contact)
    return numbers


async def post_all(house: SmallHouse, numbers: Sequence[str]) -> list[str]:
    """Enqueue a text of its own for each, a second apart."""
    posted = []
    for number, text in zip(numbers, TEXTS, strict=False):
        posted.append(await house.post(number, text))
        await house.clock.advance(1)
    return posted


def at_the_wire(house: SmallHouse) -> list[float]:
    """Return when each send went, in whole seconds after the first."""
    first = house.wire.sends[0].at
    return [round((sent.at - first).total_seconds()) for sent in house.wire.sends]


async def test_six_messages_a_minute_leave_through_a_session(tmp_path: Path) -> None:
    """The seventh waits until the first is a minute old."""
    async with small_house(tmp_path, pacing=PacingSettings(messages_per_minute=2)) as house:
        await house.session()
        house.outbox.serve("main")
        await post_all(house, await people(house, 4, known=True))
        await house.clock.advance(120)
        assert at_the_wire(house) == [0, 1, 60, 61]


@pytest.mark.parametrize(("days", "budget"), [(0, 3), (6.9, 3), (7, 5), (29.9, 5), (30, 10)])
async def test_a_numbers_budget_of_new_chats_grows_with_its_age(
    tmp_path: Path, days: float, budget: int
) -> None:
    """Three in the first week, five to day 30, then ten."""
    async with small_house(tmp_path) as house:
        await house.session(linked_days=days)
        at = house.clock.now()
        session = await house.database.read(lambda reader: around(reader, house))
        assert Pacing(SHIPPED).new_chat_budget(session, at) == budget
        assert at == house.clock.now()


def around(reader: Reader, house: SmallHouse, name: str = "main") -> SessionCircumstances:
    """Return a session's standing."""
    return circumstances.of_session(reader, name, house.clock.now())


async def test_a_number_that_was_never_linked_counts_as_new(tmp_path: Path) -> None:
    """Its budget is that of the first week, under the session's own name."""
    async with small_house(tmp_path) as house:
        await house.session(number=None)
        session = await house.database.read(lambda reader: around(reader, house))
        assert Pacing(SHIPPED).new_chat_budget(session, house.clock.now()) == 3
        assert budget_of(session) == "main"


async def test_new_chats_keep_a_quarter_of_an_hour_between_them(tmp_path: Path) -> None:
    """Three first contacts: at 0, 15 and 30 minutes."""
    async with small_house(tmp_path, pacing=SHIPPED) as house:
        await house.session()
        house.outbox.serve("main")
        await post_all(house, await people(house, 3))
        await house.clock.advance(1900)
        assert at_the_wire(house) == [0, 900, 1800]


async def test_the_day_after_the_budget_is_there_again(tmp_path: Path) -> None:
    """Rolling: the fourth goes 24 hours after the first, not at midnight."""
    async with small_house(tmp_path, pacing=NO_GAP) as house:
        await house.session(linked_days=1)
        house.outbox.serve("main")
        posted = await post_all(house, await people(house, 4))
        assert len(house.wire.sends) == 3
        await house.clock.leap(86_400 - 10)
        assert await house.state(posted[3]) is S.CLEARED
        await house.clock.leap(20)
        await house.clock.advance(1)
        assert await house.state(posted[3]) is S.SENT


async def test_who_wrote_to_us_is_no_new_chat_and_goes_before_all_others(tmp_path: Path) -> None:
    """The budget is spent and the reply still goes, first."""
    async with small_house(tmp_path, pacing=NO_GAP) as house:
        await house.session(linked_days=1)
        house.outbox.serve("main")
        numbers = await people(house, 5)
        await post_all(house, numbers[:4])
        await house.inbound(await house.contact(numbers[4]))
        reply = await house.post(numbers[4], "Sí, claro")
        assert await house.state(reply) is S.SENT
        assert len(house.wire.sends) == 4


async def test_replies_go_first(tmp_path: Path) -> None:
    """While the line was down two waited; the answer overtakes the offer."""
    async with small_house(tmp_path) as house:
        await house.session()
        house.outbox.serve("main")
        house.wire.up = False
        first, second = await people(house, 2)
        await house.post(first, "Una oferta muy buena")
        await house.clock.advance(5)
        await house.inbound(await house.contact(second))
        await house.post(second, "Sí, claro")
        house.wire.up = True
        house.outbox.session_ready("main")
        await house.clock.settle()
        assert house.wire.texts() == ["Sí, claro", "Una oferta muy buena"]


async def test_a_second_message_to_the_same_person_is_no_new_chat(tmp_path: Path) -> None:
    """The budget counts people, not messages."""
    async with small_house(tmp_path, pacing=NO_GAP) as house:
        await house.session(linked_days=1)
        house.outbox.serve("main")
        numbers = await people(house, 4)
        house.wire.up = False
        again = await house.enqueue(numbers[0], "Una cosa más, si me permite")
        posted = await post_all(house, numbers)
        house.wire.up = True
        house.outbox.session_ready("main")
        await house.clock.advance(5)
        assert await house.state(again) is S.SENT
        assert await house.state(posted[3]) is S.CLEARED


async def test_a_certain_refusal_gives_the_new_chat_back(tmp_path: Path) -> None:
    """Who never got a message was no new chat."""
    async with small_house(tmp_path, pacing=NO_GAP) as house:
        await house.session(linked_days=1)
        house.outbox.serve("main")
        house.wire.script.extend([Say.REFUSE, Say.REFUSE, Say.REFUSE])
        await post_all(house, await people(house, 6))
        assert len([sent for sent in house.wire.sends if sent.said is Say.ACK]) == 3


async def test_a_doubt_keeps_what_it_spent(tmp_path: Path) -> None:
    """It may have left."""
    async with small_house(tmp_path, pacing=NO_GAP) as house:
        await house.session(linked_days=1)
        house.outbox.serve("main")
        house.wire.usual = Say.UNKNOWN
        await post_all(house, await people(house, 4))
        assert len(house.wire.sends) == 3


async def test_a_restart_widens_no_budget(tmp_path: Path) -> None:
    """The ledger is in the database, and so are the gap and the minute."""
    clock = FakeClock()
    wire = FakeWire(clock)
    async with small_house(tmp_path, pacing=SHIPPED, clock=clock, wire=wire) as house:
        await house.session()
        house.outbox.serve("main")
        await post_all(house, await people(house, 3))
        assert len(wire.sends) == 1
    for _ in range(3):
        async with small_house(tmp_path, pacing=SHIPPED, clock=clock, wire=wire):
            await clock.advance(10)
            assert len(wire.sends) == 1


async def test_a_new_pairing_widens_no_budget(tmp_path: Path) -> None:
    """Budgets belong to the phone number, over all sessions and channels of it."""
    async with small_house(tmp_path, pacing=NO_GAP) as house:
        await house.session(linked_days=1)
        house.outbox.serve("main")
        numbers = await people(house, 4)
        await post_all(house, numbers[:3])
        await house.session("again", linked_days=0)
        house.outbox.serve("again")
        message = await house.post(numbers[3], TEXTS[3], session="again")
        assert await house.state(message) is S.CLEARED
        [left] = await house.database.read(
            lambda reader: [
                house.pacing.new_chats_left(reader, around(reader, house, "again"), at)
                for at in (house.clock.now(),)
            ]
        )
        assert left == 0


async def test_a_clock_that_went_back_widens_no_budget(tmp_path: Path) -> None:
    """What was spent in the future was spent all the same."""
    async with small_house(tmp_path, pacing=SHIPPED) as house:
        await house.session()
        at = house.clock.now()
        tomorrow = at + timedelta(days=1)
        await house.database.write(
            lambda tx: spends.add(
                tx, OUR_NUMBER, Spend.NEW_CHAT, session="main", message=None, at=tomorrow
            )
        )
        slot = await house.database.read(
            lambda reader: house.pacing.slot(
                reader, around(reader, house), at, first_contact=True, by_hand=False
            )
        )
        assert slot.reason_code == "new_chat_gap"
        assert slot.at == tomorrow + timedelta(minutes=15)


async def test_a_number_whose_new_chats_are_stopped_answers_and_begins_nothing(
    house: SmallHouse,
) -> None:
    """The breaker: replies go on."""
    await house.execute("UPDATE numbers SET new_chats_stopped_at = '2026-03-03T00:00:00.000Z'")
    first = await house.post()
    assert await house.state(first) is S.CLEARED
    await house.outbox.cancel(first, "eva", "not now")
    await house.inbound(await house.contact("+5491145550001"))
    assert await house.state(await house.post(text="Sí, claro")) is S.SENT
    at = house.clock.now()
    left = await house.database.read(
        lambda reader: house.pacing.new_chats_left(reader, around(reader, house), at)
    )
    assert left == 0
    by_hand = await house.database.read(
        lambda reader: house.pacing.slot(
            reader, around(reader, house), at, first_contact=True, by_hand=True
        )
    )
    assert (by_hand.at, by_hand.reason_code) == (None, "new_chats_stopped")


async def test_a_budget_of_nothing_is_never_open(tmp_path: Path) -> None:
    """Only a person's change of the setting opens it."""
    nothing = PacingSettings(new_chats_later=0, manual_new_chats=0)
    async with small_house(tmp_path, pacing=nothing) as house:
        await house.session()
        house.outbox.serve("main")
        await house.prospect()
        message = await house.post()
        await house.clock.leap(3 * 3600)
        assert await house.state(message) is S.CLEARED
        at = house.clock.now()
        slots = await house.database.read(
            lambda reader: [
                house.pacing.slot(
                    reader, around(reader, house), at, first_contact=True, by_hand=by_hand
                )
                for by_hand in (False, True)
            ]
        )
        assert [slot.reason_code for slot in slots] == ["no_new_chats", "no_manual_new_chats"]
        assert not any(slot.is_open(at) for slot in slots)


async def test_a_session_that_may_only_reply_begins_no_new_chat(house: SmallHouse) -> None:
    """The wire's own word, when the row is not there yet."""
    house.wire.new_chats = False
    message = await house.post()
    await house.clock.advance(400)
    assert await house.state(message) is S.CLEARED
    house.wire.new_chats = True
    house.outbox.wake("main")
    await house.clock.settle()
    assert await house.state(message) is S.SENT


async def test_what_pacing_holds_back_costs_the_gate_no_look(tmp_path: Path) -> None:
    """Pacing is asked first: a full queue does not make the gate busy at each ring."""
    async with small_house(tmp_path, pacing=SHIPPED) as house:
        await house.session()
        house.outbox.serve("main")
        await post_all(house, await people(house, 6))
        before = await house.rows("SELECT count(*) FROM decisions")
        for _ in range(10):
            house.outbox.wake()
            await house.clock.settle()
        assert await house.rows("SELECT count(*) FROM decisions") == before
        assert len(house.wire.sends) == 1
