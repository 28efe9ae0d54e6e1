"""Collects the rule files of a command: those named, over the shipped ones, or the live folder."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from daemon.cli.context import CliContext
    from rules import RuleFile, Ruleset


F = TypeVar("F", bound=Callable[..., Any])


def rule_path_arguments(command: F) -> F:
    """Add the arguments of every command that reads rule files."""
    command = click.option("--alone", is_flag=True, help="Without the shipped rules under them.")(
        command
    )
    return click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True))(command)


def collect_rule_files(
    cli: CliContext, paths: Sequence[Path], *, alone: bool = False
) -> tuple[RuleFile, ...]:
    """Read the rule files of a command; raise :class:`RulesRejected` where one can't be read."""
    import rules
    from daemon.errors import RulesRejected
    from daemon.rulesets import rule_files

    settings = cli.load_settings().rules
    try:
        if not paths:
            return rule_files.read_configured_files(settings)
        own = rule_files.read_own_files(paths)
        return own if alone else (*rule_files.read_shipped_files(settings), *own)
    except rules.RulesInvalid as error:
        raise RulesRejected(str(error)) from error


def list_daemon_channels(cli: CliContext) -> tuple[str, ...] | None:
    """Return the channels that a rule may route to; None where no daemon answers."""
    from daemon.errors import NotAllowed, NotRunning, Unavailable

    try:
        return tuple(cli.client().get("rules")["channels"])
    except (NotAllowed, NotRunning, Unavailable):
        return None


def load_or_reject(
    files: Sequence[RuleFile], channels: Collection[str] | None = None
) -> list[Ruleset]:
    """Load the rulesets of the files; raise :class:`RulesRejected` with every problem."""
    import rules
    from daemon.errors import RulesRejected

    try:
        return list(rules.load_rulesets(files, channels).values())
    except rules.RulesInvalid as error:
        raise RulesRejected(str(error)) from error
