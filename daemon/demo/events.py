"""Prints the daemon's events while the demonstration runs, and waits for a given one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from daemon.cli.console import STATE_COLOURS, escape_controls
from daemon.cli.tables import print_hanging

if TYPE_CHECKING:
    from rich.text import Text

    from daemon.cli.client import ControlClient


EventData = Mapping[str, Any]


class EventPrinter:
    """Reads the event stream in a thread, prints the notable events, and waits for a given one."""

    def __init__(self, client: ControlClient, names: Mapping[str, str]) -> None:
        """Start to read events; `names` are the contacts' names by id."""
        self._client = client
        self._names = dict(names)
        self._received: list[EventData] = []
        self._arrived = threading.Condition()
        # A daemon thread: the demonstration ends, although the stream goes on.
        threading.Thread(target=self._read, daemon=True, name="demo-events").start()

    def add_names(self, names: Mapping[str, str]) -> None:
        """Add names of more contacts."""
        self._names |= names

    def print_line(self, name: str, state: str, text: str) -> None:
        """Print what somebody else saw, between the events."""
        with self._arrived:
            print_hanging(*_format_line(name, state, text))

    def wait_for(self, is_wanted: Callable[[EventData], bool], seconds: float) -> bool:
        """Wait for a matching event, earlier ones included; False when none came in time."""
        until = time.monotonic() + seconds
        with self._arrived:
            while not any(is_wanted(event) for event in self._received):
                if not self._arrived.wait(until - time.monotonic()):
                    return False
        return True

    def _read(self) -> None:
        for event in self._client.stream("events", after=0):
            with self._arrived:  # printed before notify: the waiting thread prints next
                if line := self._format_event(event):
                    print_hanging(*line)
                self._received.append(event)
                self._arrived.notify_all()

    def _format_event(self, event: EventData) -> tuple[Text, str] | None:
        data, subject = event["data"], event["subject"]
        name = self._names.get(data.get("contact", subject), "somebody")
        match event["type"]:
            case "message.changed" if data["state"] == data["previous"] == "queued":
                return _format_line(name, f"→ {data['channel']}", data["sentence"])
            case "message.changed" if data["previous"] and data["state"] != "queued":
                return _format_line(name, data["state"], data["sentence"])
            case "session.changed" if data["state"] in {"backoff", "ready"}:
                return _format_line(f"phone {subject}", data["state"], data["sentence"])
            case "inbound.received":
                asked = "" if data["request"] == "none" else f"; it reads as {data['request']}"
                return _format_line(name, "wrote to us", f"stored, with its effects{asked}")
            case "contact.suppressed":
                count = data["cancelled_messages"]
                text = f"{data['reason']}; waiting messages cancelled: {count}"
                return _format_line(name, "suppressed", text)
            case _:
                return None


def _format_line(name: str, state: str, text: str) -> tuple[Text, str]:
    from rich.text import Text

    line = Text("   ").append(escape_controls(f"{name:<16} "), "bold")
    return line.append(f"{state:<17} ", STATE_COLOURS.get(state, "magenta")), text
