"""`leadmaster invite` and `leadmaster budgets` against a real daemon with a linked phone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.helpers.client.process import (
    CLI_PHONE_SCRIPT,
    DaemonCommands,
    poll_until,
    run_daemon_in_state_folder,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cli(folder: Path) -> Iterator[DaemonCommands]:
    """Return a daemon whose phone is linked."""
    script = folder / "sessions" / "ventas" / "script.json"
    script.parent.mkdir(parents=True)
    script.write_text(json.dumps(CLI_PHONE_SCRIPT), encoding="utf-8")
    with run_daemon_in_state_folder(folder) as process:
        daemon = DaemonCommands(process)
        assert daemon("budgets").out.startswith("No number is linked yet.")
        daemon("sessions", "add", "ventas", "--start")
        poll_until(lambda: daemon.run_json_command("budgets", "list")["items"], "a number")
        yield daemon
        assert process.stop() == 0


def find_budget(cli: DaemonCommands, name: str) -> dict[str, Any]:
    """Return a budget of the only number."""
    [number] = cli.run_json_command("budgets", "limits")["items"]
    return next(each for each in number["budgets"] if each["budget"] == name)


def test_an_invitation_is_a_link_to_our_number_with_its_code(cli: DaemonCommands) -> None:
    """The link alone is printed, for a pipe; the words are said beside it, and can be our own."""
    assert cli("invite", "list").out == "There is no invitation yet.\n"
    made = cli("invite", "add", "ventas", "Feria La Rural")
    [link] = made.out.split()
    assert link.startswith("https://wa.me/")
    assert "It fills in: " in made.err
    ours = cli.run_json_command("invite", "add", "ventas", "Vidriera", "--words", "Vi su vidriera")
    assert ours["text"].startswith("Vi su vidriera")
    assert ours["code"] in ours["text"]
    assert parse_qs(urlsplit(ours["link"]).query)["text"] == [ours["text"]]
    listed = cli("invite", "list").out
    assert "Feria La Rural" in listed
    assert link in listed
    items = cli.run_json_command("invite", "list")["items"]
    assert {each["name"] for each in items} == {"Feria La Rural", "Vidriera"}
    [first] = cli.run_json_command("invite", "list", "--limit", "1")["items"]
    assert first == items[0]


def test_an_invitation_to_a_phone_that_is_not_linked_is_refused(cli: DaemonCommands) -> None:
    """With what to do; and so is one that hangs nowhere."""
    refused = cli.run_unchecked("invite", "add", "nadie", "Feria")
    assert (refused.status, "Link the phone first." in refused.err) == (2, True)
    nameless = cli.run_unchecked("invite", "add", "ventas", " ")
    assert (nameless.status, "say where the link will hang" in nameless.err) == (2, True)


def test_a_budget_is_lowered_at_once_and_raised_by_a_decision(cli: DaemonCommands) -> None:
    """Who set it is shown; a raise without its reasons is refused, and nothing changes."""
    before = find_budget(cli, "new_chats")
    phone = cli.run_json_command("budgets", "limits")["items"][0]["phone"]
    assert "the settings" in cli("budgets", "limits").out
    lower = str(int(before["limit"]) - 100)
    told = cli("budgets", "set", phone, "new_chats", lower).out
    assert told == f"new_chats of {phone} is {lower} now.\n"
    assert find_budget(cli, "new_chats")["limit"] == before["limit"] - 100
    higher = str(int(before["settings_limit"]) + 1)
    refused = cli.run_unchecked("budgets", "set", phone, "new_chats", higher)
    assert (refused.status, "needs a decision" in refused.err) == (2, True)
    unknown = cli.run_unchecked("budgets", "set", phone, "patience", "3")
    assert unknown.status == 2
    assert find_budget(cli, "new_chats")["limit"] == before["limit"] - 100
    raised = ("--decision", "people ask for it", "--lower-when", "two opt-outs", "--days", "30")
    cli("budgets", "set", phone, "new_chats", higher, *raised, "--json")
    change = find_budget(cli, "new_chats")["change"]
    assert (change["reason"], change["lower_when"]) == ("people ask for it", "two opt-outs")
    assert ", until " in cli("budgets", "limits").out
