"""`leadmaster status`: the whole house at a glance, and the halt wherever it matters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from daemon.cli.context import Here, as_json, pass_here
from daemon.cli.moments import moment
from daemon.cli.screen import print_json, say
from daemon.cli.tables import print_facts

if TYPE_CHECKING:
    from daemon.cli.client import Client


@click.command()
@as_json
@pass_here
def status(here: Here, *, json_: bool) -> None:
    """Show whether messages go out, what waits, and where the doors are."""
    found = here.client().get("status")
    if json_:
        print_json(found)
        return
    sessions = [f"{each['name']} {each['state']}" for each in found["sessions"]]
    counts = [f"{count} {state}" for state, count in sorted(found["messages"].items())]
    print_facts(
        (
            ("version", found["version"]),
            ("sending", _sending(found["halt"])),
            ("blockers", "; ".join(each["sentence"] for each in found["blockers"]) or "none"),
            ("sessions", ", ".join(sessions) or "none"),
            ("messages", ", ".join(counts) or "none"),
            ("doors", ", ".join(found["doors"].values())),
            ("clock", found["now"]),
            ("since", found["started_at"]),
        )
    )


def note_halt(client: Client) -> None:
    """Say on a line of its own that nothing goes out, where that is so."""
    if (halt := client.get("halt")["halt"]) is not None:
        say(_sending(halt))


def _sending(halt: dict[str, Any] | None) -> str:
    if halt is None:
        return "on"
    return f"Sending is halted since {moment(halt['at'])} by {halt['who']}: {halt['reason']}"
