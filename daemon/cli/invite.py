"""`leadmaster invite`: links by which people write to us first, with a QR code to print."""

from __future__ import annotations

import click

from daemon.cli.console import print_json, print_text
from daemon.cli.context import CliContext, CommandGroup, json_option, list_options, pass_cli_context
from daemon.cli.tables import print_table


@click.group(cls=CommandGroup)
def invite() -> None:
    """Create links by which people write to us first; the console prints them as QR codes."""


@invite.command("add")
@click.argument("session")
@click.argument("name")
@click.option("--words", default=None, help="What the link fills in; in Spanish by default.")
@json_option
@pass_cli_context
def add_invite(cli: CliContext, *, session: str, name: str, words: str | None, json_: bool) -> None:
    """Create a link to the phone of SESSION; NAME says where it hangs, and becomes their origin."""
    made = cli.client().post("invites", session=session, name=name, words=words)
    if json_:
        print_json(made)
        return
    print_text(made["link"])
    click.echo(f"It fills in: {made['text']}", err=True)


@invite.command("list")
@list_options
@json_option
@pass_cli_context
def list_invites(cli: CliContext, *, limit: int, after: str | None, json_: bool) -> None:
    """Show the invitations, with where each hangs."""
    found = cli.client().get("invites", limit=limit, after=after)
    if json_:
        print_json(found)
        return
    columns = {"code": "code", "name": "where", "phone": "phone", "link": "link"}
    print_table(found["items"], columns, empty="There is no invitation yet.")
