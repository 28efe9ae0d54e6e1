"""`leadmaster clients`: who gets deliveries, and which contacts each may write to."""

from __future__ import annotations

import uuid
from typing import Any

import click

from daemon.cli.client import ControlClient
from daemon.cli.console import print_hint, print_json, print_text
from daemon.cli.context import (
    CliContext,
    CommandGroup,
    json_option,
    list_options,
    pass_cli_context,
)
from daemon.cli.tables import print_table
from daemon.errors import NotFound

_COLUMNS = {"id": "client", "name": "name", "created_at": "since", "created_by": "by"}
_SHARE_COLUMNS = {
    "name": "client",
    "asked_at": "asked",
    "allowed": "may write",
    "answered_at": "answered",
    "quote": "words",
}


@click.group(cls=CommandGroup)
def clients() -> None:
    """Keep clients, and ask people whether one of them may write to them."""


@clients.command("list")
@list_options
@json_option
@pass_cli_context
def list_clients(cli: CliContext, *, limit: int, after: str | None, json_: bool) -> None:
    """Show clients, in the order in which they were added."""
    found = cli.client().get("clients", limit=limit, after=after)
    if json_:
        print_json(found)
    else:
        print_table(found["items"], _COLUMNS, empty="There is no client yet.")


@clients.command("add")
@click.argument("name")
@json_option
@pass_cli_context
def add_client(cli: CliContext, *, name: str, json_: bool) -> None:
    """Add a client by the NAME that people know."""
    client = cli.client().post("clients", name=name)
    if json_:
        print_json(client)
    else:
        print_text(f"{client['id']}: {client['name']}")


@clients.command("ask")
@click.argument("client")
@click.argument("chat")
@json_option
@pass_cli_context
def ask_to_share(cli: CliContext, *, client: str, chat: str, json_: bool) -> None:
    """Ask the person in CHAT, who is interested, whether CLIENT (name or id) may write to them."""
    daemon = cli.client()
    seen = daemon.get("conversations", chat)["last_seen"]
    message = daemon.post(
        *("conversations", chat, "share", "ask"),
        client=_find_client(daemon, client),
        last_seen=seen,
        key=uuid.uuid4().hex,
    )
    if json_:
        print_json(message)
        return
    print_text(f"{message['id']}: {message['state']} — {message['text']}")
    print_hint(f"Their answer: leadmaster clients answer {client!r} {chat} yes")


@clients.command("answer")
@click.argument("client")
@click.argument("chat")
@click.argument("answer", type=click.Choice(["yes", "no"]))
@click.option("--message", default="", help="The message of theirs that says so; else the last.")
@json_option
@pass_cli_context
def record_answer(
    cli: CliContext, *, client: str, chat: str, answer: str, message: str, json_: bool
) -> None:
    """Record whether the person in CHAT said that CLIENT (name or id) may write to them."""
    daemon = cli.client()
    shares = daemon.post(
        *("conversations", chat, "share", "answer"),
        client=_find_client(daemon, client),
        allowed=answer == "yes",
        inbound=message,
    )
    if json_:
        print_json(shares)
    else:
        print_table(shares["items"], _SHARE_COLUMNS, empty="There is no client yet.")


def _find_client(daemon: ControlClient, wanted: str) -> str:
    """Return the id of a client by its id or its name."""
    after: str | None = None
    while True:
        found: dict[str, Any] = daemon.get("clients", limit=200, after=after)
        for each in found["items"]:
            if wanted in {each["id"], each["name"]}:
                return str(each["id"])
        after = found["next"]
        if not after:
            raise NotFound(
                f"There is no client {wanted}.", hint="List them: leadmaster clients list"
            )
