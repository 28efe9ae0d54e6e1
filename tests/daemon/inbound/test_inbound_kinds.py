"""What kinds of inbound other than a text change, and what a program sends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.api.effects import QueueReply
from daemon.api.signals import InboundKind, Origin
from daemon.gate.consent import Permission, derive_permission
from daemon.inbound.reading import WORDS_REVIEW_REASON
from statemachines.message import MessageState
from storage import contacts, evaluation_context, evidence, messages
from storage.tx import Reader, Tx
from storage.waiting import count_waiting
from tests.helpers.services.contacts import (
    ANA,
    InboundInterpreter,
    InboundServices,
    build_inbound_services,
    open_contact_services,
)

K, S = InboundKind, MessageState
WORDS: dict[str, str] = {"reason_code": "test", "sentence": "test", "who": "test"}
ASIDE = [K.REACTION, K.EDIT, K.DELETION, K.POLL]
UNREADABLE = [K.MEDIA, K.VOICE, K.LOCATION, K.CONTACT, K.UNSUPPORTED]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[InboundServices]:
    """The handlers over a real database."""
    async with open_contact_services(tmp_path) as people:
        yield build_inbound_services(people)


async def read_permission(desk: InboundServices) -> Permission:
    """Return what the evidence on Ana says now."""
    contact = await desk.people.resolve_contact(ANA)
    known = await desk.people.database.read(lambda r: evidence.list_contact_evidence(r, contact))
    return derive_permission(known, desk.people.clock.now())


async def read_review_reason(desk: InboundServices) -> str | None:
    """Return why commercial messages to Ana wait for a person, if they do."""
    contact = await desk.people.resolve_contact(ANA)
    found = await desk.people.database.read(lambda r: contacts.get_contact(r, contact))
    return found.review_reason if found else None


async def count_unanswered(desk: InboundServices) -> int:
    """Return how many people the Today page says wait for an answer."""
    at = desk.people.clock.now()
    return (await desk.people.database.read(lambda r: count_waiting(r, at))).count


@pytest.mark.parametrize("kind", ASIDE)
async def test_a_reaction_an_edit_a_deletion_and_a_poll_open_no_conversation(
    desk: InboundServices, kind: InboundKind
) -> None:
    """Nothing is permitted by it, nothing cancelled, and nobody waits for an answer."""
    sale = await desk.people.queue_message(ANA)
    await desk.receive_text("👍", kind=kind)
    assert await read_permission(desk) is Permission.NONE
    assert await desk.people.get_message_state(sale) is MessageState.QUEUED
    assert await read_review_reason(desk) is None
    assert await count_unanswered(desk) == 0


@pytest.mark.parametrize("kind", [*(k for k in ASIDE if k is not K.REACTION), *UNREADABLE])
async def test_words_of_every_kind_are_read_for_a_no(
    desk: InboundServices, kind: InboundKind
) -> None:
    """An edit is read again; a caption counts like a text."""
    await desk.receive_text("BAJA", kind=kind)
    assert await desk.people.suppression.check(ANA)


async def test_a_reaction_that_is_a_no_is_read_by_a_person(desk: InboundServices) -> None:
    """An emoji is no sentence: nothing is refused, and nothing commercial goes out meanwhile."""
    sale = await desk.people.queue_message(ANA)
    await desk.receive_text("👎", kind=K.REACTION)
    assert await read_review_reason(desk) == WORDS_REVIEW_REASON
    assert await read_permission(desk) is Permission.NONE
    assert await desk.people.get_message_state(sale) is MessageState.QUEUED


async def test_an_edit_that_says_no_ends_selling_and_refuses(desk: InboundServices) -> None:
    """It was a question before."""
    await desk.receive_text("¿precio?")
    sale = await desk.people.queue_message(ANA)
    await desk.receive_text("no, gracias", kind=K.EDIT)
    assert await desk.people.get_message_state(sale) is MessageState.CANCELLED
    assert await read_permission(desk) is Permission.REFUSED


async def test_only_a_text_can_be_an_opt_in(desk: InboundServices) -> None:
    """A reaction or a program with the listed word lifts nothing."""
    await desk.receive_text("BAJA")
    await desk.people.clock.advance(60)
    await desk.receive_text("ALTA", kind=K.EDIT)
    await desk.receive_text("ALTA", automatic=True)
    assert await desk.people.suppression.check(ANA)


@pytest.mark.parametrize("kind", UNREADABLE)
async def test_what_has_no_words_holds_selling_until_a_person_looked(
    desk: InboundServices, kind: InboundKind
) -> None:
    """Nobody knows what it asks: nothing is cancelled, and the reason says what to look at."""
    sale = await desk.people.queue_message(ANA)
    await desk.receive_text("", kind=kind)
    assert await desk.people.get_message_state(sale) is MessageState.QUEUED
    assert "on the phone" in str(await read_review_reason(desk))
    assert await count_unanswered(desk) == 1


async def test_a_caption_is_read_like_a_text(desk: InboundServices) -> None:
    """A picture with a question."""
    await desk.receive_text("¿tienen este modelo?", kind=K.MEDIA)
    assert await read_review_reason(desk) is None
    assert await read_permission(desk) is Permission.CONVERSATION


@pytest.mark.parametrize("kind", UNREADABLE)
async def test_what_has_no_words_in_the_past_asks_for_no_look(
    desk: InboundServices, kind: InboundKind
) -> None:
    """A whole history of pictures would bury what needs a person."""
    await desk.receive_text("", kind=kind, origin=Origin.HISTORY)
    assert await read_review_reason(desk) is None


async def test_what_a_program_sent_is_no_answer_and_gets_none(tmp_path: Path) -> None:
    """An absence notice: no conversation, no plugin, no confirmation; but they are on WhatsApp."""
    plugin = InboundInterpreter([QueueReply("Gracias")])
    async with open_contact_services(tmp_path) as people:
        desk = build_inbound_services(
            people, confirmation="Listo, no te escribimos más.", more={"talker": plugin}
        )
        prospect = await desk.add_prospect()
        sale = await people.queue_message(ANA)
        await desk.receive_text("Volvemos el lunes, gracias por escribir", automatic=True)
        assert plugin.calls == []
        assert await people.get_message_state(sale) is MessageState.QUEUED
        assert await read_permission(desk) is Permission.NONE
        assert await count_unanswered(desk) == 0
        assert (await desk.get_prospect(prospect)).on_whatsapp == "yes"
        await desk.receive_text("STOP", automatic=True)
        assert await people.suppression.check(ANA)
        found = await people.database.read(messages.list_messages)
        assert {message.kind for message in found} == {"commercial"}


async def test_a_reaction_is_no_answer_to_what_was_sent(desk: InboundServices) -> None:
    """What was sent stays unanswered, and the next message waits as it would have."""
    sent = await desk.people.queue_message(ANA)
    await confirm_by_hand(desk, sent)
    await desk.people.clock.advance(60)
    await desk.receive_text("👍", kind=K.REACTION)
    assert await count_unanswered_sends(desk) == 1
    await desk.receive_text("ok")
    assert await count_unanswered_sends(desk) == 0


async def confirm_by_hand(desk: InboundServices, message: str) -> None:
    """Take a message along the legal moves until a person says that it was sent."""
    at = desk.people.clock.now()

    def job(tx: Tx) -> None:
        messages.transition_message(tx, message, S.QUEUED, channel="manual", at=at, **WORDS)
        messages.transition_message(tx, message, S.CLEARED, at=at, **WORDS)
        until = at + timedelta(minutes=10)
        messages.transition_message(
            tx, message, S.TAKEN, at=at, taken_by="eva", lease_until=until, **WORDS
        )
        messages.transition_message(tx, message, S.REVEALED, at=at, **WORDS)
        messages.transition_message(tx, message, S.CONFIRMED_BY_HAND, at=at, **WORDS)

    await desk.people.database.write(job)


async def count_unanswered_sends(desk: InboundServices) -> int:
    """Return how many messages to Ana went since she last wrote, as the gate counts them."""
    at = desk.people.clock.now()
    message = await desk.people.queue_message(ANA)

    def query(reader: Reader) -> int:
        record = messages.require_message(reader, message)
        context = evaluation_context.read_evaluation_context(reader, record, at)
        return len(context.history.unanswered)

    return await desk.people.database.read(query)
