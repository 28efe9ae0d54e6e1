"""`leadmaster status`, `halt` and `resume`: shows the daemon's state, stops and resumes sending."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from daemon.cli.console import print_hint, print_json, print_text
from daemon.cli.context import CliContext, json_option, pass_cli_context
from daemon.cli.tables import print_fields
from daemon.cli.time_format import format_time

if TYPE_CHECKING:
    from daemon.cli.client import ControlClient

ENGINES_AGREE: Final = "checked by two engines"
ONE_ENGINE: Final = "one_engine"
"""The code of the warning that only one engine evaluates the rules."""


@click.command("status")
@json_option
@pass_cli_context
def show_status(cli: CliContext, *, json_: bool) -> None:
    """Show whether messages go out, what waits, and at which addresses it serves."""
    status = cli.client().get("status")
    if json_:
        print_json(status)
        return
    sessions = [f"{each['name']} {each['state']}" for each in status["sessions"]]
    engines = [each for each in status["warnings"] if each["code"] == ONE_ENGINE]
    others = [each for each in status["warnings"] if each["code"] != ONE_ENGINE]
    counts = [f"{count} {state}" for state, count in sorted(status["messages"].items())]
    print_fields(
        (
            ("version", status["version"]),
            ("sending", _format_sending(status["halt"])),
            ("blockers", _join_sentences(status["blockers"]) or "none"),
            ("rules", _join_sentences(engines) or ENGINES_AGREE),
            *([("warnings", _join_sentences(others))] if others else []),
            ("sessions", ", ".join(sessions) or "none"),
            ("messages", ", ".join(counts) or "none"),
            ("addresses", ", ".join(status["addresses"].values())),
            ("clock", status["now"]),
            ("since", status["started_at"]),
        )
    )


def _join_sentences(found: list[dict[str, str]]) -> str:
    return "; ".join(each["sentence"] for each in found)


def print_halt(client: ControlClient) -> None:
    """Print a line where sending is halted."""
    if (halt := client.get("halt")["halt"]) is not None:
        print_text(_format_sending(halt))


def _format_sending(halt: dict[str, Any] | None) -> str:
    if halt is None:
        return "on"
    return f"Sending is halted since {format_time(halt['at'])} by {halt['who']}: {halt['reason']}"


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
        print_hint("Nothing goes out now. Resume with: leadmaster resume REASON")


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
        print_text("Sending is resumed; waiting messages are checked again.")
