"""`leadmaster prospects`: import, list, check, validate and correct prospects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
from daemon.cli.filters import list_filter_options, load_filter
from daemon.cli.selections import select_prospects
from daemon.cli.tables import print_fields, print_table
from daemon.cli.time_format import format_time


@click.group(cls=CommandGroup)
def prospects() -> None:
    """Import, see, check and validate prospects."""


@prospects.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--yes", is_flag=True, help="Import without asking.")
@click.option("--map", "mapped", multiple=True, metavar="COLUMN=HEADER", help="Correct the guess.")
@click.option("--encoding", default=None, help="Of a text file in doubt, such as cp1252.")
@click.option("--sheet", default=None, help="The sheet of a workbook.")
@click.option(
    "--mobiles",
    type=click.Choice(["yes", "no", "ask"]),
    help="Whether Argentine numbers without 9 are mobile.",
)
@click.option(
    "--date-order",
    type=click.Choice(["day_first", "month_first"]),
    help="Of dates such as 01/02/26.",
)
@click.option(
    "--word",
    "words",
    multiple=True,
    metavar="WORD=MEANING",
    help="What a word on consent means: yes, relationship, no or nothing.",
)
@click.option(
    "--record-consents",
    is_flag=True,
    help="Let a yes with evidence raise the permission of people who are here already.",
)
@click.option("--keep", "kept", multiple=True, metavar="HEADER", help="Keep a column as data.")
@click.option("--region", default=None, help="Two letters: where numbers without + belong.")
@click.option("--origin", default=None, help="cartera_origen of the whole list.")
@click.option("--origin-words", default=None, help="Where they are from, as told to who asks.")
@click.option("--permission", default=None, help="What holds where a record says nothing.")
@click.option("--consent-statement", default=None, help="How consent was obtained.")
@click.option("--given-where", default=None, help="Where they gave these numbers as WhatsApp.")
@click.option("--given-how", default=None, help="How they gave them, such as on a form.")
@click.option("--rejects", type=click.Path(path_type=Path), help="Write rejects to this CSV file.")
@json_option
@pass_cli_context
def import_prospects(
    cli: CliContext,
    /,
    *,
    file: Path,
    yes: bool,
    rejects: Path | None,
    json_: bool,
    mapped: tuple[str, ...],
    **options: Any,  # noqa: ANN401 - as click gives it
) -> None:
    """Import FILE: shows what was recognised, asks, imports, and reports every reject."""
    from daemon.cli.prospect_import import build_import_options, import_file

    import_file(
        cli.client(),
        file,
        build_import_options(mapped, **options),
        yes=yes,
        rejects=rejects,
        json_=json_,
    )


@prospects.command("import-report")
@click.argument("import_id", metavar="IMPORT")
@json_option
@pass_cli_context
def show_import_report(cli: CliContext, /, *, import_id: str, json_: bool) -> None:
    """Show what became of an import, and of its undoing."""
    from daemon.cli.prospect_import import print_report, print_undo

    report = cli.client().get("imports", import_id)
    if json_:
        print_json(report)
        return
    print_report(report, [])
    if report["undo"]:
        print_undo(report["undo"])


@prospects.command("undo-import")
@click.argument("import_id", metavar="IMPORT")
@reason_option()
@pass_cli_context
def undo_import(cli: CliContext, /, *, import_id: str, reason: str) -> None:
    """Remove the people that only this import made and nothing happened to; for 30 days."""
    cli.client().post("imports", import_id, "undo", reason=reason)
    print_text(
        "It is being undone. Who was removed, and who stays and why:"
        f" leadmaster prospects import-report {import_id}"
    )


@prospects.command("list")
@list_filter_options
@list_options
@json_option
@pass_cli_context
def list_prospects(
    cli: CliContext, /, *, limit: int, after: str | None, json_: bool, **options: str | None
) -> None:
    """Show prospects in the order they came."""
    answer = cli.client().get("prospects", limit=limit, after=after, **load_filter(cli, options))
    if json_:
        print_json(answer)
        return
    print_table(
        answer["items"],
        {
            "id": "prospect",
            "name": "name",
            "phone": "phone",
            "validation": "validation",
            "score_contactabilidad": "score",
            "permission": "permission",
            "cartera_origen": "cartera_origen",
        },
        empty="There is no such prospect. Bring some: leadmaster prospects import FILE",
    )
    if answer["next"]:
        print_text(f"There are more: --after {answer['next']}")


@prospects.command("show")
@click.argument("prospect")
@json_option
@pass_cli_context
def show_prospect(cli: CliContext, *, prospect: str, json_: bool) -> None:
    """Show all that is known of a prospect; an id or a number."""
    answer = cli.client().get("prospects", prospect)
    if json_:
        print_json(answer)
        return
    hidden = {"score_explanation", "contact", "import_id", "record"}  # of no use to a person
    facts = {key: value for key, value in answer["prospect"].items() if key not in hidden}
    reviewed = answer["reviewed"] or {"who": None, "reason": None}
    state = {"suppressed": answer["suppressed"], "review": answer["review"]}
    print_fields(
        (facts | state | {"reviewed by": reviewed["who"], "because": reviewed["reason"]}).items()
    )
    _print_score(answer["score"])
    columns = {
        "id": "record",
        "at": "when",
        "kind": "evidence",
        "value": "says",
        "source": "source",
        "quote": "words",
    }
    print_table(answer["evidence"], columns, empty="There is no evidence yet.")


@prospects.command("dossier")
@click.argument("prospect")
@json_option
@pass_cli_context
def show_dossier(cli: CliContext, *, prospect: str, json_: bool) -> None:
    """Show all that is stored of a person, numbers and texts included; it is audited."""
    answer = cli.client().post("prospects", prospect, "dossier")
    if json_:
        print_json(answer)
        return
    for section in answer["sections"]:
        print_text(f"{section['name'].replace('_', ' ')}:")
        for row in section["rows"]:
            print_text("  " + "; ".join(f"{name}: {value}" for name, value in row.items()))
    _print_remaining("It is also in", answer["elsewhere"])


@prospects.command("forget")
@click.argument("prospect")
@reason_option()
@json_option
@pass_cli_context
def forget_prospect(cli: CliContext, *, prospect: str, reason: str, json_: bool) -> None:
    """Erase a person for good; a keyed hash stays, so that no list brings them back."""
    answer = cli.client().post("prospects", prospect, "forget", reason=reason)
    if json_:
        print_json(answer)
        return
    print_text(f"Forgotten. Cancelled messages: {answer['cancelled_messages']}.")
    _print_remaining("For a while their data is still in", answer["remaining"])


def _print_remaining(intro: str, places: Sequence[Mapping[str, Any]]) -> None:
    for each in places:
        until = f" until {format_time(each['until'])}" if each["until"] else ""
        print_text(f"{intro} the {each['place']}{until}.")


def _print_score(score: dict[str, Any] | None) -> None:
    for part in (score or {}).get("contributions", ()):
        print_text(f"  {part['points']:+.3g}  {part['reason']} ({part['at']})")


@prospects.command("validate")
@click.argument("prospect")
@click.option(
    "--not-reachable", is_flag=True, help="Record that the number does not work on WhatsApp."
)
@reason_option()
@json_option
@pass_cli_context
def validate_prospect(
    cli: CliContext, *, prospect: str, not_reachable: bool, reason: str, json_: bool
) -> None:
    """Validate a prospect on your own word; it expires like any other validation."""
    client = cli.client()
    answer = client.post(
        "prospects", prospect, "validate", validated=not not_reachable, reason=reason
    )
    _print_prospect(answer, json_=json_)


@prospects.command("consent")
@click.argument("prospect")
@click.option("--how", required=True, type=click.Choice(["call", "form", "in_person", "paper"]))
@click.option("--when", required=True, help="The day, such as 2026-11-28; or a moment with zone.")
@click.option("--heard-by", required=True, help="Who took the consent.")
@click.option("--words", required=True, help="What they said or signed.")
@json_option
@pass_cli_context
def record_consent(cli: CliContext, /, *, prospect: str, json_: bool, **consent: str) -> None:
    """Record that somebody agreed to be written to, on a call, a form, in person or on paper."""
    _print_record(cli.client().post("prospects", prospect, "consent", **consent), json_=json_)


@prospects.command("given")
@click.argument("prospect")
@click.option("--where", required=True, help="Where they gave the number, such as a fair.")
@click.option("--how", required=True, help="How: the form's question, or what they said.")
@json_option
@pass_cli_context
def record_given_number(
    cli: CliContext, /, *, prospect: str, where: str, how: str, json_: bool
) -> None:
    """Say that somebody gave this number as their WhatsApp; it validates the number for a while."""
    answer = cli.client().post("prospects", prospect, "given-as-whatsapp", where=where, how=how)
    _print_record(answer, json_=json_)


@prospects.command("outcome")
@click.argument("prospect")
@click.argument(
    "outcome", type=click.Choice(["no_reply", "not_delivered", "number_does_not_exist"])
)
@reason_option()
@json_option
@pass_cli_context
def record_outcome(
    cli: CliContext, /, *, prospect: str, outcome: str, reason: str, json_: bool
) -> None:
    """Say what came of the last message to PROSPECT, where no answer of theirs shows it.

    Silence and delivery are recorded by the clock and by receipts; this is for who knows earlier.
    """
    result = cli.client().post("prospects", prospect, "outcome", outcome=outcome, reason=reason)
    if json_:
        print_json(result)
        return
    print_text(f"{prospect}: {outcome}; next: {result['next_action']}")
    print_hint(f"For ten seconds: leadmaster chats undo {result['contact']} {result['id']}")


@prospects.command("withdraw")
@click.argument("prospect")
@click.argument("record")
@reason_option()
@json_option
@pass_cli_context
def withdraw_record(
    cli: CliContext, /, *, prospect: str, record: str, reason: str, json_: bool
) -> None:
    """Withdraw a consent, or a statement on a number, that was wrong; RECORD is in `show`."""
    client = cli.client()
    answer = client.post("prospects", prospect, "evidence", record, "withdraw", reason=reason)
    _print_record(answer, json_=json_)


def _print_record(answer: dict[str, Any], *, json_: bool) -> None:
    if json_:
        print_json(answer)
        return
    prospect = answer["prospect"]
    print_text(
        f"Record {answer['record']} of {prospect['id']}. Permission: {prospect['permission']}, "
        f"validation: {prospect['validation']}. Waiting messages evaluated again: "
        f"{answer['reevaluated']}."
    )


@prospects.command("check")
@click.argument("prospect")
@json_option
@pass_cli_context
def check_prospect(cli: CliContext, *, prospect: str, json_: bool) -> None:
    """Ask WhatsApp whether the number is there: yes, no, or unknown."""
    _print_prospect(cli.client().post("prospects", prospect, "check"), json_=json_)


@prospects.command("add")
@click.argument("phone")
@click.option("--name", default=None, help="Who they are.")
@click.option("--trade", default=None, help="What they do.")
@click.option("--origin", required=True, help="cartera_origen: where they come from.")
@click.option("--permission", default=None, help="Such as relationship; without it, none.")
@click.option("--statement", default=None, help="How they agreed; an opt-in needs it.")
@json_option
@pass_cli_context
def add_prospect(
    cli: CliContext, /, *, phone: str, origin: str, json_: bool, **fields: str | None
) -> None:
    """Enter one prospect by hand."""
    answer = cli.client().post("prospects", phone=phone, cartera_origen=origin, **fields)
    _print_prospect(answer, json_=json_)


@prospects.command("correct")
@click.argument("prospect")
@click.option("--phone", default=None, help="The right number.")
@click.option("--name", default=None, help="The right name.")
@click.option("--trade", default=None, help="The right trade.")
@click.option("--notes", default=None, help="New notes, in place of the old.")
@reason_option()
@json_option
@pass_cli_context
def correct_prospect(
    cli: CliContext, /, *, prospect: str, json_: bool, **corrections: str | None
) -> None:
    """Put a number, a name, a trade or the notes right; the rest stays."""
    _print_prospect(cli.client().patch("prospects", prospect, **corrections), json_=json_)


@prospects.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@list_filter_options
@json_option
@pass_cli_context
def export_prospects(
    cli: CliContext, /, *, file: Path | None, json_: bool, **options: str | None
) -> None:
    """Write prospects to FILE as CSV, or to the screen."""
    content = cli.client().download("exports", "prospects.csv", **load_filter(cli, options))
    write_csv(content, file, json_=json_)


def _print_prospect(prospect: dict[str, Any], *, json_: bool) -> None:
    if json_:
        print_json(prospect)
        return
    print_text(
        f"{prospect['id']}: {prospect['validation']}, on WhatsApp: {prospect['on_whatsapp']}, "
        f"score {prospect['score_contactabilidad']}"
    )


prospects.add_command(select_prospects)
