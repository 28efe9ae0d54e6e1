"""`leadmaster quarantine`: signals that could not be stored."""

from __future__ import annotations

import click

from daemon.cli.console import print_json, print_text
from daemon.cli.context import (
    CliContext,
    CommandGroup,
    json_option,
    list_options,
    pass_cli_context,
    reason_option,
)
from daemon.cli.tables import print_table


@click.group(cls=CommandGroup)
def quarantine() -> None:
    """See what came in and could not be stored, and settle it."""


@quarantine.command("list")
@click.option("--settled", is_flag=True, help="Those that somebody has settled.")
@list_options
@json_option
@pass_cli_context
def list_quarantined_signals(
    cli: CliContext, *, settled: bool, limit: int, after: str | None, json_: bool
) -> None:
    """Show what waits for a person, oldest first: what it was, who sent it, and why it is here."""
    query = {"settled": "true"} if settled else {}
    found = cli.client().get("quarantine", limit=limit, after=after, **query)
    if json_:
        print_json(found)
        return
    rows = [
        {**each, **{name: each["kept"].get(name, "") for name in ("sender", "text")}}
        for each in found["items"]
    ]
    columns = {
        "id": "id",
        "session": "session",
        "received_at": "came in",
        "signal": "what",
        "sender": "from",
        "text": "words",
        "sentence": "why",
    }
    print_table(rows, columns, empty="Nothing to settle: everything that came in was stored.")


@quarantine.command("settle")
@click.argument("signal")
@reason_option()
@json_option
@pass_cli_context
def settle_quarantined_signal(cli: CliContext, *, signal: str, reason: str, json_: bool) -> None:
    """Say that you looked at SIGNAL, by its id, and what it was.

    Commercial messages to its sender go on, unless something else holds them.
    """
    settled = cli.client().post("quarantine", signal, "settle", reason=reason)
    if json_:
        print_json(settled)
    else:
        print_text(f"{settled['id']}: settled — {settled['settled_reason']}")
