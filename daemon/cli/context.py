"""The parts that all commands share: global options, shared options, and the command group."""

from __future__ import annotations

import json
import os
import pkgutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from msgspec import Struct

if TYPE_CHECKING:
    from daemon.cli.client import ControlClient
    from daemon.settings import Settings

DEFAULT_CONFIG: Final = Path("/etc/leadmaster/leadmaster.toml")
_LONGEST_SENTENCE: Final = 200  # characters; more than any of our first sentences has
F = TypeVar("F", bound=Callable[..., Any])


class CliContext(Struct, frozen=True):
    """The global options."""

    config: Path | None = None
    state_dir: Path | None = None
    socket: Path | None = None

    def load_settings(self) -> Settings:
        """Return the settings: file, then environment, then options."""
        from daemon import settings

        options = {
            "LEADMASTER_DAEMON__STATE_DIR": self.state_dir,
            "LEADMASTER_DAEMON__CONTROL_SOCKET": self.socket,
        }
        # As variables of the environment, so that options overrule the file in the same way.
        environ = {name: str(value) for name, value in options.items() if value}
        config = self.config or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
        return settings.load_settings(config, {**os.environ, **environ})

    def client(self) -> ControlClient:
        """Return a client of the daemon that these options mean."""
        from daemon.cli.client import ControlClient

        if self.socket:  # also where the settings can't be read by this user
            return ControlClient(self.socket)
        return ControlClient(self.load_settings().control_socket)


class CommandGroup(click.Group):
    """A group whose help lists the commands in order of use, with their whole first sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own signature
        """Return the commands in the order in which they were added."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        # click's own would shorten each sentence to what fits on one line.
        rows = [
            (name, command.get_short_help_str(_LONGEST_SENTENCE))
            for name in self.list_commands(ctx)
            if (command := self.get_command(ctx, name)) is not None and not command.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


class LateCommandGroup(CommandGroup):
    """A group whose commands are imported when they are asked for."""

    def __init__(self, *args: Any, late: Mapping[str, str], **kwargs: Any) -> None:  # noqa: ANN401 - click's own arguments
        """Take the commands by name, each as `module:attribute`, in the order of the help."""
        super().__init__(*args, **kwargs)
        self._late = late

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of the help, then those that were added."""
        return [*self._late, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported now, or None where there is none of that name."""
        path = self._late.get(cmd_name)
        if path is None:
            return super().get_command(ctx, cmd_name)
        command = pkgutil.resolve_name(path)
        if not isinstance(command, click.Command):
            raise TypeError(path)
        return command


pass_cli_context = click.make_pass_decorator(CliContext)

json_option = click.option(
    "--json", "json_", is_flag=True, help="Print the daemon's answer as JSON, for programs."
)


def parse_json_object(text: str) -> dict[str, Any]:
    """Return the JSON object in `--options`, which a channel defines."""
    try:
        options = json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint="--options") from error
    if not isinstance(options, dict):
        raise click.BadParameter("must be a JSON object", param_hint="--options")
    return options


def list_options(command: F) -> F:
    """Add the options of a paged list: `--limit` and `--after`."""
    command = click.option("--after", default=None, help="Go on after this id (`next` in JSON).")(
        command
    )
    return click.option(
        "--limit", type=click.IntRange(1, 200), default=50, show_default=True, help="How many."
    )(command)


def reason_option(required: bool = True) -> Callable[[F], F]:  # noqa: FBT001, FBT002
    """Return the option for a person's reason, which the audit stores."""
    return click.option("--reason", required=required, help="Why; it is kept in the audit.")
