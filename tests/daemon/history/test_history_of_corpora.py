"""The words of the corpora, as a former system got them: nobody who asked to stop is missed."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.gate.consent import Permission
from tests.helpers.services.history import HistoryServices, open_history_services
from tests.helpers.services.messaging import build_phone

pytestmark = pytest.mark.slow

DATA = Path(__file__).parents[2] / "data"
REFUSALS = {"opt_out", "declined", "complaint", "wrong_person", "minor", "deceased"}


@pytest.fixture
async def past(tmp_path: Path) -> AsyncIterator[HistoryServices]:
    """Open the services; nobody is known."""
    async with open_history_services(tmp_path) as opened:
        yield opened


def read_cases(name: str) -> list[tuple[str, str]]:
    """Return the words and the expected class of each case."""
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["expected"]) for row in csv.DictReader(file)]


async def import_cases(past: HistoryServices, cases: list[tuple[str, str]]) -> None:
    """Import the words, each of another number."""
    rows = [
        (build_phone(number), "2025-03-01 10:00", "recibido", words)
        for number, (words, _) in enumerate(cases)
    ]
    await past.import_rows(*rows)


async def test_every_listed_phrase_of_the_past_suppresses(past: HistoryServices) -> None:
    """And none of those that only look like one."""
    cases = read_cases("optout_phrases.csv")
    await import_cases(past, cases)
    for number, (words, expected) in enumerate(cases):
        person = await past.get_person(build_phone(number))
        if expected == "opt_out":
            assert person.suppressed, words
        else:
            assert not person.suppressed, words


async def test_no_other_no_of_the_past_becomes_a_welcome(past: HistoryServices) -> None:
    """Each is refused, nobody's, suppressed, or waits for a person."""
    cases = [each for each in read_cases("contact_requests.csv") if each[1] in REFUSALS][:150]
    await import_cases(past, cases)
    for number, (words, _) in enumerate(cases):
        person = await past.get_person(build_phone(number))
        assert person.permission not in {Permission.RELATIONSHIP, Permission.OPTED_IN}, words
        assert (
            person.suppressed
            or person.stopped
            or person.unread
            or person.permission is Permission.REFUSED
        ), words
