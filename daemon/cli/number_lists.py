"""What the commands that import lists of numbers share: their options, and how they report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from daemon.cli.console import print_text
from daemon.cli.tables import print_table

CommandT = TypeVar("CommandT", bound=Callable[..., object])


def number_list_options(command: CommandT) -> CommandT:
    """Add --phone, --encoding and --sheet to a command."""
    for option in (
        click.option("--sheet", default=None, help="The sheet of a workbook."),
        click.option("--encoding", default=None, help="The encoding of a text, such as cp1252."),
        click.option("--phone", default=None, help="The header of the column with the numbers."),
    ):
        command = option(command)
    return command


def build_list_options(**given: str | None) -> dict[str, str]:
    """Return the options that were given, as the API takes them."""
    return {name: value for name, value in given.items() if value is not None}


def print_list_result(
    done: Mapping[str, Any], rejects: Sequence[Mapping[str, Any]], rejected: int
) -> None:
    """Print how a list was read, what was not, and which records were left out."""
    print_text(f"Read as {done['form']}; numbers from: {', '.join(done['phones'])}.")
    if done["unused"]:
        print_text(f"Not used: {', '.join(done['unused'])}.")
    for remark in done["remarks"]:
        print_text(remark)
    if rejects:
        print_text(f"{rejected} records were not taken, or not whole:")
        print_table(rejects, {"record": "record", "sentence": "what is wrong"}, empty="")
