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
        """`names` says what each contact, by its id, is called."""
        self._client = client
        self._names = dict(names)
        self._heard: list[Told] = []
        self._more = threading.Condition()
        self._screen = console()
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
                    self._screen.print(line, soft_wrap=True)
                self._heard.append(event)
                self._more.notify_all()

    def _line(self, event: Told) -> str:
        from rich.markup import escape

        data, subject = event["data"], event["subject"]
        name = self._names.get(data.get("contact", subject), "somebody")
        match event["type"]:
            case "message.changed" if data["state"] == data["previous"] == "queued":
                return _told(name, f"→ {data['channel']}", escape(data["sentence"]))
            case "message.changed" if data["previous"] and data["state"] != "queued":
                return _told(name, data["state"], escape(data["sentence"]))
            case "session.changed" if data["state"] in {"backoff", "ready"}:
                return _told(f"phone {subject}", data["state"], escape(data["sentence"]))
            case "inbound.received":
                asked = "" if data["wish"] == "none" else f"; it reads as {data['wish']}"
                return _told(name, "wrote to us", f"stored, with its effects{asked}")
            case "contact.suppressed":
                count = data["cancelled_messages"]
                words = f"{escape(data['reason'])}; waiting messages cancelled: {count}"
                return _told(name, "suppressed", words)
            case _:
                return ""


def _told(who: str, state: str, words: str) -> str:
    colour = COLOURS.get(state, "magenta")
    return f"   [bold]{who:<16}[/] [{colour}]{state:<17}[/] {words}"
