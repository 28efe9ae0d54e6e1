"""`leadmaster tail`: events as they happen, from now on or from a place in the log."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

import click

from daemon.cli.context import Here, pass_here
from daemon.cli.screen import COLOURS, console, print_line


@click.command()
@click.option("--after", type=click.IntRange(0), default=None, help="Begin after this number.")
@click.option("--until", type=click.IntRange(1), default=None, help="End after so many events.")
@click.option(
    "--type", "types", multiple=True, help="Show only this type, such as message.changed."
)
@click.option("--json", "json_", is_flag=True, help="Print each event as one line of JSON.")
@pass_here
def tail(
    here: Here,
    *,
    after: int | None,
    until: int | None,
    types: tuple[str, ...],
    json_: bool,
) -> None:
    """Follow the events, one a line: number, time, what happened, to what, and why."""
    screen = console()
    events = here.client().stream("events", after=after, type=types or None)
    for event in islice(events, until):
        if json_:
            print_line(event)
        else:
            screen.print(as_words(event), soft_wrap=True)


def as_words(event: Mapping[str, Any]) -> str:
    """Return one event as a line for people."""
    from rich.markup import escape

    data = event.get("data", {})
    state = str(data.get("state", ""))
    colour = COLOURS.get(state, "default")
    words = data.get("sentence") or data.get("reason") or _rest(data)
    when = str(event.get("at", ""))[11:19]
    return (
        f"[bright_black]{event.get('seq') or '':>6} {when}[/] {event['type']:<18} "
        f"{escape(str(event.get('subject', '')))}  [{colour}]{state}[/] {escape(str(words))}"
    )


def _rest(data: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in data.items() if value not in (None, ""))
