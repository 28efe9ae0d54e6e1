"""Many new people written at once: what is stored is what one at a time would have stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest

from daemon.contacts.imports.options import ImportPermission
from daemon.contacts.imports.row_parser import ParsedImportRow
from daemon.contacts.imports.writer import ImportWriter
from daemon.contacts.validation_transitions import build_validation_transitions
from daemon.settings import Settings
from storage import contacts, evidence, imports, suppressions
from storage.events import CommittedEvent
from storage.imports import ImportRecord, ImportRowOutcome
from storage.score_explanations import delete_unused_explanations, get_score_explanation
from storage.tx import Reader, Tx
from tests.helpers.services.imports import IMPORTED_AT, ImportServices, open_import_services

LINE_TYPES = ("mobile", "fixed_line", "voip")
PERMISSIONS = tuple(ImportPermission)
DATES = (None, date(2026, 11, 19), date(2026, 3, 1), date(2020, 1, 1))
ALL_KINDS = [
    ParsedImportRow(
        record=number,
        phone=f"+54911{41_000_000 + number}",
        line_type=LINE_TYPES[number % 3],
        country="AR",
        name=f"Persona {number}",
        cartera_origen=("feria", "")[number % 2],
        permission=PERMISSIONS[number % 5],
        permission_text="sí",
        evidence="formulario",
        data_date=DATES[number % 4],
    )
    for number in range(2, 122)
]
"""Each line type with each permission, age and origin."""


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[ImportServices]:
    """Open the import service for one test."""
    async with open_import_services(tmp_path) as opened:
        yield opened


def build_writer(services: ImportServices) -> ImportWriter:
    """Return the writer over the services' database."""
    transitions = build_validation_transitions(services.scoring, services.aliases, Settings())
    return ImportWriter(services.aliases, services.scoring, transitions)


async def write_records(services: ImportServices, records: list[ParsedImportRow]) -> ImportRecord:
    """Write records as one job of an import; return the import."""
    writer = build_writer(services)

    def job(tx: Tx) -> ImportRecord:
        begun = imports.begin_import(
            tx,
            content_hash="one",
            file_hash="f",
            source="csv",
            filename="list.csv",
            who="ana",
            options={},
            at=IMPORTED_AT,
        )
        writer.write_rows(tx, begun, records, IMPORTED_AT)
        return begun

    return await services.database.write(job)


async def count_outcomes(services: ImportServices, begun: ImportRecord) -> dict[str, int]:
    """Return the counts of outcomes that are not 0."""
    found = await services.database.read(lambda r: imports.count_import_rows(r, begun.id))
    return {outcome.value: n for outcome, n in found.items() if n}


async def test_scoring_them_again_changes_nothing(services: ImportServices) -> None:
    """Permission, score and explanation are those that the evidence gives, of every kind."""
    await write_records(services, ALL_KINDS)
    before = await services.list_prospects()
    events = len(services.published)
    assert len(before) == len(ALL_KINDS)

    def score_again(tx: Tx) -> None:
        for prospect in before:
            services.scoring.refresh_prospect(
                tx, prospect.contact, IMPORTED_AT, reason_code="again", sentence="Again."
            )

    await services.database.write(score_again)
    assert await services.list_prospects() == before
    assert len(services.published) == events


async def test_each_has_aliases_evidence_an_outcome_and_an_event(services: ImportServices) -> None:
    """Nothing of what one record alone would get is missing."""
    begun = await write_records(services, ALL_KINDS)

    def read(reader: Reader) -> None:
        rows = {row.record: row for row in imports.list_import_rows(reader, begun.id)}
        for record in ALL_KINDS:
            phone = record.phone or ""
            contact = contacts.find_contact_by_alias(reader, phone)
            assert contact is not None
            known = {alias.text for alias in contacts.list_aliases(reader, contact)}
            assert known == {phone, phone.replace("+549", "+54")}
            (piece,) = evidence.list_contact_evidence(reader, contact)
            assert piece.quote == "sí"
            origin = ", from feria" if record.cartera_origen else ""
            how = ": formulario" if record.permission is ImportPermission.OPTED_IN else ""
            assert piece.source == f"list.csv, record {record.record}{origin}{how}"
            assert rows[record.record].phone == phone

    await services.database.read(read)
    changed = [each for each in services.published if each.type == "prospect.changed"]
    assert {each.subject for each in changed} == {
        prospect.id for prospect in await services.list_prospects()
    }
    assert [each.seq for each in services.published] == _count_up(services.published)


def _count_up(published: list[CommittedEvent]) -> list[int]:
    first = published[0].seq
    return list(range(first, first + len(published)))


async def test_a_number_twice_in_one_job_is_one_person(services: ImportServices) -> None:
    """The second record is a duplicate, whichever way the number is written there."""
    twice = ParsedImportRow(
        record=200,
        phone=(ALL_KINDS[0].phone or "").replace("+549", "+54"),
        line_type="fixed_line",
        country="AR",
        permission=ImportPermission.REFUSED,
    )
    begun = await write_records(services, [*ALL_KINDS[:3], twice])
    counts = await count_outcomes(services, begun)
    assert counts[ImportRowOutcome.DUPLICATE] == 1
    assert len(await services.list_prospects()) == 3
    assert (await services.get_prospect(ALL_KINDS[0].phone or "")).permission == "refused"


async def test_what_was_written_before_a_cut_is_left_alone(services: ImportServices) -> None:
    """A job that is repeated in part writes the rest of it."""
    await write_records(services, ALL_KINDS[:40])
    begun = await write_records(services, ALL_KINDS)
    assert len(await services.list_prospects()) == len(ALL_KINDS)
    assert sum((await count_outcomes(services, begun)).values()) == len(ALL_KINDS)
    assert len(services.published) == len(ALL_KINDS)


async def test_whoever_is_suppressed_already_is_linked(services: ImportServices) -> None:
    """A hash on the opt-out list becomes the contact's, who is suppressed from the first moment."""
    phone = ALL_KINDS[0].phone or ""
    hashed = [alias.hash for alias in services.aliases.from_phone(phone)]
    await services.database.write(
        lambda tx: tx.execute_many(
            "INSERT INTO suppressions (alias_hash, source, reason, at) VALUES (?, ?, ?, ?)",
            [(each, "contact", "BAJA", "2026-01-01T00:00:00.000Z") for each in hashed],
        )
    )
    await write_records(services, ALL_KINDS[:2])
    prospect = await services.get_prospect(phone)
    records = await services.database.read(
        lambda r: suppressions.list_contact_suppressions(r, prospect.contact)
    )
    assert {record.alias for record in records} == {phone, phone.replace("+549", "+54")}
    assert {record.contact for record in records} == {prospect.contact}


async def test_an_explanation_is_stored_once_and_deleted_when_nobody_has_it(
    services: ImportServices,
) -> None:
    """Prospects with equal facts share one; the sweep deletes it with the last of them."""
    equal = [record for record in ALL_KINDS if record.record % 60 == 2]
    await write_records(services, equal)
    (explanation,) = {each.score_explanation for each in await services.list_prospects()}
    database = services.database
    assert await database.read(lambda r: get_score_explanation(r, explanation))
    assert await database.write(lambda tx: delete_unused_explanations(tx, 10)) == 0
    await database.write(lambda tx: tx.execute("DELETE FROM prospects").rowcount)
    assert await database.write(lambda tx: delete_unused_explanations(tx, 10)) == 1
    assert await database.read(lambda r: get_score_explanation(r, explanation)) is None
