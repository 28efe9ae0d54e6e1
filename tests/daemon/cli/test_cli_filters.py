"""`leadmaster filters` against a real daemon: saved, used by a campaign, changed and deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.client.process import DaemonCommands, run_daemon_in_state_folder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cli(folder: Path) -> Iterator[DaemonCommands]:
    """Return a daemon with two people; one is of the fair."""
    with run_daemon_in_state_folder(folder) as process:
        daemon = DaemonCommands(process)
        for number, origin in (("+5491141234567", "feria"), ("+5491141234568", "web")):
            daemon("prospects", "add", number, "--origin", origin, "--permission", "relationship")
        yield daemon
        assert process.stop() == 0


def test_a_filter_is_saved_used_changed_and_deleted(cli: DaemonCommands) -> None:
    """Each command says in a sentence who is found; the campaign keeps what it took."""
    assert cli("filters", "list").out == "No saved filter yet.\n"
    saved = cli("filters", "save", "Feria Núñez", "--search", "feria")
    assert saved.out.startswith(
        "Feria Núñez: People with “feria” in name, trade, origin or number.\n1 person now\n"
    )
    assert "+5491141234567" in cli("prospects", "list", "--filter", "feria nunez").out
    assert cli("prospects", "export", "--filter", "feria nunez").out.count("+549114123456") == 1
    selected = cli("prospects", "select", "export", "--filter", "feria nunez").out
    assert selected.count("+549114123456") == 1
    both = cli("prospects", "list", "--filter", "feria nunez", "--search", "web", status=2)
    assert "either --filter or the options" in both.err
    for words in (["list"], ["export"], ["select", "export"]):
        assert cli("prospects", *words, "--search", "feria").out.count("+549114123456") == 1
        assert "+549114123456" not in cli("prospects", *words, "--import", "imp_1").out
    made = cli.run_json_command("campaigns", "add", "Marzo", "--filter", "feria nunez")
    assert made["campaign"]["audience"] == {"text": "feria"}
    campaign = made["campaign"]["id"]
    changed = cli("filters", "change", "FERIA NUNEZ", "--name", "Con trato")
    assert changed.out.startswith("Con trato: People with “feria”")
    wider = cli("filters", "change", "con trato", "--permission", "relationship")
    assert wider.out.endswith("whose permission is: Existing relationship.\n2 people now\n")
    assert cli.run_json_command("campaigns", "audience", campaign)["total"] == 1
    assert "Con trato" in cli("filters", "list").out
    assert cli("filters", "delete", "con trato").out == (
        "Deleted: Con trato. No prospect and no campaign was changed.\n"
    )
    gone = cli("filters", "show", "con trato", status=2)
    assert "somebody may have deleted it" in gone.err
    assert cli.run_json_command("campaigns", "audience", campaign)["total"] == 1
