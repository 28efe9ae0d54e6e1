"""`leadmaster manual`: messages that an operator sends by hand, one at a time."""

from __future__ import annotations

import click

from daemon.cli.context import Commands, Here, as_json, pass_here, reason
from daemon.cli.moments import moment
from daemon.cli.screen import advise, print_json, put, say
from daemon.cli.tables import print_table


@click.group(cls=Commands)
def manual() -> None:
    """Send by hand: take a message, open its chat, confirm or cancel."""


@manual.command("list")
@as_json
@pass_here
def list_(here: Here, *, json_: bool) -> None:
    """Show what may be sent by hand, and who has taken what."""
    found = here.client().get("manual")
    if json_:
        print_json(found)
        return
    print_table(
        found["items"],
        {
            "id": "message",
            "state": "state",
            "recipient": "to",
            "taken_by": "taken by",
            "lease_until": "until",
            "text": "text",
        },
        empty="Nothing is to be sent by hand just now.",
    )


@manual.command()
@click.argument("message")
@as_json
@pass_here
def take(here: Here, *, message: str, json_: bool) -> None:
    """Take a message for yourself; it returns when its lease ends."""
    record = _step(here, message, "take", json_=json_)
    if not json_:
        say(f"Yours until {moment(str(record['lease_until']))}.")
        advise(f"Next: leadmaster manual reveal {message}")


@manual.command()
@click.argument("message")
@as_json
@pass_here
def reveal(here: Here, *, message: str, json_: bool) -> None:
    """Show the link that opens the chat. From here on, say how it ended."""
    answer = here.client().post("manual", message, "reveal")
    if json_:
        print_json(answer)
    else:
        put(answer["link"])
        advise(f"Send it there, then: leadmaster manual confirm {message}, or cancel")


@manual.command()
@click.argument("message")
@as_json
@pass_here
def confirm(here: Here, *, message: str, json_: bool) -> None:
    """Say that you have sent it."""
    _step(here, message, "confirm", json_=json_)


@manual.command()
@click.argument("message")
@reason()
@as_json
@pass_here
def cancel(here: Here, *, message: str, reason: str, json_: bool) -> None:
    """Say that you have not sent it and that it shall not go."""
    _step(here, message, "cancel", json_=json_, reason=reason)


@manual.command("return")
@click.argument("message")
@as_json
@pass_here
def return_(here: Here, *, message: str, json_: bool) -> None:
    """Give a message back unseen, for somebody else to take."""
    _step(here, message, "return", json_=json_)


def _step(here: Here, message: str, word: str, *, json_: bool, **body: object) -> dict[str, object]:
    record: dict[str, object] = here.client().post("manual", message, word, **body)
    if json_:
        print_json(record)
    else:
        say(f"{record['id']}: {record['state']} — {record['sentence']}")
    return record
