"""Undoing an import: who is removed, who stays and why, and that a crash only delays it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from daemon.contacts.imports.options import ImportOptions
from daemon.contacts.imports.report import ImportReport, ImportUndo
from daemon.contacts.imports.undo import ImportUndoService
from daemon.contacts.suppression import SuppressionService
from daemon.errors import BadRequest, Conflict, NotFound
from storage import audit, contacts, evidence, import_undo, suppressions
from storage.evidence import EvidenceKind
from storage.import_undo import UndoOutcome
from storage.journal import SuppressionJournal
from storage.suppressions import SuppressionSource
from storage.tx import Reader, Tx
from tests.helpers.services.imports import ImportServices, open_import_services

PHONES = [f"+549114123456{n}" for n in range(10)]
HEADER = "nombre;teléfono;consentimiento\n"
AGREED = ImportOptions(statement="form of May", record_consents=True)


@dataclass
class UndoHarness:
    """The import services, and what undoes imports."""

    services: ImportServices
    undo: ImportUndoService

    async def import_rows(self, *rows: str, name: str = "list.csv") -> ImportReport:
        """Import records of name, phone and consent."""
        return await self.services.import_csv(HEADER + "\n".join(rows), name=name, options=AGREED)

    async def undo_import(self, report: ImportReport) -> ImportUndo:
        """Undo an import to its end."""
        await self.undo.request(report.id, reason="the wrong list", who="bea")
        await self.undo.finish_all()
        found = await self.undo.get(report.id)
        assert found is not None
        return found

    async def list_names(self) -> list[str]:
        """Return the names of all prospects."""
        return sorted(each.name for each in await self.services.list_prospects())

    async def write(self, job: Callable[[Tx], object]) -> None:
        """Write to the database, as something that happened to a person."""
        await self.services.database.write(job)


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[UndoHarness]:
    """Open the services for one test."""
    async with open_import_services(tmp_path) as services:
        undo = ImportUndoService(
            services.database, services.scoring, services.clock, services.imports
        )
        async with undo.running():
            yield UndoHarness(services, undo)


async def test_who_is_untouched_is_removed_and_nothing_is_left_of_them(
    harness: UndoHarness,
) -> None:
    """Prospect, contact, number and evidence are gone; the record of the list stays, unnamed."""
    report = await harness.import_rows(f"Ana;{PHONES[0]};sí", f"Beto;{PHONES[1]};", "Caro;s/n;")
    done = await harness.undo_import(report)
    assert (done.removed, done.left, done.stayed) == (2, 0, {})
    assert done.done_at is not None
    assert await harness.list_names() == []

    def count(reader: Reader) -> tuple[object, ...]:
        return tuple(
            reader.value(f"SELECT count(*) FROM {table}")
            for table in ("contacts", "aliases", "evidence")
        )

    assert await harness.services.database.read(count) == (0, 0, 0)
    again = await harness.services.imports.get_report(report.id)
    assert again.counts == report.counts


async def test_both_are_in_the_audit(harness: UndoHarness) -> None:
    """The import and its undoing, by whom and why, with how many stay."""
    report = await harness.import_rows(f"Ana;{PHONES[0]};", f"Beto;{PHONES[1]};no")
    await harness.undo_import(report)
    entries = await harness.services.database.read(
        partial(audit.list_subject_audit_entries, subject=report.id)
    )
    assert [(each.action, each.who, each.reason) for each in entries] == [
        ("import_list", "ana", ""),
        ("undo_import", "bea", "the wrong list"),
        ("import_undone", "bea", ""),
    ]
    assert entries[-1].detail == {"removed": 1, "stayed": 1}
    (event,) = [each for each in harness.services.published if each.type == "import.undone"]
    assert event.data == {"filename": "list.csv", "removed": 1, "stayed": 1}


async def test_the_others_stay_by_name_and_with_the_reason(harness: UndoHarness) -> None:
    """Refusals and opt-outs, who was here before, is in another list, or was worked with."""
    await harness.import_rows(f"Ana;{PHONES[0]};", name="before.csv")
    report = await harness.import_rows(
        *(f"Ana;{PHONES[0]};", f"Beto;{PHONES[1]};no", f"Caro;{PHONES[2]};"),
        *(f"Dora;{PHONES[3]};", f"Elsa;{PHONES[4]};", f"Fede;{PHONES[5]};", f"Gina;{PHONES[6]};"),
    )
    services = harness.services
    await harness.import_rows(f"Caro;{PHONES[2]};", name="after.csv")
    journal = SuppressionJournal(services.folder / "state")
    suppression = SuppressionService(services.database, journal, services.aliases, services.clock)
    source = SuppressionSource.CONTACT
    await suppression.suppress(PHONES[3], source=source, reason="BAJA", who="Dora")
    elsa, fede = [await services.get_prospect(phone) for phone in PHONES[4:6]]
    now = services.clock.now()
    await harness.write(
        lambda tx: evidence.insert_evidence(
            tx, elsa.contact, EvidenceKind.ON_WHATSAPP, "yes", at=now, source="check"
        )
    )
    await harness.write(
        lambda tx: audit.insert_audit_entry(tx, now, "ana", "correct_prospect", fede.id)
    )
    done = await harness.undo_import(report)
    assert [(each.name, each.outcome.value) for each in done.people] == [
        ("Beto", "refused"),
        ("Caro", "in_another_list"),
        ("Dora", "opted_out"),
        ("Elsa", "changed"),
        ("Fede", "changed"),
        ("Ana", "here_before"),
    ]
    assert done.removed == 1
    assert "Gina" not in await harness.list_names()
    beto = await services.get_prospect(PHONES[1])
    assert beto.permission == "refused"
    dora = await services.database.read(
        lambda reader: contacts.find_contact_by_alias(reader, PHONES[3])
    )
    assert await services.database.read(
        lambda reader: suppressions.is_contact_suppressed(reader, dora or "")
    )


async def test_who_stays_loses_what_the_list_permitted(harness: UndoHarness) -> None:
    """A yes that the wrong list brought is withdrawn; what was on record before counts again."""
    await harness.import_rows(f"Ana;{PHONES[0]};", name="before.csv")
    report = await harness.import_rows(f"Ana;{PHONES[0]};sí")
    assert (await harness.services.get_prospect(PHONES[0])).permission == "opted_in"
    done = await harness.undo_import(report)
    assert done.stayed == {UndoOutcome.HERE_BEFORE: 1}
    assert (await harness.services.get_prospect(PHONES[0])).permission == "public_source"


async def test_who_is_in_the_list_twice_is_removed_once(harness: UndoHarness) -> None:
    """Both records count as removed."""
    report = await harness.import_rows(f"Ana;{PHONES[0]};", f"Ana;{PHONES[0]};sí")
    done = await harness.undo_import(report)
    assert (done.removed, done.stayed) == (2, {})


async def test_the_same_list_can_be_imported_anew(harness: UndoHarness) -> None:
    """As another import: the undone one is no obstacle, and no earlier import of the file."""
    row = f"Ana;{PHONES[0]};"
    first = await harness.import_rows(row)
    await harness.undo_import(first)
    second = await harness.import_rows(row)
    assert (second.repeated, second.accepted, second.same_file) == (False, 1, ())
    assert second.id != first.id
    assert (await harness.import_rows(row)).repeated


async def test_a_crash_between_two_batches_only_delays_it(harness: UndoHarness) -> None:
    """What was asked for is gone on with at the next start, and nobody is looked at twice."""
    services = harness.services
    report = await harness.import_rows(*(f"P{n};+5491141230{n:03}; " for n in range(120)))
    now = services.clock.now()

    def crash_after_one_batch(tx: Tx) -> None:
        import_undo.begin_undo(tx, report.id, who="bea", reason="wrong", at=now)
        harness.undo._undo_batch(tx, report.id, after=0)  # noqa: SLF001 - what a kill -9 leaves

    await harness.write(crash_after_one_batch)
    half = await harness.undo.get(report.id)
    assert half is not None
    assert (half.removed, half.left, half.done_at) == (50, 70, None)
    restarted = ImportUndoService(
        services.database, services.scoring, services.clock, services.imports
    )
    async with restarted.running():
        await restarted.finish_all()
    done = await restarted.get(report.id)
    assert done is not None
    assert (done.removed, done.left) == (120, 0)
    assert await harness.list_names() == []


@pytest.mark.parametrize(("days", "allowed"), [(29, True), (31, False)])
async def test_it_can_be_undone_for_thirty_days(
    harness: UndoHarness, days: int, *, allowed: bool
) -> None:
    """Later it is refused with a sentence, and nobody is removed."""
    report = await harness.import_rows(f"Ana;{PHONES[0]};")
    await harness.services.clock.leap(timedelta(days=days).total_seconds())
    if allowed:
        assert (await harness.undo_import(report)).removed == 1
        return
    with pytest.raises(Conflict, match="30 days"):
        await harness.undo.request(report.id, reason="wrong", who="bea")
    assert await harness.list_names() == ["Ana"]


async def test_what_can_not_be_undone_says_why(harness: UndoHarness) -> None:
    """An unknown import, a second time, and no reason."""
    report = await harness.import_rows(f"Ana;{PHONES[0]};")
    with pytest.raises(NotFound):
        await harness.undo.request("imp_0", reason="wrong", who="bea")
    with pytest.raises(BadRequest):
        await harness.undo.request(report.id, reason=" ", who="bea")
    await harness.undo_import(report)
    with pytest.raises(Conflict, match="already"):
        await harness.undo.request(report.id, reason="wrong", who="bea")
