"""`leadmaster chats` against a real daemon: who waits, answers, outcomes, and strangers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.client.process import (
    CLI_PHONE_SCRIPT,
    DaemonCommands,
    poll_until,
    run_daemon_in_state_folder,
)

pytestmark = pytest.mark.slow

PAULA, FRIEND, VISITOR = "+5491141234567", "+5491155550000", "+5491155550001"
WRITTEN = {PAULA: "Sí, me interesa. ¿Cuánto sale?", FRIEND: "¿Cenamos?", VISITOR: "¿Cuánto sale?"}


@pytest.fixture(scope="module")
def cli(folder: Path) -> Iterator[DaemonCommands]:
    """Return a daemon to which a prospect and two strangers wrote."""
    events = [
        {"at": 1, "do": "write", "contact": phone, "text": text} for phone, text in WRITTEN.items()
    ]
    script = folder / "sessions" / "ventas" / "script.json"
    script.parent.mkdir(parents=True)
    script.write_text(json.dumps({**CLI_PHONE_SCRIPT, "line": events}), encoding="utf-8")
    with run_daemon_in_state_folder(folder) as process:
        daemon = DaemonCommands(process)
        daemon("prospects", "add", PAULA, "--origin", "feria", "--permission", "relationship")
        daemon("sessions", "add", "ventas", "--start")
        poll_until(lambda: len(list_tab(daemon, "strangers")) == 2, "two strangers")
        poll_until(lambda: list_tab(daemon, "waiting"), "one who waits")
        yield daemon
        assert process.stop() == 0


def list_tab(cli: DaemonCommands, tab: str) -> list[dict[str, Any]]:
    """Return the chats of a tab."""
    found: list[dict[str, Any]] = cli.run_json_command("chats", "list", "--tab", tab)["items"]
    return found


def test_a_chat_is_answered_taken_snoozed_closed_and_ends_with_an_outcome(
    cli: DaemonCommands,
) -> None:
    """Each says what it did, in a line and as a document; an outcome can be taken back."""
    assert "¿Cuánto sale?" in cli("chats", "list").out
    [row] = list_tab(cli, "waiting")
    chat = row["contact"]
    told = cli("chats", "show", chat).out
    assert "A free answer is possible until" in told
    assert cli("chats", "take", chat).out == f"{chat}: yours\n"
    assert [each["contact"] for each in list_tab(cli, "mine")] == [chat]
    assert "snoozed until" in cli("chats", "snooze", chat, "--hours", "2").out
    assert list_tab(cli, "waiting") == []
    cli("chats", "snooze", chat, "--end")
    assert "Give either --hours or --end." in cli("chats", "snooze", chat, status=2).err
    done = cli.run_json_command("chats", "outcome", chat, "interested")
    assert (done["next_action"], list_tab(cli, "waiting")) == ("hand_over", [])
    cli("chats", "close", chat, "--reopen")
    sent = cli("chats", "reply", chat, "Sale mil").out
    assert sent.startswith("msg_")
    poll_until(lambda: list_tab(cli, "waiting") == [], "the answer leaves")
    [found] = cli.run_json_command("chats", "list", "--tab", "all", "--text", "SALE MIL")["items"]
    assert found["contact"] == chat
    assert cli("chats", "list", "--tab", "all", "--text", "zzz").out == "Nobody is here.\n"


def test_strangers_are_read_on_purpose_and_sorted_out(cli: DaemonCommands) -> None:
    """Their words are hidden; one becomes a prospect, of the other nothing is kept."""
    shown = cli("chats", "list", "--tab", "strangers").out
    assert "Cenamos" not in shown
    by_words = {}
    for row in list_tab(cli, "strangers"):
        document = cli.run_json_command("chats", "show", row["contact"], "--reveal")
        by_words[document["lines"][0]["text"]] = row["contact"]
    friend, visitor = by_words[WRITTEN[FRIEND]], by_words[WRITTEN[VISITOR]]
    made = cli("chats", "add-prospect", visitor, "--name", "Vera").out
    assert made.startswith(f"{visitor}: a prospect now, pro_")
    assert cli("chats", "private", friend, "--yes").out == f"{friend}: erased\n"
    assert list_tab(cli, "strangers") == []
    assert cli("chats", "show", friend, status=2).err.startswith("not_found")
