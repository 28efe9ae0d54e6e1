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
    asked = cli("chats", "data-request", chat)
    assert asked.out.startswith(f"{chat}: must have it by ")
    assert [each["contact"] for each in list_tab(cli, "data_asked")] == [chat]
    assert cli("chats", "data-request", chat, "--given").out == f"{chat}: got their data\n"
    closed = cli("chats", "close", chat)
    assert f"chats outcome {chat}" in closed.out + closed.err
    assert [each["contact"] for each in list_tab(cli, "no_outcome")] == [chat]
    cli("chats", "close", chat, "--reopen")
    assert "Give either TEXT or --origin." in cli("chats", "reply", chat, status=2).err
    assert "Nobody has said yet" in cli("chats", "reply", chat, "--origin", status=2).err
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


def test_somebody_interested_is_handed_to_a_client(cli: DaemonCommands, folder: Path) -> None:
    """Terms, preview, freeze by its hash, the file, a dispute, money, and who opted out since."""
    [row] = [r for r in list_tab(cli, "all") if r["phone"] and r["phone"].endswith("567")]
    chat = row["contact"]
    cli("clients", "add", "Dentalia SA")
    terms = ("clients", "terms", "Dentalia SA")
    assert "no terms yet" in cli(*terms, status=2).err
    assert cli(*terms, "--price", "45,00", status=2).err.startswith("bad_request: price")
    assert "4500.50 ARS" in cli(*terms, "--price", "4500.50", "--reason", "Ya era cliente").out
    assert "disputed within 3 days: Ya era cliente" in cli(*terms, "--dispute-days", "3").out
    only = ("--client", "Dentalia SA")
    cli("chats", "outcome", chat, "interested")
    prospect = cli.run_json_command("prospects", "list", "--text", PAULA)["items"][0]["id"]
    cli("prospects", "validate", prospect, "--reason", "she answered")
    assert "have not said that this client" in cli("deliveries", "preview", *only).out
    cli("clients", "answer", "Dentalia SA", chat, "yes")
    preview = cli.run_json_command("deliveries", "preview", *only)
    shown = cli("deliveries", "freeze", preview["hash"], *only).out
    id_ = shown.split(":")[0]
    assert "delivery 1 to Dentalia SA, 1 delivered" in shown
    assert "Nobody qualifies" in cli("deliveries", "preview", *only).out
    file = folder / "delivery.xlsx"
    assert "bytes are in" in cli("deliveries", "download", id_, str(file)).out
    assert file.read_bytes().startswith(b"PK")
    today = cli.run_json_command("deliveries", "show", id_)["delivery"]["at"][:10]
    dispute = ("deliveries", "dispute", id_, "1", "--on", today)
    assert "none of those that count" in cli(*dispute, "--reason", "x", status=2).err
    assert cli(*dispute, "--reason", "Ya era cliente").out == "row 1: disputed\n"
    assert (
        "no prospect"
        in cli("deliveries", "replace", id_, "1", "pro_1", "--note", "so it is", status=2).err
    )
    assert cli("deliveries", "accept", id_, "1", "--note", "She was not").out == "row 1: accepted\n"
    assert cli("deliveries", "withdraw", id_, "1", "--note", "late", status=2).err.startswith(
        "conflict"
    )
    money = cli.run_json_command("deliveries", "money", today[:7])["items"]
    assert [each["amount_cents"] for each in money] == [450_050]
    assert "1 records" in cli("deliveries", "money", today[:7], str(folder / "money.csv")).out
    cli("suppress", "add", PAULA, "--reason", "asked by phone")
    [gone] = cli.run_json_command("deliveries", "opt-outs", "Dentalia SA")["items"]
    assert (gone["row"], gone["reported_at"]) == (1, None)
    assert "1 records" in cli("deliveries", "opt-outs", "Dentalia SA", str(folder / "o.csv")).out
    [gone] = cli.run_json_command("deliveries", "opt-outs", "Dentalia SA", "--reported")["items"]
    assert gone["reported_at"] is not None
    assert "1 accepted" in cli("deliveries", "list", *only).out
