"""`leadmaster suppress`: who is never to be written to again."""

from __future__ import annotations

import click

from daemon.cli.context import Here, as_json, listing, pass_here, reason
from daemon.cli.screen import print_json, print_table, say


@click.group()
def suppress() -> None:
    """Keep somebody out of every list, in every form of their number."""


@suppress.command()
@click.argument("phone")
@reason()
@as_json
@pass_here
def add(here: Here, *, phone: str, reason: str, json_: bool) -> None:
    """Suppress a person and cancel what is queued for them."""
    answer = here.client().post("suppressions", phone=phone, reason=reason)
    if json_:
        print_json(answer)
    else:
        say("Suppressed, in every form of the number.")


@suppress.command("list")
@listing
@as_json
@pass_here
def list_(here: Here, *, limit: int, after: str | None, json_: bool) -> None:
    """Show who is suppressed, since when and why."""
    found = here.client().get("suppressions", limit=limit, after=after)
    if json_:
        print_json(found)
        return
    print_table(
        found["items"],
        {"contact": "contact", "at": "since", "source": "source", "reason": "why"},
        empty="Nobody is suppressed.",
    )


@suppress.command()
@click.argument("phone")
@reason()
@as_json
@pass_here
def lift(here: Here, *, phone: str, reason: str, json_: bool) -> None:
    """Correct a mistake of ours. A person's own opt-out only they themselves lift."""
    answer = here.client().post("suppressions", "lift", phone=phone, reason=reason)
    if json_:
        print_json(answer)
    else:
        say("The correction is recorded.")
