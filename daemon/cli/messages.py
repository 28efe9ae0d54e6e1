"""`leadmaster send` and `queue`: send a message, list messages, and show one with its timeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from daemon.cli.console import STATE_COLOURS, print_hint, print_json, print_text
from daemon.cli.context import (
    CliContext,
    CommandGroup,
    json_option,
    list_options,
    pass_cli_context,
    reason_option,
)
from daemon.cli.selections import select_messages
from daemon.cli.status import print_halt
from daemon.cli.tables import print_fields, print_hanging, print_table
from daemon.cli.time_format import format_time, parse_time_option
from daemon.cli.words import get_word
from statemachines.vocabulary import BuiltinChannel


def print_timeline(transitions: Sequence[Mapping[str, Any]]) -> None:
    """Print each transition of a message on a line."""
    from rich.text import Text

    for move in transitions:
        state = move["state"]
        before = (
            Text(f"  {format_time(move['at'])}  ")
            .append(state, STATE_COLOURS.get(state, ""))
            .append(" — ")
        )
        print_hanging(before, f"{move['sentence']} ({move['who']})")


_NOT_BEFORE: Final = (
    "Not before this moment, such as 2026-03-02T14:00 by your clock, or with Z. A time that your"
    " clock skips is the next one that exists; of one that comes twice the first is meant."
)
_SHOWN_FIELDS: Final = (
    *("id", "state", "recipient", "session", "channel", "kind", "text"),
    *("due_at", "waits_for", "blocked_by", "wire_id"),
)


@click.command("send")
@click.argument("to")
@click.argument("text")
@click.option("--session", default=None, help="Through this session; else the best one.")
@click.option("--channel", default=None, help="By this channel; manual is by hand.")
@click.option("--template", default=None, help="The template that TEXT is made with.")
@click.option("--typed", default=None, help="What a person typed of TEXT, beside the template.")
@click.option("--key", default=None, help="Idempotency key: the same one never sends twice.")
@click.option("--not-before", default=None, callback=parse_time_option, help=_NOT_BEFORE)
@click.option("--wait", is_flag=True, help="Wait for the gate's verdict.")
@click.option("--check", is_flag=True, help="Only say what would become of it; store nothing.")
@json_option
@pass_cli_context
def send_message(
    cli: CliContext,
    /,
    *,
    to: str,
    text: str,
    key: str | None,
    wait: bool,
    check: bool,
    json_: bool,
    **route: str,
) -> None:
    """Ask for TEXT to be sent to the number TO. The gate decides whether it goes."""
    if check:
        _print_check(cli.client().post("messages", "check", to=to, text=text, **route), json_=json_)
        return
    message = cli.client().send(to, text, key=key, wait=wait, **route)
    if json_:
        print_json(message)
        return
    print_text(f"{message['id']}: {message['state']} — {message['sentence']}")
    print_hint(f"Next: {_next_command(message)}")


def _print_check(found: Mapping[str, Any], *, json_: bool) -> None:
    """Print what would become of a message."""
    if json_:
        print_json(found)
        return
    word = get_word("chats.check", found["outlook"]).format(session=found["session"])
    when = f" ({format_time(found['at'])})" if found["at"] else ""
    print_text(word if found["outlook"] == "now" else f"{word} {found['sentence']}{when}")


def _next_command(message: Mapping[str, Any]) -> str:
    """Return the command for the next step with a message."""
    match message["state"]:
        case "held":
            return f"leadmaster review approve {message['id']} --reason …, or reject"
        case "cleared" if message["channel"] == BuiltinChannel.MANUAL:
            return f"leadmaster manual take {message['id']}"
        case "queued" | "deferred" if message["channel"] == BuiltinChannel.MANUAL:
            return f"once the rules allow it: leadmaster manual take {message['id']}"
        case _:
            return f"leadmaster queue show {message['id']}"


@click.group(cls=CommandGroup)
def queue() -> None:
    """List messages, show one with its history, cancel it, or settle one in doubt."""


@queue.command("list")
@click.option("--state", default=None, help="One state, or several with commas.")
@list_options
@json_option
@pass_cli_context
def list_messages(
    cli: CliContext, *, state: str | None, limit: int, after: str | None, json_: bool
) -> None:
    """Show messages, newest first."""
    answer = cli.client().get("messages", state=state, limit=limit, after=after)
    if json_:
        print_json(answer)
        return
    print_table(
        answer["items"],
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
    print_halt(cli.client())
    if answer["next"]:
        print_text(f"There are more: --after {answer['next']}")


@queue.command("show")
@click.argument("message")
@json_option
@pass_cli_context
def show_message(cli: CliContext, *, message: str, json_: bool) -> None:
    """Show a message with every transition and every decision, each with its reason."""
    answer = cli.client().get("messages", message)
    if json_:
        print_json(answer)
    else:
        _print_message(cli, answer)


def _print_message(cli: CliContext, answer: dict[str, Any]) -> None:
    message = answer["message"]
    print_fields((name, message[name]) for name in _SHOWN_FIELDS)
    print_timeline(answer["history"])
    if answer["forecast"]:
        print_text(f"When will it go? {_format_forecast(answer['forecast'])}")
    print_halt(cli.client())
    if answer["decisions"]:
        print_text("The verdict of the rules:")
        for line in cli.client().get("rules", "explain", message["id"])["lines"]:
            print_text(f"  {line}")


def _format_forecast(forecast: dict[str, Any]) -> str:
    """Return the server's sentence, after its moment where there is one."""
    at, sentence = forecast["at"], forecast["sentence"]
    return f"{format_time(at)}: {sentence}" if at else sentence


@queue.command("cancel")
@click.argument("message")
@reason_option()
@json_option
@pass_cli_context
def cancel_message(cli: CliContext, *, message: str, reason: str, json_: bool) -> None:
    """Cancel a message that has not left."""
    _print_state(cli.client().post("messages", message, "cancel", reason=reason), json_=json_)


@queue.command("settle")
@click.argument("message")
@click.argument("state", type=click.Choice(["failed", "cancelled", "confirmed_by_hand"]))
@reason_option()
@json_option
@pass_cli_context
def settle_message(cli: CliContext, *, message: str, state: str, reason: str, json_: bool) -> None:
    """Say how a message in doubt ended; it is never sent again by itself."""
    answer = cli.client().post("messages", message, "settle", state=state, reason=reason)
    _print_state(answer, json_=json_)


def _print_state(message: dict[str, Any], *, json_: bool) -> None:
    if json_:
        print_json(message)
    else:
        print_text(f"{message['id']}: {message['state']} — {message['sentence']}")


queue.add_command(select_messages)
