"""Which rule files a command means: those named, laid over the shipped ones, or the live folder."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from daemon.cli.context import Here
    from rules import RuleFile, RuleSet

F = TypeVar("F", bound=Callable[..., Any])


def rule_paths(command: F) -> F:
    """Add the arguments of every command that reads rule files."""
    command = click.option("--alone", is_flag=True, help="Without the shipped rules under them.")(
        command
    )
    return click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True))(command)


def files_of(here: Here, paths: Sequence[Path], *, alone: bool = False) -> tuple[RuleFile, ...]:
    """Read the files that are meant; raise :class:`RulesRejected` where one can't be read."""
    import rules
    from daemon.errors import RulesRejected
    from daemon.rulebook import folder

    settings = here.settings().rules
    try:
        if not paths:
            return folder.live(settings)
        own = folder.own(paths)
        return own if alone else (*folder.shipped(settings), *own)
    except rules.RulesInvalid as error:
        raise RulesRejected(str(error)) from error


def channels_of(here: Here) -> tuple[str, ...] | None:
    """Return the channels that the daemon can route to; None where none is there to tell."""
    from daemon.errors import NotAllowed, NotRunning, Unavailable

    try:
        return tuple(here.client().get("rules")["channels"])
    except (NotAllowed, NotRunning, Unavailable):
        return None


def sets_of(files: Sequence[RuleFile], channels: Collection[str] | None = None) -> list[RuleSet]:
    """Load the sets that the files make; raise :class:`RulesRejected` with every problem."""
    import rules
    from daemon.errors import RulesRejected

    try:
        return list(rules.load_sets(files, channels).values())
    except rules.RulesInvalid as error:
        raise RulesRejected(str(error)) from error
