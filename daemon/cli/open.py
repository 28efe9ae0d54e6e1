"""`leadmaster open`: a link that signs a person in, once."""

from __future__ import annotations

import click

from daemon.cli.context import Here, as_json, pass_here
from daemon.cli.screen import print_json, say


@click.command("open")
@click.argument("user")
@as_json
@pass_here
def open_(here: Here, *, user: str, json_: bool) -> None:
    """Print a link that signs USER in once, within ten minutes. Treat it like a password."""
    link = here.client().post("sign-in-links", user=user)
    if json_:
        print_json(link)
        return
    say(link["url"])
    click.echo("It works once, for ten minutes.", err=True)
