"""The predecessor's worst day, replayed: 250 messages, a line that is down, a scheduler running."""

from __future__ import annotations

from pathlib import Path

from daemon.settings import PacingSettings
from statemachines.message import MessageState
from storage import queue
from storage.evidence import EvidenceKind
from tests.helpers.clock import FakeClock
from tests.helpers.heart import SmallHouse, phone, small_house
from tests.helpers.wire import FakeWire

S = MessageState
MESSAGES = 250
OPTED_OUT, REFUSED, UNREACHABLE, CANCELLED, EXPIRED = (range(n, n + 10) for n in range(0, 50, 10))
SPENDTHRIFT = PacingSettings(new_chats_later=1000, new_chat_gap_minutes=0, messages_per_minute=1000)
SUBJECTS = ("mesa", "silla", "techo", "pared", "cocina", "patio", "reja", "toldo", "piso", "baño")


def text(number: int) -> str:
    """Return a text of its own for each, as a person would write it."""
    first, second = SUBJECTS[number % 10], SUBJECTS[number // 10 % 10]
    return f"{first}{number} {second}{number} presupuesto{number} listo{number}"


async def test_a_day_with_the_line_down_writes_no_sent_and_the_day_after_obeys_the_rules(
    tmp_path: Path,
) -> None:
    """Not one says `sent`; when the line is back, not one goes that may not go now."""
    clock = FakeClock()
    wire = FakeWire(clock, up=False)
    async with small_house(tmp_path, clock=clock, wire=wire, pacing=SPENDTHRIFT) as house:
        await house.session()
        house.outbox.serve("main")
        posted = await _queue_all(house)
        for _ in range(24 * 12):
            await clock.leap(300)
        assert await _ever_sent(house) == 0
        assert wire.sends == []
        gone = await _change_facts(house, posted)
        await clock.leap(8 * 3600)  # into the evening, when no commercial message goes
        wire.up = True
        house.outbox.session_ready("main")
        await clock.advance(5)
        assert wire.sends == [], "outside their window"
        await _after_the_night(house, posted, gone)


async def _queue_all(house: SmallHouse) -> list[str]:
    for number in range(MESSAGES):
        await house.prospect(phone(number))
    soon = {number: house.clock.now().replace(hour=23) for number in EXPIRED}
    posted = [
        await house.enqueue(phone(number), text(number), not_after=soon.get(number))
        for number in range(MESSAGES)
    ]
    await house.clock.settle()
    return posted


async def _change_facts(house: SmallHouse, posted: list[str]) -> set[str]:
    """Let life go on: people opt out, refuse, change numbers; return what may not go any more."""
    for number in OPTED_OUT:
        await house.suppress(phone(number))
    for number in REFUSED:
        contact = await house.contact(phone(number))
        await house.evidence(contact, EvidenceKind.REFUSAL, "refused")
    for number in UNREACHABLE:
        await house.execute(
            "UPDATE prospects SET validado_tecnicamente = 0 WHERE phone = ?", phone(number)
        )
    for number in CANCELLED:
        await house.outbox.cancel(posted[number], "eva", "not any more")
    return {phone(number) for number in range(50)}


async def _after_the_night(house: SmallHouse, posted: list[str], gone: set[str]) -> None:
    await house.clock.leap(13.5 * 3600)
    await house.clock.advance(10)
    written_to = [sent.outgoing.recipient for sent in house.wire.sends]
    assert not gone & set(written_to)
    assert len(written_to) == len(set(written_to)) == MESSAGES - len(gone)
    states = [await house.state(message) for message in posted]
    assert states[:50] == [
        *[S.CANCELLED] * 10,
        *[S.BLOCKED] * 20,
        *[S.CANCELLED] * 10,
        *[S.EXPIRED] * 10,
    ]
    assert set(states[50:]) == {S.SENT}
    assert await house.database.read(queue.next_due) is None


async def _ever_sent(house: SmallHouse) -> object:
    rows = await house.rows(
        "SELECT count(*) FROM message_history WHERE state IN ('sending','sent')"
    )
    return rows[0][0]
