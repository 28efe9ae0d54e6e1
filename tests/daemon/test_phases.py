"""Phases of the service: derived from the data, opened early by a decision that everybody reads."""

from __future__ import annotations

import pytest

from daemon.errors import Conflict, NotFound
from daemon.phases import PhaseCriterion, PhaseService, PhaseState
from storage.first_contacts import FirstContactTotals, count_first_contacts
from tests.helpers.services.messaging import MessagingServices
from tests.helpers.services.messaging_scenarios import (
    add_receipt,
    plain_logs,
    send_first_messages,
    services,
)

__all__ = ["plain_logs", "services"]
pytestmark = pytest.mark.slow

DAY = 86_400.0


async def count(services: MessagingServices, *simulated: str) -> FirstContactTotals:
    """Return the totals at this moment."""
    at = services.clock.now()
    return await services.database.read(lambda reader: count_first_contacts(reader, at, simulated))


async def count_quality(services: MessagingServices) -> dict[str, PhaseCriterion]:
    """Return what prospect quality needs, where the test's channel would reach people."""
    phases = PhaseService(
        services.database, services.clock, services.ruleset_service, services.backups, ()
    )
    return {each.code: each for each in (await phases.list_phases())[2].criteria}


async def test_totals_count_what_can_be_known(services: MessagingServices) -> None:
    """Two by a receipt, one by an answer, one failed; the rest is seen a day later."""
    sent = await send_first_messages(services, 6)
    contacts = [(await services.get_message(each)).contact for each in sent]
    await add_receipt(services, sent[0], "delivered")
    await add_receipt(services, sent[1], "read")
    await services.add_inbound(contacts[2], "opt_out")
    await add_receipt(services, sent[3], "failed")
    assert await count(services) == FirstContactTotals(sent=6, seen=4, arrived=3, refused=1)
    await services.clock.leap(DAY)
    assert await count(services) == FirstContactTotals(sent=6, seen=6, arrived=3, refused=1)
    await services.suppress((await services.get_message(sent[4])).recipient)
    assert (await count(services)).refused == 2


async def test_channels_that_reach_nobody_count_nothing(services: MessagingServices) -> None:
    """What a simulation sent says nothing about real people."""
    [sent] = await send_first_messages(services, 1)
    channel = (await services.get_message(sent)).channel
    assert await count(services, channel) == FirstContactTotals(0, 0, 0, 0)


async def test_quality_closes_at_a_hundred_and_reopens_by_refusals(
    services: MessagingServices,
) -> None:
    """At 99 it is not closed; of 100, two opt-outs are borne, and the third opens it again."""
    sent = await send_first_messages(services, 99)
    for n, each in enumerate(sent):
        if n % 11:  # spread, or the breaker would stop new chats
            await add_receipt(services, each, "delivered")
    await services.clock.leap(DAY)
    criteria = await count_quality(services)
    assert not criteria["first_contacts"].met
    assert criteria["first_contacts"].value == 99
    assert (criteria["arrived"].met, criteria["arrived"].value) == (True, 90.9)
    sent += await send_first_messages(services, 1, start=99)
    await services.clock.leap(DAY)
    assert all(each.met for each in (await count_quality(services)).values())
    for n in range(3):
        contact = (await services.get_message(sent[n])).contact
        await services.add_inbound(contact, "opt_out")
        refused = (await count_quality(services))["refused"]
        assert (refused.value, refused.met) == (n + 1, n < 2)


async def test_only_a_planned_phase_that_is_built_can_be_opened(
    services: MessagingServices,
) -> None:
    """The decision is stored and audited; the others answer why not."""
    states = [each.state for each in await services.phases.list_phases()]
    assert states == ["closed", "active", "planned", "planned", "deferred"]
    opened = await services.phases.open_phase(3, "leo", "The restore is tested on Friday")
    assert opened.state is PhaseState.ACTIVE
    assert opened.opened
    assert (opened.opened.who, opened.opened.reason) == ("leo", "The restore is tested on Friday")
    assert ("leo", "decision_recorded", "phase.3") in {
        tuple(entry[:3]) for entry in await services.list_audit_entries()
    }
    for number, why in ((2, "active already"), (3, "active already"), (4, "nothing yet")):
        with pytest.raises(Conflict, match=why):
            await services.phases.open_phase(number, "leo", "Because")
    with pytest.raises(NotFound):
        await services.phases.open_phase(6, "leo", "Because")
