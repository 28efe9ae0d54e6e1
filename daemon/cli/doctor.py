"""`leadmaster doctor`: look the installation over; accept a copied database on a person's word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from daemon.cli.context import Here, as_json, pass_here
from daemon.cli.screen import advise, print_json, say

if TYPE_CHECKING:
    from daemon.cli.checks import Finding
    from daemon.settings import Settings


@click.command()
@click.option(
    "--adopt", metavar="REASON", default=None, help="Accept the database as it lies here."
)
@as_json
@pass_here
def doctor(here: Here, *, adopt: str | None, json_: bool) -> int:
    """Check versions, file modes, disk, clock, database, rules and unit; exit 1 if one is ill.

    --adopt takes a copied or restored database for the true one: what was waiting in it is
    cancelled, what was on its way is in doubt, and sending stays halted until you resume.
    """
    settings = here.settings()
    if adopt is not None:
        _adopt(settings, adopt)
        advise(
            "The database is adopted, and sending is halted. Look, then: leadmaster resume REASON"
        )
        return 0
    from dataclasses import asdict

    from daemon.cli.checks import examined

    found = examined(settings)
    well = all(finding.ok for finding in found)
    if json_:
        print_json({"ok": well, "findings": [asdict(finding) for finding in found]})
    else:
        _tell(found)
    return 0 if well else 1


def _tell(found: list[Finding]) -> None:
    """Print one line a finding, whole: a path or a command that is folded can't be copied."""
    for finding in found:
        say(f"{'ok ' if finding.ok else 'ILL'}  {finding.check:<9} {finding.sentence}")
        if finding.hint:
            advise(f"{'':15}{finding.hint}")


def _adopt(settings: Settings, reason: str) -> None:
    from functools import partial

    from daemon.cli.adopting import settle
    from storage.guards import install
    from storage.migrations import migrations
    from storage.opening import adopt

    adopt(
        settings.state_dir,
        reason,
        migrations=migrations,
        settle=partial(settle, reason=reason),
        at_open=install,
    )
