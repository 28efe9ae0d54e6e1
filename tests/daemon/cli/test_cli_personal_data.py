"""`leadmaster prospects dossier` and `forget`, and `leadmaster phases`, against a real daemon."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.client.process import DaemonCommands, run_daemon_in_state_folder

pytestmark = pytest.mark.slow

PERSON = "+541141230077"


@pytest.fixture(scope="module")
def cli(folder: Path) -> Iterator[DaemonCommands]:
    """Return a daemon with one prospect."""
    with run_daemon_in_state_folder(folder) as process:
        daemon = DaemonCommands(process)
        daemon("prospects", "add", PERSON, "--name", "Gus Núñez", "--origin", "feria")
        yield daemon
        assert process.stop() == 0


def test_a_person_is_shown_whole_and_forgotten(cli: DaemonCommands) -> None:
    """By number; afterwards they are opted out for good, and not a prospect any more."""
    shown = cli("prospects", "dossier", PERSON).out
    assert "Gus Núñez" in shown
    assert "It is also in the backups until" in shown
    sections = cli("prospects", "dossier", PERSON, "--json").document["sections"]
    assert "identifiers" in {each["name"] for each in sections}
    told = cli("prospects", "forget", PERSON, "--reason", "They asked by telephone").out
    assert "Forgotten. Cancelled messages: 0." in told
    assert cli.run_unchecked("prospects", "dossier", PERSON).status == 2
    again = cli.run_unchecked("prospects", "add", PERSON, "--origin", "otra")
    assert "Gus" not in again.out
    refused = cli.run_unchecked("suppress", "lift", PERSON, "--reason", "a mistake")
    assert refused.status == 2


def test_phases_say_what_is_missing(cli: DaemonCommands) -> None:
    """In numbers; a planned one is opened by a decision, and what is not built can't be."""
    told = cli("phases").out
    assert "1 Foundation: closed" in told
    assert "first contacts that left: 0 (at least 100)" in told
    assert "of all: opted out or complained: none yet (at most 2 %)" in told
    opened = cli("phases", "open", "3", "--decision", "The restore is tested on Friday").out
    assert "opened by" in opened
    assert cli("phases", "--json").document["items"][2]["state"] == "active"
    refused = cli.run_unchecked("phases", "open", "4", "--decision", "We want to")
    assert (refused.status, "can't be opened" in refused.err) == (2, True)
