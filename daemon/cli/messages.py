"""`leadmaster send` and `queue`: ask for a message, see what becomes of it and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import click

from daemon.cli.context import Commands, Here, as_json, listing, pass_here, reason
from daemon.cli.moments import aware, moment
from daemon.cli.screen import advise, print_json, say
from daemon.cli.status import note_halt
from daemon.cli.story import print_story
from daemon.cli.tables import print_facts, print_table

MANUAL: Final = "manual"
_NOT_BEFORE: Final = "Not before this moment, such as 2026-03-02T14:00 by your clock, or with Z."


@click.command()
@click.argument("to")
@click.argument("text")
@click.option("--session", default=None, help="Through this session; else the best one.")
@click.option("--channel", default=None, help="By this channel; manual is by hand.")
@click.option("--key", default=None, help="Idempotency key: the same one never sends twice.")
@click.option("--not-before", default=None, callback=aware, help=_NOT_BEFORE)
@click.option("--wait", is_flag=True, help="Wait for the gate's verdict.")
@as_json
@pass_here
def send(
    here: Here, /, *, to: str, text: str, key: str | None, wait: bool, json_: bool, **route: str
) -> None:
    """Ask for TEXT to be sent to the number TO. The gate decides whether it goes."""
    message = here.client().send(to, text, key=key, wait=wait, **route)
    if json_:
        print_json(message)
        return
    say(f"{message['id']}: {message['state']} — {message['sentence']}")
    advise(f"Next: {_next(message)}")


def _next(message: Mapping[str, Any]) -> str:
    """Return the command that goes on with a message: by hand, by a person's word, or a look."""
    match message["state"]:
        case "held":
            return f"leadmaster review approve {message['id']} --reason …, or reject"
        case "cleared" if message["channel"] == MANUAL:
            return f"leadmaster manual take {message['id']}"
        case "queued" | "deferred" if message["channel"] == MANUAL:
            return f"once the gate has let it through: leadmaster manual take {message['id']}"
        case _:
            return f"leadmaster queue show {message['id']}"


@click.group(cls=Commands)
def queue() -> None:
    """See every message, and why it stands where it stands."""


@queue.command("list")
@click.option("--state", default=None, help="One state, or several with commas.")
@listing
@as_json
@pass_here
def list_(here: Here, *, state: str | None, limit: int, after: str | None, json_: bool) -> None:
    """Show messages, newest first."""
    found = here.client().get("messages", state=state, limit=limit, after=after)
    if json_:
        print_json(found)
        return
    print_table(
        found["items"],
        {
            "id": "message",
            "state": "state",
            "recipient": "to",
            "session": "session",
            "changed_at": "since",
            "sentence": "why",
        },
        empty="There is no such message. Send one: leadmaster send NUMBER TEXT",
    )
    note_halt(here.client())
    if found["next"]:
        say(f"There are more: --after {found['next']}")


@queue.command()
@click.argument("message")
@as_json
@pass_here
def show(here: Here, *, message: str, json_: bool) -> None:
    """Tell a message's whole story: every move, every decision, each with its why."""
    story = here.client().get("messages", message)
    if json_:
        print_json(story)
    else:
        _print(here, story)


def _print(here: Here, story: dict[str, Any]) -> None:
    message = story["message"]
    names = ("id", "state", "recipient", "session", "channel", "kind", "text", "due_at", "wire_id")
    print_facts((name, message[name]) for name in names)
    print_story(story["history"])
    if story["forecast"]:
        say(f"When will it go? {_when(story['forecast'])}")
    note_halt(here.client())
    if story["decisions"]:
        say("The gate's last word:")
        for line in here.client().get("rules", "explain", message["id"])["lines"]:
            say(f"  {line}")


def _when(forecast: dict[str, Any]) -> str:
    """Return the server's sentence, after the moment that it tells of, where there is one."""
    at, sentence = forecast["at"], forecast["sentence"]
    return f"{moment(at)}: {sentence}" if at else sentence


@queue.command()
@click.argument("message")
@reason()
@as_json
@pass_here
def cancel(here: Here, *, message: str, reason: str, json_: bool) -> None:
    """Cancel a message that has not left."""
    _tell(here.client().post("messages", message, "cancel", reason=reason), json_=json_)


@queue.command()
@click.argument("message")
@click.argument("state", type=click.Choice(["failed", "cancelled", "confirmed_by_hand"]))
@reason()
@as_json
@pass_here
def settle(here: Here, *, message: str, state: str, reason: str, json_: bool) -> None:
    """Say how a message in doubt ended; it is never sent again by itself."""
    answer = here.client().post("messages", message, "settle", state=state, reason=reason)
    _tell(answer, json_=json_)


def _tell(message: dict[str, Any], *, json_: bool) -> None:
    if json_:
        print_json(message)
    else:
        say(f"{message['id']}: {message['state']} — {message['sentence']}")
