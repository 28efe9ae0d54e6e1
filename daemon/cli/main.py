"""`leadmaster`: the group of all commands; turns errors into exit statuses."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import click
from click.core import ParameterSource

from daemon.cli import command_hints
from daemon.cli.console import print_error, print_error_json
from daemon.cli.context import CliContext, LateCommandGroup
from daemon.cli.errors import file_error_from_os, usage_error_from_click
from daemon.errors import LeadMasterError

EXIT_FAILED: Final = 1
EXIT_REFUSED: Final = 2
EXIT_INTERRUPTED: Final = 130
_PATH = click.Path(path_type=Path)
_SERVER_ERROR: Final = 500


_COMMANDS: Final[Mapping[str, str]] = {
    "run": "daemon.cli.serve:run_daemon",
    "demo": "daemon.demo.walkthrough:run_demo",
    "status": "daemon.cli.status:show_status",
    "morning": "daemon.cli.morning:show_morning",
    "budgets": "daemon.cli.budgets:budgets",
    "phases": "daemon.cli.phases:phases",
    "bans": "daemon.cli.bans:bans",
    "alerts": "daemon.cli.alerts:alerts",
    "doctor": "daemon.cli.doctor:run_doctor",
    "sessions": "daemon.cli.sessions:sessions",
    "channels": "daemon.cli.channels:channels",
    "chats": "daemon.cli.chats:chats",
    "clients": "daemon.cli.clients:clients",
    "invite": "daemon.cli.invite:invite",
    "filters": "daemon.cli.filters:filters",
    "campaigns": "daemon.cli.campaigns:campaigns",
    "deliveries": "daemon.cli.deliveries:deliveries",
    "texts": "daemon.cli.texts:texts",
    "send": "daemon.cli.messages:send_message",
    "queue": "daemon.cli.messages:queue",
    "prospects": "daemon.cli.prospects:prospects",
    "review": "daemon.cli.review:review",
    "quarantine": "daemon.cli.quarantine:quarantine",
    "requests": "daemon.cli.requests:requests",
    "manual": "daemon.cli.manual:manual",
    "rules": "daemon.cli.rules:rules",
    "tail": "daemon.cli.tail:tail_events",
    "audit": "daemon.cli.selections:export_audit",
    "halt": "daemon.cli.status:halt_sending",
    "resume": "daemon.cli.status:resume_sending",
    "suppress": "daemon.cli.suppressions:suppress",
    "do-not-call": "daemon.cli.do_not_call:do_not_call",
    "history": "daemon.cli.history:history",
    "backup": "daemon.cli.backup:backup",
    "restore": "daemon.cli.restore:restore",
    "move": "daemon.cli.restore:move",
    "users": "daemon.cli.users:users",
    "tokens": "daemon.cli.users:tokens",
    "open": "daemon.cli.users:print_sign_in_link",
    "service": "daemon.cli.service:service",
}
"""Where each command is, in the order of the help: from the first start to administration.

By name, as the daemon is one of them, and would keep the modules of all others in its memory."""


def _print_version(context: click.Context, _option: click.Parameter, requested: bool) -> None:  # noqa: FBT001
    if requested:
        click.echo(f"leadmaster {version('leadmaster')}")
        context.exit()


@click.group(
    cls=LateCommandGroup,
    late=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
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
    context.obj = CliContext(config, state_dir, socket)
    typed = (
        (f"--{name.replace('_', '-')}", value)
        for name, value in context.params.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    )
    # Those that were typed alone: the others come from the environment, which a copy keeps.
    command_hints.remember_global_options(typed)


def run_command(arguments: Sequence[str]) -> int:
    """Run one command; return its exit status: 0, 1 for a fault of the daemon, 2 for a refusal."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # no crash on a terminal without the character
    # Read from the raw arguments: an error of usage comes before click has parsed them.
    for_program = "--json" in arguments
    try:
        return _invoke_command(arguments)
    except click.exceptions.NoArgsIsHelpError as error:
        return _print_help(error)
    except click.ClickException as error:
        return _report_error(usage_error_from_click(error), for_program=for_program)
    except (click.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except LeadMasterError as error:
        return _report_error(error, for_program=for_program)
    except OSError as error:
        return _report_error(file_error_from_os(error), for_program=for_program)


def _invoke_command(arguments: Sequence[str]) -> int:
    try:
        # Not standalone: click would print errors in its own form, and call sys.exit().
        outcome = leadmaster.main(list(arguments), "leadmaster", standalone_mode=False)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    return outcome if isinstance(outcome, int) else 0


def _report_error(error: LeadMasterError, *, for_program: bool) -> int:
    """Print an error as two lines, or as one JSON document; return the exit status."""
    problem = error.to_problem()
    if for_program:
        print_error_json(problem)
    else:
        print_error(str(problem["code"]), str(error), error.hint)
    status = problem["status"]
    return EXIT_FAILED if isinstance(status, int) and status >= _SERVER_ERROR else EXIT_REFUSED


def _print_help(error: click.exceptions.NoArgsIsHelpError) -> int:
    """Print the help of a group that was called without a command."""
    click.echo(error.format_message(), err=True)
    return EXIT_REFUSED
