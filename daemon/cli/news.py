"""What happens in a daemon, told line by line while something else is going on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from daemon.cli.screen import COLOURS, visible
from daemon.cli.tables import print_hanging

if TYPE_CHECKING:
    from rich.text import Text

    from daemon.cli.client import Client

Told = Mapping[str, Any]


class News:
    """Reads the events beside the story, prints those worth a line, and lets it wait for one."""

    def __init__(self, client: Client, names: Mapping[str, str]) -> None:
        """`names` says what each contact, by its id, is called."""
        self._client = client
        self._names = dict(names)
        self._heard: list[Told] = []
        self._more = threading.Condition()
        threading.Thread(target=self._read, daemon=True, name="news").start()

    def meet(self, names: Mapping[str, str]) -> None:
        """Learn what more contacts are called."""
        self._names |= names

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
            with self._more:  # printed first, so that the story never runs ahead of its news
                if line := self._line(event):
                    print_hanging(*line)
                self._heard.append(event)
                self._more.notify_all()

    def _line(self, event: Told) -> tuple[Text, str] | None:
        data, subject = event["data"], event["subject"]
        name = self._names.get(data.get("contact", subject), "somebody")
        match event["type"]:
            case "message.changed" if data["state"] == data["previous"] == "queued":
                return _told(name, f"→ {data['channel']}", data["sentence"])
            case "message.changed" if data["previous"] and data["state"] != "queued":
                return _told(name, data["state"], data["sentence"])
            case "session.changed" if data["state"] in {"backoff", "ready"}:
                return _told(f"phone {subject}", data["state"], data["sentence"])
            case "inbound.received":
                asked = "" if data["wish"] == "none" else f"; it reads as {data['wish']}"
                return _told(name, "wrote to us", f"stored, with its effects{asked}")
            case "contact.suppressed":
                count = data["cancelled_messages"]
                words = f"{data['reason']}; waiting messages cancelled: {count}"
                return _told(name, "suppressed", words)
            case _:
                return None


def _told(who: str, state: str, words: str) -> tuple[Text, str]:
    from rich.text import Text

    line = Text("   ").append(visible(f"{who:<16} "), "bold")
    return line.append(f"{state:<17} ", COLOURS.get(state, "magenta")), words
