"""What happens in a daemon, told line by line while something else is going on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from daemon.cli.screen import COLOURS, console

if TYPE_CHECKING:
    from daemon.cli.client import Client

Told = Mapping[str, Any]


class News:
    """Reads the events beside the story, prints those worth a line, and lets it wait for one."""

    def __init__(self, client: Client, names: Mapping[str, str]) -> None:
        self._client = client
        self._names = names
        self._heard: list[Told] = []
        self._more = threading.Condition()
        self._screen = console()
        self._recipients: dict[str, str] = {}
        threading.Thread(target=self._read, daemon=True, name="news").start()

    def know(self, message: Told) -> None:
        """Learn whom a message is for, so that its lines can say a name."""
        self._recipients[message["id"]] = self._names.get(message["recipient"], "somebody")

    def wait_for(self, wanted: Callable[[Told], bool], seconds: float) -> bool:
        """Wait until such an event was heard, from the beginning on; False when it never came."""
        until = time.monotonic() + seconds
        with self._more:
            while not any(wanted(event) for event in self._heard):
                if not self._more.wait(until - time.monotonic()):
                    return False
        return True

    def _read(self) -> None:
        for event in self._client.stream("events", after=0):
            with self._more:
                self._heard.append(event)
                self._more.notify_all()
            if line := self._line(event):
                self._screen.print(line)

    def _line(self, event: Told) -> str:
        from rich.markup import escape

        data, subject = event["data"], event["subject"]
        match event["type"]:
            case "message.changed" if data["previous"] and data["state"] != "queued":
                who = self._recipients.get(subject, "a reply")
                return _told(who, data["state"], escape(data["sentence"]))
            case "session.changed" if data["state"] in {"backoff", "ready"}:
                return _told(f"phone {subject}", data["state"], escape(data["sentence"]))
            case "inbound.received":
                return _told("inbound", data["wish"], "somebody wrote to us")
            case "contact.suppressed":
                cancelled = data["cancelled_messages"]
                words = f"{escape(data['reason'])}; {cancelled} waiting messages cancelled"
                return _told("opt-out", "suppressed", words)
            case _:
                return ""


def _told(who: str, state: str, words: str) -> str:
    colour = COLOURS.get(state, "magenta")
    return f"   [bold]{who:<22}[/] [{colour}]{state:<18}[/] {words}"
