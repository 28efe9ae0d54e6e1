"""Scenarios on the messaging services: sessions, first messages, receipts, facts, rule files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import structlog

from daemon.gate.gate import EvaluationPhase
from daemon.settings import RulesSettings
from statemachines.message import MessageState
from storage.receipts import ReceiptRecord, store_receipt
from tests.helpers.services.messaging import (
    ANA,
    GATE_WITHOUT_VETOES,
    MessagingServices,
    build_phone,
    open_messaging_services,
)


@pytest.fixture(autouse=True)
def plain_logs() -> Iterator[None]:
    """Log plain tracebacks: rendering the pretty ones takes longer than the tests."""
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, plain])
    yield
    structlog.reset_defaults()


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[MessagingServices]:
    """Open the services with the shipped rules, a session and a prospect."""
    async with open_messaging_services(tmp_path) as opened:
        await opened.add_session()
        await opened.add_prospect()
        yield opened


async def get_facts(
    services: MessagingServices, to: str = ANA, **more: object
) -> dict[str, object]:
    """Return the facts of a message that is not sent."""
    later = services.clock.now() + timedelta(hours=1)
    message = await services.get_message(
        await services.enqueue(to, "Hola, ¿qué tal?", not_before=later, **more)
    )
    evaluation = await services.gate.evaluate(message, EvaluationPhase.ENQUEUE)
    await services.clock.settle()
    if await services.get_state(message.id) is not MessageState.BLOCKED:
        await services.outbox.cancel(message.id, "eva", "only looking")
    return dict(evaluation.facts)


async def send_first_messages(
    services: MessagingServices, many: int, *, start: int = 0, session: str = "main"
) -> list[str]:
    """Send so many first messages, each to a new contact; return their ids."""
    sent = []
    for number in range(start, start + many):
        await services.add_prospect(build_phone(number))
        sent.append(await services.enqueue(build_phone(number), f"Hola {number}", session=session))
    await services.clock.settle()
    assert {await services.get_state(each) for each in sent} == {MessageState.SENT}
    return sent


async def send_first_messages_apart(services: MessagingServices, many: int) -> list[str]:
    """Send first messages a second apart."""
    sent = []
    for number in range(many):
        sent += await send_first_messages(services, 1, start=number)
        await services.clock.advance(1)
    return sent


async def add_receipt(
    services: MessagingServices, message: str, kind: str, *, wire_id: str = ""
) -> None:
    """Store a receipt for a message, or for a wire id that it does not have yet."""
    at, record = services.clock.now(), await services.get_message(message)
    receipt = ReceiptRecord(
        session=record.session,
        wire_id=record.wire_id or wire_id,
        kind=kind,
        at=at,
        contact=record.contact,
    )
    await services.database.write(lambda tx: store_receipt(tx, receipt, at))


def write_gate_rules(folder: Path, text: str = GATE_WITHOUT_VETOES) -> RulesSettings:
    """Write a gate file and return settings that name it."""
    file = folder / "gate.yaml"
    file.write_text(text, encoding="utf-8")
    return RulesSettings(gate=(str(file),))
