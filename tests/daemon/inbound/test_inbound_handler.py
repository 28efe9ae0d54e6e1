"""Inbound: once, with everything that follows from it, in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from daemon.api.effects import AddNote, AskReview, Intent, QueueReply, SetIntent
from daemon.gate.consent import Permission, derive_permission
from statemachines.message import MessageState
from statemachines.prospect import ValidationState
from storage import contacts, evidence, inbound, messages, prospects, spends
from storage.evidence import EvidenceKind
from storage.messages import MessageRecord
from storage.spends import SpendKind
from tests.helpers.services.contacts import (
    ANA,
    ANA_OLD_FORM,
    BETO,
    LID,
    InboundInterpreter,
    InboundServices,
    build_inbound_services,
    open_contact_services,
)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[InboundServices]:
    """The desk with the real listener alone."""
    async with open_contact_services(tmp_path) as people:
        yield build_inbound_services(people)


async def permission(desk: InboundServices, phone: str = ANA) -> Permission:
    """Return what the evidence says now."""
    contact = await desk.people.resolve_contact(phone)
    known = await desk.people.database.read(lambda r: evidence.list_contact_evidence(r, contact))
    return derive_permission(known, desk.people.clock.now())


async def conversation(desk: InboundServices, phone: str = ANA) -> list[inbound.InboundRecord]:
    """Return what is stored of a conversation."""
    contact = await desk.people.resolve_contact(phone)
    return await desk.people.database.read(lambda r: inbound.list_contact_inbound(r, contact))


async def queued(desk: InboundServices) -> list[MessageRecord]:
    """Return every message that waits for the gate."""
    return await desk.people.database.read(
        lambda r: messages.list_messages(r, states=[MessageState.QUEUED])
    )


async def test_an_inbound_is_stored_once_whatever_the_transport_repeats(
    desk: InboundServices,
) -> None:
    """Twice at once, and once more later: one row, one event."""
    await asyncio.gather(*(desk.receive_text("hola", wire_id="A") for _ in range(2)))
    await desk.receive_text("hola", wire_id="A")
    assert [record.text for record in await conversation(desk)] == ["hola"]
    assert desk.people.event_types().count("inbound.received") == 1


async def test_their_message_validates_scores_and_shows_intent(desk: InboundServices) -> None:
    """A prospect nobody ever checked writes: known, reachable, and asking for a price."""
    prospect = await desk.add_prospect()
    await desk.receive_text("Hola! ¿Cuánto sale el grande?")
    after = await desk.get_prospect(prospect)
    assert after.validation is ValidationState.VALIDATED
    assert after.validado_tecnicamente is True
    assert after.expires_at == desk.people.clock.now() + timedelta(days=90)
    assert (after.on_whatsapp, after.permission, after.intent) == ("yes", "conversation", "asked")
    assert after.score_contactabilidad == 90
    known = await desk.people.database.read(
        lambda r: evidence.list_contact_evidence(r, after.contact)
    )
    quotes = [each.quote for each in known if each.kind is EvidenceKind.INTENT]
    assert quotes == ["Cuánto sale el grande"]
    assert desk.people.event_types()[-2:] == ["prospect.changed", "inbound.received"]


async def test_what_is_known_not_to_be_reachable_needs_an_operators_word(
    desk: InboundServices,
) -> None:
    """The number may have a new owner: writing alone does not validate it again."""
    prospect = await desk.add_prospect()
    at = desk.people.clock.now()
    await desk.people.database.write(
        lambda tx: prospects.update_prospect(
            tx,
            prospect,
            at=at,
            validation=ValidationState.NOT_REACHABLE.value,
            validado_tecnicamente=False,
        )
    )
    await desk.receive_text("hola")
    after = await desk.get_prospect(prospect)
    assert (after.validation, after.validado_tecnicamente) == (ValidationState.NOT_REACHABLE, False)
    assert after.on_whatsapp == "yes"


async def test_an_old_message_that_arrives_late_shortens_no_validation(
    desk: InboundServices,
) -> None:
    """The newer one counts."""
    prospect = await desk.add_prospect()
    await desk.receive_text("hola")
    fresh = (await desk.get_prospect(prospect)).expires_at
    await desk.receive_text("de otro día", age=timedelta(days=3))
    assert (await desk.get_prospect(prospect)).expires_at == fresh


async def test_a_reply_that_waited_for_a_number_check_waits_no_longer(
    desk: InboundServices,
) -> None:
    """They wrote: there is nothing left to check."""
    await desk.add_prospect()
    reply = await desk.people.queue_message(ANA, kind="reply")
    at = desk.people.clock.now()
    await desk.people.database.write(
        lambda tx: messages.transition_message(
            tx,
            reply,
            MessageState.DEFERRED,
            at=at,
            reason_code="not_checked_yet",
            sentence="Not checked.",
            who="gate",
            waits_for="checked",
        )
    )
    await desk.receive_text("hola")
    assert await desk.people.get_message_state(reply) is MessageState.QUEUED


async def test_any_inbound_cancels_what_we_wanted_to_sell_them(desk: InboundServices) -> None:
    """Replies stay; the event tells the number."""
    sale, reply = (
        await desk.people.queue_message(ANA),
        await desk.people.queue_message(ANA, kind="reply"),
    )
    other = await desk.people.queue_message(BETO)
    await desk.receive_text("hola", sender=ANA_OLD_FORM)
    assert await desk.people.get_message_state(sale) is MessageState.CANCELLED
    assert await desk.people.get_message_state(reply) is MessageState.QUEUED
    assert await desk.people.get_message_state(other) is MessageState.QUEUED
    assert desk.people.published[-1].data["cancelled_messages"] == 1


async def test_an_opt_out_from_a_hidden_id_suppresses_every_form_of_the_number(
    desk: InboundServices,
) -> None:
    """The platform tells the pair once; later the number is hidden, and still meant."""
    message = await desk.people.queue_message(ANA)
    await desk.learn_alias()
    await desk.receive_text("BAJA 🙏", sender=LID)
    assert await desk.people.suppression.check(ANA_OLD_FORM)
    assert await desk.people.get_message_state(message) is MessageState.CANCELLED
    assert await permission(desk) is Permission.REFUSED


async def test_a_pair_learned_after_the_opt_out_is_suppressed_too(desk: InboundServices) -> None:
    """Nobody knew whose hidden id it was; now that we do, their queue is empty."""
    message = await desk.people.queue_message(ANA)
    await desk.receive_text("STOP", sender=LID)
    assert await desk.people.get_message_state(message) is MessageState.QUEUED
    await desk.learn_alias()
    assert await desk.people.get_message_state(message) is MessageState.CANCELLED
    assert await desk.people.suppression.check(ANA)


async def test_a_suppressed_person_who_shows_a_new_name_stays_suppressed(
    desk: InboundServices,
) -> None:
    """Their hidden id comes with an ordinary message."""
    await desk.receive_text("no me escriban más")
    await desk.receive_text("y otra cosa", sender=LID, phone=ANA)
    assert [r.alias for r in await desk.people.suppression.check(LID) if r.alias == LID] == [LID]


async def test_what_a_hidden_id_said_counts_for_the_prospect_it_turns_out_to_be(
    desk: InboundServices,
) -> None:
    """The refusal came before anybody knew whose it was; hearing the pair again changes nothing."""
    prospect = await desk.add_prospect()
    await desk.people.clock.advance(1)
    await desk.receive_text("no, gracias", sender=LID)
    assert (await desk.get_prospect(prospect)).permission == "none"
    await desk.learn_alias()
    after = await desk.get_prospect(prospect)
    assert after.permission == "refused"
    revision = await desk.people.database.read(
        lambda r: contacts.get_contact_revision(r, after.contact)
    )
    await desk.learn_alias()
    again = await desk.people.database.read(
        lambda r: contacts.get_contact_revision(r, after.contact)
    )
    assert again == revision


async def test_two_strangers_of_the_phones_owner_are_none_of_ours(desk: InboundServices) -> None:
    """Their pair makes no contact."""
    await desk.learn_alias(phone=BETO)
    assert (
        await desk.people.database.read(lambda r: contacts.find_contact_by_alias(r, BETO)) is None
    )


async def test_an_opt_out_waits_for_no_plugin(tmp_path: Path) -> None:
    """A slow or talkative plugin can't delay it, nor answer it."""
    plugin = InboundInterpreter([QueueReply("¿Seguro?")])
    async with open_contact_services(tmp_path) as people:
        desk = build_inbound_services(people, more={"talker": plugin})
        await desk.receive_text("Stop!!")
        assert plugin.calls == []
        assert await queued(desk) == []


async def test_one_confirmation_is_queued_if_the_operator_wants_it(tmp_path: Path) -> None:
    """Once, within five minutes, through the session that they wrote to."""
    async with open_contact_services(tmp_path) as people:
        desk = build_inbound_services(people, confirmation="Listo, no te escribimos más.")
        await desk.receive_text("BAJA")
        await desk.receive_text("BAJA!")
        await desk.receive_text("STOP", sender=BETO, age=timedelta(minutes=5))
        [message] = await queued(desk)
        assert message.kind == "opt_out_confirmation"
        assert (message.recipient, message.session, message.channel) == (ANA, "main", "simulated")
        assert message.not_after == people.clock.now() + timedelta(minutes=5)


async def test_a_confirmation_needs_a_number(tmp_path: Path) -> None:
    """A hidden id alone can't be written to."""
    async with open_contact_services(tmp_path) as people:
        desk = build_inbound_services(people, confirmation="Listo.")
        await desk.receive_text("BAJA", sender=LID)
        assert await queued(desk) == []


async def test_their_own_opt_in_lifts_what_they_asked_for(desk: InboundServices) -> None:
    """And the permission is theirs, with the words as evidence."""
    await desk.receive_text("BAJA")
    await desk.people.clock.advance(60)
    await desk.receive_text("ALTA")
    assert not await desk.people.suppression.check(ANA)
    assert "contact.reopened" in desk.people.event_types()
    await desk.people.clock.advance(25 * 3600)
    assert await permission(desk) is Permission.OPTED_IN


async def test_an_old_opt_in_that_arrives_late_lifts_nothing(desk: InboundServices) -> None:
    """What counts is when it was written."""
    await desk.receive_text("BAJA")
    await desk.receive_text("ALTA", age=timedelta(hours=1))
    assert await desk.people.suppression.check(ANA)


async def test_an_opt_in_counts_from_the_opt_out_and_not_from_a_name_learned_later(
    desk: InboundServices,
) -> None:
    """Stop, start, and only then the hidden id becomes known: the start is the last word."""
    await desk.receive_text("BAJA")
    await desk.people.clock.advance(600)
    await desk.learn_alias()
    await desk.receive_text("ALTA", age=timedelta(minutes=5))
    assert not await desk.people.suppression.check(ANA)


async def test_a_refusal_closes_until_they_write_again(desk: InboundServices) -> None:
    """No, thanks; a day later they ask after all."""
    await desk.receive_text("no, gracias")
    assert await permission(desk) is Permission.REFUSED
    assert not await desk.people.suppression.check(ANA)
    await desk.people.clock.advance(3600)
    await desk.receive_text("perdón, ¿precio?")
    assert await permission(desk) is Permission.CONVERSATION


async def test_doubtful_words_are_held_for_a_person(desk: InboundServices) -> None:
    """Is it a haggler or an opt-out? A person looks."""
    await desk.receive_text("Baja el precio y compro")
    contact = await desk.people.resolve_contact(ANA)
    found = await desk.people.database.read(lambda r: contacts.get_contact(r, contact))
    assert found
    assert found.review_reason
    assert "should read" in found.review_reason


async def test_a_message_from_the_future_opens_no_longer_conversation(
    desk: InboundServices,
) -> None:
    """A wrong clock elsewhere can't stretch the 24 hours."""
    await desk.receive_text("hola", age=timedelta(days=-30))
    [record] = await conversation(desk)
    assert record.at == record.received_at == desk.people.clock.now()


async def test_effects_of_a_plugin_are_committed_with_the_inbound(tmp_path: Path) -> None:
    """A reply, a note, a review; the plugin sees who wrote."""
    plugin = InboundInterpreter(
        [QueueReply("Ya te paso"), AddNote("llamar"), AskReview("pidió factura")]
    )
    async with open_contact_services(tmp_path) as people:
        desk = build_inbound_services(people, more={"helper": plugin})
        prospect = await desk.add_prospect()
        await desk.receive_text("hola", sender=LID, phone=ANA)
        after = await desk.get_prospect(prospect)
        assert after.notes == "llamar"
        contact = await people.database.read(lambda r: contacts.get_contact(r, after.contact))
        assert contact
        assert contact.review_reason == "pidió factura"
        [reply] = await queued(desk)
        assert (reply.kind, reply.recipient, reply.text) == ("reply", ANA, "Ya te paso")
        [(_, view)] = plugin.calls
        assert (view.prospect, view.cartera_origen) == (prospect, "feria 2025")
        assert (view.permission, view.suppressed) == ("none", False)


async def test_a_strangers_message_is_kept_and_its_effects_do_no_harm(tmp_path: Path) -> None:
    """There is no prospect to note anything on, and no number to answer to."""
    async with open_contact_services(tmp_path) as people:
        desk = build_inbound_services(
            people, more={"helper": InboundInterpreter([AddNote("x"), QueueReply("y")])}
        )
        await desk.receive_text("me interesa", sender=LID)
        assert [record.text for record in await conversation_of_lid(desk)] == ["me interesa"]
        assert await queued(desk) == []


async def conversation_of_lid(desk: InboundServices) -> list[inbound.InboundRecord]:
    """Return the conversation with the hidden id."""
    contact = await desk.people.database.read(lambda r: contacts.find_contact_by_alias(r, LID))
    assert contact
    return await desk.people.database.read(lambda r: inbound.list_contact_inbound(r, contact))


@pytest.mark.parametrize(
    "answer",
    [
        ValueError("boom"),
        "allow",
        [AddNote("x"), "allow"],
        True,
        [AddNote("half \ud83d")],
        [AddNote(cast("str", None))],
        [QueueReply(cast("str", 7))],
        [SetIntent(cast("Intent", "clear"), "x")],
    ],
)
async def test_a_bad_plugin_loses_its_own_effects_only(tmp_path: Path, answer: object) -> None:
    """It raises, or returns what is no effect: the inbound and the others' effects are stored."""
    async with open_contact_services(tmp_path) as people:
        desk = build_inbound_services(
            people,
            more={"bad": InboundInterpreter(answer), "good": InboundInterpreter([AddNote("ok")])},
        )
        prospect = await desk.add_prospect()
        await desk.receive_text("hola")
        assert (await desk.get_prospect(prospect)).notes == "ok"
        assert [failure.plugin for failure in desk.failures] == ["bad"]


async def spent(desk: InboundServices, kind: SpendKind) -> int:
    """Return what the session's budget has been charged within the hour."""
    since = desk.people.clock.now() - timedelta(hours=1)
    return await desk.people.database.read(lambda r: spends.count_spends(r, "main", kind, since))


async def test_what_is_typed_on_the_phone_counts_and_ends_our_selling(
    desk: InboundServices,
) -> None:
    """A first message is a new chat of the number; a second is not; a repeat is nothing."""
    await desk.add_prospect()
    sale = await desk.people.queue_message(ANA)
    await desk.receive_own_message("OWN1", ANA_OLD_FORM)
    await desk.receive_own_message("OWN1", ANA_OLD_FORM)
    await desk.receive_own_message("OWN2")
    assert await desk.people.get_message_state(sale) is MessageState.CANCELLED
    assert await spent(desk, SpendKind.MESSAGE) == 2
    assert await spent(desk, SpendKind.NEW_CHAT) == 1
    assert [(record.own, record.text) for record in await conversation(desk)] == [(True, "")] * 2


async def test_a_private_chat_is_counted_and_not_kept(desk: InboundServices) -> None:
    """The owner writes to a friend: the budget knows, nobody else does."""
    await desk.receive_own_message("OWN1", BETO)
    assert await spent(desk, SpendKind.MESSAGE) == 1
    assert (
        await desk.people.database.read(lambda r: contacts.find_contact_by_alias(r, BETO)) is None
    )


async def test_while_the_disk_refuses_an_opt_out_is_not_lost(desk: InboundServices) -> None:
    """The desk waits, tries again, and the session stands still meanwhile."""
    database = desk.people.database
    await database.write(lambda tx: tx.execute("PRAGMA max_page_count = 1"))
    writing = asyncio.create_task(desk.receive_text("BAJA" + " " * 100_000))
    async with asyncio.timeout(5):
        while not desk.people.clock.sleepers:  # noqa: ASYNC110 - another thread fails first
            await asyncio.sleep(0.001)
    assert not writing.done()
    # What is not urgent is refused while the disk is full.
    await database.write(lambda tx: tx.execute("PRAGMA max_page_count = 1000000"), urgent=True)
    await desk.people.clock.advance(5)
    await writing
    assert await desk.people.suppression.check(ANA)
