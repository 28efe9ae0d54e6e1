"""`leadmaster history`: imports what a former system sent and was answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from daemon.cli.console import print_hint, print_json, print_text
from daemon.cli.context import (
    CliContext,
    CommandGroup,
    json_option,
    pass_cli_context,
    reason_option,
)
from daemon.cli.errors import ask_confirmation
from daemon.cli.number_lists import build_list_options
from daemon.cli.tables import print_table
from daemon.cli.time_format import format_time
from daemon.cli.words import format_counts

_KINDS = ("sent", "received", "declined", "opt_out")


@click.group("history", cls=CommandGroup)
def history() -> None:
    """Bring in what a former system sent and was answered, before the first message goes out."""


@history.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--map",
    "mapped",
    multiple=True,
    metavar="COLUMN=HEADER",
    help="Our column (phone, body, direction, written_at) → the header of FILE.",
)
@click.option(
    "--kind",
    type=click.Choice(_KINDS),
    default=None,
    help="What a line is that does not say it itself.",
)
@click.option(
    "--word",
    "words",
    multiple=True,
    metavar="WORD=KIND",
    help=f"What a word in the direction column means: {', '.join(_KINDS)}.",
)
@click.option(
    "--date-order",
    type=click.Choice(["day_first", "month_first"]),
    default=None,
    help="How dates such as 01/02/26 are meant.",
)
@click.option("--time-zone", default=None, help="The zone of times, such as Europe/Madrid.")
@click.option("--region", default=None, help="Two letters: where numbers without + belong.")
@click.option("--encoding", default=None, help="The encoding of a text, such as cp1252.")
@click.option("--sheet", default=None, help="The sheet of a workbook.")
@click.option(
    "--leave-out-rejected",
    is_flag=True,
    help="Import the rest of a file of which some records can't be read.",
)
@click.option("--yes", is_flag=True, help="Import without asking.")
@json_option
@pass_cli_context
def import_history(
    cli: CliContext,
    /,
    *,
    file: Path,
    mapped: tuple[str, ...],
    words: tuple[str, ...],
    leave_out_rejected: bool,
    yes: bool,
    json_: bool,
    **given: str | None,
) -> None:
    """Import FILE: sent messages, answers, refusals and opt-outs, as CSV or XLSX."""
    options: dict[str, Any] = {
        **build_list_options(**given),
        "mapping": _split_pairs(mapped, "--map", "COLUMN=HEADER"),
        "words": _split_pairs(words, "--word", "WORD=KIND"),
        "leave_out_rejected": leave_out_rejected,
    }
    client = cli.client()
    upload = client.upload(file.read_bytes(), "uploads", filename=file.name)["upload"]
    preview = client.post("history", "preview", upload=upload, options=options)
    if not json_:
        _print_preview(preview)
    if not yes:
        ask_confirmation("Import this?", if_declined="Nothing was imported.")
    report = client.post("history", upload=upload, plan=preview["plan"], options=options)
    if json_:
        print_json(report)
        return
    if report["repeated"]:
        print_text("This file was imported before; nothing changed.")
    print_text(
        f"{report['id']}: new {format_counts(report['new'], 'history.kind')};"
        f" {report['known']} known before, {report['rejected']} left out."
    )


@history.command("none")
@reason_option()
@json_option
@pass_cli_context
def declare_none(cli: CliContext, *, reason: str, json_: bool) -> None:
    """Record that there is nothing to import: nobody was written to before."""
    status = cli.client().post("history", "none", reason=reason)
    if json_:
        print_json(status)
    else:
        print_text("It is recorded that there is no history to import.")


@history.command("list")
@json_option
@pass_cli_context
def list_history(cli: CliContext, *, json_: bool) -> None:
    """Show what was imported of the past, or who said that there is nothing."""
    status = cli.client().get("history")
    if json_:
        print_json(status)
        return
    print_table(
        [
            {**each, "lines": format_counts(each["new"], "history.kind")}
            for each in status["imports"]
        ],
        {"filename": "file", "at": "at", "who": "by", "lines": "new lines"},
        empty="No history was imported.",
    )
    if said := status["declaration"]:
        print_text(
            f"{said['who']} said at {format_time(said['at'])} that there is none: {said['reason']}"
        )
    if not status["settled"]:
        print_hint("Import it: leadmaster history import FILE; or: leadmaster history none")


def _split_pairs(pairs: Iterable[str], option: str, form: str) -> dict[str, str]:
    split = [each.rpartition("=") if option == "--word" else each.partition("=") for each in pairs]
    if any(not sign for _, sign, _ in split):
        raise click.BadParameter(f"not {form}", param_hint=option)
    return {name: value for name, _, value in split}


def _print_preview(preview: Mapping[str, Any]) -> None:
    print_text(f"{preview['form']}; {preview['total']} records")
    used = [each for each in preview["columns"] if each["use"] != "unused"]
    print_table(used, {"use": "column", "header": "header of the file"}, empty="")
    if unused := [each["header"] for each in preview["columns"] if each["use"] == "unused"]:
        print_text(f"Not used: {', '.join(unused)}.")
    for remark in preview["remarks"]:
        print_text(remark)
    print_text(
        f"Lines: {format_counts(preview['kinds'], 'history.kind')};"
        f" {preview['known']} known before."
    )
    print_text(
        f"Their messages were read as: {format_counts(preview['requests'], 'history.request')}."
    )
    if words := preview["unknown_words"]:
        print_table(words, {"word": "unknown word", "count": "records"}, empty="")
        print_text(f"Say what a word means: --word WORD={'|'.join(_KINDS)}")
    if preview["open_dates"]:
        print_text(
            f"{preview['open_dates']} dates can be read in two ways"
            f" ({', '.join(preview['date_examples'])}): --date-order day_first|month_first"
        )
    if preview["rejected"]:
        print_text(f"Records that can't be read: {preview['rejected']}")
        print_table(preview["rejects"], {"record": "record", "sentence": "what is wrong"}, empty="")
        print_hint("Correct them, or import the rest: --leave-out-rejected")
