"""`leadmaster clients`: who gets deliveries, and which contacts each may write to."""

from __future__ import annotations

import contextlib
import re
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
from daemon.errors import BadRequest, NotFound

_COLUMNS = {"id": "client", "name": "name", "created_at": "since", "created_by": "by"}
_NO_TERMS = {"client", "changed_at", "changed_by"}
_PRICE = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,2}))?")
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
        client=find_client(daemon, client),
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
        client=find_client(daemon, client),
        allowed=answer == "yes",
        inbound=message,
    )
    if json_:
        print_json(shares)
    else:
        print_table(shares["items"], _SHARE_COLUMNS, empty="There is no client yet.")


@clients.command("terms")
@click.argument("client")
@click.option("--price", default=None, help="For each accepted row, such as 4500 or 4500.50.")
@click.option("--currency", default=None, help="Three letters, such as ARS.")
@click.option("--dispute-days", type=int, default=None, help="For how long a row may be disputed.")
@click.option("--reason", "reasons", multiple=True, help="For which; may be repeated.")
@click.option(
    "--exclusive-days", type=int, default=None, help="For how long nobody else gets them."
)
@click.option("--column", "columns", multiple=True, help="Of the file; may be repeated.")
@click.option("--silence-accepts/--silence-waits", default=None, help="After the last day.")
@click.option("--language", type=click.Choice(["es", "en"]), default=None, help="Of the file.")
@json_option
@pass_cli_context
def show_terms(
    cli: CliContext, /, *, client: str, price: str | None, json_: bool, **given: object
) -> None:
    """Show the terms of CLIENT (name or id), or set those that are given; the others stay."""
    daemon = cli.client()
    id_ = find_client(daemon, client)
    changes = {name: value for name, value in given.items() if value not in (None, ())}
    if price is not None:
        changes["price_cents"] = _parse_price(price)
    terms = _set_terms(daemon, id_, changes) if changes else daemon.get("clients", id_, "terms")
    if json_:
        print_json(terms)
        return
    print_text(f"{terms['price_cents'] / 100:.2f} {terms['currency']} for each accepted row")
    print_text(f"disputed within {terms['dispute_days']} days: {'; '.join(terms['reasons'])}")
    silent = "is accepted" if terms["silence_accepts"] else "waits"
    print_text(f"what nobody disputes {silent}; alone for {terms['exclusive_days']} days")
    print_text(f"columns ({terms['language']}): {', '.join(terms['columns'])}")


def _set_terms(daemon: ControlClient, client: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Set the terms that are given; those that are not keep what they are."""
    kept: dict[str, Any] = {}
    with contextlib.suppress(NotFound):
        found = daemon.get("clients", client, "terms")
        kept = {name: each for name, each in found.items() if name not in _NO_TERMS}
    terms: dict[str, Any] = daemon.post("clients", client, "terms", **(kept | changes))
    return terms


def _parse_price(text: str) -> int:
    """Return an amount in hundredths. Raises BadRequest for a text that is none."""
    match = _PRICE.fullmatch(text)
    if match is None:
        raise BadRequest(
            f"price: {text!r} is no amount.", hint="Write it with a point, such as 4500.50."
        )
    return int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))


def find_client(daemon: ControlClient, wanted: str) -> str:
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
