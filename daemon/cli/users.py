"""`leadmaster users`: who may come in, and in what role."""

from __future__ import annotations

import sys
from typing import Any

import click

from daemon.cli.context import Commands, Here, as_json, pass_here
from daemon.cli.screen import advise, print_json
from daemon.cli.tables import print_table

_ROLE = click.Choice(["viewer", "operator", "admin"])


@click.group(cls=Commands)
def users() -> None:
    """Add people, and say what they may do. A password is asked for, or read from a pipe."""


@users.command()
@click.argument("name")
@click.option("--role", type=_ROLE, required=True, help="What they may do.")
@click.option("--link-only", is_flag=True, help="No password: they come in by `leadmaster open`.")
@as_json
@pass_here
def add(here: Here, *, name: str, role: str, link_only: bool, json_: bool) -> None:
    """Add a user. The first one can be added by root alone, here."""
    password = None if link_only else _password()
    made = here.client().post("users", name=name, role=role, password=password)
    _tell(made, f"{name} is {role}. Let them in with: leadmaster open {name}", json_=json_)


@users.command("list")
@as_json
@pass_here
def list_(here: Here, *, json_: bool) -> None:
    """Show every user, the disabled ones too."""
    found = here.client().get("users")
    if json_:
        print_json(found)
        return
    columns = {
        "name": "name",
        "role": "role",
        "has_password": "password",
        "signed_in_at": "last came in at",
        "disabled_at": "disabled at",
    }
    hint = "There is nobody yet. Begin with: leadmaster users add NAME --role admin"
    print_table(found["items"], columns, empty=hint)


@users.command()
@click.argument("name")
@as_json
@pass_here
def password(here: Here, *, name: str, json_: bool) -> None:
    """Set a new password; the user is signed out everywhere."""
    done = here.client().post("users", name, "password", password=_password())
    _tell(done, f"The password of {name} is set.", json_=json_)


@users.command()
@click.argument("name")
@click.argument("role", type=_ROLE)
@as_json
@pass_here
def role(here: Here, *, name: str, role: str, json_: bool) -> None:
    """Give a user another role; it holds at once."""
    done = here.client().post("users", name, "role", role=role)
    _tell(done, f"{name} is {role}.", json_=json_)


@users.command()
@click.argument("name")
@as_json
@pass_here
def disable(here: Here, *, name: str, json_: bool) -> None:
    """Shut a user out at once: every browser, every token."""
    done = here.client().post("users", name, "disable")
    _tell(done, f"{name} is shut out.", json_=json_)


@users.command()
@click.argument("name")
@as_json
@pass_here
def enable(here: Here, *, name: str, json_: bool) -> None:
    """Let a user come in again; tokens that were revoked stay so."""
    done = here.client().post("users", name, "enable")
    _tell(done, f"{name} may come in again.", json_=json_)


def _password() -> str:
    """Ask twice on a terminal, read one line from a pipe: an argument would stand in `ps`."""
    if sys.stdin.isatty():
        asked: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return asked
    return sys.stdin.readline().rstrip("\r\n")


def _tell(answer: dict[str, Any], sentence: str, *, json_: bool) -> None:
    if json_:
        print_json(answer)
    else:
        advise(sentence)
