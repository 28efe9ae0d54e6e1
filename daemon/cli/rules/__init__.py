"""`leadmaster rules`: the group of all commands about rules."""

from __future__ import annotations

import click

from daemon.cli.context import CommandGroup
from daemon.cli.rules import active, backtest, check


@click.group(cls=CommandGroup)
def rules() -> None:
    """Check the rules, change them, and see why they decided as they did."""


for _command in (
    check.check_rules,
    check.run_rule_tests,
    check.diff_rules,
    active.explain_decision,
    active.show_rules_status,
    active.reload_rules,
    active.accept_rules,
    active.rollback_rules,
    active.discard_rules,
    active.list_rules_history,
    active.show_shadow,
    backtest.run_backtest,
):
    rules.add_command(_command)
