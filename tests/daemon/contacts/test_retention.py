"""What retention forgets, when, and what it must keep."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.api.effects import ContactRequest
from daemon.api.signals import Origin, ReceiptKind
from daemon.contacts.retention import Retention
from daemon.settings import RetentionSettings
from statemachines.message import MessageState
from storage import (
    contacts,
    erasure,
    inbound,
    messages,
    prospect_fields,
    prospects,
    suppressions,
)
from storage.ids import new_id
from storage.inbound import InboundRecord
from storage.prospects import NewProspectRecord
from storage.suppressions import SuppressionSource
from storage.tx import Tx
from tests.helpers.services.contacts import (
    ANA,
    ANA_OLD_FORM,
    BETO,
    LID,
    ContactServices,
    build_inbound_services,
    open_contact_services,
)

DAY = 86_400.0


@pytest.fixture
async def people(tmp_path: Path) -> AsyncIterator[ContactServices]:
    """A database with one session."""
    async with open_contact_services(tmp_path) as opened:
        yield opened


def _retention(people: ContactServices) -> Retention:
    return Retention(people.database, people.clock, RetentionSettings())


async def _prospect(people: ContactServices, phone: str) -> str:
    at = people.clock.now()

    def job(tx: Tx) -> str:
        contact = contacts.resolve_contact(tx, people.aliases.from_phone(phone), at)
        new = NewProspectRecord(
            contact=contact, phone=phone, cartera_origen="feria", line_type="mobile"
        )
        return prospects.insert_prospect(tx, new, at=at)

    return await people.database.write(job)


async def _inbound(people: ContactServices, phone: str) -> None:
    at = people.clock.now()

    def job(tx: Tx) -> None:
        contact = contacts.resolve_contact(tx, people.aliases.from_phone(phone), at)
        record = InboundRecord(
            id=new_id("inb", at),
            session="main",
            wire_id=f"w-{phone}",
            contact=contact,
            at=at,
            received_at=at,
            text="hola",
            request=ContactRequest.COURTESY,
        )
        inbound.insert_inbound(tx, record)

    await people.database.write(job)


async def _count(people: ContactServices, table: str) -> int:
    n: int = await people.database.read(
        lambda reader: reader.value(f"SELECT count(*) FROM {table}")
    )
    return n


async def test_a_stranger_is_forgotten_after_30_days_and_not_before(
    people: ContactServices,
) -> None:
    """What someone who is no prospect wrote goes on the 31st day."""
    await _inbound(people, ANA)
    await people.clock.advance(29 * DAY)
    await _retention(people).sweep()
    assert await _count(people, "inbound") == 1
    await people.clock.advance(2 * DAY)
    await _retention(people).sweep()
    assert await _count(people, "inbound") == 0


async def test_nothing_of_a_forgotten_stranger_is_left(people: ContactServices) -> None:
    """Neither names, nor evidence, nor receipts, nor who they were merged from."""
    desk = build_inbound_services(people)
    await desk.receive_text("hola", sender=LID)
    await desk.receive_text("no, gracias", sender=ANA)
    await desk.receive_receipt("W1", ReceiptKind.DELIVERED)
    await desk.learn_alias()
    await people.clock.advance(31 * DAY)
    assert (await _retention(people).sweep())["strangers"] > 0
    tables = ("inbound", "evidence", "aliases", "contacts")
    assert [await _count(people, table) for table in tables] == [0, 0, 0, 0]
    [receipt] = await people.database.read(lambda r: r.all("SELECT contact FROM receipts"))
    assert receipt["contact"] is None


async def test_a_forgotten_stranger_who_opted_out_stays_suppressed_by_hash(
    people: ContactServices,
) -> None:
    """Under each name; whoever imports the number later can't write to it."""
    desk = build_inbound_services(people)
    await desk.receive_text("BAJA", sender=LID, phone=ANA)
    await people.clock.advance(31 * DAY)
    await _retention(people).sweep()
    assert [await _count(people, table) for table in ("aliases", "contacts")] == [0, 0]
    for name in (ANA, ANA_OLD_FORM, LID):
        held = {(each.contact, each.alias) for each in await people.suppression.check(name)}
        assert held == {(None, None)}
    contact = await people.resolve_contact(ANA)
    assert await people.database.read(lambda r: suppressions.is_contact_suppressed(r, contact))


async def test_a_stranger_with_a_message_of_ours_keeps_name_and_evidence(
    people: ContactServices,
) -> None:
    """The message points to them, and what was permitted then is its proof; their words go."""
    desk = build_inbound_services(people)
    await desk.receive_text("hola")
    await people.queue_message(ANA, kind="reply")
    await people.clock.advance(31 * DAY)
    await _retention(people).sweep()
    assert await _count(people, "inbound") == 0
    assert await _count(people, "evidence") > 0
    assert await people.resolve_contact(ANA)


async def test_history_of_a_stranger_is_kept_from_the_day_on_which_it_was_heard(
    people: ContactServices,
) -> None:
    """A list that is imported tomorrow shows that they are no first contact."""
    desk = build_inbound_services(people)
    await desk.receive_text("hola", age=timedelta(days=400), origin=Origin.HISTORY)
    await people.clock.advance(29 * DAY)
    await _retention(people).sweep()
    assert await _count(people, "inbound") == 1
    assert await _count(people, "evidence") > 0


async def test_a_prospects_conversation_outlives_a_strangers(people: ContactServices) -> None:
    """The inbound of a prospect stays after 31 days, words and all."""
    await _prospect(people, ANA)
    await _inbound(people, ANA)
    await people.clock.advance(31 * DAY)
    await _retention(people).sweep()
    found = await people.database.read(lambda reader: reader.value("SELECT text FROM inbound"))
    assert found == "hola"


async def test_someone_never_contacted_is_erased_but_stays_suppressed(
    people: ContactServices,
) -> None:
    """After 90 days without any exchange only the keyed hash of an opt-out is left."""
    await _prospect(people, ANA)
    await people.suppression.suppress(
        ANA, source=SuppressionSource.IMPORT, reason="list", who="test"
    )
    await people.clock.advance(91 * DAY)
    gone = await _retention(people).sweep()
    assert gone["never_contacted"] == 1
    assert [await _count(people, t) for t in ("prospects", "contacts", "aliases")] == [0, 0, 0]
    contact = await people.resolve_contact(ANA)
    assert await people.database.read(lambda r: suppressions.is_contact_suppressed(r, contact))


async def test_the_further_data_of_an_erased_prospect_is_gone(people: ContactServices) -> None:
    """It hangs on the prospect."""
    ana = await _prospect(people, ANA)

    def job(tx: Tx) -> list[str]:
        prospect_fields.insert_prospect_fields(tx, {ana: {"Talle": "XL"}})
        erasure.erase_person(tx, prospects.require_prospect(tx, ana).contact)
        return prospect_fields.list_field_names(tx)

    assert await people.database.write(job) == []


async def test_someone_with_a_message_is_not_erased(people: ContactServices) -> None:
    """A prospect that has any message stays."""
    await _prospect(people, BETO)
    await people.queue_message(BETO)
    await people.clock.advance(91 * DAY)
    await _retention(people).sweep()
    assert await _count(people, "prospects") == 1


async def test_words_go_after_180_days_and_the_message_stays(people: ContactServices) -> None:
    """A settled message loses its text; its state, hash and history stay."""
    message = await people.queue_message(ANA, text="Hola Ana")
    at = people.clock.now()

    def cancel(tx: Tx) -> None:
        messages.transition_message(
            tx,
            message,
            MessageState.CANCELLED,
            at=at,
            reason_code="test",
            sentence="test",
            who="test",
        )

    await people.database.write(cancel)
    await people.clock.advance(timedelta(days=181).total_seconds())
    await _retention(people).sweep()
    kept = await people.database.read(lambda reader: messages.require_message(reader, message))
    assert (kept.text, kept.state) == ("", MessageState.CANCELLED)
    assert kept.body_hash


async def test_the_words_of_a_waiting_message_stay(people: ContactServices) -> None:
    """What may still go keeps its text, however old it is."""
    message = await people.queue_message(ANA, text="Hola Ana")
    await people.clock.advance(timedelta(days=400).total_seconds())
    await _retention(people).sweep()
    kept = await people.database.read(lambda reader: messages.require_message(reader, message))
    assert kept.text == "Hola Ana"


async def test_old_events_are_trimmed(people: ContactServices) -> None:
    """Events older than 30 days leave the log."""
    await people.queue_message(ANA)
    await people.clock.advance(31 * DAY)
    assert await _retention(people).trim_events() > 0
    assert await _count(people, "events") == 0
