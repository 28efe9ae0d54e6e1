"""Working a campaign off by hand: one person, one operator, one message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from daemon.api.identity import parse_identity
from daemon.api.signals import OwnMessage, Receipt, ReceiptKind
from daemon.api.text import hash_folded_text
from daemon.campaigns.service import CampaignChange
from daemon.errors import Conflict, NotAllowed
from daemon.outbox.halt import settle_restored_queue
from statemachines.campaign import CampaignState
from storage import contacts as contact_table
from storage.campaign_reports import CampaignStage
from tests.helpers.services.campaigns import (
    WHO,
    add_people,
    list_states,
    make_draft,
    send_next,
    start,
    take,
)
from tests.helpers.services.messaging import (
    MessagingServices,
    build_phone,
    open_messaging_services,
)


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[MessagingServices]:
    """A house with one number."""
    async with open_messaging_services(tmp_path) as opened:
        await opened.add_session()
        yield opened


async def begin(services: MessagingServices, people: int) -> str:
    """Start a campaign with so many people; return its id."""
    await add_people(services, people)
    campaign = await make_draft(services)
    await start(services, campaign)
    return campaign


async def test_worked_off_one_by_one_until_everybody_is_done(services: MessagingServices) -> None:
    """Each has one message, allowed and with a permit, and the campaign is finished by the last."""
    campaign = await begin(services, 3)
    for _ in range(3):
        assert (await send_next(services, campaign)).person is not None
    turn = await send_next(services, campaign)
    assert (turn.person, turn.sentence) == (None, "Everybody is done.")
    assert await list_states(services, campaign) == ["sent", "sent", "sent"]
    view = await services.campaigns.get(campaign)
    assert view.campaign.state is CampaignState.FINISHED
    assert await services.query_rows("SELECT count(*), count(DISTINCT contact) FROM messages") == [
        (3, 3)
    ]
    assert await services.query_rows("SELECT count(*) FROM permits") == [(3,)]


async def test_the_same_person_until_they_are_finished(services: MessagingServices) -> None:
    """A reload of the page takes nobody else, and neither does a second click at that moment."""
    campaign = await begin(services, 2)
    one, other = await asyncio.gather(take(services, campaign), take(services, campaign))
    assert one.id == other.id
    assert (await take(services, campaign)).id == one.id
    await services.campaign_work.open_chat(campaign, one.prospect, WHO)
    again = await take(services, campaign)
    assert (again.id, again.state) == (one.id, "opened")
    assert await services.query_rows("SELECT count(*) FROM messages") == [(1,)]


async def test_operators_never_have_the_same_person(services: MessagingServices) -> None:
    """Five at once have five people, and only the taker opens, confirms or skips."""
    campaign = await begin(services, 5)
    operators = ("ana", "eva", "leo", "mia", "sol")
    taken = await asyncio.gather(*(take(services, campaign, who) for who in operators))
    assert len({each.prospect for each in taken}) == len(operators)
    work, theirs = services.campaign_work, taken[1].prospect
    with pytest.raises(NotAllowed, match="eva has taken"):
        await work.open_chat(campaign, theirs, "ana")
    with pytest.raises(NotAllowed, match="eva has taken"):
        await work.skip(campaign, theirs, "ana", "they look busy")
    turn = await work.take_next(campaign, "tia")
    assert (turn.person, turn.sentence) == (None, "Nobody's turn has come yet.")


async def test_the_decision_is_stored_before_the_link_is_shown(
    services: MessagingServices,
) -> None:
    """The text is the person's own, and the message by hand is the one of the manual channel."""
    campaign = await begin(services, 1)
    person = await take(services, campaign)
    assert person.text.startswith("Hola Persona1, ¿hablamos?")
    assert person.message is not None
    release = (await services.list_decisions(person.message))[-1]
    assert (release.phase, release.verdict) == ("release", "allow")
    message, link = await services.campaign_work.open_chat(campaign, person.prospect, WHO)
    assert (message, link.partition("?")[0]) == (
        person.message,
        f"https://wa.me/{build_phone(1).removeprefix('+')}",
    )
    stored = await services.get_message(message)
    assert (stored.channel, stored.kind, stored.campaign) == ("manual", "commercial", "Feria marzo")
    assert services.wire.sends == []


async def test_skipped_with_a_reason_and_put_back_unseen(services: MessagingServices) -> None:
    """Before it is taken, taken, or opened and not sent; each reason stays."""
    campaign = await begin(services, 3)
    work, first = services.campaign_work, await take(services, campaign)
    assert (await work.put_back(campaign, first.prospect, WHO)).state == "queued"
    assert (await take(services, campaign, "leo")).id == first.id
    assert (await work.skip(campaign, first.prospect, "leo", "a cousin")).sentence == "a cousin"
    second = await take(services, campaign)
    await work.open_chat(campaign, second.prospect, WHO)
    assert (await work.skip(campaign, second.prospect, WHO, "the chat is odd")).state == "skipped"
    people = await services.campaign_reports.list_people(campaign)
    await work.skip(campaign, people[2].prospect, WHO, "moved away")
    assert await list_states(services, campaign) == ["skipped"] * 3
    assert (await services.campaigns.get(campaign)).campaign.state == "finished"
    with pytest.raises(Conflict):
        await work.skip(campaign, first.prospect, WHO, "again")


async def test_who_opts_out_leaves_the_queue_with_a_sentence(services: MessagingServices) -> None:
    """Queued and taken at once; the operator whose person is gone is shown who."""
    campaign = await begin(services, 3)
    mine = await take(services, campaign)
    await services.suppress(build_phone(1))
    await services.suppress(build_phone(3))
    assert await list_states(services, campaign) == ["opted_out", "queued", "opted_out"]
    with pytest.raises(Conflict):
        await services.campaign_work.open_chat(campaign, mine.prospect, WHO)
    turn = await services.campaign_work.take_next(campaign, WHO)
    assert turn.person is not None
    assert turn.person.name == "Persona2 Sosa"
    assert [(each.name, each.sentence) for each in turn.left] == [
        ("Persona1 Sosa", "They are on the opt-out list.")
    ]
    kinds = [event.data["state"] for event in services.published if "person" in event.type]
    assert kinds.count("opted_out") == 2


async def test_who_opts_out_with_the_chat_open_is_marked(services: MessagingServices) -> None:
    """It may have been sent already: only the operator knows, and is shown not to send."""
    campaign = await begin(services, 1)
    person = await take(services, campaign)
    await services.campaign_work.open_chat(campaign, person.prospect, WHO)
    await services.suppress(build_phone(1))
    now = await take(services, campaign)
    assert (now.state, now.suppressed) == ("opened", True)


async def test_who_writes_meanwhile_is_not_written_to(services: MessagingServices) -> None:
    """A conversation has begun: an answer is due, no first message."""
    contacts = await add_people(services, 2)
    campaign = await make_draft(services)
    await start(services, campaign)
    await services.clock.advance(60)
    await services.add_inbound(contacts[0])
    assert await list_states(services, campaign) == ["skipped", "queued"]


async def test_paused_at_once_over_a_restart_and_resumed_by_the_rows(tmp_path: Path) -> None:
    """No further link is shown, to whoever has somebody; what is on its way can be confirmed."""
    async with open_messaging_services(tmp_path) as services:
        await services.add_session()
        campaign = await begin(services, 4)
        await send_next(services, campaign)
        opened = await take(services, campaign)
        await services.campaign_work.open_chat(campaign, opened.prospect, WHO)
        taken = await take(services, campaign, "leo")
        view = await services.campaigns.pause(campaign, WHO, "the boss calls")
        assert (view.will_leave, view.on_its_way) == (0, 1)
        with pytest.raises(Conflict, match="does not run now"):
            await services.campaign_work.open_chat(campaign, taken.prospect, "leo")
    async with open_messaging_services(tmp_path) as services:
        view = await services.campaigns.get(campaign)
        assert (view.campaign.state, view.will_leave, view.on_its_way) == ("paused", 0, 1)
        turn = await services.campaign_work.take_next(campaign, "mia")
        assert (turn.person, turn.sentence) == (None, "The campaign is paused.")
        with pytest.raises(Conflict, match="does not run now"):
            await services.manual.reveal(taken.message or "", "leo")
        await services.campaign_work.confirm(campaign, opened.prospect, WHO)
        await services.campaigns.resume(campaign, WHO, "back to work")
        await services.campaign_work.open_chat(campaign, taken.prospect, "leo")
        await services.campaign_work.confirm(campaign, taken.prospect, "leo")
        while (await send_next(services, campaign)).person is not None:
            pass
        assert await list_states(services, campaign) == ["sent"] * 4
        assert (await services.campaigns.get(campaign)).campaign.state == "finished"
        assert await services.query_rows(
            "SELECT count(*), count(DISTINCT contact) FROM messages"
        ) == [(4, 4)]


async def test_the_breaker_pauses_it_with_its_figure(services: MessagingServices) -> None:
    """Three of the first contacts opt out; it resumes once a person has resumed new chats."""
    campaign = await begin(services, 5)
    for n in (1, 2, 3):
        await send_next(services, campaign)
        await services.clock.advance(1)
        await services.suppress(build_phone(n))
    await services.breaker.review()
    view = await services.campaigns.get(campaign)
    assert (view.campaign.state, view.campaign.paused_by) == ("paused", "breaker")
    assert view.breaker is not None
    assert (view.breaker.cause, view.breaker.detail) == ("opt_outs", "3 of 3")
    with pytest.raises(Conflict, match="New chats of this number are stopped"):
        await services.campaigns.resume(campaign, WHO, "go on")
    await services.breaker.resume(view.campaign.phone or "", WHO, "a bad list, taken out")
    resumed = await services.campaigns.resume(campaign, WHO, "go on")
    assert (resumed.campaign.state, resumed.will_leave) == ("running", 2)


async def test_a_restored_copy_pauses_it_and_offers_nobody_twice(
    services: MessagingServices,
) -> None:
    """Since the copy was made anybody may have been written to: a person says when it goes on."""
    campaign = await begin(services, 2)
    await take(services, campaign)
    await services.database.write(partial(settle_restored_queue, reason="it burnt"))
    assert await list_states(services, campaign) == ["unconfirmed", "queued"]
    view = await services.campaigns.get(campaign)
    assert (view.campaign.state, view.campaign.paused_by) == ("paused", "restore")


async def test_the_phones_own_report_confirms_it(services: MessagingServices) -> None:
    """The operator presses nothing; a second word of theirs changes nothing."""
    campaign = await begin(services, 1)
    person = await take(services, campaign)
    await services.campaign_work.open_chat(campaign, person.prospect, WHO)
    echo = OwnMessage(
        "ECHO1",
        parse_identity(build_phone(1)),
        services.clock.now(),
        hash_folded_text(person.text),
    )
    await services.signal_handlers.own_messages.handle_own_message("main", echo)
    assert await list_states(services, campaign) == ["sent"]
    confirmed = await services.campaign_work.confirm(campaign, person.prospect, WHO)
    assert confirmed.state == "sent"
    receipt = Receipt("ECHO1", parse_identity(build_phone(1)), ReceiptKind.READ, echo.written_at)
    await services.signal_handlers.receipts.handle_receipt("main", receipt)
    counts = await services.campaign_reports.count_stages(campaign)
    assert (counts[CampaignStage.DELIVERED], counts[CampaignStage.READ]) == (1, 1)


async def test_an_approval_brings_their_turn(services: MessagingServices) -> None:
    """Who needs a person's approval waits in the review, and is queued once it is given."""
    await add_people(services, 1, permission="relationship")
    campaign = await make_draft(services)
    view = await start(services, campaign)
    assert view.counts["waiting"] == 1
    turn = await services.campaign_work.take_next(campaign, WHO)
    assert turn.person is None
    [person] = await services.campaign_reports.list_people(campaign)
    await services.approve_and_settle(person.message or "")
    assert await list_states(services, campaign) == ["queued"]
    assert (await send_next(services, campaign)).person is not None
    assert await list_states(services, campaign) == ["sent"]


async def test_a_chat_left_open_is_settled_by_a_person(services: MessagingServices) -> None:
    """After its lease nobody knows whether it was sent; it is never offered again by itself."""
    campaign = await begin(services, 1)
    person = await take(services, campaign)
    await services.campaign_work.open_chat(campaign, person.prospect, WHO)
    await services.clock.advance(11 * 60)
    assert await list_states(services, campaign) == ["unconfirmed"]
    turn = await services.campaign_work.take_next(campaign, WHO)
    assert turn.person is None
    settled = await services.campaign_work.confirm(campaign, person.prospect, "leo")
    assert settled.state == "sent"


async def test_who_was_taken_and_left_comes_again(services: MessagingServices) -> None:
    """The lease ends unseen: they are queued, in their place."""
    campaign = await begin(services, 2)
    first = await take(services, campaign)
    await services.clock.advance(11 * 60)
    assert await list_states(services, campaign) == ["queued", "queued"]
    assert (await take(services, campaign, "leo")).id == first.id


async def test_past_its_end_everybody_left_expires(services: MessagingServices) -> None:
    """By name, and nobody is written to late; the campaign is finished."""
    await add_people(services, 2)
    ends_at = services.clock.now() + timedelta(hours=1)
    campaign = await make_draft(services, ends_at=ends_at)
    await start(services, campaign)
    await take(services, campaign)
    await services.clock.advance(3601)
    await services.campaign_work.sweep()
    assert await list_states(services, campaign) == ["expired", "expired"]
    assert (await services.campaigns.get(campaign)).campaign.state == "finished"


async def test_cancelled_nobody_else_gets_anything(services: MessagingServices) -> None:
    """Taken messages too; it can't be resumed."""
    campaign = await begin(services, 3)
    await take(services, campaign)
    await services.campaigns.cancel(campaign, WHO, "the wrong list")
    people = await services.campaign_reports.list_people(campaign)
    assert {each.state.value for each in people} == {"skipped"}
    assert {each.sentence for each in people} == {"The campaign was cancelled: the wrong list"}
    with pytest.raises(Conflict, match="cancelled"):
        await services.campaigns.resume(campaign, WHO, "after all")


async def test_outside_business_hours_nobody_is_taken(services: MessagingServices) -> None:
    """The queue stays as it is, and the answer says until when."""
    campaign = await begin(services, 2)
    await services.clock.advance(10 * 3600)
    turn = await services.campaign_work.take_next(campaign, WHO)
    assert turn.person is None
    assert turn.sentence == "Outside business hours where the contact lives"
    assert turn.at is not None
    assert turn.at > services.clock.now()
    assert await list_states(services, campaign) == ["queued", "queued"]
    assert await services.query_rows("SELECT count(*) FROM messages") == [(0,)]


async def test_a_deleted_phone_stops_everybody_and_loses_nobody(
    services: MessagingServices,
) -> None:
    """The queue stays as it is, and the sentence says what is missing."""
    campaign = await begin(services, 2)
    await services.sessions.stop("main", "eva")
    await services.sessions.delete("main", "eva")
    turn = await services.campaign_work.take_next(campaign, WHO)
    assert turn.person is None
    assert "there is no session" in turn.sentence
    assert await list_states(services, campaign) == ["queued", "queued"]


async def test_a_halt_stops_it_too(services: MessagingServices) -> None:
    """Whoever was taken is returned, and nobody is taken."""
    campaign = await begin(services, 1)
    await take(services, campaign)
    await services.halt.halt("eva", "something is odd")
    assert await list_states(services, campaign) == ["queued"]
    turn = await services.campaign_work.take_next(campaign, WHO)
    assert (turn.person, turn.sentence) == (None, "Sending is halted.")


async def test_a_started_campaign_is_not_changed(services: MessagingServices) -> None:
    """Another text or audience would be another campaign."""
    campaign = await begin(services, 1)
    with pytest.raises(Conflict, match="only a draft can be changed"):
        await services.campaigns.change(campaign, CampaignChange(typed="Hola"), WHO)


async def test_merged_people_are_written_to_once(services: MessagingServices) -> None:
    """Two rows of one person: the second message would be the same text to the same contact."""
    contacts = await add_people(services, 2)
    campaign = await make_draft(services)
    await start(services, campaign)
    await send_next(services, campaign)
    aliases = [
        *services.aliases.from_phone(build_phone(1)),
        *services.aliases.from_phone(build_phone(2)),
    ]
    await services.database.write(
        lambda tx: contact_table.resolve_contact(tx, aliases, services.clock.now())
    )
    assert contacts
    turn = await send_next(services, campaign)
    assert turn.person is None
    assert (await services.query_rows("SELECT count(*) FROM permits"))[0] == (1,)
