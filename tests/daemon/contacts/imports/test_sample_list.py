"""The sample list, whole: 600 records as a person would bring them, and what becomes of each."""

from __future__ import annotations

import csv
from pathlib import Path

from daemon.contacts.imports.options import ImportOptions
from daemon.contacts.imports.process import ImportProcess
from storage import imports
from storage.imports import ImportRowOutcome
from tests.helpers.services.imports import open_import_services

DATA = Path(__file__).parents[3] / "data"
SAMPLE = DATA / "prospects_es.csv"
REACHED = frozenset(
    {
        ImportRowOutcome.ACCEPTED,
        ImportRowOutcome.ACCEPTED_FIXED_LINE,
        ImportRowOutcome.ACCEPTED_NOT_REACHABLE,
    }
)


def expected() -> list[tuple[int, str, str | None]]:
    """Return record, outcome and number of each record."""
    with (DATA / "prospects_es.expected.csv").open(encoding="utf-8", newline="") as file:
        return [
            (int(row["record"]), row["expected"], row["e164"] or None)
            for row in csv.DictReader(file)
        ]


async def test_every_record_is_what_the_expected_file_says(tmp_path: Path) -> None:
    """Outcome and number of all 600 records are right, in the real child process."""
    async with open_import_services(tmp_path, child=ImportProcess()) as import_services:
        heard: list[tuple[int, int | None]] = []
        report = await import_services.imports.run(
            SAMPLE, ImportOptions(region="AR"), "ana", lambda *at: heard.append(at)
        )
        told = await import_services.database.read(
            lambda reader: imports.list_import_rows(reader, report.id)
        )
        assert [(each.record, each.outcome.value, each.phone) for each in told] == expected()
        assert heard[-1] == (600, 600)
        assert all(each.sentence for each in told if each.outcome is ImportRowOutcome.REJECTED)
        assert {each.phone for each in await import_services.list_prospects()} == {
            each.phone for each in told if each.outcome in REACHED
        }
