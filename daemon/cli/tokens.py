"""`leadmaster tokens`: what programs come in with."""

from __future__ import annotations

import click

from daemon.cli.context import Commands, Here, as_json, listing, pass_here
from daemon.cli.moments import moment
from daemon.cli.screen import print_json, say
from daemon.cli.tables import print_table


@click.group(cls=Commands)
def tokens() -> None:
    """Make tokens for programs, see them, revoke them."""


@tokens.command()
@click.argument("name")
@click.option("--user", required=True, help="For whom it acts; it never may more than they may.")
@click.option("--scope", "scopes", multiple=True, required=True, help="Such as messages:read.")
@click.option("--hours", type=float, default=None, help="How long it lives; 24 without.")
@as_json
@pass_here
def add(
    here: Here, *, name: str, user: str, scopes: tuple[str, ...], hours: float | None, json_: bool
) -> None:
    """Make a token and print it, this once; NAME says what it is for."""
    made = here.client().post("tokens", name=name, user=user, scopes=scopes, hours=hours)
    if json_:
        print_json(made)
        return
    say(made["token"])
    until = moment(made["record"]["expires_at"])
    click.echo(f"It is shown this once, and lives until {until}.", err=True)


@tokens.command("list")
@listing
@as_json
@pass_here
def list_(here: Here, *, limit: int, after: str | None, json_: bool) -> None:
    """Show the tokens, the revoked and the lately expired too; never what they say."""
    found = here.client().get("tokens", limit=limit, after=after)
    if json_:
        print_json(found)
        return
    rows = [{**each, "scopes": " ".join(each["scopes"])} for each in found["items"]]
    columns = {
        "id": "token",
        "user": "user",
        "name": "for",
        "scopes": "scopes",
        "expires_at": "until",
        "last_used_at": "last used at",
        "revoked_at": "revoked at",
    }
    print_table(rows, columns, empty="There is no token. Make one: leadmaster tokens add NAME")
    if found["next"]:
        say(f"There are more: --after {found['next']}")


@tokens.command()
@click.argument("token")
@as_json
@pass_here
def revoke(here: Here, *, token: str, json_: bool) -> None:
    """Revoke a token by its id; whoever holds it is refused from now on."""
    done = here.client().delete("tokens", token)
    if json_:
        print_json(done)
    else:
        say(f"{token} is revoked.")
