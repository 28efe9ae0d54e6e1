"""Who may write to somebody: asked after interest, answered by them, recorded by a person."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.api.effects import Intent
from daemon.api.identity import parse_identity
from daemon.api.signals import InboundMessage
from daemon.chats.service import ConversationMoved
from daemon.errors import BadRequest, Conflict, NotFound
from storage import clients, evidence
from storage.clients import ClientShare
from storage.evidence import EvidenceKind
from storage.outcomes import Outcome
from tests.helpers.services.messaging import (
    ANA,
    GATE_WITHOUT_VETOES,
    MessagingServices,
    open_messaging_services,
)
from tests.helpers.services.messaging_scenarios import write_gate_rules
from tests.helpers.transport import read_text

QUESTION = "¿Te puede escribir Dentalia SA por acá? Respondé sí o no."


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[MessagingServices]:
    """Open the services with a prospect who is interested, as their words say."""
    rules = write_gate_rules(tmp_path, GATE_WITHOUT_VETOES)
    async with open_messaging_services(tmp_path, rules=rules) as opened:
        await opened.add_session()
        await opened.add_prospect()
        await receive(opened, "Sí, me interesa")
        yield opened


async def receive(services: MessagingServices, text: str) -> None:
    """Receive a message of Ana's, written now."""
    signal = InboundMessage(f"IN-{text}", parse_identity(ANA), text, services.clock.now())
    await services.signal_handlers.inbound.handle_inbound("main", signal)


async def ask(services: MessagingServices, client: str, key: str = "box") -> str:
    """Ask Ana about a client; return the message's id."""
    contact = await services.resolve_contact(ANA)
    seen = (await services.chats.read_chat(contact, "eva")).last_seen
    message = await services.sharing.ask(contact, client, "eva", last_seen=seen, key=key)
    return message.id


async def list_shares(services: MessagingServices) -> list[ClientShare]:
    """Return what is known of each client and Ana."""
    contact = await services.resolve_contact(ANA)
    return await services.database.read(lambda r: clients.list_client_shares(r, contact))


async def test_one_question_and_the_answer_that_a_person_records(
    services: MessagingServices,
) -> None:
    """Asked once, after interest; a "yes" that is only read gives nothing, the record does."""
    contact = await services.resolve_contact(ANA)
    client = await services.sharing.add_client("  Dentalia   SA ", "eva")
    with pytest.raises(Conflict, match="Nobody has recorded that they are interested"):
        await ask(services, client.id)
    await services.outcomes.record(contact, Outcome.INTERESTED, "eva")
    message = await ask(services, client.id)
    assert await ask(services, client.id) == message, "the same box"
    with pytest.raises(Conflict, match="asked about Dentalia SA already"):
        await ask(services, client.id, "another box")
    await services.clock.advance(10)
    assert [read_text(each.outgoing) for each in services.wire.sends] == [QUESTION]
    [share] = await list_shares(services)
    assert (share.asked_state, share.allowed, share.answered_at) == ("sent", None, None)
    await services.clock.advance(60)
    await receive(services, "Sí, que me escriban")
    assert [each.allowed for each in await list_shares(services)] == [None], "nobody recorded it"
    said = services.clock.now()
    await services.clock.advance(3600)
    [share] = await services.sharing.record_answer(contact, client.id, "eva", allowed=True)
    assert (share.allowed, share.quote, share.answered_at) == (True, "Sí, que me escriban", said)
    known = await services.database.read(lambda r: evidence.list_contact_evidence(r, contact))
    [piece] = [each for each in known if each.kind is EvidenceKind.MAY_SHARE]
    assert (piece.value, piece.source) == (client.id, "Dentalia SA, recorded by eva")
    await services.sharing.record_answer(contact, client.id, "eva", allowed=False)
    assert [each.allowed for each in await list_shares(services)] == [False], "the latest record"


async def test_a_question_that_never_left_may_be_asked_again(services: MessagingServices) -> None:
    """Taken back within its five seconds; and not past a message that nobody has read."""
    contact = await services.resolve_contact(ANA)
    await services.outcomes.record(contact, Outcome.INTERESTED, "eva")
    client = await services.sharing.add_client("Dentalia SA", "eva")
    seen = (await services.chats.read_chat(contact, "eva")).last_seen
    first = await ask(services, client.id)
    await services.outbox.cancel(first, "eva", "taken back")
    await services.clock.advance(1)
    await receive(services, "¿Y dónde quedan?")
    with pytest.raises(ConversationMoved):
        await services.sharing.ask(contact, client.id, "eva", last_seen=seen, key="late")
    second = await ask(services, client.id, "second")
    await services.clock.advance(10)
    assert second != first
    assert [read_text(each.outgoing) for each in services.wire.sends] == [QUESTION]


async def test_what_the_former_owner_agreed_to_ends_with_the_number(
    services: MessagingServices,
) -> None:
    """Taken back with the outcome, it holds again."""
    contact = await services.resolve_contact(ANA)
    client = await services.sharing.add_client("Dentalia SA", "eva")
    await services.sharing.record_answer(contact, client.id, "eva", allowed=True)
    done = await services.outcomes.record(contact, Outcome.NUMBER_CHANGED_OWNER, "eva")
    assert [each.allowed for each in await list_shares(services)] == [None]
    assert done.id is not None
    await services.outcomes.undo(contact, done.id, "eva")
    assert [each.allowed for each in await list_shares(services)] == [True]


async def test_clients_have_one_name_each_and_answers_a_client(services: MessagingServices) -> None:
    """However it is written; unknown clients are named in the refusal."""
    contact = await services.resolve_contact(ANA)
    await services.sharing.add_client("Odontología Núñez", "eva")
    with pytest.raises(Conflict, match="already"):
        await services.sharing.add_client("ODONTOLOGIA NUNEZ", "eva")
    with pytest.raises(BadRequest, match="name"):
        await services.sharing.add_client(" \n ", "eva")
    with pytest.raises(NotFound, match="no client cli_1"):
        await services.sharing.record_answer(contact, "cli_1", "eva", allowed=True)


async def test_the_intent_rests_on_a_message_of_theirs(services: MessagingServices) -> None:
    """Chosen by a person, with its words as the quote, dated by its writing."""
    contact = await services.resolve_contact(ANA)
    said = services.clock.now()
    await services.clock.leap(timedelta(hours=1).total_seconds())
    after = await services.outcomes.set_intent(contact, Intent.ASKED, "eva")
    assert after.intent == Intent.ASKED
    known = await services.database.read(lambda r: evidence.list_contact_evidence(r, contact))
    piece = next(each for each in known if each.source == "classified by eva")
    assert (piece.kind, piece.value, piece.quote, piece.at) == (
        *(EvidenceKind.INTENT, "asked", "Sí, me interesa", said),
    )
    with pytest.raises(NotFound):
        await services.outcomes.set_intent(contact, Intent.CLEAR, "eva", inbound_id="inb_1")
