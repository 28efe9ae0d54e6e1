"""`leadmaster manual`: messages that an operator sends by hand, one at a time."""

from __future__ import annotations

import click

from daemon.cli.console import print_hint, print_json, print_raw, print_text
from daemon.cli.context import (
    CliContext,
    CommandGroup,
    json_option,
    pass_cli_context,
    reason_option,
)
from daemon.cli.tables import print_table
from daemon.cli.time_format import format_time


@click.group(cls=CommandGroup)
def manual() -> None:
    """Send by hand: take a message, open its chat, confirm or cancel."""


@manual.command("list")
@json_option
@pass_cli_context
def list_manual_messages(cli: CliContext, *, json_: bool) -> None:
    """Show what may be sent by hand, and who has taken what."""
    answer = cli.client().get("manual")
    if json_:
        print_json(answer)
        return
    print_table(
        answer["items"],
        {
            "id": "message",
            "state": "state",
            "recipient": "to",
            "taken_by": "taken by",
            "lease_until": "until",
            "text": "text",
        },
        empty="There is nothing to send by hand now.",
    )


@manual.command("take")
@click.argument("message")
@json_option
@pass_cli_context
def take_message(cli: CliContext, *, message: str, json_: bool) -> None:
    """Take a message for yourself; it returns when its lease ends."""
    record = _post_action(cli, message, "take", json_=json_)
    if not json_:
        print_text(f"Yours until {format_time(str(record['lease_until']))}.")
        print_hint(f"Next: leadmaster manual reveal {message}")


@manual.command("reveal")
@click.argument("message")
@json_option
@pass_cli_context
def reveal_link(cli: CliContext, *, message: str, json_: bool) -> None:
    """Show the link that opens the chat. From here on, say how it ended."""
    answer = cli.client().post("manual", message, "reveal")
    if json_:
        print_json(answer)
    else:
        print_raw(answer["link"])
        print_hint(f"Send it there, then: leadmaster manual confirm {message}, or cancel")


@manual.command("confirm")
@click.argument("message")
@json_option
@pass_cli_context
def confirm_sent(cli: CliContext, *, message: str, json_: bool) -> None:
    """Say that you have sent it."""
    _post_action(cli, message, "confirm", json_=json_)


@manual.command("cancel")
@click.argument("message")
@reason_option()
@json_option
@pass_cli_context
def cancel_manual_message(cli: CliContext, *, message: str, reason: str, json_: bool) -> None:
    """Say that you have not sent it and that it shall not go."""
    _post_action(cli, message, "cancel", json_=json_, reason=reason)


@manual.command("return")
@click.argument("message")
@json_option
@pass_cli_context
def return_message(cli: CliContext, *, message: str, json_: bool) -> None:
    """Give a message back unseen, for somebody else to take."""
    _post_action(cli, message, "return", json_=json_)


def _post_action(
    cli: CliContext, message: str, action: str, *, json_: bool, **body: object
) -> dict[str, object]:
    record: dict[str, object] = cli.client().post("manual", message, action, **body)
    if json_:
        print_json(record)
    else:
        print_text(f"{record['id']}: {record['state']} — {record['sentence']}")
    return record
