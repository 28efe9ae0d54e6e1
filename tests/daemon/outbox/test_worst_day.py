"""The predecessor's worst day, replayed: 250 messages, a line that is down, a scheduler running."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.settings import PacingSettings
from statemachines.message import MessageState
from storage import queue
from storage.evidence import EvidenceKind
from tests.helpers.clock import FakeClock
from tests.helpers.puppet_channel import PuppetChannel
from tests.helpers.services.messaging import (
    MessagingServices,
    build_phone,
    open_messaging_services,
)

pytestmark = pytest.mark.slow

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
    wire = PuppetChannel(clock)
    async with open_messaging_services(
        tmp_path, clock=clock, wire=wire, pacing=SPENDTHRIFT
    ) as services:
        await services.add_session()
        await services.bring_line_down()
        posted = await _queue_all(services)
        for _ in range(24 * 12):
            await clock.leap(300)
        assert await _ever_sent(services) == 0
        assert wire.sends == []
        gone = await _change_facts(services, posted)
        await clock.leap(8 * 3600)  # into the evening, when no commercial message goes
        await services.bring_line_up()
        await clock.advance(5)
        assert wire.sends == [], "outside their window"
        await _after_the_night(services, posted, gone)


async def _queue_all(services: MessagingServices) -> list[str]:
    for number in range(MESSAGES):
        await services.add_prospect(build_phone(number))
    soon = {number: services.clock.now().replace(hour=23) for number in EXPIRED}
    posted = [
        await services.enqueue(build_phone(number), text(number), not_after=soon.get(number))
        for number in range(MESSAGES)
    ]
    await services.clock.settle()
    return posted


async def _change_facts(services: MessagingServices, posted: list[str]) -> set[str]:
    """Let life go on: people opt out, refuse, change numbers; return what may not go any more."""
    for number in OPTED_OUT:
        await services.suppress(build_phone(number))
    for number in REFUSED:
        contact = await services.resolve_contact(build_phone(number))
        await services.add_evidence(contact, EvidenceKind.DECLINED, "refused")
    for number in UNREACHABLE:
        await services.execute_sql(
            "UPDATE prospects SET validado_tecnicamente = 0 WHERE phone = ?", build_phone(number)
        )
    for number in CANCELLED:
        await services.outbox.cancel(posted[number], "eva", "not any more")
    return {build_phone(number) for number in range(50)}


async def _after_the_night(services: MessagingServices, posted: list[str], gone: set[str]) -> None:
    await services.clock.leap(13.5 * 3600)
    await services.clock.advance(10)
    written_to = [sent.outgoing.recipient.value for sent in services.wire.sends]
    assert not gone & set(written_to)
    assert len(written_to) == len(set(written_to)) == MESSAGES - len(gone)
    states = [await services.get_state(message) for message in posted]
    assert states[:50] == [
        *[S.CANCELLED] * 10,
        *[S.BLOCKED] * 20,
        *[S.CANCELLED] * 10,
        *[S.EXPIRED] * 10,
    ]
    assert set(states[50:]) == {S.SENT}
    assert await services.database.read(queue.get_next_due_time) is None


async def _ever_sent(services: MessagingServices) -> object:
    rows = await services.query_rows(
        "SELECT count(*) FROM message_history WHERE state IN ('sending','sent')"
    )
    return rows[0][0]
