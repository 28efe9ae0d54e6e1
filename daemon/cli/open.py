"""`leadmaster open`: a link that signs a person in, once."""

from __future__ import annotations

import click

from daemon.cli.context import CliContext, json_option, pass_cli_context
from daemon.cli.screen import print_json, print_text


@click.command("open")
@click.argument("user")
@json_option
@pass_cli_context
def print_sign_in_link(cli: CliContext, *, user: str, json_: bool) -> None:
    """Print a link that signs USER in once, within ten minutes. Treat it like a password."""
    link = cli.client().post("sign-in-links", user=user)
    if json_:
        print_json(link)
        return
    print_text(link["url"])
    click.echo("It works once, for ten minutes.", err=True)
