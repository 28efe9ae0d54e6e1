"""Sends by hand: one person, one message, and the truth about what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.errors import BadRequest, Conflict, NotAllowed, NotFound
from daemon.settings import PacingSettings
from statemachines.message import MessageState
from statemachines.prospect import ValidationState
from storage import prospects
from tests.helpers.heart import ANA, BETO, SmallHouse, phone, small_house
from tests.helpers.wire import Say

S = MessageState


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[SmallHouse]:
    """A house whose number begins one new chat by hand a day."""
    async with small_house(tmp_path, pacing=PacingSettings(manual_new_chats=1)) as opened:
        await opened.session()
        opened.outbox.serve("main")
        yield opened


async def by_hand(house: SmallHouse, to: str = ANA, text: str = "Hola, soy Eva") -> str:
    """Return a message to somebody who was found, not asked."""
    await house.prospect(to, permission="public_source")
    message = await house.post(to, text)
    assert await house.state(message) is S.CLEARED
    return message


async def spent(house: SmallHouse) -> list[str]:
    """Return the kinds of spends in the ledger."""
    return sorted(str(kind) for (kind,) in await house.rows("SELECT kind FROM spends"))


async def test_taken_revealed_and_confirmed_by_hand_never_sent(house: SmallHouse) -> None:
    """There is no acknowledged id, so it is not called sent."""
    message = await by_hand(house)
    taken = await house.manual.take(message, "eva")
    assert (taken.taken_by, taken.lease_until) == (
        "eva",
        house.clock.now() + timedelta(minutes=10),
    )
    link = await house.manual.reveal(message, "eva")
    assert link.startswith("https://wa.me/5491145550001?text=Hola")
    await house.manual.confirm(message, "eva")
    assert (await house.path(message))[-3:] == ["taken", "revealed", "confirmed_by_hand"]
    assert (await house.message(message)).wire_id is None
    assert house.wire.sends == []


async def test_a_send_by_hand_has_its_decision_and_permit_too(house: SmallHouse) -> None:
    """The same gate, the same proof."""
    message = await by_hand(house)
    taken = await house.manual.take(message, "eva")
    release = (await house.decisions(message))[-1]
    assert (release.id, release.phase, release.verdict) == (taken.decision, "release", "allow")
    assert await house.rows("SELECT id FROM permits") == [(taken.permit,)]
    assert await spent(house) == ["manual_new_chat", "message"]


async def test_the_list_shows_what_can_be_taken_and_what_is(house: SmallHouse) -> None:
    """And nothing that goes by itself."""
    message = await by_hand(house)
    await house.prospect(BETO)
    await house.post(BETO, "Buenas tardes")
    assert [each.id for each in await house.manual.list()] == [message]


async def test_one_message_at_a_time_for_an_operator(house: SmallHouse) -> None:
    """The first is finished before the second is taken."""
    first = await by_hand(house)
    other = await by_hand(house, phone(9), "Buen día, soy Eva de la mueblería")
    await house.manual.take(first, "eva")
    with pytest.raises(Conflict, match="open"):
        await house.manual.take(other, "eva")


async def test_two_operators_cannot_take_the_same_message(house: SmallHouse) -> None:
    """Whoever is first has it; the other is told that it changed under their hands."""
    await house.inbound(await house.prospect(BETO))  # no new chat: no budget stands in the way
    await house.session("hand", channel="manual")
    message = await house.post(BETO, "Sí, el jueves", session="hand")
    answers = await asyncio.gather(
        house.manual.take(message, "eva"),
        house.manual.take(message, "leo"),
        return_exceptions=True,
    )
    [lost] = [answer for answer in answers if isinstance(answer, Exception)]
    assert isinstance(lost, Conflict)
    assert "changed meanwhile" in str(lost)
    assert await house.rows("SELECT count(*) FROM permits") == [(1,)]


async def test_one_operator_cannot_take_two_at_the_same_time(tmp_path: Path) -> None:
    """Two clicks at once: the transaction looks again."""
    async with small_house(tmp_path) as house:
        await house.session()
        one = await by_hand(house)
        two = await by_hand(house, BETO, "Buen día, soy Eva de la mueblería")
        answers = await asyncio.gather(
            house.manual.take(one, "eva"), house.manual.take(two, "eva"), return_exceptions=True
        )
        assert sorted(type(answer).__name__ for answer in answers) == ["Conflict", "MessageRecord"]


async def test_only_the_taker_acts_on_a_message(house: SmallHouse) -> None:
    """A colleague can neither see the link nor say what became of it."""
    message = await by_hand(house)
    await house.manual.take(message, "eva")
    for act in (house.manual.reveal, house.manual.confirm, house.manual.give_back):
        with pytest.raises(NotAllowed, match="eva"):
            await act(message, "leo")
    with pytest.raises(NotAllowed):
        await house.manual.cancel(message, "leo", "not mine")


async def test_what_does_not_fit_the_state_is_a_conflict(house: SmallHouse) -> None:
    """Confirming the unseen, showing twice, returning what was shown, acting on the untaken."""
    message = await by_hand(house)
    with pytest.raises(Conflict):
        await house.manual.reveal(message, "eva")
    with pytest.raises(NotFound):
        await house.manual.reveal("msg_0", "eva")
    with pytest.raises(NotFound):
        await house.manual.take("msg_0", "eva")
    await house.manual.take(message, "eva")
    with pytest.raises(Conflict):
        await house.manual.confirm(message, "eva")
    await house.manual.reveal(message, "eva")
    for act in (house.manual.reveal, house.manual.give_back):
        with pytest.raises(Conflict):
            await act(message, "eva")
    with pytest.raises(Conflict):
        await house.manual.take(message, "leo")


async def test_returned_unseen_it_is_free_and_its_budget_too(house: SmallHouse) -> None:
    """Taking and returning costs nothing: the day's one new chat is still there."""
    message = await by_hand(house)
    for operator in ("eva", "leo"):
        await house.manual.take(message, operator)
        await house.manual.give_back(message, operator)
    assert await spent(house) == []
    assert (await house.manual.take(message, "ada")).taken_by == "ada"


@pytest.mark.parametrize("shown", [False, True])
async def test_not_sent_after_all_is_cancelled_and_costs_nothing(
    house: SmallHouse, *, shown: bool
) -> None:
    """The taker's word that it did not go, with a reason."""
    message = await by_hand(house)
    await house.manual.take(message, "eva")
    if shown:
        await house.manual.reveal(message, "eva")
    with pytest.raises(BadRequest):
        await house.manual.cancel(message, "eva", "")
    await house.manual.cancel(message, "eva", "they called us instead")
    assert await house.state(message) is S.CANCELLED
    assert await spent(house) == []


async def test_a_lease_that_ends_unseen_gives_the_message_back(house: SmallHouse) -> None:
    """Nobody can have sent it."""
    message = await by_hand(house)
    await house.manual.take(message, "eva")
    await house.clock.advance(600)
    found = await house.message(message)
    assert (found.state, found.reason_code, found.taken_by) == (S.CLEARED, "lease_over", None)
    assert await spent(house) == []


async def test_a_lease_that_ends_after_the_link_was_shown_leaves_a_doubt(
    house: SmallHouse,
) -> None:
    """They may have sent it; any operator can say so later."""
    message = await by_hand(house)
    await house.manual.take(message, "eva")
    await house.manual.reveal(message, "eva")
    await house.clock.advance(600)
    assert await house.state(message) is S.IN_DOUBT
    assert await spent(house) == ["manual_new_chat", "message"]
    await house.outbox.settle(message, S.CONFIRMED_BY_HAND, "leo", "their phone shows it")
    assert await house.state(message) is S.CONFIRMED_BY_HAND


async def test_after_the_lease_the_taker_is_too_late(house: SmallHouse) -> None:
    """Even before the clockwork has looked."""
    message = await by_hand(house)
    await house.manual.take(message, "eva")
    await house.execute("UPDATE messages SET lease_until = '2026-03-03T14:00:00.000Z'")
    with pytest.raises(Conflict, match="lease"):
        await house.manual.reveal(message, "eva")


async def test_a_halt_takes_back_what_is_unseen_and_lets_the_seen_be_settled(
    house: SmallHouse,
) -> None:
    """Nothing new is taken; a shown one may have been sent."""
    seen = await by_hand(house)
    await house.manual.take(seen, "eva")
    await house.manual.reveal(seen, "eva")
    await house.inbound(await house.prospect(BETO, permission="public_source"))
    await house.session("hand", channel="manual")
    unseen = await house.post(BETO, "Sí, mañana a las diez", session="hand")
    await house.manual.take(unseen, "leo")
    await house.halt.halt("ada", "an alarm")
    assert await house.state(unseen) is S.CLEARED
    with pytest.raises(Conflict, match="halted"):
        await house.manual.take(unseen, "leo")
    await house.manual.confirm(seen, "eva")
    assert await house.state(seen) is S.CONFIRMED_BY_HAND


async def test_an_opt_out_takes_an_unseen_message_out_of_its_takers_hands(
    house: SmallHouse,
) -> None:
    """The link is not shown any more."""
    message = await by_hand(house)
    await house.manual.take(message, "eva")
    await house.suppress(ANA)
    assert await house.state(message) is S.CANCELLED
    with pytest.raises(Conflict):
        await house.manual.reveal(message, "eva")


async def test_the_gate_is_asked_again_when_a_message_is_taken(house: SmallHouse) -> None:
    """The number turned out wrong since: blocked, with the gate's reason for the operator."""
    message = await by_hand(house)
    found = await house.database.read(prospects.search)
    at = house.clock.now()
    await house.database.write(
        lambda tx: prospects.update(
            tx,
            found[0].id,
            at=at,
            validation=ValidationState.NOT_REACHABLE.value,
            validado_tecnicamente=0,
        )
    )
    with pytest.raises(Conflict, match="technical validation"):
        await house.manual.take(message, "eva")
    assert await house.state(message) is S.BLOCKED


async def test_the_days_new_chats_by_hand_are_counted(house: SmallHouse) -> None:
    """One a day here; the second waits, and says why; somebody who wrote is no new chat."""
    first = await by_hand(house)
    second = await by_hand(house, BETO, "Buen día, vi su negocio en la guía")
    await house.manual.take(first, "eva")
    with pytest.raises(Conflict, match="spent"):
        await house.manual.take(second, "leo")
    assert await house.state(second) is S.CLEARED
    await house.clock.leap(86_400)
    await house.clock.advance(1)
    assert (await house.manual.take(second, "leo")).state is S.TAKEN


async def test_before_its_time_nobody_takes_a_message(house: SmallHouse) -> None:
    """`not_before` holds for hands too."""
    await house.prospect(permission="public_source")
    message = await house.post(not_before=house.clock.now() + timedelta(hours=1))
    with pytest.raises(Conflict, match="time"):
        await house.manual.take(message, "eva")


async def test_a_contact_with_a_message_in_doubt_is_not_written_to_by_hand(
    house: SmallHouse,
) -> None:
    """One at a time, over all channels, until somebody settles the doubt."""
    await house.inbound(await house.prospect(BETO))
    await house.session("hand", channel="manual")
    house.wire.script.append(Say.UNKNOWN)
    doubtful = await house.post(BETO, "Sí, el jueves", session="main")
    message = await house.post(BETO, "¿A qué hora le queda bien?", session="hand")
    with pytest.raises(Conflict, match="in doubt"):
        await house.manual.take(message, "eva")
    await house.outbox.settle(doubtful, S.FAILED, "eva", "their phone shows nothing")
    assert (await house.manual.take(message, "eva")).state is S.TAKEN
