"""Inbound: once, with everything that follows from it, in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.api import hookimpl
from daemon.api.effects import (
    AddNote,
    AskReview,
    ContactView,
    InboundEffect,
    QueueReply,
)
from daemon.api.signals import InboundMessage, LidLearned
from daemon.consent import Permission, permission_of
from statemachines.message import MessageState
from statemachines.prospect import ValidationState
from storage import contacts, evidence, inbound, messages, prospects, spends
from storage.evidence import EvidenceKind
from storage.messages import MessageRecord
from storage.spends import Spend
from tests.helpers.people import ANA, ANA_OLD_FORM, BETO, LID, Desk, opened_desk, opened_people


class Says:
    """A stranger's plugin that answers every inbound with the same thing."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.heard: list[tuple[InboundMessage, ContactView]] = []

    @hookimpl
    async def leadmaster_interpret_inbound(
        self, inbound: InboundMessage, contact: ContactView
    ) -> Sequence[InboundEffect]:
        """Remember the call, and answer."""
        self.heard.append((inbound, contact))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[return-value] # some answers are wrong on purpose


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """The desk with the real listener alone."""
    async with opened_people(tmp_path) as people:
        yield opened_desk(people)


async def permission(desk: Desk, phone: str = ANA) -> Permission:
    """Return what the evidence says now."""
    contact = await desk.people.contact(phone)
    known = await desk.people.database.read(lambda r: evidence.of_contact(r, contact))
    return permission_of(known, desk.people.clock.now())


async def conversation(desk: Desk, phone: str = ANA) -> list[inbound.InboundRecord]:
    """Return what is stored of a conversation."""
    contact = await desk.people.contact(phone)
    return await desk.people.database.read(lambda r: inbound.of_contact(r, contact))


async def queued(desk: Desk) -> list[MessageRecord]:
    """Return every message that waits for the gate."""
    return await desk.people.database.read(lambda r: messages.page(r, states=[MessageState.QUEUED]))


async def test_an_inbound_is_stored_once_whatever_the_transport_repeats(desk: Desk) -> None:
    """Twice at once, and once more later: one row, one event."""
    await asyncio.gather(*(desk.writes("hola", wire_id="A") for _ in range(2)))
    await desk.writes("hola", wire_id="A")
    assert [record.text for record in await conversation(desk)] == ["hola"]
    assert desk.people.types().count("inbound.received") == 1


async def test_their_message_validates_scores_and_shows_intent(desk: Desk) -> None:
    """A prospect nobody ever checked writes: known, reachable, and asking for a price."""
    prospect = await desk.prospect()
    await desk.writes("Hola! ¿Cuánto sale el grande?")
    after = await desk.read_prospect(prospect)
    assert after.validation is ValidationState.VALIDATED
    assert after.validado_tecnicamente is True
    assert after.expires_at == desk.people.clock.now() + timedelta(days=90)
    assert (after.on_whatsapp, after.permission, after.intent) == ("yes", "conversation", "asked")
    assert after.score_contactabilidad == 90
    known = await desk.people.database.read(lambda r: evidence.of_contact(r, after.contact))
    quotes = [each.quote for each in known if each.kind is EvidenceKind.INTENT]
    assert quotes == ["Cuánto sale el grande"]
    assert desk.people.types()[-2:] == ["prospect.changed", "inbound.received"]
    assert desk.wakes


async def test_what_is_known_not_to_be_reachable_needs_an_operators_word(desk: Desk) -> None:
    """The number may have a new owner: writing alone does not validate it again."""
    prospect = await desk.prospect()
    at = desk.people.clock.now()
    await desk.people.database.write(
        lambda tx: prospects.update(
            tx,
            prospect,
            at=at,
            validation=ValidationState.NOT_REACHABLE.value,
            validado_tecnicamente=False,
        )
    )
    await desk.writes("hola")
    after = await desk.read_prospect(prospect)
    assert (after.validation, after.validado_tecnicamente) == (ValidationState.NOT_REACHABLE, False)
    assert after.on_whatsapp == "yes"


async def test_an_old_message_that_arrives_late_shortens_no_validation(desk: Desk) -> None:
    """The newer one counts."""
    prospect = await desk.prospect()
    await desk.writes("hola")
    fresh = (await desk.read_prospect(prospect)).expires_at
    await desk.writes("de otro día", age=timedelta(days=3))
    assert (await desk.read_prospect(prospect)).expires_at == fresh


async def test_a_reply_that_waited_for_a_number_check_waits_no_longer(desk: Desk) -> None:
    """They wrote: there is nothing left to check."""
    await desk.prospect()
    reply = await desk.people.message(ANA, kind="reply")
    at = desk.people.clock.now()
    await desk.people.database.write(
        lambda tx: messages.move(
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
    await desk.writes("hola")
    assert await desk.people.state(reply) is MessageState.QUEUED


async def test_any_inbound_cancels_what_we_wanted_to_sell_them(desk: Desk) -> None:
    """Replies stay; the event tells the number."""
    sale, reply = await desk.people.message(ANA), await desk.people.message(ANA, kind="reply")
    other = await desk.people.message(BETO)
    await desk.writes("hola", sender=ANA_OLD_FORM)
    assert await desk.people.state(sale) is MessageState.CANCELLED
    assert await desk.people.state(reply) is MessageState.QUEUED
    assert await desk.people.state(other) is MessageState.QUEUED
    assert desk.people.published[-1].data["cancelled_messages"] == 1


async def test_an_opt_out_from_a_hidden_id_suppresses_every_form_of_the_number(
    desk: Desk,
) -> None:
    """The platform tells the pair once; later the number is hidden, and still meant."""
    message = await desk.people.message(ANA)
    await desk.desk.lid("main", LidLearned(LID, ANA))
    await desk.writes("BAJA 🙏", sender=LID)
    assert await desk.people.suppression.check(ANA_OLD_FORM)
    assert await desk.people.state(message) is MessageState.CANCELLED
    assert await permission(desk) is Permission.NONE


async def test_a_pair_learned_after_the_opt_out_is_suppressed_too(desk: Desk) -> None:
    """Nobody knew whose hidden id it was; now that we do, their queue is empty."""
    message = await desk.people.message(ANA)
    await desk.writes("STOP", sender=LID)
    assert await desk.people.state(message) is MessageState.QUEUED
    await desk.desk.lid("main", LidLearned(LID, ANA))
    assert await desk.people.state(message) is MessageState.CANCELLED
    assert await desk.people.suppression.check(ANA)


async def test_a_suppressed_person_who_shows_a_new_name_stays_suppressed(desk: Desk) -> None:
    """Their hidden id comes with an ordinary message."""
    await desk.writes("no me escriban más")
    await desk.writes("y otra cosa", sender=LID, phone=ANA)
    assert [r.alias for r in await desk.people.suppression.check(LID) if r.alias == LID] == [LID]


async def test_what_a_hidden_id_said_counts_for_the_prospect_it_turns_out_to_be(
    desk: Desk,
) -> None:
    """The refusal came before anybody knew whose it was; hearing the pair again changes nothing."""
    prospect = await desk.prospect()
    await desk.people.clock.advance(1)
    await desk.writes("no, gracias", sender=LID)
    assert (await desk.read_prospect(prospect)).permission == "none"
    await desk.desk.lid("main", LidLearned(LID, ANA))
    after = await desk.read_prospect(prospect)
    assert after.permission == "refused"
    revision = await desk.people.database.read(lambda r: contacts.revision(r, after.contact))
    await desk.desk.lid("main", LidLearned(LID, ANA))
    again = await desk.people.database.read(lambda r: contacts.revision(r, after.contact))
    assert again == revision


async def test_two_strangers_of_the_phones_owner_are_none_of_ours(desk: Desk) -> None:
    """Their pair makes no contact."""
    await desk.desk.lid("main", LidLearned(LID, BETO))
    assert await desk.people.database.read(lambda r: contacts.of_alias(r, BETO)) is None


async def test_an_opt_out_waits_for_no_plugin(tmp_path: Path) -> None:
    """A slow or talkative plugin can't delay it, nor answer it."""
    plugin = Says([QueueReply("¿Seguro?")])
    async with opened_people(tmp_path) as people:
        desk = opened_desk(people, more={"talker": plugin})
        await desk.writes("Stop!!")
        assert plugin.heard == []
        assert await queued(desk) == []


async def test_one_confirmation_is_queued_if_the_operator_wants_it(tmp_path: Path) -> None:
    """Once, within five minutes, through the session that they wrote to."""
    async with opened_people(tmp_path) as people:
        desk = opened_desk(people, confirmation="Listo, no te escribimos más.")
        await desk.writes("BAJA")
        await desk.writes("BAJA!")
        await desk.writes("STOP", sender=BETO, age=timedelta(minutes=5))
        [message] = await queued(desk)
        assert message.kind == "opt_out_confirmation"
        assert (message.recipient, message.session, message.channel) == (ANA, "main", "simulated")
        assert message.not_after == people.clock.now() + timedelta(minutes=5)


async def test_a_confirmation_needs_a_number(tmp_path: Path) -> None:
    """A hidden id alone can't be written to."""
    async with opened_people(tmp_path) as people:
        desk = opened_desk(people, confirmation="Listo.")
        await desk.writes("BAJA", sender=LID)
        assert await queued(desk) == []


async def test_their_own_opt_in_lifts_what_they_asked_for(desk: Desk) -> None:
    """And the permission is theirs, with the words as evidence."""
    await desk.writes("BAJA")
    await desk.people.clock.advance(60)
    await desk.writes("ALTA")
    assert not await desk.people.suppression.check(ANA)
    assert "contact.reopened" in desk.people.types()
    await desk.people.clock.advance(25 * 3600)
    assert await permission(desk) is Permission.OPTED_IN


async def test_an_old_opt_in_that_arrives_late_lifts_nothing(desk: Desk) -> None:
    """What counts is when it was written."""
    await desk.writes("BAJA")
    await desk.writes("ALTA", age=timedelta(hours=1))
    assert await desk.people.suppression.check(ANA)


async def test_an_opt_in_counts_from_the_opt_out_and_not_from_a_name_learned_later(
    desk: Desk,
) -> None:
    """Stop, start, and only then the hidden id becomes known: the start is the last word."""
    await desk.writes("BAJA")
    await desk.people.clock.advance(600)
    await desk.desk.lid("main", LidLearned(LID, ANA))
    await desk.writes("ALTA", age=timedelta(minutes=5))
    assert not await desk.people.suppression.check(ANA)


async def test_a_refusal_closes_until_they_write_again(desk: Desk) -> None:
    """No, thanks; a day later they ask after all."""
    await desk.writes("no, gracias")
    assert await permission(desk) is Permission.REFUSED
    assert not await desk.people.suppression.check(ANA)
    await desk.people.clock.advance(3600)
    await desk.writes("perdón, ¿precio?")
    assert await permission(desk) is Permission.CONVERSATION


async def test_doubtful_words_are_held_for_a_person(desk: Desk) -> None:
    """Is it a haggler or an opt-out? A person looks."""
    await desk.writes("Baja el precio y compro")
    contact = await desk.people.contact(ANA)
    found = await desk.people.database.read(lambda r: contacts.get(r, contact))
    assert found
    assert found.review_reason
    assert "should read" in found.review_reason


async def test_a_message_from_the_future_opens_no_longer_conversation(desk: Desk) -> None:
    """A wrong clock elsewhere can't stretch the 24 hours."""
    await desk.writes("hola", age=timedelta(days=-30))
    [record] = await conversation(desk)
    assert record.at == record.received_at == desk.people.clock.now()


async def test_effects_of_a_plugin_are_committed_with_the_inbound(tmp_path: Path) -> None:
    """A reply, a note, a review; the plugin sees who wrote."""
    plugin = Says([QueueReply("Ya te paso"), AddNote("llamar"), AskReview("pidió factura")])
    async with opened_people(tmp_path) as people:
        desk = opened_desk(people, more={"helper": plugin})
        prospect = await desk.prospect()
        await desk.writes("hola", sender=LID, phone=ANA)
        after = await desk.read_prospect(prospect)
        assert after.notes == "llamar"
        contact = await people.database.read(lambda r: contacts.get(r, after.contact))
        assert contact
        assert contact.review_reason == "pidió factura"
        [reply] = await queued(desk)
        assert (reply.kind, reply.recipient, reply.text) == ("reply", ANA, "Ya te paso")
        [(_, view)] = plugin.heard
        assert (view.prospect, view.cartera_origen) == (prospect, "feria 2025")
        assert (view.permission, view.suppressed) == ("none", False)


async def test_a_strangers_message_is_kept_and_its_effects_do_no_harm(tmp_path: Path) -> None:
    """There is no prospect to note anything on, and no number to answer to."""
    async with opened_people(tmp_path) as people:
        desk = opened_desk(people, more={"helper": Says([AddNote("x"), QueueReply("y")])})
        await desk.writes("me interesa", sender=LID)
        assert [record.text for record in await conversation_of_lid(desk)] == ["me interesa"]
        assert await queued(desk) == []


async def conversation_of_lid(desk: Desk) -> list[inbound.InboundRecord]:
    """Return the conversation with the hidden id."""
    contact = await desk.people.database.read(lambda r: contacts.of_alias(r, LID))
    assert contact
    return await desk.people.database.read(lambda r: inbound.of_contact(r, contact))


@pytest.mark.parametrize("answer", [ValueError("boom"), "allow", [AddNote("x"), "allow"], True])
async def test_a_bad_plugin_loses_its_own_effects_only(tmp_path: Path, answer: object) -> None:
    """It raises, or returns what is no effect: the inbound and the others' effects are stored."""
    async with opened_people(tmp_path) as people:
        desk = opened_desk(people, more={"bad": Says(answer), "good": Says([AddNote("ok")])})
        prospect = await desk.prospect()
        await desk.writes("hola")
        assert (await desk.read_prospect(prospect)).notes == "ok"
        assert [plugin for plugin, _, _ in desk.failures] == ["bad"]


async def spent(desk: Desk, kind: Spend) -> int:
    """Return what the session's budget has been charged within the hour."""
    since = desk.people.clock.now() - timedelta(hours=1)
    return await desk.people.database.read(lambda r: spends.count(r, "main", kind, since))


async def test_what_is_typed_on_the_phone_counts_and_ends_our_selling(desk: Desk) -> None:
    """A first message is a new chat of the number; a second is not; a repeat is nothing."""
    await desk.prospect()
    sale = await desk.people.message(ANA)
    await desk.own("OWN1", ANA_OLD_FORM)
    await desk.own("OWN1", ANA_OLD_FORM)
    await desk.own("OWN2")
    assert await desk.people.state(sale) is MessageState.CANCELLED
    assert await spent(desk, Spend.MESSAGE) == 2
    assert await spent(desk, Spend.NEW_CHAT) == 1
    assert [(record.own, record.text) for record in await conversation(desk)] == [(True, "")] * 2


async def test_a_private_chat_is_counted_and_not_kept(desk: Desk) -> None:
    """The owner writes to a friend: the budget knows, nobody else does."""
    await desk.own("OWN1", BETO)
    assert await spent(desk, Spend.MESSAGE) == 1
    assert await desk.people.database.read(lambda r: contacts.of_alias(r, BETO)) is None


async def test_while_the_disk_refuses_an_opt_out_is_not_lost(desk: Desk) -> None:
    """The desk waits, tries again, and the session stands still meanwhile."""
    database = desk.people.database
    await database.write(lambda tx: tx.execute("PRAGMA max_page_count = 1"))
    writing = asyncio.create_task(desk.writes("BAJA" + " " * 100_000))
    async with asyncio.timeout(5):
        while not desk.people.clock.sleepers:  # noqa: ASYNC110 - another thread fails first
            await asyncio.sleep(0.001)
    assert not writing.done()
    await database.write(lambda tx: tx.execute("PRAGMA max_page_count = 1000000"))
    await desk.people.clock.advance(5)
    await writing
    assert await desk.people.suppression.check(ANA)
