"""`leadmaster rules`: check, test, compare, accept and undo rules, and ask why they decided so."""

from __future__ import annotations

import click

from daemon.cli.context import CommandGroup
from daemon.cli.rules import backtesting, changing, checking, explaining


@click.group(cls=CommandGroup)
def rules() -> None:
    """Check the rules, change them, and see why they decided as they did."""


for _command in (
    checking.check_rules,
    checking.run_rule_tests,
    checking.diff_rules,
    explaining.explain_decision,
    changing.show_rules_status,
    changing.reload_rules,
    changing.accept_rules,
    changing.rollback_rules,
    changing.list_rules_history,
    changing.show_shadow,
    backtesting.run_backtest,
):
    rules.add_command(_command)
