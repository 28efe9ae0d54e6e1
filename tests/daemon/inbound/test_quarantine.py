"""Signals that can't be stored are quarantined, and what they may ask of us is not lost."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from daemon.api.identity import parse_identity
from daemon.api.signals import InboundMessage, OwnMessage, Signal
from daemon.contacts.retention import Retention
from daemon.errors import Conflict, NotFound
from daemon.sessions.signal_check import RejectedSignal
from daemon.settings import RetentionSettings
from statemachines.message import MessageState
from storage import audit, contacts
from storage.quarantine import QuarantinedSignal
from tests.helpers.services.contacts import (
    ANA,
    BETO,
    InboundServices,
    build_inbound_services,
    open_contact_services,
)

BROKEN_PEER, HEARD_PEER = "+5491151000001", "+5491151000002"
HALF_EMOJI = "\ud83d"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[InboundServices]:
    """The handlers over a real database."""
    async with open_contact_services(tmp_path) as people:
        yield build_inbound_services(people)


async def list_quarantine(desk: InboundServices) -> list[QuarantinedSignal]:
    """Return what waits in the quarantine."""
    return await desk.handlers.quarantine.list_signals()


async def read_review_reason(desk: InboundServices, phone: str = ANA) -> str | None:
    """Return why commercial messages to a contact wait for a person, if they do."""
    contact = await desk.people.resolve_contact(phone)
    found = await desk.people.database.read(lambda r: contacts.get_contact(r, contact))
    return found.review_reason if found else None


def break_text(desk: InboundServices, text: str, *, sender: str = ANA, id_: str = "X") -> Signal:
    """Return a message whose text ends in half an emoji."""
    at = desk.people.clock.now()
    return InboundMessage(id_, parse_identity(sender), f"{text} {HALF_EMOJI}", at)


@pytest.mark.parametrize("case", ["F2-poison", "F2b-poison-naive-time"])
async def test_a_message_that_cannot_be_stored_is_kept_aside_and_the_next_one_heard(
    desk: InboundServices, case: str
) -> None:
    """Half an emoji, a time without a zone; an opt-out comes behind it."""
    await desk.receive_case(case)
    [kept] = await list_quarantine(desk)
    assert (kept.session, kept.signal, kept.contact) == ("main", "InboundMessage", None)
    assert kept.reason_code in {"text_unstorable", "time_without_zone"}
    assert str(kept.kept["text"]).startswith("hola")
    assert kept.kept["sender"] == BROKEN_PEER
    assert json.dumps(dict(kept.kept), ensure_ascii=False).encode()
    assert await desk.people.suppression.check(HEARD_PEER)
    assert "signal.quarantined" in desk.people.event_types()


async def test_an_opt_out_in_what_was_kept_suppresses(desk: InboundServices) -> None:
    """The words can be read although the message can't be stored."""
    sale = await desk.people.queue_message(ANA)
    await desk.receive(break_text(desk, "BAJA"))
    assert await desk.people.suppression.check(ANA)
    assert await desk.people.get_message_state(sale) is MessageState.CANCELLED
    [kept] = await list_quarantine(desk)
    assert (kept.request, kept.contact) == ("opt_out", await desk.people.resolve_contact(ANA))


async def test_an_opt_out_of_a_stranger_in_what_was_kept_suppresses_the_number(
    desk: InboundServices,
) -> None:
    """Nobody knows them yet; the number is not written to when somebody does."""
    await desk.receive(break_text(desk, "BAJA", sender=BETO))
    assert await desk.people.suppression.check(BETO)


async def test_everything_commercial_for_a_known_contact_is_held_until_a_person_looked(
    desk: InboundServices,
) -> None:
    """What they wrote may be a no; nothing is cancelled for it."""
    sale = await desk.people.queue_message(ANA)
    await desk.receive(break_text(desk, "hola"))
    assert await desk.people.get_message_state(sale) is MessageState.QUEUED
    assert "could not be stored" in str(await read_review_reason(desk))


async def test_settling_ends_the_hold_with_a_reason(desk: InboundServices) -> None:
    """Who looked, when and why stays; a second time is refused."""
    await desk.people.resolve_contact(ANA)
    await desk.receive(break_text(desk, "hola", id_="A"))
    await desk.receive(break_text(desk, "hola", id_="B"))
    first, second = await list_quarantine(desk)
    await desk.handlers.quarantine.settle(first.id, "eva", "a greeting")
    assert await read_review_reason(desk)
    settled = await desk.handlers.quarantine.settle(second.id, "eva", "a greeting too")
    assert await read_review_reason(desk) is None
    assert (settled.settled_by, settled.settled_reason) == ("eva", "a greeting too")
    assert settled.settled_at == desk.people.clock.now()
    assert await list_quarantine(desk) == []
    with pytest.raises(Conflict):
        await desk.handlers.quarantine.settle(first.id, "eva", "again")
    with pytest.raises(NotFound):
        await desk.handlers.quarantine.settle("qua_none", "eva", "nothing")
    entries = await desk.people.database.read(
        lambda r: audit.list_subject_audit_entries(r, second.id)
    )
    assert [entry.action for entry in entries] == ["settle_quarantined_signal"]
    assert desk.people.event_types()[-1] == "signal.settled"


async def test_settling_leaves_a_review_for_another_reason(desk: InboundServices) -> None:
    """Their words before it still wait for a person."""
    await desk.receive(break_text(desk, "hola"))
    await desk.receive_text("Baja el precio y compro")
    [kept] = await list_quarantine(desk)
    await desk.handlers.quarantine.settle(kept.id, "eva", "a greeting")
    assert await read_review_reason(desk)


async def test_what_is_reported_again_is_one_and_stays_settled(desk: InboundServices) -> None:
    """A platform repeats what was not acknowledged at each connection."""
    await desk.people.resolve_contact(ANA)
    signal = break_text(desk, "hola")
    await desk.receive(signal)
    await desk.receive(signal)
    [kept] = await list_quarantine(desk)
    await desk.handlers.quarantine.settle(kept.id, "eva", "a greeting")
    await desk.receive(signal)
    assert await list_quarantine(desk) == []
    assert await read_review_reason(desk) is None


async def test_what_nothing_was_kept_of_is_shown_each_time(desk: InboundServices) -> None:
    """Two of them can't be told apart, so that neither is taken for the other."""
    bare = RejectedSignal("main", "simulated", "Receipt", "not_stored", "It failed.", {})
    for _ in range(2):
        await desk.handlers.quarantine.handle_rejected("main", bare)
    assert len(await list_quarantine(desk)) == 2


async def test_an_own_message_that_cannot_be_stored_holds_nothing(desk: InboundServices) -> None:
    """They did not write it."""
    await desk.people.resolve_contact(ANA)
    naive = desk.people.clock.now().replace(tzinfo=None)
    await desk.receive(OwnMessage("OWN", parse_identity(ANA), naive))
    [kept] = await list_quarantine(desk)
    assert kept.signal == "OwnMessage"
    assert await read_review_reason(desk) is None


async def test_an_opt_out_that_fails_to_be_stored_counts_from_its_own_date(
    desk: InboundServices,
) -> None:
    """They opted in since; replayed, it suppresses nothing."""
    at = desk.people.clock.now()
    await desk.receive_text("ALTA", age=timedelta(days=3))
    kept = {"sender": ANA, "text": "BAJA", "written_at": str(at - timedelta(days=30))}
    unstored = RejectedSignal("main", "simulated", "InboundMessage", "not_stored", "It.", kept)
    await desk.handlers.quarantine.handle_rejected("main", unstored)
    assert not await desk.people.suppression.check(ANA)
    newer = {**kept, "written_at": str(at)}
    await desk.handlers.quarantine.handle_rejected("main", replace(unstored, kept=newer))
    assert await desk.people.suppression.check(ANA)


async def test_retention_forgets_what_was_quarantined(desk: InboundServices) -> None:
    """After its days; the hold of a contact stays until a person ends it."""
    await desk.people.resolve_contact(ANA)
    await desk.receive(break_text(desk, "hola"))
    settings = RetentionSettings()
    retention = Retention(desk.people.database, desk.people.clock, settings)
    await desk.people.clock.advance(timedelta(days=settings.quarantine - 1).total_seconds())
    await retention.sweep()
    assert len(await list_quarantine(desk)) == 1
    await desk.people.clock.advance(timedelta(days=2).total_seconds())
    swept = await retention.sweep()
    assert swept["quarantine"] == 1
    assert await list_quarantine(desk) == []
