"""Rows of the queue that somebody altered are held by name, and stop no other message."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest

from tests.helpers.client.process import DaemonProcess, poll_until, run_daemon_in_state_folder

pytestmark = pytest.mark.slow

ALTERED = ("due_at", "not_before", "not_after")


def count_lines(daemon: DaemonProcess, event: str) -> int:
    """Return how many lines of the log are about this."""
    lines = [each for each in daemon.log.read_text().splitlines() if each.startswith("{")]
    return sum(json.loads(each)["event"] == event for each in lines)


def test_altered_rows_stop_no_other_message(short_folder: Path) -> None:
    """What is computed is computed anew, what was asked for is held by name; the rest is judged."""
    with run_daemon_in_state_folder(short_folder) as daemon:
        client = daemon.client
        client.post("sessions", name="ventas", channel="simulated")
        messages = {column: queue_message(daemon, column) for column in ALTERED}
        with contextlib.closing(sqlite3.connect(daemon.state_dir / "leadmaster.db")) as database:
            for column, message in messages.items():
                database.execute(f"UPDATE messages SET {column} = 'never' WHERE id = ?", (message,))
            database.commit()
        others = [queue_message(daemon, f"other {number}") for number in range(3)]
        held = [messages[column] for column in ("not_before", "not_after")]
        poll_until(lambda: list_held(daemon) == held, "the altered ones are held")
        for column, message in messages.items():
            found = client.get("messages", message)["message"]
            assert (f"altered: {column} can't be read" in found["sentence"]) is (message in held)
        assert read_due_times(daemon) <= {None}
        listed = {each["id"] for each in client.get("messages")["items"]}
        assert listed == {*messages.values(), *others}
        assert count_lines(daemon, "message_row_unreadable") == 1
        assert count_lines(daemon, "evaluation_failed") == count_lines(daemon, "timer_failed") == 0
        assert client.post("review", held[0], "reject", reason="altered")["state"] == "blocked"


def queue_message(daemon: DaemonProcess, name: str) -> str:
    """Queue a message to somebody whose number is not checked yet; return it once it waits."""
    client = daemon.client
    known = len(client.get("prospects")["items"])
    phone = f"+54911412345{known:02d}"
    entry = {"phone": phone, "cartera_origen": "feria", "permission": "opted_in", "name": name}
    client.post("prospects", **entry, statement="ticked the box")
    message: str = client.send(phone, f"Hola, {name}", session="ventas")["id"]
    poll_until(
        lambda: client.get("messages", message)["message"]["state"] == "deferred", "it is judged"
    )
    return message


def read_due_times(daemon: DaemonProcess) -> set[str | None]:
    """Return the due times of all messages, as they stand in the file."""
    with contextlib.closing(sqlite3.connect(daemon.state_dir / "leadmaster.db")) as database:
        return {due for (due,) in database.execute("SELECT due_at FROM messages")}


def list_held(daemon: DaemonProcess) -> list[str]:
    """Return the messages that wait for a person."""
    return [each["id"] for each in daemon.client.get("review")["items"]]
