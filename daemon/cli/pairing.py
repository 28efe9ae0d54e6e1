"""Shows QR codes, or a code to be typed, with a countdown, until the phone is linked."""

from __future__ import annotations

import io
import queue
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import segno
from msgspec import Struct

from daemon.cli.console import get_screen_width, print_raw, print_text

if TYPE_CHECKING:
    from daemon.cli.client import ControlClient


TICK_SECONDS: Final = 0.5
PAIRING_STATES: Final = frozenset({"starting", "awaiting_scan", "pairing", "connecting", "syncing"})
"""Session states in which a pairing is under way."""


def render_qr(code: str) -> str:
    """Return a QR code as block characters."""
    out = io.StringIO()
    # Two modules a character, low error correction and half the border: fits 80 by 24.
    segno.make(code, error="l", micro=False).terminal(out, compact=True, border=2)
    return out.getvalue().rstrip("\n")


def render_pairing_code(code: str, steps: Sequence[str]) -> str:
    """Return a code that is to be typed, apart and wide, above the steps on the phone."""
    listed = "\n".join(f"  {number}. {step}" for number, step in enumerate(steps, start=1))
    return f"\n      {' '.join(code)}\n\n{listed}\n"


class PairingDisplay(Struct):
    """The state of one pairing: the current code and the session's state.

    ``is_drawn``: the code is a drawing that has to be wide enough to be scanned.
    """

    name: str
    state: str = ""
    sentence: str = ""
    code: str = ""
    is_drawn: bool = True
    position: str = ""
    expires_at: float = 0.0

    def apply_event(self, event: Mapping[str, Any]) -> None:
        """Apply one line of the daemon's pairing stream."""
        data = event["data"]
        if event["type"] == "session.qr_shown":
            self.code = render_qr(data["code"])
            self.is_drawn = True
            self.position = f"code {data['index']} of {data['maximum']}"
            # By the seconds left, since the daemon's clock need not agree with this one.
            self.expires_at = time.monotonic() + float(data["seconds_left"])
            return
        if event["type"] == "session.pairing_code_shown":
            self.code = render_pairing_code(data["code"], data["steps"])
            self.position = "code to be typed on the phone"
            self.is_drawn = False
            self.expires_at = time.monotonic() + float(data["seconds_left"])
            return
        self.state, self.sentence = data["state"], data["sentence"]
        if self.state != "awaiting_scan":
            self.code = ""

    @property
    def is_over(self) -> bool:
        """Return whether the pairing has ended, with or without success."""
        return bool(self.state) and self.state not in PAIRING_STATES

    @property
    def status_line(self) -> str:
        """Return the line below the code; short, since it is overwritten in place."""
        if not self.code:
            return f"{self.name}: {self.state} — {self.sentence}"
        left = max(0, round(self.expires_at - time.monotonic()))
        return f"{self.name}: {self.position}, {left} s left"


def show_pairing(client: ControlClient, name: str) -> None:
    """Show a pairing until it ends: each code as it comes, and a status line below.

    On a terminal the status line counts down in place; in a pipe each change is a line.
    """
    lines, pairing, live = _start_reader(client, name), PairingDisplay(name), sys.stdout.isatty()
    drawn_last = ""
    while not pairing.is_over:
        line = _next_event(lines, TICK_SECONDS if live else None)
        if line is None:
            break
        if line:
            pairing.apply_event(line)
        if pairing.code and pairing.code != drawn_last:
            drawn_last = pairing.code
            if pairing.is_drawn:
                _print_code(drawn_last)
            else:
                print_raw(drawn_last)
        if live and pairing.code:
            # Back to the start of the line, and clear it.
            print(f"\r\x1b[K{pairing.status_line}", end="", flush=True)
        elif line:
            print("\r\x1b[K" if live else "", end="")
            print_text(pairing.status_line)


def _print_code(code: str) -> None:
    """Print a code, with a warning where the window is too narrow for it to be scanned."""
    needed, screen = code.index("\n"), get_screen_width()
    if screen is not None and screen < needed:
        print_text(f"\nThe code is {needed} columns wide and this window {screen}: make it wider.")
    print_raw(f"\n{code}")


PairingEvents = queue.SimpleQueue[dict[str, Any] | Exception | None]


def _start_reader(client: ControlClient, name: str) -> PairingEvents:
    """Read the stream in a thread; return the queue of its lines."""
    # In a thread, so that the countdown goes on between the lines.
    lines: PairingEvents = queue.SimpleQueue()

    def read() -> None:
        try:
            for line in client.stream("sessions", name, "pairing"):
                lines.put(line)
        except Exception as error:  # noqa: BLE001 - raised again where the command runs
            lines.put(error)
        lines.put(None)

    # A daemon thread: Ctrl-C ends the command, although the stream goes on.
    threading.Thread(target=read, daemon=True, name="pairing").start()
    return lines


def _next_event(lines: PairingEvents, seconds: float | None) -> dict[str, Any] | None:
    """Return the next line, an empty one after the timeout, None at the end.

    Raises what the reading thread raised.
    """
    try:
        line = lines.get(timeout=seconds)
    except queue.Empty:
        return {}
    if isinstance(line, Exception):
        raise line
    return line
