"""Prospects, imports, checks and the audit, as rows."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from statemachines.prospect import ValidationState
from storage import audit, contacts, imports, prospect_search, prospects, validation_queries
from storage.audit import AuditEntry
from storage.contacts import Alias, AliasKind
from storage.db import Database
from storage.imports import ImportRowOutcome, ImportRowRecord
from storage.prospect_search import ProspectSearch
from storage.prospects import NewProspectRecord, ProspectRecord
from storage.tx import Tx
from tests.helpers.services.database import open_database

AT = datetime(2026, 11, 2, 12, tzinfo=UTC)
PHONES = ("+5491141234567", "+5491141234568", "+5493514809397")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """Open a database for one test."""
    async with open_database(tmp_path) as opened:
        yield opened


def three(tx: Tx) -> list[str]:
    """Enter three prospects, one after the other."""
    return [
        prospects.insert_prospect(
            tx,
            NewProspectRecord(
                contact=contacts.resolve_contact(
                    tx, [Alias(phone, f"{n:02}", AliasKind.PHONE)], AT
                ),
                phone=phone,
                name=f"Ana {n}",
                trade=("Panadería", "Gimnasio", "Panadería")[n],
                cartera_origen="feria",
                line_type="mobile",
                data_date=AT,
            ),
            at=AT + timedelta(seconds=n),
        )
        for n, phone in enumerate(PHONES)
    ]


def names(found: list[ProspectRecord]) -> list[str]:
    """Return the names of prospects."""
    return [each.name for each in found]


async def test_a_prospect_comes_back_as_it_went_in(database: Database) -> None:
    """Times are aware, the state is a word of the machine, and what is unknown is None."""
    first, *_ = await database.write(three)
    found = await database.read(lambda r: prospects.require_prospect(r, first))
    assert (found.name, found.data_date, found.created_at) == ("Ana 0", AT, AT)
    assert (found.validation, found.validado_tecnicamente) == (ValidationState.UNCHECKED, None)
    assert (found.permission, found.on_whatsapp, found.import_id) == ("none", "unknown", None)
    assert PHONES[0] not in repr(found)


def test_a_search_does_not_print_who_is_searched_for() -> None:
    """Neither a name nor a number gets into a log by it."""
    search = ProspectSearch(text="Ana Sosa", numbers=("1150000000",), permission="none")
    assert repr(search) == "ProspectSearch(text, numbers, permission)"


async def test_nobody_is_found_where_nobody_is(database: Database) -> None:
    """An unknown id is None, or a defect where it has to be there."""
    assert await database.read(lambda r: prospects.get_prospect(r, "pro_x")) is None
    with pytest.raises(KeyError):
        await database.read(lambda r: prospects.require_prospect(r, "pro_x"))


async def test_a_search_narrows_and_pages(database: Database) -> None:
    """Part of a text, a state, a permission; page by page in the order they came."""
    first, *_ = await database.write(three)
    await database.write(
        lambda tx: prospects.update_prospect(
            tx, first, at=AT, validation="validated", permission="opted_in"
        )
    )
    assert names(
        await database.read(
            lambda r: prospect_search.search_prospects(r, ProspectSearch(text="panader"), now=AT)
        )
    ) == [
        "Ana 0",
        "Ana 2",
    ]
    assert names(
        await database.read(
            lambda r: prospect_search.search_prospects(r, ProspectSearch(text="93514"), now=AT)
        )
    ) == ["Ana 2"]
    assert names(
        await database.read(
            lambda r: prospect_search.search_prospects(
                r, ProspectSearch(validation=ValidationState.VALIDATED), now=AT
            )
        )
    ) == ["Ana 0"]
    assert names(
        await database.read(
            lambda r: prospect_search.search_prospects(r, ProspectSearch(permission="none"), now=AT)
        )
    ) == [
        "Ana 1",
        "Ana 2",
    ]
    assert names(
        await database.read(
            lambda r: prospect_search.search_prospects(
                r, ProspectSearch(), now=AT, after=first, limit=1
            )
        )
    ) == ["Ana 1"]


FOUND_BY: Final = {
    "Paula Núñez": ("nunez", "nuñez", "NÚÑEZ", "Nun\u0303ez", "paula n"),
    "ÑANDÚ VIAJES": ("ñandu", "nandu", "Ñandú", "u viaj"),
    "Gonçalo Straße": ("goncalo", "strasse"),
}
"""Names, and what finds each."""


@pytest.mark.parametrize(("name", "text"), [(name, t) for name in FOUND_BY for t in FOUND_BY[name]])
async def test_a_search_folds_accents(database: Database, name: str, text: str) -> None:
    """In the lists of the interface and of the console, and by the people of a message."""

    def insert(tx: Tx) -> None:
        for number, each in enumerate(FOUND_BY):
            phone = f"+549114123000{number}"
            contact = contacts.resolve_contact(
                tx, [Alias(phone, phone[1:].zfill(14), AliasKind.PHONE)], AT
            )
            person = NewProspectRecord(
                contact=contact, phone=phone, cartera_origen="x", line_type="mobile", name=each
            )
            prospects.insert_prospect(tx, person, at=AT)

    await database.write(insert)
    listed = await database.read(
        lambda r: prospect_search.search_prospects(r, ProspectSearch(text=text), now=AT)
    )
    shown = await database.read(
        lambda r: prospect_search.search_prospect_directory(r, ProspectSearch(text=text), now=AT)
    )
    assert names(listed) == [each.prospect.name for each in shown] == [name]


async def test_nobody_is_found_by_an_accent_alone(database: Database) -> None:
    """A combining accent is no text: it finds nobody rather than everybody."""
    await database.write(three)
    for search in (prospect_search.search_prospects, prospect_search.search_prospect_directory):
        assert (
            await database.read(partial(search, search=ProspectSearch(text="\u0301"), now=AT)) == []
        )


async def test_the_origin_is_never_changed(database: Database) -> None:
    """The database itself refuses, whoever asks."""
    first, *_ = await database.write(three)
    with pytest.raises(sqlite3.IntegrityError, match="never changed"):
        await database.write(
            lambda tx: prospects.update_prospect(tx, first, at=AT, cartera_origen="somewhere else")
        )


async def test_who_has_expired(database: Database) -> None:
    """Only validated prospects past their date, the longest past first."""
    first, second, third = await database.write(three)

    def job(tx: Tx) -> None:
        for prospect, hours in ((first, 1), (second, 2), (third, -1)):
            prospects.update_prospect(
                tx,
                prospect,
                at=AT,
                validation="validated",
                expires_at=AT - timedelta(hours=hours),
            )

    await database.write(job)
    assert names(
        await database.read(lambda r: validation_queries.list_expired_prospects(r, AT, 9))
    ) == [
        "Ana 1",
        "Ana 0",
    ]


async def test_who_checks_numbers_is_linked_and_not_banned(database: Database) -> None:
    """The longest linked first; one whose line is down for a moment is not connected.

    Left out: other channels, banned numbers, and what only a person starts or links again.
    """

    def job(tx: Tx) -> None:
        for n, (channel, connection, banned) in enumerate(
            [
                ("simulated", "ready", None),
                ("manual", "ready", None),
                ("simulated", "backoff", None),
                ("simulated", "ready", "2026-11-01T00:00:00.000Z"),
                ("simulated", "ready", None),
                ("simulated", "stopped", None),
                ("simulated", "logged_out", None),
                ("simulated", "starting", None),
            ]
        ):
            linked = f"2026-10-0{9 - n}T00:00:00.000Z"
            phone_state = "unlinked" if connection == "starting" else "seen"
            tx.execute(
                "INSERT INTO numbers (phone, first_linked_at, time_zone, banned_at)"
                " VALUES (?, ?, 'America/Bogota', ?)",
                (f"+{n}", linked, banned),
            )
            tx.execute(
                "INSERT INTO sessions (name, channel, phone, time_zone, connection, phone_state,"
                " since, created_at) VALUES (?, ?, ?, 'UTC', ?, ?, ?, ?)",
                (f"s{n}", channel, f"+{n}", connection, phone_state, linked, linked),
            )

    await database.write(job)
    found = await database.read(
        lambda reader: validation_queries.list_check_sessions(reader, ("simulated", "linked"))
    )
    assert [(each.session, each.connected) for each in found] == [
        ("s4", True),
        ("s2", False),
        ("s0", True),
    ]


async def test_an_import_is_begun_once(database: Database) -> None:
    """The same content leads to the same import, with what was first said of it."""

    def job(tx: Tx, who: str) -> imports.ImportRecord:
        return imports.begin_import(
            tx,
            content_hash="abc",
            file_hash="f",
            source="csv",
            filename="list.csv",
            who=who,
            options={"region": "AR"},
            at=AT,
        )

    first = await database.write(lambda tx: job(tx, "ana"))
    again = await database.write(lambda tx: job(tx, "beto"))
    assert first == again
    assert (again.who, again.options, again.finished_at) == ("ana", {"region": "AR"}, None)
    assert await database.read(lambda r: imports.get_import(r, "imp_x")) is None


async def test_an_import_counts_its_records_when_it_ends(database: Database) -> None:
    """Each outcome has its count; accepted are all that became a prospect."""

    def job(tx: Tx) -> str:
        begun = imports.begin_import(
            tx,
            content_hash="a",
            file_hash="f",
            source="csv",
            filename="f",
            who="ana",
            options={},
            at=AT,
        )
        outcomes = [
            ImportRowRecord(record, outcome, None, None, "x", "X.")
            for record, outcome in enumerate(ImportRowOutcome, 2)
        ]
        imports.insert_import_rows(tx, begun.id, outcomes)
        counts = imports.finish_import(tx, begun.id, at=AT)
        assert counts == dict.fromkeys(ImportRowOutcome, 1)
        assert imports.list_written_records(tx, begun.id, 3, 99) == {3, 4, 5, 6}
        row = tx.one("SELECT accepted, duplicates, rejected FROM imports")
        assert row is not None
        assert tuple(row) == (3, 1, 1)
        return begun.id

    begun = await database.write(job)
    finished = await database.read(lambda r: imports.get_import(r, begun))
    assert finished is not None
    assert finished.finished_at == AT
    assert await database.read(
        lambda r: imports.list_import_rows(r, begun, outcome=ImportRowOutcome.REJECTED)
    ) == [ImportRowRecord(6, ImportRowOutcome.REJECTED, None, None, "x", "X.")]


async def test_the_audit_keeps_what_was_said(database: Database) -> None:
    """Entries about one thing come back in the order in which they were made."""

    def job(tx: Tx) -> None:
        audit.insert_audit_entry(tx, AT, "ana", "halt", "installation", "smoke", {"floor": 2})
        audit.insert_audit_entry(tx, AT, "ana", "check_number", "pro_1")
        audit.insert_audit_entry(tx, AT, "beto", "resume", "installation", "it was toast")

    await database.write(job)
    assert await database.read(lambda r: audit.list_subject_audit_entries(r, "installation")) == [
        AuditEntry(AT, "ana", "halt", "installation", "smoke", {"floor": 2}),
        AuditEntry(AT, "beto", "resume", "installation", "it was toast", {}),
    ]
