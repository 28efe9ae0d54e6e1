"""`leadmaster tokens`: what programs come in with."""

from __future__ import annotations

import click

from daemon.cli.context import CliContext, CommandGroup, json_option, list_options, pass_cli_context
from daemon.cli.moments import format_time
from daemon.cli.screen import print_json, print_text
from daemon.cli.tables import print_table


@click.group(cls=CommandGroup)
def tokens() -> None:
    """Make tokens for programs, see them, revoke them."""


@tokens.command("add")
@click.argument("name")
@click.option("--user", required=True, help="For whom it acts; it never may more than they may.")
@click.option("--scope", "scopes", multiple=True, required=True, help="Such as messages:read.")
@click.option("--hours", type=float, default=None, help="How long it lives; 24 without.")
@json_option
@pass_cli_context
def add_token(
    cli: CliContext,
    *,
    name: str,
    user: str,
    scopes: tuple[str, ...],
    hours: float | None,
    json_: bool,
) -> None:
    """Make a token and print it, this once; NAME says what it is for."""
    made = cli.client().post("tokens", name=name, user=user, scopes=scopes, hours=hours)
    if json_:
        print_json(made)
        return
    print_text(made["token"])
    until = format_time(made["record"]["expires_at"])
    click.echo(f"It is shown this once, and lives until {until}.", err=True)


@tokens.command("list")
@list_options
@json_option
@pass_cli_context
def list_tokens(cli: CliContext, *, limit: int, after: str | None, json_: bool) -> None:
    """Show the tokens, the revoked and the lately expired too; never what they say."""
    found = cli.client().get("tokens", limit=limit, after=after)
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
        print_text(f"There are more: --after {found['next']}")


@tokens.command("revoke")
@click.argument("token")
@json_option
@pass_cli_context
def revoke_token(cli: CliContext, *, token: str, json_: bool) -> None:
    """Revoke a token by its id; whoever holds it is refused from now on."""
    done = cli.client().delete("tokens", token)
    if json_:
        print_json(done)
    else:
        print_text(f"{token} is revoked.")
