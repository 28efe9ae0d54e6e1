"""`leadmaster rules`: check, test, compare, accept and undo rules, and ask why they decided so."""

from __future__ import annotations

import click

from daemon.cli.context import Commands
from daemon.cli.rules import backtesting, changing, checking, explaining


@click.group(cls=Commands)
def rules() -> None:
    """Check the rules, change them, and see why they decided as they did."""


for _command in (
    checking.check,
    checking.test,
    checking.diff,
    explaining.explain,
    changing.status,
    changing.reload,
    changing.accept,
    changing.rollback,
    changing.history,
    changing.shadow,
    backtesting.backtest,
):
    rules.add_command(_command)
