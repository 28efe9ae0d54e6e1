"""Contacts: one person, however the number is written, and however late we learn it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storage import contacts, evidence, prospect_fields, prospect_search, prospects
from storage.contacts import Alias, AliasKind
from storage.db import Database
from storage.evidence import EvidenceKind
from storage.prospect_search import ProspectSearch
from storage.tx import Tx
from tests.helpers.services.database import list_prospects, open_database

AT = datetime(2026, 11, 2, 12, tzinfo=UTC)
MOBILE = Alias("+5491141234567", "a1", AliasKind.PHONE)
LANDLINE = Alias("+541141234567", "a2", AliasKind.PHONE)
LID = Alias("77@lid", "a3", AliasKind.LID)
OTHER = Alias("+5491150000000", "a4", AliasKind.PHONE)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """Open a database for one test."""
    async with open_database(tmp_path) as opened:
        yield opened


def prospect(tx: Tx, contact: str, alias: Alias, *, name: str = "", trade: str = "") -> str:
    """Enter a prospect of a contact."""
    return prospects.insert_prospect(
        tx,
        prospects.NewProspectRecord(
            contact=contact,
            phone=alias.text,
            cartera_origen="feria",
            line_type="mobile",
            name=name,
            trade=trade,
        ),
        at=AT,
    )


async def test_every_form_leads_to_one_contact(database: Database) -> None:
    """A contact is found by each of its aliases, and made only once."""

    def job(tx: Tx) -> tuple[str, str, str | None]:
        first = contacts.resolve_contact(tx, [MOBILE, LANDLINE], AT)
        again = contacts.resolve_contact(tx, [LANDLINE], AT)
        return first, again, contacts.find_contact_by_alias(tx, MOBILE.text)

    first, again, found = await database.write(job)
    assert first == again == found
    assert first.startswith("con_")


async def test_a_new_alias_is_news(database: Database) -> None:
    """An alias learnt later joins the contact and raises its revision; a known one does not."""

    def job(tx: Tx) -> tuple[int, int, list[Alias]]:
        contact = contacts.resolve_contact(tx, [MOBILE], AT)
        contacts.resolve_contact(tx, [MOBILE], AT)
        before = contacts.get_contact_revision(tx, contact)
        contacts.resolve_contact(tx, [MOBILE, LID], AT)
        return (
            before,
            contacts.get_contact_revision(tx, contact),
            contacts.list_aliases(tx, contact),
        )

    assert await database.write(job) == (0, 1, [MOBILE, LID])


async def test_two_contacts_that_share_an_alias_become_the_elder(database: Database) -> None:
    """Everything of the younger moves to the elder, and the younger points to it."""

    def job(tx: Tx) -> tuple[str, str]:
        elder = contacts.resolve_contact(tx, [LID], AT)
        younger = contacts.resolve_contact(tx, [MOBILE], AT + timedelta(days=1))
        prospect(tx, younger, MOBILE)
        evidence.insert_evidence(tx, younger, EvidenceKind.PERMISSION, "none", at=AT, source="test")
        contacts.request_contact_review(tx, younger, "begins with a listed word", AT)
        assert contacts.resolve_contact(tx, [MOBILE, LID], AT + timedelta(days=2)) == elder
        return elder, younger

    elder, younger = await database.write(job)
    assert await database.read(lambda r: contacts.get_merged_contact(r, younger)) == elder
    assert await database.read(lambda r: contacts.get_merged_contact(r, elder)) == elder
    assert await database.read(lambda r: contacts.list_aliases(r, elder)) == [MOBILE, LID]
    assert await database.read(lambda r: contacts.list_aliases(r, younger)) == []
    assert len(await database.read(lambda r: evidence.list_contact_evidence(r, elder))) == 1
    moved = await database.read(lambda r: prospects.find_prospect_by_contact(r, elder))
    assert moved is not None
    assert moved.phone == MOBILE.text
    kept = await database.read(lambda r: contacts.get_contact(r, elder))
    assert kept is not None
    assert kept.review_reason == "begins with a listed word"


TABLES = ("messages", "inbound", "prospect_reviews", "receipts", "suppressions")


def rows_of(tx: Tx, contact: str) -> None:
    """Give a contact a row in every table that names one, by hand."""
    at = {"contact": contact, "now": "2026-11-02T12:00:00.000Z"}
    tx.execute(
        "INSERT INTO sessions (name, channel, time_zone, since, created_at)"
        " VALUES ('main', 'simulated', 'UTC', :now, :now)",
        at,
    )
    tx.execute(
        "INSERT INTO messages (id, request_hash, contact, recipient, session, channel, text,"
        " body_hash, created_at, changed_at, not_after, in_flight_key)"
        " VALUES ('msg_1', '', :contact, '', 'main', 'simulated', '', '',"
        " :now, :now, :now, :contact)",
        at,
    )
    tx.execute(
        "INSERT INTO inbound (id, session, wire_id, contact, at, received_at, text, request)"
        " VALUES ('inb_1', 'main', 'w', :contact, :now, :now, '', 'none')",
        at,
    )
    tx.execute(
        "INSERT INTO receipts (session, wire_id, kind, at, received_at, contact)"
        " VALUES ('main', 'w', 'read', :now, :now, :contact)",
        at,
    )
    tx.execute(
        "INSERT INTO suppressions (alias_hash, contact, source, reason, at)"
        " VALUES ('a2', :contact, 'contact', 'BAJA', :now)",
        at,
    )
    tx.execute(
        "INSERT INTO prospect_reviews (contact, outcome, who, reason, at)"
        " VALUES (:contact, 'rejected', 'eva', 'not them', :now)",
        at,
    )


async def test_a_merge_leaves_nothing_behind(database: Database) -> None:
    """Everything of the younger follows; a place in flight keeps its name."""

    def job(tx: Tx) -> tuple[str, str]:
        elder = contacts.resolve_contact(tx, [LID], AT)
        younger = contacts.resolve_contact(tx, [MOBILE], AT + timedelta(days=1))
        rows_of(tx, younger)
        contacts.resolve_contact(tx, [LID, MOBILE], AT)
        return elder, younger

    elder, younger = await database.write(job)
    owners = await database.read(
        lambda r: [r.value(f"SELECT contact FROM {table}") for table in TABLES]
    )
    assert owners == [elder] * len(TABLES)
    key = await database.read(lambda r: r.value("SELECT in_flight_key FROM messages"))
    assert key == younger


async def test_a_merge_keeps_the_data_of_both_prospects(database: Database) -> None:
    """What the elder has stays; what only the younger has is added."""

    def job(tx: Tx) -> dict[str, dict[str, str]]:
        elder = contacts.resolve_contact(tx, [LID], AT)
        younger = contacts.resolve_contact(tx, [MOBILE], AT + timedelta(days=1))
        kept, folded = (
            prospects.insert_prospect(
                tx,
                prospects.NewProspectRecord(
                    contact=contact,
                    phone=MOBILE.text,
                    cartera_origen="feria",
                    line_type="mobile",
                    city=city,
                ),
                at=AT,
            )
            for contact, city in ((elder, ""), (younger, "Rosario"))
        )
        prospect_fields.insert_prospect_fields(
            tx, {kept: {"Talle": "M"}, folded: {"Talle": "L", "Color": "rojo"}}
        )
        contacts.resolve_contact(tx, [LID, MOBILE], AT)
        assert prospects.require_prospect(tx, kept).city == "Rosario"
        return prospect_fields.list_prospect_fields(tx, [kept, folded])

    assert list((await database.write(job)).values()) == [{"Talle": "M", "Color": "rojo"}, {}]


async def test_a_merge_raises_the_revision_above_both(database: Database) -> None:
    """What was judged under either contact is judged anew."""

    def job(tx: Tx) -> int:
        contacts.resolve_contact(tx, [LID], AT)
        younger = contacts.resolve_contact(tx, [MOBILE], AT + timedelta(days=1))
        for _ in range(5):
            contacts.bump_contact_revision(tx, younger)
        return contacts.get_contact_revision(tx, contacts.resolve_contact(tx, [LID, MOBILE], AT))

    assert await database.write(job) == 6


async def test_a_chain_of_merges_ends_at_the_eldest(database: Database) -> None:
    """Merged twice, a contact still leads to the one that is left."""

    def job(tx: Tx) -> tuple[str, ...]:
        eldest, middle, youngest = (
            contacts.resolve_contact(tx, [alias], AT + timedelta(days=day))
            for day, alias in enumerate((LID, MOBILE, OTHER))
        )
        contacts.resolve_contact(tx, [MOBILE, OTHER], AT)
        contacts.resolve_contact(tx, [LID, MOBILE], AT)
        return (
            eldest,
            contacts.get_merged_contact(tx, middle),
            contacts.get_merged_contact(tx, youngest),
        )

    eldest, of_middle, of_youngest = await database.write(job)
    assert eldest == of_middle == of_youngest


async def test_two_prospects_of_one_person_become_one(database: Database) -> None:
    """The elder's prospect stays, its blanks are filled, and the later check speaks for it."""

    def job(tx: Tx) -> str:
        elder = contacts.resolve_contact(tx, [MOBILE], AT)
        younger = contacts.resolve_contact(tx, [OTHER], AT + timedelta(days=1))
        kept = prospect(tx, elder, MOBILE, name="Ana")
        folded = prospect(tx, younger, OTHER, name="Ana López", trade="Panadería")
        prospects.update_prospect(tx, folded, at=AT, on_whatsapp="yes", checked_at=AT)
        contacts.resolve_contact(tx, [MOBILE, OTHER], AT)
        return kept

    kept = await database.write(job)
    left = await database.read(
        lambda r: prospect_search.search_prospects(r, ProspectSearch(), now=AT, limit=10)
    )
    assert [each.id for each in left] == [kept]
    assert (left[0].name, left[0].trade, left[0].on_whatsapp) == ("Ana", "Panadería", "yes")


async def test_an_older_check_does_not_speak_for_both(database: Database) -> None:
    """What the kept prospect knows stays where the other's check is older."""

    def job(tx: Tx) -> None:
        for day, alias in enumerate((MOBILE, OTHER)):
            kept = prospect(
                tx, contacts.resolve_contact(tx, [alias], AT + timedelta(days=day)), alias
            )
            checked = AT - timedelta(days=day)
            answer = ("yes", "no")[day]
            prospects.update_prospect(tx, kept, at=AT, on_whatsapp=answer, checked_at=checked)
        contacts.resolve_contact(tx, [MOBILE, OTHER], AT)

    await database.write(job)
    (left,) = await database.read(list_prospects)
    assert (left.on_whatsapp, left.checked_at) == ("yes", AT)


async def test_an_unknown_name_is_nobody(database: Database) -> None:
    """Asking for a stranger gives nothing and makes nothing."""
    assert await database.read(lambda r: contacts.find_contact_by_alias(r, "+1")) is None
    assert await database.read(lambda r: contacts.get_contact(r, "con_x")) is None


def test_an_alias_does_not_show_its_number() -> None:
    """The number stays out of logs."""
    assert "5491141234567" not in repr(MOBILE)
