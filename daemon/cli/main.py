"""`leadmaster`: the group of all commands, and the one place where an error becomes two lines."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import click
from click.core import ParameterSource

from daemon.cli import (
    calling,
    demo,
    doctor,
    halt,
    manual,
    messages,
    prospects,
    review,
    rules,
    serve,
    sessions,
    status,
    suppressions,
    tail,
    tokens,
    users,
)
from daemon.cli.context import Commands, Here
from daemon.cli.open import open_
from daemon.cli.problems import misused, unusable
from daemon.cli.screen import explain, explain_to_program
from daemon.errors import LeadMasterError

FAILED: Final = 1
REFUSED: Final = 2
INTERRUPTED: Final = 130
_PATH = click.Path(path_type=Path)
_SERVER_ERROR: Final = 500


def _print_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:  # noqa: FBT001
    if wanted:
        click.echo(f"leadmaster {version('leadmaster')}")
        context.exit()


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option("--config", type=_PATH, envvar="LEADMASTER_CONFIG", help="The settings file.")
@click.option("--state-dir", type=_PATH, envvar="LEADMASTER_STATE_DIR", help="The state folder.")
@click.option("--socket", type=_PATH, envvar="LEADMASTER_SOCKET", help="The control socket.")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version.",
)
@click.pass_context
def leadmaster(
    context: click.Context, config: Path | None, state_dir: Path | None, socket: Path | None
) -> None:
    """WhatsApp sessions behind a gate: nothing goes out that the rules do not allow."""
    context.obj = Here(config, state_dir, socket)
    typed = (
        (f"--{name.replace('_', '-')}", value)
        for name, value in context.params.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    )
    calling.remember(typed)


for _command in (
    serve.run,
    demo.demo,
    status.status,
    doctor.doctor,
    sessions.sessions,
    messages.send,
    messages.queue,
    prospects.prospects,
    review.review,
    manual.manual,
    rules.rules,
    tail.tail,
    halt.halt,
    halt.resume,
    suppressions.suppress,
    users.users,
    tokens.tokens,
    open_,
):
    leadmaster.add_command(_command)


def run(arguments: Sequence[str]) -> int:
    """Run one command; return its exit status: 0, 1 the daemon's fault, 2 the user's."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a sign that a terminal lacks is no failure
    for_program = "--json" in arguments
    try:
        return _run(arguments)
    except click.exceptions.NoArgsIsHelpError as asked:
        return _helped(asked)
    except click.ClickException as error:
        return _refused(misused(error), for_program=for_program)
    except (click.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except LeadMasterError as error:
        return _refused(error, for_program=for_program)
    except OSError as error:
        return _refused(unusable(error), for_program=for_program)


def _run(arguments: Sequence[str]) -> int:
    try:
        outcome = leadmaster.main(list(arguments), "leadmaster", standalone_mode=False)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    return outcome if isinstance(outcome, int) else 0


def _refused(error: LeadMasterError, *, for_program: bool) -> int:
    """Say what went wrong: in two lines, or as one document where JSON was asked for."""
    problem = error.to_problem()
    if for_program:
        explain_to_program(problem)
    else:
        explain(str(problem["code"]), str(error), error.hint)
    status = problem["status"]
    return FAILED if isinstance(status, int) and status >= _SERVER_ERROR else REFUSED


def _helped(asked: click.exceptions.NoArgsIsHelpError) -> int:
    """Show what there is to whoever named a group and no command of it."""
    click.echo(asked.format_message(), err=True)
    return REFUSED
