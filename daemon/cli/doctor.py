"""`leadmaster doctor`: checks the installation, and adopts a copied database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from daemon.cli.console import print_hint, print_json, print_text
from daemon.cli.context import CliContext, json_option, pass_cli_context

if TYPE_CHECKING:
    from daemon.cli.doctor_checks import DoctorFinding
    from daemon.settings import Settings


@click.command("doctor")
@click.option(
    "--adopt", metavar="REASON", default=None, help="Accept the database as it lies here."
)
@json_option
@pass_cli_context
def run_doctor(cli: CliContext, *, adopt: str | None, json_: bool) -> int:
    """Check versions, file modes, disk, clock, database, rules and unit; exit 1 if one is ill.

    --adopt takes a copied or restored database for the true one: what was waiting in it is
    cancelled, what was on its way is in doubt, and sending stays halted until you resume.
    """
    settings = cli.load_settings()
    if adopt is not None:
        _adopt_database(settings, adopt)
        print_hint(
            "The database is adopted, and sending is halted. Look, then: leadmaster resume REASON"
        )
        return 0
    from dataclasses import asdict

    from daemon.cli.doctor_checks import run_checks

    found = run_checks(settings)
    well = all(finding.ok for finding in found)
    if json_:
        print_json({"ok": well, "findings": [asdict(finding) for finding in found]})
    else:
        _print_findings(found)
    return 0 if well else 1


def _print_findings(found: list[DoctorFinding]) -> None:
    """Print each finding, with its hint unwrapped."""
    for finding in found:
        print_text(f"{'ok ' if finding.ok else 'BAD'}  {finding.check:<9} {finding.sentence}")
        if finding.hint:
            print_hint(f"{'':15}{finding.hint}")


def _adopt_database(settings: Settings, reason: str) -> None:
    from functools import partial

    from daemon.outbox.halt import halt_and_cancel_pending
    from storage.migrations import MIGRATIONS
    from storage.opening import adopt_database
    from storage.triggers import install_triggers

    # Directly on the files: a daemon refuses to start on a database that is not adopted.
    adopt_database(
        settings.state_dir,
        reason,
        migrations=MIGRATIONS,
        settle=partial(halt_and_cancel_pending, reason=reason),
        at_open=install_triggers,
    )
