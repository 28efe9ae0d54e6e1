"""A life as one vertical line of events, each with its time and its why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from daemon.cli.moments import moment
from daemon.cli.screen import COLOURS
from daemon.cli.tables import print_hanging


def print_story(history: Sequence[Mapping[str, Any]]) -> None:
    """Print each move of a message on a line of its own."""
    from rich.text import Text

    for move in history:
        state = move["state"]
        before = (
            Text(f"  {moment(move['at'])}  ").append(state, COLOURS.get(state, "")).append(" — ")
        )
        print_hanging(before, f"{move['sentence']} ({move['who']})")
