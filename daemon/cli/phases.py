"""`leadmaster phases`: which phases of the service are closed, and what the others need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from daemon.cli.console import print_json, print_text
from daemon.cli.context import CliContext, CommandGroup, json_option, pass_cli_context

if TYPE_CHECKING:
    from collections.abc import Mapping

_CRITERIA = {
    "rules_in_force": "the rules of the folder are in force",
    "both_engines": "two rule engines check each other",
    "admin": "an admin can sign in",
    "restore_tested": "the restore of a backup was tested",
    "first_contacts": "first contacts that left",
    "arrived": "of those that can be known: arrived",
    "refused": "of all: opted out or complained",
    "not_seen": "left out of the arrived: nobody can know yet",
}


@click.group(cls=CommandGroup, invoke_without_command=True)
@json_option
@click.pass_context
def phases(context: click.Context, *, json_: bool) -> None:
    """Show which phases are closed, active, planned or deferred, and why; open one early."""
    if context.invoked_subcommand is None:
        context.invoke(list_phases, json_=json_)


@phases.command("list")
@json_option
@pass_cli_context
def list_phases(cli: CliContext, *, json_: bool) -> None:
    """Show every phase, and what it needs to be closed, in numbers."""
    answer = cli.client().get("phases")
    if json_:
        print_json(answer)
        return
    for phase in answer["items"]:
        _print_phase(phase)


@phases.command("open")
@click.argument("number", type=int)
@click.option("--decision", required=True, help="Why it may begin early; everybody reads it.")
@json_option
@pass_cli_context
def open_phase(cli: CliContext, *, number: int, decision: str, json_: bool) -> None:
    """Open the planned phase NUMBER before those that it follows are closed."""
    phase = cli.client().post("phases", str(number), "open", decision=decision)
    if json_:
        print_json(phase)
    else:
        _print_phase(phase)


def _print_phase(phase: Mapping[str, Any]) -> None:
    print_text(f"{phase['number']} {phase['name']}: {phase['state']}. {phase['sentence']}")
    for each in phase["criteria"]:
        mark = "ok" if each["met"] else "--"
        print_text(f"  {mark}  {_CRITERIA[each['code']]}{_describe_value(each)}")
    if opened := phase["opened"]:
        print_text(f"  opened by {opened['who']}: {opened['reason']}")


def _describe_value(criterion: Mapping[str, Any]) -> str:
    if criterion["code"] == "not_seen":
        return f": {criterion['value']:g}"
    if criterion["needed"] == 1:
        return ""
    unit = " %" if criterion["percent"] else ""
    value = "none yet" if criterion["value"] is None else f"{criterion['value']:g}{unit}"
    bound = "at most" if criterion["at_most"] else "at least"
    return f": {value} ({bound} {criterion['needed']:g}{unit})"
