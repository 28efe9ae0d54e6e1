"""Imports a list of prospects: preview, confirmation, progress bar, report, rejects."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from daemon.cli.client import ControlClient, error_from_problem
from daemon.cli.console import build_console, print_json, print_text
from daemon.cli.errors import ask_confirmation
from daemon.cli.tables import print_table
from daemon.cli.words import format_counts, get_word
from daemon.errors import NotRunning

MAX_SHOWN_REJECTS = 20
_REJECT_COLUMNS = ("record", "reason_code", "sentence")


def build_import_options(
    mapped: Iterable[str],
    *,
    origin: str | None,
    origin_words: str | None = None,
    consent_statement: str | None,
    words: Iterable[str] = (),
    kept: Iterable[str] = (),
    record_consents: bool = False,
    **others: str | None,
) -> dict[str, Any]:
    """Return the options of the import request; those that were not given are left out.

    ``others`` have the names that the request gives them.
    """
    pairs = [each.partition("=") for each in mapped]
    if bad := next((column for column, sign, _ in pairs if not sign), None):
        raise click.BadParameter(f"{bad!r} is not COLUMN=HEADER", param_hint="--map")
    meanings = [each.rpartition("=") for each in words]
    if bad := next((answer for _, sign, answer in meanings if not sign), None):
        raise click.BadParameter(f"{bad!r} is not WORD=MEANING", param_hint="--word")
    options = {
        **others,
        "mapping": {column: header for column, _, header in pairs} or None,
        "cartera_origen": origin,
        "origen_en_palabras": origin_words,
        "statement": consent_statement,
        "consent_words": {word: answer for word, _, answer in meanings} or None,
        "fields": list(kept) or None,
        "record_consents": record_consents or None,
    }
    return {key: value for key, value in options.items() if value is not None}


def import_file(
    client: ControlClient,
    path: Path,
    options: Mapping[str, Any],
    *,
    yes: bool,
    rejects: Path | None = None,
    json_: bool = False,
    max_shown: int = MAX_SHOWN_REJECTS,
) -> None:
    """Upload a file and import it after a confirmation, showing each step.

    At most `max_shown` rejects are listed; all of them go to the file `rejects`.
    """
    if rejects:
        rejects.touch(mode=0o600)  # a path that can't be written must fail before the import
    upload = client.upload(path.read_bytes(), "uploads", filename=path.name)["upload"]
    preview = client.post("imports", "preview", upload=upload, options=options)
    if not json_:
        print_preview(preview)
    if not yes:
        ask_confirmation("Import this?", if_declined="Nothing was imported.")
    report = _follow_import(client, upload, options, plan=preview["plan"], quiet=json_)
    rejected = client.get("imports", report["id"], "rejects")["items"]
    if rejects:
        _write_rejects(rejects, rejected)
    if json_:
        print_json(report)
        return
    print_report(report, rejected[:max_shown])
    if rejects:
        print_text(f"{len(rejected)} rejects are in {rejects}")
    elif len(rejected) > max_shown:
        print_text(f"{len(rejected) - max_shown} more; all of them: --rejects FILE")


def print_preview(preview: Mapping[str, Any]) -> None:
    """Print what a preview says: format, columns, first records, questions, people, counts."""
    print_text(f"{preview['form']}; {preview['total']} records")
    _print_same_file(preview["same_file"])
    guessed = [{"ours": ours, "header": header} for ours, header in preview["mapping"].items()]
    print_table(guessed, {"ours": "column", "header": "header of the file"}, empty="")
    _print_readings(preview["rows"])
    for sentence in preview["notices"]:
        print_text(sentence)
    unused = [each["header"] for each in preview["columns"] if each["use"] == "unused"]
    if unused:
        print_text(f"Not used: {', '.join(unused)}. Keep one as data: --keep HEADER")
    print_doubts(preview["doubts"])
    print_known_people(preview["known"])
    _print_planned_records("left out", preview["rejects"], preview["counts"]["rejected"])
    _print_planned_records("to look at", preview["doubtful"], preview["in_doubt"])
    print_text(f"The import would give: {format_counts(preview['counts'], 'outcome')}")
    for sentence, count in preview["remarks"].items():
        print_text(f"{count} of them: {sentence}")
    if preview["remarks"]:
        print_text("How a consent was obtained is said with --consent-statement, or in a column.")


def _print_readings(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print what each cell of the first records became."""
    readings = [
        {"record": row["record"], **each, "value": _describe_reading(each, row)}
        for row in rows
        for each in row["readings"]
    ]
    columns = {"record": "record", "header": "header", "cell": "cell", "value": "became"}
    print_table(readings, columns, empty="The file has no rows.")


def _describe_reading(reading: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    meaning: str = reading["meaning"]
    if meaning == "number":
        return f"{reading['value']}, {row['line_type']}" if reading["value"] else "no number"
    if meaning == "text":
        return str(reading["use"])
    return f"{meaning} {reading['value']}".rstrip().replace("_", " ")


def _print_planned_records(title: str, found: Sequence[Mapping[str, Any]], total: int) -> None:
    """Print records of a preview by name, each with its sentences."""
    rows = [
        {**each, "sentence": " ".join(remark["sentence"] for remark in each["remarks"])}
        for each in found[:MAX_SHOWN_REJECTS]
    ]
    if rows:
        columns = {"record": "record", "name": "name", "cell": "number", "sentence": title}
        print_table(rows, columns, empty="")
    if total > len(rows):
        print_text(f"{total - len(rows)} more records {title}.")


def _print_same_file(imports: Iterable[Mapping[str, Any]]) -> None:
    for each in imports:
        print_text(
            f"Imported before as {each['filename']}, by {each['who']}, on {each['at'][:10]}:"
            f" {each['id']}. With the same answers nothing is done twice."
        )


def print_doubts(doubts: Mapping[str, Any]) -> None:
    """Print what a list leaves open, each with its records, examples, and the option that answers.

    What is assumed is printed, too: an Argentine number gets its 9 never in silence.
    """
    for each in doubts["mobiles"]:
        examples = ", ".join(each["examples"])
        if each["assumed"]:
            print_text(f"{each['assumed']} numbers in {each['header']!r} got the 9 of a mobile.")
        if each["open"]:
            print_text(
                f"{each['open']} numbers in {each['header']!r} have no 9 ({examples}): are they"
                " mobiles? --mobiles yes|no; until you say it, they are landlines."
            )
    if doubts["dates"]:
        examples = ", ".join(doubts["dates"]["examples"])
        print_text(
            f"{doubts['dates']['count']} dates can be read in two ways ({examples}):"
            " --date-order day_first|month_first; until you say it, they are unknown."
        )
    words = [
        {"word": each["word"], "count": each["count"], "answer": each["answer"] or "?"}
        for each in doubts["consent_words"]
    ]
    if words:
        print_table(words, {"word": "consent", "count": "records", "answer": "means"}, empty="")
    if any(each["answer"] == "?" for each in words):
        print_text("Say what a word means: --word WORD=yes|relationship|no|nothing.")


def print_known_people(known: Mapping[str, Any]) -> None:
    """Print who of a list is here already, and what it does to them."""
    if not known["total"]:
        return
    print_text(f"{known['total']} records are about people who are here already.")
    rows = [
        {**each, "adds": ", ".join([*each["adds"], *each["fields"]])}
        for each in known["people"]
        if each["effect"] != "unchanged" or each["adds"] or each["fields"]
    ]
    columns = {
        "record": "record",
        "name": "name",
        "adds": "adds",
        "permission": "permission",
        "effect": "effect",
    }
    print_table(rows, columns, empty="Nothing of them changes.")
    if known["raisable"]:
        print_text(
            f"{known['raisable']} of them say yes with evidence: --record-consents records it;"
            " until then their permission stays."
        )


def print_report(report: Mapping[str, Any], rejected: Sequence[Mapping[str, Any]]) -> None:
    """Print the result of an import, and the reasons of the rejects."""
    if report["repeated"]:
        print_text("This file was imported before; nothing changed.")
    else:
        _print_same_file(report["same_file"])
    print_text(f"{report['id']}: {format_counts(report['counts'], 'outcome')}")
    if report["unused"]:
        print_text(f"Not used: {', '.join(report['unused'])}.")
    columns = {"record": "record", "reason_code": "reason", "sentence": "what is wrong"}
    if rejected:
        print_table(rejected, columns, empty="")


def print_undo(undo: Mapping[str, Any]) -> None:
    """Print how far the undoing of an import is, and who stays and why."""
    state = "undone" if undo["done_at"] else f"being undone, {undo['left']} records to go"
    stayed = format_counts(undo["stayed"], "imports.undo.stays")
    print_text(f"The import is {state}: {undo['removed']} removed; who stays: {stayed}.")
    columns = {"record": "record", "name": "name", "outcome": "stays because", "prospect": "id"}
    people = [
        {**each, "outcome": get_word("imports.undo.stays", each["outcome"])}
        for each in undo["people"]
    ]
    print_table(people, columns, empty="")


def _follow_import(
    client: ControlClient, upload: str, options: Mapping[str, Any], *, plan: str, quiet: bool
) -> dict[str, Any]:
    """Run the import and return its report, with a progress bar on a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    bar = Progress(
        TextColumn("importing"),
        BarColumn(),
        MofNCompleteColumn(),
        console=build_console(stderr=True),
        disable=quiet or not sys.stderr.isatty(),
        transient=True,
    )
    with bar:
        task = bar.add_task("importing", total=None)
        for line in client.follow("imports", upload=upload, options=options, plan=plan):
            if line["type"] == "progress":
                bar.update(task, completed=line["done"], total=line["total"])
            elif line["type"] == "finished":
                report: dict[str, Any] = line["report"]
                return report
            else:
                raise error_from_problem(line["problem"])
    raise NotRunning(
        "The daemon stopped during the import.",
        hint="Import the same file again: it continues where it stopped.",
    )


def _write_rejects(path: Path, rejected: list[dict[str, Any]]) -> None:
    from daemon.lists.csv_export import format_csv

    rows = ([reject[column] for column in _REJECT_COLUMNS] for reject in rejected)
    path.write_text(format_csv([_REJECT_COLUMNS, *rows]), encoding="utf-8", newline="")
