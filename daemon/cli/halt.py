"""`leadmaster halt` and `resume`: the stop of everything, and its lifting by a person."""

from __future__ import annotations

import click

from daemon.cli.context import CliContext, json_option, pass_cli_context
from daemon.cli.moments import format_time
from daemon.cli.screen import print_hint, print_json, print_text


@click.command("halt")
@click.argument("reason")
@json_option
@pass_cli_context
def halt_sending(cli: CliContext, *, reason: str, json_: bool) -> None:
    """Stop everything that would go out, replies included, until a person resumes."""
    state = cli.client().post("halt", reason=reason)
    if json_:
        print_json(state)
    else:
        print_text(f"halted since {format_time(state['at'])} by {state['who']}: {state['reason']}")
        print_hint("Nothing goes out any more. Lift it with: leadmaster resume REASON")


@click.command("resume")
@click.argument("reason")
@json_option
@pass_cli_context
def resume_sending(cli: CliContext, *, reason: str, json_: bool) -> None:
    """Lift the halt; what waited is judged again by today's rules."""
    state = cli.client().post("resume", reason=reason)
    if json_:
        print_json(state)
    else:
        print_text("Sending is resumed; what waited is being judged again.")
