"""`leadmaster review`: messages that wait for a person's word."""

from __future__ import annotations

import click

from daemon.cli.context import Commands, Here, as_json, pass_here, reason
from daemon.cli.screen import print_json, say
from daemon.cli.tables import print_table


@click.group(cls=Commands)
def review() -> None:
    """Decide on messages that the gate holds."""


@review.command("list")
@as_json
@pass_here
def list_(here: Here, *, json_: bool) -> None:
    """Show what is held, oldest first, and why."""
    found = here.client().get("review")
    if json_:
        print_json(found)
        return
    print_table(
        found["items"],
        {
            "id": "message",
            "recipient": "to",
            "changed_at": "held since",
            "sentence": "why",
            "text": "text",
        },
        empty="Nothing waits for you. The gate holds what the rules are not sure about.",
    )


@review.command()
@click.argument("message")
@reason()
@as_json
@pass_here
def approve(here: Here, *, message: str, reason: str, json_: bool) -> None:
    """Approve exactly this text to this person; the gate judges it once more."""
    _decide(here, message, "approve", reason, json_=json_)


@review.command()
@click.argument("message")
@reason()
@as_json
@pass_here
def reject(here: Here, *, message: str, reason: str, json_: bool) -> None:
    """Reject the message: it is blocked for good."""
    _decide(here, message, "reject", reason, json_=json_)


def _decide(here: Here, message: str, word: str, because: str, *, json_: bool) -> None:
    record = here.client().post("review", message, word, reason=because)
    if json_:
        print_json(record)
    else:
        say(f"{record['id']}: {record['state']} — {record['sentence']}")
