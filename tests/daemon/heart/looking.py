"""Ways to bring rows about, and to look at the facts that they give, without sending anything."""

from __future__ import annotations

from daemon.gate import Phase
from statemachines.message import MessageState
from storage.receipts import ReceiptRecord, note
from tests.helpers.heart import ANA, SmallHouse, phone


async def facts_of(house: SmallHouse, to: str = ANA, **more: object) -> dict[str, object]:
    """Return the facts of a message that is not sent."""
    house.wire.up = False
    message = await house.message(await house.enqueue(to, "Hola, ¿qué tal?", **more))
    look = await house.gate.look(message, Phase.ENQUEUE)
    await house.clock.settle()
    if await house.state(message.id) is not MessageState.BLOCKED:
        await house.outbox.cancel(message.id, "eva", "only looking")
    house.wire.up = True
    return dict(look.facts)


async def begin(
    house: SmallHouse, many: int, *, start: int = 0, session: str = "main"
) -> list[str]:
    """Send so many first messages, each to somebody new; return their ids."""
    sent = []
    for number in range(start, start + many):
        await house.prospect(phone(number))
        sent.append(await house.enqueue(phone(number), f"Hola {number}", session=session))
    await house.clock.settle()
    assert {await house.state(each) for each in sent} == {MessageState.SENT}
    return sent


async def begin_apart(house: SmallHouse, many: int) -> list[str]:
    """Send first messages a second apart."""
    sent = []
    for number in range(many):
        sent += await begin(house, 1, start=number)
        await house.clock.advance(1)
    return sent


async def receipt(house: SmallHouse, message: str, kind: str, *, wire_id: str = "") -> None:
    """Let the platform say something about a message, or about an id that it may have."""
    at, record = house.clock.now(), await house.message(message)
    said = ReceiptRecord(
        session=record.session,
        wire_id=record.wire_id or wire_id,
        kind=kind,
        at=at,
        contact=record.contact,
    )
    await house.database.write(lambda tx: note(tx, said, at))
