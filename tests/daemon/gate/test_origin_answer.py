"""Who said no may be answered where we have their number from, and nothing else, for a day."""

from __future__ import annotations

from datetime import timedelta

import pytest

from daemon.gate.consent import QUESTION_ABOUT_US
from daemon.gate.origin_answer import build_origin_answer
from daemon.outbox.enqueue import build_message
from statemachines.message import MessageState
from statemachines.vocabulary import MessageKind
from storage import messages, prospects
from storage.evidence import EvidenceKind
from tests.helpers.services.messaging import BETO, MessagingServices

S = MessageState
ORIGIN = "la feria de mayo"


async def refuse_and_ask(services: MessagingServices, *, hours: float = 1) -> tuple[str, str]:
    """Add a prospect of an import who asked about their number, and said no; return the answer."""
    contact = await services.add_prospect(BETO)
    await services.execute_sql(
        "INSERT INTO imports (id, content_hash, file_hash, source, filename, at, who, options,"
        " origen_en_palabras) VALUES ('imp_1', 'a', 'a', 's', 'f', '', 'eva', '{}', ?)",
        ORIGIN,
    )
    await services.execute_sql("UPDATE prospects SET import = 'imp_1', name = 'SOSA, Beto'")
    now = services.clock.now()
    asked = now - timedelta(hours=hours)
    await services.add_evidence(contact, EvidenceKind.INBOUND, QUESTION_ABOUT_US, at=asked)
    await services.add_evidence(contact, EvidenceKind.INBOUND, "declined", at=now)
    await services.add_evidence(contact, EvidenceKind.DECLINED, "refused", at=now)
    found = await services.database.read(
        lambda reader: prospects.find_prospect_by_contact(reader, contact)
    )
    assert found is not None
    return contact, build_origin_answer(found, ORIGIN, found.created_at.date())


async def send(services: MessagingServices, text: str, **more: object) -> tuple[str, str, str]:
    """Send a text; return state, kind and reason."""
    sent = await services.get_message(await services.enqueue_and_settle(BETO, text, **more))
    return sent.state, sent.kind, sent.reason_code


async def test_the_answer_goes_once_and_nothing_else_does(services: MessagingServices) -> None:
    """It is a reply, with their first name; other words are blocked, and so is a second one."""
    _, answer = await refuse_and_ask(services)
    assert answer.startswith("Hola Beto, tu número lo tomamos de la feria de mayo, el ")
    for other in (f"{answer} ¿Seguro?", "Hola, ¿seguro?", answer.upper()):
        assert await send(services, other) == (S.BLOCKED, "commercial", "refused")
    assert await send(services, answer, campaign="feria") == (S.BLOCKED, "commercial", "refused")
    assert (await send(services, answer))[:2] == (S.SENT, "reply")
    assert (await send(services, answer))[0::2] == (S.BLOCKED, "duplicate")


async def test_a_day_after_the_question_it_is_blocked(services: MessagingServices) -> None:
    """The right ends, and the refusal does not."""
    _, answer = await refuse_and_ask(services, hours=24.01)
    assert await send(services, answer) == (S.BLOCKED, "commercial", "refused")


async def test_an_opt_out_is_stronger(services: MessagingServices) -> None:
    """Who is suppressed gets no answer at all."""
    _, answer = await refuse_and_ask(services)
    await services.suppress(BETO)
    assert (await send(services, answer))[0::2] == (S.BLOCKED, "suppressed")


@pytest.mark.parametrize(
    "without",
    [
        "UPDATE prospects SET import = NULL",
        "DELETE FROM evidence WHERE value = 'question_about_us'",
    ],
)
async def test_without_an_origin_or_a_question_it_is_blocked(
    services: MessagingServices, without: str
) -> None:
    """Nobody asked, or nobody can say it."""
    _, answer = await refuse_and_ask(services)
    await services.execute_sql(without)
    assert await send(services, answer) == (S.BLOCKED, "commercial", "refused")


async def test_no_plugin_answers_for_a_person(services: MessagingServices) -> None:
    """What a plugin queues by itself is blocked, whatever its words are."""
    contact, answer = await refuse_and_ask(services)
    now = services.clock.now()
    queued = build_message(
        at=now,
        contact=contact,
        recipient=BETO,
        session="main",
        channel="simulated",
        text=answer,
        kind=MessageKind.REPLY,
        not_after=now + timedelta(hours=1),
    )
    await services.database.write(lambda tx: messages.insert_message(tx, queued, who="listener"))
    await services.clock.settle()
    made = await services.get_message(queued.id)
    assert (made.state, made.kind) == (S.BLOCKED, "commercial")
