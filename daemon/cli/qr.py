"""Pairing codes in the terminal: drawn, counted down, replaced as they rotate, until linked."""

from __future__ import annotations

import io
import queue
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import segno

from daemon.cli.screen import console

if TYPE_CHECKING:
    from rich.live import Live

    from daemon.cli.client import Client

TICK_SECONDS: Final = 0.5
PAIRING: Final = frozenset({"starting", "awaiting_scan", "pairing", "connecting", "syncing"})
"""While the session is in one of these, there is something to watch."""


def drawn(code: str) -> str:
    """Return a code as blocks of text, small enough for an 80 by 24 terminal."""
    out = io.StringIO()
    segno.make(code, error="l", micro=False).terminal(out, compact=True, border=2)
    return out.getvalue()


@dataclass(slots=True)
class Pairing:
    """What is known of one pairing: the code on show and the session's own words."""

    name: str
    state: str = ""
    sentence: str = ""
    code: str = ""
    place: str = ""
    ends: float = 0.0

    def hear(self, event: Mapping[str, Any]) -> None:
        """Take in one line of the daemon's pairing stream."""
        data = event["data"]
        if event["type"] == "session.qr_shown":
            self.code = drawn(data["code"])
            self.place = f"code {data['index']} of {data['maximum']}"
            self.ends = time.monotonic() + float(data["seconds_left"])
            return
        self.state, self.sentence = data["state"], data["sentence"]
        if self.state != "awaiting_scan":
            self.code = ""

    @property
    def over(self) -> bool:
        """Tell whether the pairing has ended, well or not."""
        return bool(self.state) and self.state not in PAIRING

    @property
    def line(self) -> str:
        """Return the line below the code."""
        if not self.code:
            return f"{self.name}: {self.state} — {self.sentence}"
        left = max(0, round(self.ends - time.monotonic()))
        return f"{self.name}: {self.place}, {left} s left — {self.sentence}"


def follow(client: Client, name: str) -> None:
    """Show a pairing until it is over: redrawn in place on a terminal, line by line in a pipe."""
    lines = _lines(client, name)
    pairing = Pairing(name)
    if sys.stdout.isatty():
        from rich.live import Live

        with Live(console=console(), auto_refresh=False, transient=False) as live:
            _redraw(live, lines, pairing)
    else:
        _print_lines(lines, pairing)


Lines = queue.SimpleQueue[dict[str, Any] | Exception | None]


def _lines(client: Client, name: str) -> Lines:
    """Read the stream beside, so that the countdown goes on between its lines."""
    lines: Lines = queue.SimpleQueue()

    def read() -> None:
        try:
            for line in client.stream("sessions", name, "pairing"):
                lines.put(line)
        except Exception as error:  # noqa: BLE001 - raised again where the command runs
            lines.put(error)
        lines.put(None)

    threading.Thread(target=read, daemon=True, name="pairing").start()
    return lines


def _next(lines: Lines, seconds: float | None) -> dict[str, Any] | None:
    """Return the next line, None at the end; raise what the reading raised, or `queue.Empty`."""
    line = lines.get(timeout=seconds)
    if isinstance(line, Exception):
        raise line
    return line


def _redraw(live: Live, lines: Lines, pairing: Pairing) -> None:
    from rich.text import Text

    while not pairing.over:
        try:
            line = _next(lines, TICK_SECONDS)
        except queue.Empty:
            line = {}
        if line is None:
            return
        if line:
            pairing.hear(line)
        live.update(Text.from_ansi(pairing.code + "\n" + pairing.line), refresh=True)


def _print_lines(lines: Lines, pairing: Pairing) -> None:
    shown = ""
    while not pairing.over and (line := _next(lines, None)) is not None:
        pairing.hear(line)
        if pairing.code and pairing.code != shown:
            shown = pairing.code
            print(shown)
        print(pairing.line, flush=True)
