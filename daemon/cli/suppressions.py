"""`leadmaster suppress`: lists and changes the contacts that must not be written to."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from daemon.cli.console import print_hint, print_json, print_text, write_csv
from daemon.cli.context import (
    CliContext,
    CommandGroup,
    json_option,
    list_options,
    pass_cli_context,
    reason_option,
)
from daemon.cli.number_lists import build_list_options, number_list_options, print_list_result
from daemon.cli.tables import print_table

_STOP_SENTENCES: Final = {
    "minor": "they may be under 18.",
    "deceased": "the person may have died.",
}


@click.group(cls=CommandGroup)
def suppress() -> None:
    """Keep somebody out of every list, in every form of their number."""


@suppress.command("add")
@click.argument("phone")
@reason_option()
@json_option
@pass_cli_context
def suppress_phone(cli: CliContext, *, phone: str, reason: str, json_: bool) -> None:
    """Suppress a person and cancel what is queued for them."""
    answer = cli.client().post("suppressions", phone=phone, reason=reason)
    if json_:
        print_json(answer)
    else:
        print_text("Suppressed, in every form of the number.")


@suppress.command("list")
@list_options
@json_option
@pass_cli_context
def list_suppressions(cli: CliContext, *, limit: int, after: str | None, json_: bool) -> None:
    """Show who is suppressed, since when and why."""
    found = cli.client().get("suppressions", limit=limit, after=after)
    if json_:
        print_json(found)
        return
    print_table(
        found["items"],
        {"alias": "whom", "at": "since", "source": "source", "reason": "why"},
        empty="Nobody is suppressed.",
    )


@suppress.command("check")
@click.argument("phone")
@json_option
@pass_cli_context
def check_suppression(cli: CliContext, *, phone: str, json_: bool) -> None:
    """Tell whether a person is suppressed or stopped, in whatever form the number is written."""
    found = cli.client().get("suppressions", "check", phone=phone)
    if json_:
        print_json(found)
        return
    if stopped := found["stopped"]:
        print_text(f"Stopped until a person has decided: {_STOP_SENTENCES[stopped]}")
        print_hint("Decide with: leadmaster review meanings")
    if found["records"] or not stopped:
        columns = {"at": "since", "source": "source", "reason": "why"}
        print_table(found["records"], columns, empty="They are not suppressed.")


@suppress.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--region", default=None, help="Two letters: where numbers without + belong.")
@reason_option()
@number_list_options
@json_option
@pass_cli_context
def import_suppressions(
    cli: CliContext,
    *,
    file: Path,
    region: str | None,
    reason: str,
    phone: str | None,
    encoding: str | None,
    sheet: str | None,
    json_: bool,
) -> None:
    """Suppress every number of FILE: an opt-out list of any format, or our own export."""
    client = cli.client()
    upload = client.upload(file.read_bytes(), "uploads", filename=file.name)["upload"]
    options = build_list_options(region=region, phone=phone, encoding=encoding, sheet=sheet)
    done = client.post("suppressions", "import", upload=upload, reason=reason, options=options)
    if json_:
        print_json(done)
        return
    print_text(f"{done['added']} suppressed, {done['already']} were already.")
    print_list_result(done, done["rejected"], len(done["rejected"]))
    if done["other_key"]:
        print_hint(f"Move the key: docs/how-to/move-suppressions.md ({done['other_key']} hashes).")


@suppress.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@json_option
@pass_cli_context
def export_suppressions(cli: CliContext, *, file: Path | None, json_: bool) -> None:
    """Write everybody who is suppressed to FILE as CSV, or to the screen."""
    write_csv(cli.client().download("exports", "suppressions.csv"), file, json_=json_)


@suppress.command("lift")
@click.argument("phone")
@reason_option()
@json_option
@pass_cli_context
def lift_suppression(cli: CliContext, *, phone: str, reason: str, json_: bool) -> None:
    """Correct a mistake of ours. A person's own opt-out only they themselves lift."""
    answer = cli.client().post("suppressions", "lift", phone=phone, reason=reason)
    if json_:
        print_json(answer)
    else:
        print_text("The correction is recorded.")
