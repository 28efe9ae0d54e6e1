"""`leadmaster`: the group of all commands, and the one place where an error becomes two lines."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import click

from daemon.cli import (
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
from daemon.cli.context import Here
from daemon.cli.open import open_
from daemon.cli.screen import explain
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


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
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
    try:
        return _run(arguments)
    except click.ClickException as error:
        return _misused(error)
    except (click.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except LeadMasterError as error:
        return _refused(error)
    except OSError as error:
        explain("file", f"{error.filename or 'a file'}: {error.strerror or error}.", "")
        return REFUSED


def _run(arguments: Sequence[str]) -> int:
    try:
        outcome = leadmaster.main(list(arguments), "leadmaster", standalone_mode=False)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    return outcome if isinstance(outcome, int) else 0


def _refused(error: LeadMasterError) -> int:
    problem = error.to_problem()
    explain(str(problem["code"]), str(error), error.hint)
    status = problem["status"]
    return FAILED if isinstance(status, int) and status >= _SERVER_ERROR else REFUSED


def _misused(error: click.ClickException) -> int:
    context = getattr(error, "ctx", None)
    name = context.command_path if context else "leadmaster"
    explain("usage", error.format_message(), f"Try: {name} --help")
    return REFUSED
