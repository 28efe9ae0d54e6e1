"""`leadmaster filters` against a real daemon: saved, used by a campaign, changed and deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.client.process import (
    DaemonCommands,
    build_cli_command,
    run_daemon_in_state_folder,
)
from tests.helpers.terminal import open_terminal

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
    changed = cli("filters", "change", "FERIA NUNEZ", "--name", "Con trato", "--yes")
    assert changed.out.startswith("Con trato: People with “feria”")
    wider = cli("filters", "change", "con trato", "--permission", "relationship", "--yes")
    assert wider.out.endswith("whose permission is: Existing relationship.\n2 people now\n")
    assert cli.run_json_command("campaigns", "audience", campaign)["total"] == 1
    assert "Con trato" in cli("filters", "list").out
    assert cli("filters", "delete", "con trato", "--yes").out == (
        "Deleted: Con trato. No prospect and no campaign was changed.\n"
    )
    gone = cli("filters", "show", "con trato", status=2)
    assert "somebody may have deleted it" in gone.err
    assert cli.run_json_command("campaigns", "audience", campaign)["total"] == 1


@pytest.mark.parametrize(
    ("words", "asks"),
    [
        (("change", "--search", "web"), "New filter: text web. Change it?"),
        (("delete",), "Delete it for everybody?"),
    ],
    ids=["change", "delete"],
)
def test_what_somebody_changed_meanwhile_stays(
    cli: DaemonCommands, words: tuple[str, ...], asks: str
) -> None:
    """Whoever is still deciding reads what the filter is now, also under another name."""
    action, *options = words
    made = cli.run_json_command("filters", "save", f"Para {action}", "--search", "feria")
    command = ("--state-dir", str(cli.folder), "filters", action, f"para {action}", *options)
    with open_terminal(build_cli_command(*command), {"COLUMNS": "300"}) as first:
        first.wait_for_text(asks)
        assert "People with “feria” in name, trade, origin or number; 1 person now" in first.screen
        cli("filters", "change", made["id"], "--name", f"De Ana {action}", "--yes")
        first.press(b"y\n")
        assert first.wait_for_exit() == 2
        first.wait_for_text(f"It is now De Ana {action}: People with “feria”")
        first.wait_for_text(f"filters show {made['id']}")
    assert cli.run_json_command("filters", "show", made["id"])["filter"]["text"] == "feria"


def test_a_filter_stays_without_a_yes(cli: DaemonCommands) -> None:
    """A no changes nothing; nothing to change is no question, and a program says --yes before."""
    cli("filters", "save", "Queda", "--search", "feria")
    assert "Nothing was changed" in cli("filters", "change", "queda", "--name", "X", status=2).err
    declined = cli("filters", "delete", "queda", text="n\n", status=2)
    assert (declined.out, "Nothing was deleted" in declined.err) == ("", True)
    assert "--yes" in cli("filters", "delete", "queda", status=2).err
    assert "Give --name or" in cli("filters", "change", "queda", status=2).err
    assert cli("filters", "show", "queda").out.startswith("Queda: ")
    cli("filters", "save", "Con borrado", "--search", "fe\x1b[2Jria")
    assert "“fe␛[2Jria”" in cli("filters", "delete", "con borrado", text="n\n", status=2).err
