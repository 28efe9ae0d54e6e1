"""`leadmaster doctor`: checks the installation, and adopts a copied database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.cli.backup import key_file_option, print_tested_backup
from daemon.cli.console import print_hint, print_json, print_text
from daemon.cli.context import CliContext, json_option, pass_cli_context
from daemon.cli.errors import translate_storage_errors

if TYPE_CHECKING:
    from daemon.cli.doctor_finding import DoctorFinding
    from daemon.settings import Settings


@click.command("doctor")
@click.option(
    "--adopt", metavar="REASON", default=None, help="Accept the database as it lies here."
)
@click.option(
    "--backup",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Test a sealed backup; asks for its key.",
)
@key_file_option
@click.option("--linked", is_flag=True, help="Check what a linked phone needs, and its first hour.")
@click.option(
    "--record",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="With --linked: link a phone for a moment, and record how WhatsApp answers.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, 3600),
    default=60.0,
    help="With --record: how long to listen once it is linked.",
)
@json_option
@pass_cli_context
def run_doctor(
    cli: CliContext,
    *,
    adopt: str | None,
    backup: Path | None,
    key_file: Path | None,
    linked: bool,
    record: Path | None,
    seconds: float,
    json_: bool,
) -> int:
    """Check everything that LeadMaster needs, and say for what is ill which command heals it.

    The machine (disk, memory, clock, units), the installation (versions, file modes, database,
    backups, rules and their engines), and the running daemon, what it sees through the proxy, and
    whether its channels reach their platform. Exit status 0: nothing is ill, though a person may
    have to look; 1: something is ill; 2: nothing could be checked, as the settings are wrong.

    --adopt takes a copied or restored database for the true one: what was waiting in it is
    cancelled, what was on its way is in doubt, and sending stays halted until you resume.

    --linked checks the library, the way to WhatsApp, its certificate, the clock and the linked
    phones instead. --record shows a code, is linked in a folder of its own, sends nothing, and
    unlinks again; the file holds types and times of what went over the wire, and nothing else.
    """
    if record is not None:
        _record_link(cli, record, seconds, linked=linked, json_=json_)
        return 0
    if backup is not None:
        print_tested_backup(cli, backup, key_file, json_=json_)
        return 0
    settings = cli.load_settings()
    if adopt is not None:
        _adopt_database(settings, adopt)
        print_hint(
            "The database is adopted, and sending is halted. Look, then: leadmaster resume REASON"
        )
        return 0
    return _report_checks(_run_linked_checks(cli) if linked else _run_checks(cli), json_=json_)


def _report_checks(found: list[DoctorFinding], *, json_: bool) -> int:
    """Print the findings; return the exit status: 1 where one is ill."""
    from msgspec.structs import asdict

    well = all(finding.ok for finding in found)
    if json_:
        print_json({"ok": well, "findings": [asdict(finding) for finding in found]})
    else:
        _print_findings(found)
    return 0 if well else 1


def _run_checks(cli: CliContext) -> list[DoctorFinding]:
    from daemon.cli.doctor_service import run_checks

    return run_checks(cli.load_settings(), cli.client())


def _run_linked_checks(cli: CliContext) -> list[DoctorFinding]:
    from daemon.cli.linked_checks import run_linked_checks

    return run_linked_checks(cli.load_settings(), cli.client())


def _record_link(cli: CliContext, path: Path, seconds: float, *, linked: bool, json_: bool) -> None:
    """Record a link into a file."""
    from daemon.cli.errors import InvalidUsage
    from daemon.cli.link_recording import record_link

    if not linked:
        raise InvalidUsage("--record belongs to --linked.", hint="doctor --linked --record FILE")
    record_link(cli, path, seconds, json_=json_)


def _print_findings(found: list[DoctorFinding]) -> None:
    """Print each finding, with its hint and its command unwrapped."""
    for finding in found:
        print_text(f"{finding.grade:<4} {finding.check:<9} {finding.sentence}")
        for line in filter(None, (finding.hint, finding.command)):
            print_hint(f"{'':15}{line}")


def _adopt_database(settings: Settings, reason: str) -> None:
    from functools import partial

    from daemon.outbox.halt import halt_and_cancel_pending
    from storage.opening import adopt_database
    from storage.schema_steps import MIGRATIONS
    from storage.triggers import install_triggers

    # Directly on the files: a daemon refuses to start on a database that is not adopted.
    with translate_storage_errors():
        adopt_database(
            settings.state_dir,
            reason,
            migrations=MIGRATIONS,
            settle=partial(halt_and_cancel_pending, reason=reason),
            at_open=install_triggers,
        )
