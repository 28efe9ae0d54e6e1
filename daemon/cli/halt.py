"""`leadmaster halt` and `resume`: the stop of everything, and its lifting by a person."""

from __future__ import annotations

import click

from daemon.cli.context import Here, as_json, pass_here
from daemon.cli.moments import moment
from daemon.cli.screen import advise, print_json, say


@click.command()
@click.argument("reason")
@as_json
@pass_here
def halt(here: Here, *, reason: str, json_: bool) -> None:
    """Stop everything that would go out, replies included, until a person resumes."""
    state = here.client().post("halt", reason=reason)
    if json_:
        print_json(state)
    else:
        say(f"halted since {moment(state['at'])} by {state['who']}: {state['reason']}")
        advise("Nothing goes out any more. Lift it with: leadmaster resume REASON")


@click.command()
@click.argument("reason")
@as_json
@pass_here
def resume(here: Here, *, reason: str, json_: bool) -> None:
    """Lift the halt; what waited is judged again by today's rules."""
    state = here.client().post("resume", reason=reason)
    if json_:
        print_json(state)
    else:
        say("Sending is resumed; what waited is being judged again.")
