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
from tests.helpers.puppet_channel import ScriptedSendResult
from tests.helpers.services.database import list_prospects
from tests.helpers.services.messaging import (
    ANA,
    BETO,
    MessagingServices,
    build_phone,
    open_messaging_services,
)

S = MessageState


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[MessagingServices]:
    """A house whose number begins one new chat by hand a day."""
    async with open_messaging_services(
        tmp_path, pacing=PacingSettings(manual_new_chats_later=1)
    ) as opened:
        await opened.add_session()
        yield opened


async def by_hand(services: MessagingServices, to: str = ANA, text: str = "Hola, soy Eva") -> str:
    """Return a message to somebody who was found, not asked."""
    await services.add_prospect(to, permission="public_source")
    message = await services.enqueue_and_settle(to, text)
    assert await services.get_state(message) is S.CLEARED
    return message


async def spent(services: MessagingServices) -> list[str]:
    """Return the kinds of spends in the ledger."""
    return sorted(str(kind) for (kind,) in await services.query_rows("SELECT kind FROM spends"))


async def test_taken_revealed_and_confirmed_by_hand_never_sent(services: MessagingServices) -> None:
    """There is no acknowledged id, so it is not called sent."""
    message = await by_hand(services)
    taken = await services.manual.take(message, "eva")
    assert (taken.taken_by, taken.lease_until) == (
        "eva",
        services.clock.now() + timedelta(minutes=10),
    )
    link = await services.manual.reveal(message, "eva")
    assert link.startswith("https://wa.me/5491145550001?text=Hola")
    await services.manual.confirm(message, "eva")
    assert (await services.list_states(message))[-3:] == ["taken", "revealed", "confirmed_by_hand"]
    assert (await services.get_message(message)).wire_id is None
    assert services.wire.sends == []


async def test_a_send_by_hand_has_its_decision_and_permit_too(services: MessagingServices) -> None:
    """The same gate, the same proof."""
    message = await by_hand(services)
    taken = await services.manual.take(message, "eva")
    release = (await services.list_decisions(message))[-1]
    assert (release.id, release.phase, release.verdict) == (taken.decision, "release", "allow")
    assert await services.query_rows("SELECT id FROM permits") == [(taken.permit,)]
    assert await spent(services) == ["manual_new_chat", "message"]


async def test_the_list_shows_what_can_be_taken_and_what_is(services: MessagingServices) -> None:
    """And nothing that goes by itself."""
    message = await by_hand(services)
    await services.add_prospect(BETO)
    await services.enqueue_and_settle(BETO, "Buenas tardes")
    assert [each.id for each in await services.manual.list_messages()] == [message]


async def test_one_message_at_a_time_for_an_operator(services: MessagingServices) -> None:
    """The first is finished before the second is taken."""
    first = await by_hand(services)
    other = await by_hand(services, build_phone(9), "Buen día, soy Eva de la mueblería")
    await services.manual.take(first, "eva")
    with pytest.raises(Conflict, match="open"):
        await services.manual.take(other, "eva")


async def test_two_operators_cannot_take_the_same_message(services: MessagingServices) -> None:
    """Whoever is first has it; the other is told that it changed under their hands."""
    await services.add_inbound(
        await services.add_prospect(BETO)
    )  # no new chat: no budget stands in the way
    await services.add_session("hand", channel="manual")
    message = await services.enqueue_and_settle(BETO, "Sí, el jueves", session="hand")
    answers = await asyncio.gather(
        services.manual.take(message, "eva"),
        services.manual.take(message, "leo"),
        return_exceptions=True,
    )
    [lost] = [answer for answer in answers if isinstance(answer, Exception)]
    assert isinstance(lost, Conflict)
    assert "changed meanwhile" in str(lost)
    assert await services.query_rows("SELECT count(*) FROM permits") == [(1,)]


async def test_one_operator_cannot_take_two_at_the_same_time(tmp_path: Path) -> None:
    """Two clicks at once: the transaction looks again."""
    async with open_messaging_services(tmp_path) as services:
        await services.add_session()
        one = await by_hand(services)
        two = await by_hand(services, BETO, "Buen día, soy Eva de la mueblería")
        answers = await asyncio.gather(
            services.manual.take(one, "eva"),
            services.manual.take(two, "eva"),
            return_exceptions=True,
        )
        assert sorted(type(answer).__name__ for answer in answers) == ["Conflict", "MessageRecord"]


async def test_only_the_taker_acts_on_a_message(services: MessagingServices) -> None:
    """A colleague can neither see the link nor say what became of it."""
    message = await by_hand(services)
    await services.manual.take(message, "eva")
    for act in (services.manual.reveal, services.manual.confirm, services.manual.return_message):
        with pytest.raises(NotAllowed, match="eva"):
            await act(message, "leo")
    with pytest.raises(NotAllowed):
        await services.manual.cancel(message, "leo", "not mine")


async def test_what_does_not_fit_the_state_is_a_conflict(services: MessagingServices) -> None:
    """Confirming the unseen, showing twice, returning what was shown, acting on the untaken."""
    message = await by_hand(services)
    with pytest.raises(Conflict):
        await services.manual.reveal(message, "eva")
    with pytest.raises(NotFound):
        await services.manual.reveal("msg_0", "eva")
    with pytest.raises(NotFound):
        await services.manual.take("msg_0", "eva")
    await services.manual.take(message, "eva")
    with pytest.raises(Conflict):
        await services.manual.confirm(message, "eva")
    await services.manual.reveal(message, "eva")
    for act in (services.manual.reveal, services.manual.return_message):
        with pytest.raises(Conflict):
            await act(message, "eva")
    with pytest.raises(Conflict):
        await services.manual.take(message, "leo")


async def test_returned_unseen_it_is_free_and_its_budget_too(services: MessagingServices) -> None:
    """Taking and returning costs nothing: the day's one new chat is still there."""
    message = await by_hand(services)
    for operator in ("eva", "leo"):
        await services.manual.take(message, operator)
        await services.manual.return_message(message, operator)
    assert await spent(services) == []
    assert (await services.manual.take(message, "ada")).taken_by == "ada"


@pytest.mark.parametrize("shown", [False, True])
async def test_not_sent_after_all_is_cancelled_and_costs_nothing(
    services: MessagingServices, *, shown: bool
) -> None:
    """The taker's word that it did not go, with a reason."""
    message = await by_hand(services)
    await services.manual.take(message, "eva")
    if shown:
        await services.manual.reveal(message, "eva")
    with pytest.raises(BadRequest):
        await services.manual.cancel(message, "eva", "")
    await services.manual.cancel(message, "eva", "they called us instead")
    assert await services.get_state(message) is S.CANCELLED
    assert await spent(services) == []


async def test_a_lease_that_ends_unseen_gives_the_message_back(services: MessagingServices) -> None:
    """Nobody can have sent it."""
    message = await by_hand(services)
    await services.manual.take(message, "eva")
    await services.clock.advance(600)
    found = await services.get_message(message)
    assert (found.state, found.reason_code, found.taken_by) == (S.CLEARED, "lease_over", None)
    assert await spent(services) == []


async def test_a_lease_that_ends_after_the_link_was_shown_leaves_a_doubt(
    services: MessagingServices,
) -> None:
    """They may have sent it; any operator can say so later."""
    message = await by_hand(services)
    await services.manual.take(message, "eva")
    await services.manual.reveal(message, "eva")
    await services.clock.advance(600)
    assert await services.get_state(message) is S.IN_DOUBT
    assert await spent(services) == ["manual_new_chat", "message"]
    await services.outbox.settle(message, S.CONFIRMED_BY_HAND, "leo", "their phone shows it")
    assert await services.get_state(message) is S.CONFIRMED_BY_HAND


async def test_after_the_lease_the_taker_is_too_late(services: MessagingServices) -> None:
    """Even before the clockwork has looked."""
    message = await by_hand(services)
    await services.manual.take(message, "eva")
    await services.execute_sql("UPDATE messages SET lease_until = '2026-03-03T14:00:00.000Z'")
    with pytest.raises(Conflict, match="time to send it is over"):
        await services.manual.reveal(message, "eva")


async def test_a_halt_takes_back_what_is_unseen_and_lets_the_seen_be_settled(
    services: MessagingServices,
) -> None:
    """Nothing new is taken; a shown one may have been sent."""
    seen = await by_hand(services)
    await services.manual.take(seen, "eva")
    await services.manual.reveal(seen, "eva")
    await services.add_inbound(await services.add_prospect(BETO, permission="public_source"))
    await services.add_session("hand", channel="manual")
    unseen = await services.enqueue_and_settle(BETO, "Sí, mañana a las diez", session="hand")
    await services.manual.take(unseen, "leo")
    await services.halt.halt("ada", "an alarm")
    assert await services.get_state(unseen) is S.CLEARED
    with pytest.raises(Conflict, match="halted"):
        await services.manual.take(unseen, "leo")
    await services.manual.confirm(seen, "eva")
    assert await services.get_state(seen) is S.CONFIRMED_BY_HAND


async def test_an_opt_out_takes_an_unseen_message_out_of_its_takers_hands(
    services: MessagingServices,
) -> None:
    """The link is not shown any more."""
    message = await by_hand(services)
    await services.manual.take(message, "eva")
    await services.suppress(ANA)
    assert await services.get_state(message) is S.CANCELLED
    with pytest.raises(Conflict):
        await services.manual.reveal(message, "eva")


async def test_the_gate_is_asked_again_when_a_message_is_taken(services: MessagingServices) -> None:
    """The number turned out wrong since: blocked, with the gate's reason for the operator."""
    message = await by_hand(services)
    found = await services.database.read(list_prospects)
    at = services.clock.now()
    await services.database.write(
        lambda tx: prospects.update_prospect(
            tx,
            found[0].id,
            at=at,
            validation=ValidationState.NOT_REACHABLE.value,
            validado_tecnicamente=0,
        )
    )
    with pytest.raises(Conflict, match="does not work on WhatsApp"):
        await services.manual.take(message, "eva")
    assert await services.get_state(message) is S.BLOCKED


async def test_the_days_new_chats_by_hand_are_counted(services: MessagingServices) -> None:
    """One a day here; the second waits, and says why; somebody who wrote is no new chat."""
    first = await by_hand(services)
    second = await by_hand(services, BETO, "Buen día, vi su negocio en la guía")
    await services.manual.take(first, "eva")
    with pytest.raises(Conflict, match="used up"):
        await services.manual.take(second, "leo")
    assert await services.get_state(second) is S.CLEARED
    await services.clock.leap(86_400)
    await services.clock.advance(1)
    assert (await services.manual.take(second, "leo")).state is S.TAKEN


async def test_before_its_time_nobody_takes_a_message(services: MessagingServices) -> None:
    """`not_before` holds for hands too."""
    await services.add_prospect(permission="public_source")
    message = await services.enqueue_and_settle(
        not_before=services.clock.now() + timedelta(hours=1)
    )
    with pytest.raises(Conflict, match="time"):
        await services.manual.take(message, "eva")


async def test_a_contact_with_a_message_in_doubt_is_not_written_to_by_hand(
    services: MessagingServices,
) -> None:
    """One at a time, over all channels, until somebody settles the doubt."""
    await services.add_inbound(await services.add_prospect(BETO))
    await services.add_session("hand", channel="manual")
    services.wire.results.append(ScriptedSendResult.UNKNOWN)
    doubtful = await services.enqueue_and_settle(BETO, "Sí, el jueves", session="main")
    message = await services.enqueue_and_settle(BETO, "¿A qué hora le queda bien?", session="hand")
    with pytest.raises(Conflict, match="unconfirmed"):
        await services.manual.take(message, "eva")
    await services.outbox.settle(doubtful, S.FAILED, "eva", "their phone shows nothing")
    assert (await services.manual.take(message, "eva")).state is S.TAKEN
