"""`leadmaster review` against a real daemon: a prospect that waits itself, listed and decided."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.client.process import DaemonCommands, run_daemon_in_state_folder

pytestmark = pytest.mark.slow

INTERNET_LINE = (
    "Nombre;Teléfono;Origen;Consentimiento;Fecha\n"
    "Gus Núñez;+445612345678;feria;relación previa;2026-03-03\n"
)
"""Not known to be a mobile, but on WhatsApp, and fresh: 50 points, the review band's lowest."""


@pytest.fixture(scope="module")
def cli(folder: Path) -> Iterator[DaemonCommands]:
    """Return a daemon without a session, and with one prospect in the review band."""
    with run_daemon_in_state_folder(folder) as process:
        daemon = DaemonCommands(process)
        (folder / "lista.csv").write_text(INTERNET_LINE, encoding="utf-8")
        daemon("prospects", "import", str(folder / "lista.csv"), "--yes")
        daemon("prospects", "validate", "+445612345678", "--reason", "he answered there")
        yield daemon
        assert process.stop() == 0


def test_a_prospect_waits_and_is_decided_by_its_id(cli: DaemonCommands) -> None:
    """Listed with why, approved for a day, rejected until another word."""
    (waiting,) = cli("review", "list", "--json").document["prospects"]
    prospect = waiting["prospect"]["id"]
    told = cli("review", "list").out
    assert prospect in told
    assert "A score of 50 needs a person's approval" in told
    approved = cli("review", "approve", prospect, "--reason", "we met at the fair")
    assert approved.out == f"{prospect}: approved — we met at the fair\n"
    assert "There is nothing to review" in cli("review", "list").err + cli("review", "list").out
    said = cli("review", "reject", prospect, "--reason", "a competitor", "--json").document
    assert (said["outcome"], said["expires_at"]) == ("rejected", None)
    gone = cli.run_unchecked("review", "approve", "pro_0", "--reason", "why not")
    assert (gone.status, gone.err.partition(":")[0]) == (2, "not_found")


def test_many_are_acted_on_at_once(cli: DaemonCommands) -> None:
    """By a filter, an id, or all; it asks first by number and names, and a file has just those."""
    [record] = list(csv.DictReader(io.StringIO(cli("prospects", "select", "export", "--all").out)))
    assert record["name"] == "Gus Núñez"
    word = ("--reason", "he answered there")
    done = cli("prospects", "select", "validate", "--text", "gus", "--yes", *word)
    assert done.out == "done: 1, left out: 0\n"
    asked = cli.run_unchecked("prospects", "select", "suppress", "--id", record["id"], *word)
    assert (asked.status, "suppress 1: Gus Núñez?" in asked.err) == (2, True)
    assert "Nothing was done." in asked.err
    unsaid = cli.run_unchecked("prospects", "select", "suppress", *word)
    assert (unsaid.status, "Say which" in unsaid.err) == (2, True)
    both = ("--id", record["id"], "--text", "gus")
    assert cli.run_unchecked("prospects", "select", "suppress", *both, *word).status == 2
    none = cli("queue", "select", "cancel", "--all", "--yes", "--json", *word).document
    assert none == {"done": 0, "refused": 0, "refusals": []}
    entries = cli("audit", "--action", "validate_by_hand", "--json").document
    assert len(entries) >= 2
    assert {each["subject"] for each in entries} == {record["id"]}


@pytest.mark.parametrize("text", ["nunez", "NÚÑEZ", "gus ñu", "Gus Nun\u0303ez"])
def test_people_are_found_without_their_accents(cli: DaemonCommands, text: str) -> None:
    """By command and interface alike: as typed on a keyboard that has no ñ, or has it in parts."""
    (found,) = cli("prospects", "list", "--text", text, "--json").document["items"]
    assert found["name"] == "Gus Núñez"
