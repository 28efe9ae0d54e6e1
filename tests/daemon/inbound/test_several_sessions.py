"""One number linked twice, and two numbers: what one session reports of the other's messages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from daemon.api.identity import parse_identity
from daemon.api.signals import Receipt, ReceiptKind
from statemachines.message import MessageState
from storage import messages, sessions
from storage.tx import Tx
from tests.helpers.services.contacts import (
    ANA,
    InboundServices,
    build_inbound_services,
    open_contact_services,
)
from tests.helpers.services.database import build_session_record

S = MessageState
TEXT, OTHER_TEXT = "Hola, Ana", "Te llamo mañana"
SECOND, FOREIGN = "second", "foreign"
NUMBER = "+5491144440000"


@pytest.fixture
async def inbound(tmp_path: Path) -> AsyncIterator[InboundServices]:
    """The handlers; ``main`` and ``second`` are of one number, ``foreign`` is of another."""
    async with open_contact_services(tmp_path) as people:
        await people.database.write(_add_sessions)
        yield build_inbound_services(people)


def _add_sessions(tx: Tx) -> None:
    main = sessions.get_session(tx, "main")
    assert main is not None
    sessions.update_session(tx, main, replace(main, phone=NUMBER), main.since)
    sessions.insert_session(tx, build_session_record(SECOND, phone=NUMBER))
    sessions.insert_session(tx, build_session_record(FOREIGN, phone="+5491144449999"))


async def move(inbound: InboundServices, message: str, *states: S, wire_id: str = "W1") -> None:
    """Take a message of ``main`` along the legal moves."""
    at = inbound.people.clock.now()
    proofs: dict[S, dict[str, object]] = {
        S.SENDING: {"decision": "dec_1", "permit": "per_1"},
        S.SENT: {"wire_id": wire_id, "sent_at": at},
    }

    def job(tx: Tx) -> None:
        for state in states:
            messages.transition_message(
                tx,
                message,
                state,
                at=at,
                reason_code="t",
                sentence="t",
                who="test",
                **proofs.get(state, {}),
            )

    await inbound.people.database.write(job)


async def count_own_messages(inbound: InboundServices) -> tuple[int, int]:
    """Return how many messages typed on the phone are stored, and how many spends they are."""
    return await inbound.people.database.read(
        lambda reader: (
            reader.value("SELECT count(*) FROM inbound WHERE own"),
            reader.value(
                "SELECT count(*) FROM spends WHERE kind = 'message' AND own_hash NOT NULL"
            ),
        )
    )


@pytest.mark.parametrize("states", [(S.CLEARED, S.SENDING), (S.CLEARED, S.SENDING, S.IN_DOUBT)])
async def test_a_copy_that_overtakes_the_acknowledgement_is_no_message_of_the_phone(
    inbound: InboundServices, states: tuple[S, ...]
) -> None:
    """The platform shows every device of the number what one of them sends."""
    message = await inbound.people.queue_message(ANA, text=TEXT)
    sale = await inbound.people.queue_message(ANA, text="Oferta")
    await move(inbound, message, *states)
    await inbound.receive_own_message("W1", text=TEXT, session=SECOND)
    assert await count_own_messages(inbound) == (0, 0)
    assert await inbound.people.get_message_state(sale) is S.QUEUED
    await move(inbound, message, S.SENT)
    assert await inbound.people.get_message_state(message) is S.SENT


@pytest.mark.parametrize(
    ("text", "session"),
    [(OTHER_TEXT, SECOND), (TEXT, FOREIGN), (TEXT, "main"), (None, SECOND)],
)
async def test_what_was_typed_during_a_send_is_no_copy(
    inbound: InboundServices, text: str | None, session: str
) -> None:
    """Another text, another number, the sender itself (it gets no copy), or nobody knows what."""
    message = await inbound.people.queue_message(ANA, text=TEXT)
    await move(inbound, message, S.CLEARED, S.SENDING)
    await inbound.receive_own_message("OWN1", text=text, session=session)
    assert await count_own_messages(inbound) == (1, 1)


async def test_a_message_typed_on_a_phone_that_is_linked_twice_counts_once(
    inbound: InboundServices,
) -> None:
    """Both sessions report it."""
    await inbound.people.queue_message(ANA)
    for session in ("main", SECOND, "main"):
        await inbound.receive_own_message("OWN1", text=OTHER_TEXT, session=session)
    assert await count_own_messages(inbound) == (1, 1)
    await inbound.receive_own_message("OWN1", text=OTHER_TEXT, session=FOREIGN)
    assert await count_own_messages(inbound) == (2, 2)  # another phone's ids are its own


async def test_what_was_typed_settles_nothing_whichever_session_reported_it(
    inbound: InboundServices,
) -> None:
    """Its receipt comes through both."""
    message = await inbound.people.queue_message(ANA, text=TEXT)
    await move(inbound, message, S.CLEARED, S.SENDING, S.IN_DOUBT)
    await inbound.receive_own_message("OWN1", text=OTHER_TEXT, session=SECOND)
    await inbound.receive_receipt("OWN1", ReceiptKind.DELIVERED)
    await inbound.settle_doubts()
    assert await inbound.people.get_message_state(message) is S.IN_DOUBT


async def test_the_receipt_of_another_numbers_message_settles_nothing(
    inbound: InboundServices,
) -> None:
    """Its id is not unknown: it is that of a message that another session sent."""
    message = await inbound.people.queue_message(ANA, text=TEXT)
    await move(inbound, message, S.CLEARED, S.SENDING, S.SENT, wire_id="W1")
    doubtful = await inbound.people.queue_message(ANA, text=OTHER_TEXT)
    await inbound.people.database.write(
        lambda tx: tx.execute("UPDATE messages SET session = ? WHERE id = ?", (FOREIGN, doubtful))
    )
    await move(inbound, doubtful, S.CLEARED, S.SENDING, S.IN_DOUBT)
    at = inbound.people.clock.now()
    receipt = Receipt("W1", parse_identity(ANA), ReceiptKind.DELIVERED, at)
    await inbound.handlers.receipts.handle_receipt(FOREIGN, receipt)
    await inbound.settle_doubts()
    assert await inbound.people.get_message_state(doubtful) is S.IN_DOUBT
    assert await inbound.people.get_message_state(message) is S.SENT
