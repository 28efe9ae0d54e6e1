"""`leadmaster tail`: prints events as they happen, from now on or from a number in the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from daemon.cli.console import STATE_COLOURS, build_console, escape_controls, print_json_line
from daemon.cli.context import CliContext, pass_cli_context
from daemon.cli.time_format import format_time

if TYPE_CHECKING:
    from rich.text import Text


@click.command("tail")
@click.option("--after", type=click.IntRange(0), default=None, help="Begin after this number.")
@click.option("--until", type=click.IntRange(1), default=None, help="End after so many events.")
@click.option(
    "--type", "types", multiple=True, help="Show only this type, such as message.changed."
)
@click.option("--json", "json_", is_flag=True, help="Print each event as one line of JSON.")
@pass_cli_context
def tail_events(
    cli: CliContext,
    *,
    after: int | None,
    until: int | None,
    types: tuple[str, ...],
    json_: bool,
) -> None:
    """Follow the events, one a line: number, time, what happened, to what, and why."""
    screen = build_console()
    events = cli.client().stream("events", after=after, type=types or None)
    for event in islice(events, until):
        if json_:
            print_json_line(event)
        else:
            screen.print(format_event(event))


def format_event(event: Mapping[str, Any]) -> Text:
    """Return one event as a coloured line."""
    from rich.text import Text

    data = event.get("data", {})
    state = str(data.get("state", ""))
    text = data.get("sentence") or data.get("reason") or format_value(data)
    line = Text(
        f"{event.get('seq') or '':>6} {format_time(str(event.get('at', '')))} ", "bright_black"
    )
    line.append(
        f"{event['type']:<18} {escape_controls(str(event.get('subject', '')))}  ", "default"
    )
    if state:
        line.append(f"{state} ", STATE_COLOURS.get(state, "default"))
    return line.append(escape_controls(" ".join(text.split())), "default")


def format_value(value: object) -> str:
    """Return a value of an event as text, without quotes and brackets."""
    match value:
        case bool():
            return "yes" if value else "no"
        case str():
            return format_time(value)
        case Mapping():
            fields = {str(key).replace("_", " "): format_value(each) for key, each in value.items()}
            return ", ".join(f"{key}: {text}" for key, text in fields.items() if text)
        case Sequence():
            return "; ".join(filter(None, map(format_value, value)))
        case _:
            return "" if value is None else f"{value}"
