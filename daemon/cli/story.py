"""A life as one vertical line of events, each with its time and its why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from daemon.cli.moments import format_time
from daemon.cli.screen import STATE_COLOURS
from daemon.cli.tables import print_hanging


def print_timeline(transitions: Sequence[Mapping[str, Any]]) -> None:
    """Print each move of a message on a line of its own."""
    from rich.text import Text

    for move in transitions:
        state = move["state"]
        before = (
            Text(f"  {format_time(move['at'])}  ")
            .append(state, STATE_COLOURS.get(state, ""))
            .append(" — ")
        )
        print_hanging(before, f"{move['sentence']} ({move['who']})")
