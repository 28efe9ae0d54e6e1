"""What came of messages without an answer: by the clock, receipts and checks, and by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from daemon.api.identity import parse_identity
from daemon.api.signals import InboundMessage, Receipt, ReceiptKind
from daemon.api.transport import NumberAnswer, OnWhatsApp
from daemon.contacts.validation_transitions import build_validation_transitions
from daemon.errors import BadRequest, Conflict, LeadMasterError
from statemachines.prospect import ValidationState
from storage import outcomes, prospects
from storage.outcomes import NextAction, Outcome, OutcomeRecord
from storage.prospects import ProspectRecord
from tests.helpers.services.messaging import (
    ANA,
    BETO,
    GATE_WITHOUT_VETOES,
    MessagingServices,
    open_messaging_services,
)
from tests.helpers.services.messaging_scenarios import write_gate_rules

HOUR, DAY = 3600, 86_400
END_OF_FIFTH_DAY = datetime(2026, 3, 11, 3, 0, tzinfo=UTC)
"""Of Tuesday, 3 March, noon, in Buenos Aires: Tuesday, 10 March, midnight."""


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[MessagingServices]:
    """Open the services with rules that allow everything, a session and a prospect."""
    rules = write_gate_rules(tmp_path, GATE_WITHOUT_VETOES)
    async with open_messaging_services(tmp_path, rules=rules) as opened:
        await opened.add_session()
        await opened.add_prospect()
        yield opened


async def send(services: MessagingServices, text: str = "Hola, Ana", to: str = ANA) -> str:
    """Send a message that a server acknowledged."""
    message = await services.enqueue(to, text)
    await services.clock.settle()
    assert await services.get_state(message) == "sent"
    return message


async def receive_receipt(services: MessagingServices, message: str, kind: ReceiptKind) -> None:
    """Receive a receipt for a message."""
    sent = await services.get_message(message)
    signal = Receipt(sent.wire_id or "", parse_identity(sent.recipient), kind, services.clock.now())
    await services.signal_handlers.receipts.handle_receipt("main", signal)


async def answer(services: MessagingServices, text: str = "Sí, ¿cuánto sale?") -> None:
    """Receive a message of Ana's."""
    signal = InboundMessage(f"IN-{text}", parse_identity(ANA), text, services.clock.now())
    await services.signal_handlers.inbound.handle_inbound("main", signal)


async def list_standing(services: MessagingServices, to: str = ANA) -> list[OutcomeRecord]:
    """Return the outcomes of a contact that nothing took back, newest first."""
    contact = await services.resolve_contact(to)
    return await services.database.read(lambda r: outcomes.list_contact_outcomes(r, contact))


async def sweep_at(services: MessagingServices, at: datetime) -> list[Outcome]:
    """Let the periodic job run at a moment; return what stands then, oldest first."""
    await services.clock.leap((at - services.clock.now()).total_seconds())
    await services.unanswered_outcomes.sweep()
    return [each.outcome for each in reversed(await list_standing(services))]


async def sweep_in(services: MessagingServices, seconds: float) -> list[Outcome]:
    """The same after some seconds."""
    await services.clock.leap(seconds)
    return await sweep_at(services, services.clock.now())


async def get_prospect(services: MessagingServices, to: str = ANA) -> ProspectRecord:
    """Return the prospect of a number."""
    contact = await services.resolve_contact(to)
    found = await services.database.read(lambda r: prospects.find_prospect_by_contact(r, contact))
    assert found is not None
    return found


async def count_rows(services: MessagingServices) -> int:
    """Return how many rows the table has: it is append-only."""
    [(count,)] = await services.query_rows("SELECT count(*) FROM outcomes")
    assert isinstance(count, int)
    return count


async def test_silence_is_no_reply_at_the_end_of_the_fifth_business_day(
    services: MessagingServices,
) -> None:
    """Not a second before, once, of that message; an answer later is a row more, and it stands."""
    message = await send(services)
    await receive_receipt(services, message, ReceiptKind.DELIVERED)
    before = END_OF_FIFTH_DAY.timestamp() - services.clock.now().timestamp() - 1
    assert await sweep_in(services, before) == []
    assert await sweep_at(services, END_OF_FIFTH_DAY) == [Outcome.NO_REPLY]
    assert await sweep_in(services, DAY) == [Outcome.NO_REPLY]
    [kept] = await list_standing(services)
    assert (kept.message, kept.who, kept.next_action) == (message, "clock", NextAction.CLOSE)
    await answer(services)
    assert await list_standing(services) == []
    assert await count_rows(services) == 2
    assert await sweep_in(services, 10 * DAY) == [], "who answered once has answered"


async def test_an_answer_or_a_persons_word_leaves_nothing_to_the_clock(
    services: MessagingServices,
) -> None:
    """An answer within the five days, automatic ones apart, which are no answer."""
    await send(services)
    await answer(services)
    await services.add_prospect(BETO)
    robot = await send(services, "Hola, Beto", BETO)
    await receive_receipt(services, robot, ReceiptKind.DELIVERED)
    signal = InboundMessage(
        *("IN-auto", parse_identity(BETO)),
        "Gracias por comunicarte con nosotros. En breve te responderemos. (Mensaje automático)",
        services.clock.now(),
    )
    await services.signal_handlers.inbound.handle_inbound("main", signal)
    assert await sweep_at(services, END_OF_FIFTH_DAY) == []
    assert [each.outcome for each in await list_standing(services, BETO)] == [Outcome.NO_REPLY]


async def test_a_message_without_a_receipt_is_not_delivered_at_72_hours(
    services: MessagingServices,
) -> None:
    """A receipt later takes it back with a row of its own, and then silence is silence."""
    message = await send(services)
    assert await sweep_in(services, 72 * HOUR - 1) == []
    assert await sweep_in(services, 1) == [Outcome.NOT_DELIVERED]
    [kept] = await list_standing(services)
    assert (kept.message, kept.next_action) == (message, NextAction.TECHNICAL_RETRY)
    assert await sweep_at(services, END_OF_FIFTH_DAY) == [Outcome.NOT_DELIVERED], "no reply to what"
    await receive_receipt(services, message, ReceiptKind.DELIVERED)
    assert await list_standing(services) == []
    assert await sweep_in(services, 1) == [Outcome.NO_REPLY]
    assert await count_rows(services) == 3


async def test_two_messages_in_a_row_that_did_not_arrive_end_a_validation(
    services: MessagingServices,
) -> None:
    """One does not; an answer proves that both arrived."""
    await send(services)
    await sweep_in(services, 72 * HOUR)
    assert (await get_prospect(services)).validado_tecnicamente is True
    await send(services, "Otra vez hola")
    assert await sweep_in(services, 72 * HOUR) == [Outcome.NOT_DELIVERED] * 2
    after = await get_prospect(services)
    assert (after.validation, after.validado_tecnicamente) == (ValidationState.NOT_REACHABLE, False)
    await answer(services)
    assert await list_standing(services) == []


async def test_where_nobody_sees_receipts_nothing_is_said_of_delivery(
    services: MessagingServices,
) -> None:
    """A message by hand waits for the fifth business day alone."""
    message = await services.enqueue(ANA, "Hola, Ana", channel="manual")
    await services.clock.settle()
    await services.manual.take(message, "eva")
    await services.manual.reveal(message, "eva")
    await services.manual.confirm(message, "eva")
    assert await sweep_in(services, 80 * HOUR) == []
    assert await sweep_at(services, END_OF_FIFTH_DAY) == [Outcome.NO_REPLY]


async def test_a_check_that_finds_no_number_is_the_outcome_of_what_was_sent(
    services: MessagingServices,
) -> None:
    """Of who was never written to there is none."""
    message = await send(services)
    await services.add_prospect(BETO)
    transitions = build_validation_transitions(
        services.scoring, services.aliases, services.settings
    )
    for phone in (ANA, BETO):
        found = await get_prospect(services, phone)
        await services.execute_sql(
            "UPDATE prospects SET validation = 'checking' WHERE id = ?", found.id
        )
        await services.database.write(
            partial(
                transitions.apply_answer,
                prospect=found.id,
                answer=NumberAnswer(phone, OnWhatsApp.NO),
                now=services.clock.now(),
            )
        )
    [kept] = await list_standing(services)
    assert (kept.outcome, kept.message) == (Outcome.NUMBER_DOES_NOT_EXIST, message)
    assert kept.next_action == NextAction.INVALIDATE_PHONE
    assert await list_standing(services, BETO) == []


@pytest.mark.parametrize(
    ("outcome", "happens", "error", "says"),
    [
        (Outcome.NO_REPLY, "", None, ""),
        (Outcome.NOT_DELIVERED, "", None, ""),
        (Outcome.NUMBER_DOES_NOT_EXIST, "", None, ""),
        (Outcome.INTERESTED, "", BadRequest, "is read from a message of theirs"),
        (Outcome.NO_REPLY, "unsent", Conflict, "No message to them has left"),
        (Outcome.NO_REPLY, "answered", Conflict, "They have answered since"),
        (Outcome.NOT_DELIVERED, "delivered", Conflict, "A receipt says"),
        (Outcome.NO_REPLY, "no reason", BadRequest, "reason"),
    ],
)
async def test_a_person_may_say_it_where_it_can_be_so(
    services: MessagingServices,
    outcome: Outcome,
    happens: str,
    error: type[LeadMasterError] | None,
    says: str,
) -> None:
    """With a reason, and its effect; taken back within ten seconds, with all that it changed."""
    message = "" if happens == "unsent" else await send(services)
    if happens == "answered":
        await services.clock.leap(1)
        await answer(services)
    if happens == "delivered":
        await receive_receipt(services, message, ReceiptKind.READ)
    before = await get_prospect(services)
    recorder = services.unanswered_outcomes
    reason = "" if happens == "no reason" else "Lo dijo por teléfono"
    if error is not None:
        with pytest.raises(error, match=says):
            await recorder.record(before.id, outcome, "eva", reason)
        assert await list_standing(services) == []
        return
    done = await recorder.record(before.id, outcome, "eva", reason)
    [kept] = await list_standing(services)
    assert (kept.id, kept.message, kept.reason) == (done.id, message, "Lo dijo por teléfono")
    after = await get_prospect(services)
    wrong = outcome is Outcome.NUMBER_DOES_NOT_EXIST
    assert after.validado_tecnicamente is (False if wrong else before.validado_tecnicamente)
    await services.outcomes.undo(kept.contact, kept.id, "eva")
    restored = await get_prospect(services)
    assert (restored.validation, restored.validado_tecnicamente) == (
        *(before.validation, before.validado_tecnicamente),
    )
    assert await list_standing(services) == []
