"""`leadmaster bans`: bans of numbers, and the figures before each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from daemon.cli.console import print_json, print_text
from daemon.cli.context import CliContext, CommandGroup, json_option, pass_cli_context
from daemon.cli.tables import print_fields, print_table
from daemon.cli.time_format import format_time

if TYPE_CHECKING:
    from collections.abc import Mapping


@click.group(cls=CommandGroup)
def bans() -> None:
    """See the bans of numbers: when, until when, and what the figures were before."""


@bans.command("list")
@json_option
@pass_cli_context
def list_bans(cli: CliContext, *, json_: bool) -> None:
    """Show every ban, seen here or reported when a phone was linked, the latest first."""
    answer = cli.client().get("bans")
    if json_:
        print_json(answer)
        return
    columns = {
        "id": "id",
        "phone": "number",
        "session": "session",
        "at": "since",
        "until": "until",
        "reason_code": "why",
        "acknowledged_at": "acknowledged",
    }
    print_table(answer["items"], columns, empty="No number was banned.")


@bans.command("show")
@click.argument("ban")
@json_option
@pass_cli_context
def show_ban(cli: CliContext, *, ban: str, json_: bool) -> None:
    """Show the figures of the 72 hours before a ban, beside their limits."""
    report = cli.client().get("bans", ban)
    if json_:
        print_json(report)
        return
    found = report["ban"]
    print_fields(
        (
            ("number", found["phone"] or "unknown here"),
            ("session", found["session"]),
            ("why", found["reason_code"]),
            ("since", format_time(found["at"])),
            ("until", format_time(found["until"]) if found["until"] else "not announced"),
            ("first contacts in 72 h", report["first_contacts"]),
            ("people with open conversations", len(report["conversations"])),
        )
    )
    rows = [_build_row(figure) for figure in report["figures"]]
    columns = {"what": "what", "last": "before the last one", "worst": "worst", "limit": "limit"}
    print_table(rows, columns, empty="No first contact was made in the 72 hours before.")
    print_text("What to write to WhatsApp is on the page of the ban, in the console.")


def _build_row(figure: Mapping[str, Any]) -> dict[str, str]:
    def format_amount(amount: float | None) -> str:
        return "" if amount is None else f"{amount:.3g} {figure['unit']}"

    return {
        "what": figure["figure"].replace("_", " "),
        "last": format_amount(figure["last"]),
        "worst": format_amount(figure["worst"]),
        "limit": format_amount(figure["limit"]),
    }
