"""A life as one vertical line of events, each with its time and its why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from daemon.cli.screen import cell, console, moment


def print_story(history: Sequence[Mapping[str, Any]]) -> None:
    """Print each move of a message on a line of its own."""
    screen = console()
    for move in history:
        state = cell("state", move["state"])
        who = cell("who", move["who"])
        why = cell("sentence", move["sentence"])
        screen.print(f"  {moment(move['at'])}  {state} — {why} [bright_black]({who})[/]")
