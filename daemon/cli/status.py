"""`leadmaster status`, `halt` and `resume`: shows the daemon's state, stops and resumes sending."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import click

from daemon.cli.console import print_hint, print_json, print_text
from daemon.cli.context import CliContext, json_option, pass_cli_context
from daemon.cli.tables import print_fields
from daemon.cli.time_format import format_time
from daemon.cli.words import format_counts, get_word
from daemon.errors import NotRunning

if TYPE_CHECKING:
    from daemon.cli.client import ControlClient

START_SECONDS: Final = 60.0
"""How long `--wait` waits for a daemon that starts."""
_RETRY_SECONDS: Final = 0.1
ENGINES_AGREE: Final = "checked by two engines"
ONE_ENGINE: Final = "one_engine"
"""The code of the warning that only one engine evaluates the rules."""


@click.command("status")
@click.option("--wait", is_flag=True, help="Wait up to a minute for a daemon that starts.")
@json_option
@pass_cli_context
def show_status(cli: CliContext, *, wait: bool, json_: bool) -> None:
    """Show whether messages go out, what waits, and at which addresses it serves."""
    status = _wait_for_status(cli.client()) if wait else cli.client().get("status")
    if json_:
        print_json(status)
        return
    sessions = [
        f"{each['name']} {get_word('connection', each['state'])}" for each in status["sessions"]
    ]
    engines = [each for each in status["warnings"] if each["code"] == ONE_ENGINE]
    others = [each for each in status["warnings"] if each["code"] != ONE_ENGINE]
    print_fields(
        (
            ("version", status["version"]),
            ("sending", _format_sending(status["halt"], status["blockers"])),
            ("blockers", _join_sentences(status["blockers"]) or "none"),
            ("rules", _join_sentences(engines) or ENGINES_AGREE),
            *([("warnings", _join_sentences(others))] if others else []),
            ("sessions", ", ".join(sessions) or "none"),
            ("messages", format_counts(status["messages"], "message")),
            ("addresses", ", ".join(status["addresses"].values())),
            ("clock", status["now"]),
            ("since", status["started_at"]),
        )
    )


def _wait_for_status(client: ControlClient) -> dict[str, Any]:
    """Return the status once the daemon answers; raise NotRunning where it does not in time."""
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            status: dict[str, Any] = client.get("status")
        except NotRunning:
            if time.monotonic() >= until:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return status


def _join_sentences(found: list[dict[str, str]]) -> str:
    return "; ".join(each["sentence"] for each in found)


def print_halt(client: ControlClient) -> None:
    """Print a line where sending is halted."""
    if (halt := client.get("halt")["halt"]) is not None:
        print_text(_format_sending(halt, []))


def _format_sending(halt: dict[str, Any] | None, blockers: list[dict[str, Any]]) -> str:
    if halt is None:
        is_blocked = any(each["session"] is None for each in blockers)
        return "nothing goes out: see blockers" if is_blocked else "on"
    if halt["replies_go"]:
        return f"Only replies go, since {format_time(halt['at'])}: {halt['reason']}"
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
        if not state["stored"]:
            print_hint(
                "The disk refused to store the halt: a restart would lose it. Free some space; the"
                " daemon then stores it by itself."
            )


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
