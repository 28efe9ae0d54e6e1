"""`leadmaster users`, `tokens` and `open`: users and their roles, API tokens, sign-in links."""

from __future__ import annotations

import sys
from typing import Any

import click

from daemon.cli.console import print_hint, print_json, print_text
from daemon.cli.context import (
    CliContext,
    CommandGroup,
    json_option,
    list_options,
    pass_cli_context,
)
from daemon.cli.tables import print_table
from daemon.cli.time_format import format_time

_ROLE_CHOICE = click.Choice(["viewer", "operator", "admin"])


@click.group(cls=CommandGroup)
def users() -> None:
    """Add users and set their roles. A password is asked for, or read from a pipe."""


@users.command("add")
@click.argument("name")
@click.option("--role", type=_ROLE_CHOICE, required=True, help="What they may do.")
@click.option("--link-only", is_flag=True, help="No password: they sign in with `leadmaster open`.")
@json_option
@pass_cli_context
def add_user(cli: CliContext, *, name: str, role: str, link_only: bool, json_: bool) -> None:
    """Add a user. The first one can be added by root alone, here."""
    password = None if link_only else _ask_password()
    made = cli.client().post("users", name=name, role=role, password=password)
    _print_result(made, f"{name} is {role}. They sign in with: leadmaster open {name}", json_=json_)


@users.command("list")
@json_option
@pass_cli_context
def list_users(cli: CliContext, *, json_: bool) -> None:
    """Show every user, the disabled ones too."""
    answer = cli.client().get("users")
    if json_:
        print_json(answer)
        return
    columns = {
        "name": "name",
        "role": "role",
        "has_password": "password",
        "seen_at": "last seen at",
        "seen_from": "from",
        "phone": "own number",
        "disabled_at": "disabled at",
    }
    hint = "There are no users yet. Start with: leadmaster users add NAME --role admin"
    print_table(answer["items"], columns, empty=hint)


@users.command("password")
@click.argument("name")
@json_option
@pass_cli_context
def set_password(cli: CliContext, *, name: str, json_: bool) -> None:
    """Set a new password; the user is signed out everywhere."""
    done = cli.client().post("users", name, "password", password=_ask_password())
    _print_result(done, f"The password of {name} is set.", json_=json_)


@users.command("role")
@click.argument("name")
@click.argument("role", type=_ROLE_CHOICE)
@json_option
@pass_cli_context
def set_role(cli: CliContext, *, name: str, role: str, json_: bool) -> None:
    """Give a user another role; it holds at once."""
    done = cli.client().post("users", name, "role", role=role)
    _print_result(done, f"{name} is {role}.", json_=json_)


@users.command("phone")
@click.argument("name")
@click.argument("phone", default="")
@json_option
@pass_cli_context
def set_own_number(cli: CliContext, *, name: str, phone: str, json_: bool) -> None:
    """Store the own PHONE of a user, for tests and alerts; without one, they have none."""
    done = cli.client().post("users", name, "phone", phone=phone or None)
    said = f"{name}'s own number is {done['phone']}." if phone else f"{name} has no number here."
    _print_result(done, said, json_=json_)


@users.command("disable")
@click.argument("name")
@json_option
@pass_cli_context
def disable_user(cli: CliContext, *, name: str, json_: bool) -> None:
    """Disable a user at once: every browser session and every token ends."""
    done = cli.client().post("users", name, "disable")
    _print_result(done, f"{name} can no longer sign in.", json_=json_)


@users.command("enable")
@click.argument("name")
@json_option
@pass_cli_context
def enable_user(cli: CliContext, *, name: str, json_: bool) -> None:
    """Enable a user again; revoked tokens stay revoked."""
    done = cli.client().post("users", name, "enable")
    _print_result(done, f"{name} can sign in again.", json_=json_)


def _ask_password() -> str:
    """Return a password: asked for twice on a terminal, or one line from a pipe."""
    # Never as an argument: everybody on the machine could read it in `ps`.
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().rstrip("\r\n")


def _print_result(answer: dict[str, Any], sentence: str, *, json_: bool) -> None:
    if json_:
        print_json(answer)
    else:
        print_hint(sentence)


@click.group(cls=CommandGroup)
def tokens() -> None:
    """Create, list and revoke tokens for programs."""


@tokens.command("add")
@click.argument("name")
@click.option(
    "--user", required=True, help="The user it acts for; it never has more rights than they have."
)
@click.option("--scope", "scopes", multiple=True, required=True, help="Such as messages:read.")
@click.option("--hours", type=float, default=None, help="Hours it is valid; 24 by default.")
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
    # The rest on standard error, so that a pipe gets the token alone.
    until = format_time(made["record"]["expires_at"])
    click.echo(f"It is shown only now, and is valid until {until}.", err=True)


@tokens.command("list")
@list_options
@json_option
@pass_cli_context
def list_tokens(cli: CliContext, *, limit: int, after: str | None, json_: bool) -> None:
    """Show the tokens, the revoked and the lately expired too; never what they say."""
    answer = cli.client().get("tokens", limit=limit, after=after)
    if json_:
        print_json(answer)
        return
    rows = [{**each, "scopes": " ".join(each["scopes"])} for each in answer["items"]]
    columns = {
        "id": "token",
        "user": "user",
        "name": "for",
        "scopes": "scopes",
        "expires_at": "until",
        "last_used_at": "last used at",
        "last_used_from": "from",
        "revoked_at": "revoked at",
    }
    print_table(
        rows, columns, empty="There are no tokens yet. Create one: leadmaster tokens add NAME"
    )
    if answer["next"]:
        print_text(f"There are more: --after {answer['next']}")


@tokens.command("revoke")
@click.argument("token")
@json_option
@pass_cli_context
def revoke_token(cli: CliContext, *, token: str, json_: bool) -> None:
    """Revoke a token by its id; it is refused from now on."""
    done = cli.client().delete("tokens", token)
    if json_:
        print_json(done)
    else:
        print_text(f"{token} is revoked.")


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
