"""`leadmaster requests`: shows what the words of a message are read as, without a daemon."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from daemon.cli.console import print_json, print_text
from daemon.cli.context import CliContext, CommandGroup, json_option, pass_cli_context
from daemon.cli.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.inbound.contact_requests import ContactRequestReader, Finding, Reading


class _ReadMessage(NamedTuple):
    """A message with the class that a person expects, if one does, and what it was read as."""

    text: str
    expected: str | None
    reading: Reading


@click.group(cls=CommandGroup)
def requests() -> None:
    """Show what contacts' words are read as."""


@requests.command("check")
@click.argument("message", metavar="TEXT|FILE.csv")
@json_option
@pass_cli_context
def check_requests(cli: CliContext, *, message: str, json_: bool) -> None:
    """Read a message, or a file with the columns text, expected and lang, and say why.

    The operator's own phrases of the settings count. No daemon is asked, and nothing is stored.
    """
    from daemon.inbound.phrase_file import PhraseFile

    reader = PhraseFile(cli.load_settings().inbound).reader
    read = _read_messages(reader, message)
    if json_:
        print_json({"messages": [_describe(each) for each in read]})
        return
    labelled = [each for each in read if each.expected is not None]
    expected = {"expected": "expected"} if labelled else {}
    print_table(
        [{**_describe(each), "why": _explain(each.reading)} for each in read],
        {"text": "message", **expected, "read": "read as", "why": "why"},
        empty="The file has no messages.",
    )
    if labelled:
        _print_confusion(labelled)


def _read_messages(reader: ContactRequestReader, message: str) -> list[_ReadMessage]:
    if not message.endswith(".csv"):
        return [_ReadMessage(message, None, reader.read(message))]
    return [
        _ReadMessage(text, expected, reader.read(text))
        for text, expected in _read_rows(Path(message))
    ]


def _read_rows(path: Path) -> list[tuple[str, str | None]]:
    """Return text and expected class of each row; raises BadRequest for what is no such file."""
    import csv

    from daemon.errors import BadRequest

    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadRequest(f"{path} can't be read: {error}") from error
    for number, row in enumerate(rows, start=2):
        if row.get("text") is None:
            raise BadRequest(
                f"{path}: record {number} has no text.",
                hint="The columns are: text, expected, lang; the first line names them.",
            )
    return [(row["text"], row.get("expected") or None) for row in rows]


def _describe(message: _ReadMessage) -> dict[str, str | None]:
    return {
        "text": message.text,
        "expected": message.expected,
        "read": message.reading.first.request.value,
    }


def _explain(reading: Reading) -> str:
    """Say which words show each finding, the one shown first at the head."""
    others = sorted(reading.findings - {reading.first}, key=lambda each: (each.request, each.quote))
    return "; ".join(map(_explain_finding, (reading.first, *others)))


def _explain_finding(finding: Finding) -> str:
    if finding.listed:
        return f"{finding.request}: the whole message is a listed phrase"
    if finding.may_ask_to_stop:
        return f"{finding.request}: it may ask us to stop"
    about_us = " about us" if finding.about_us else ""
    return f"{finding.request}{about_us}: «{finding.quote}»"


def _print_confusion(labelled: Sequence[_ReadMessage]) -> None:
    counts = Counter((each.expected, each.reading.first.request.value) for each in labelled)
    right = sum(n for (expected, found), n in counts.items() if expected == found)
    print_text(f"\n{right} of {len(labelled)} were read as expected.")
    print_table(
        [
            {"expected": expected, "read": found, "messages": n}
            for (expected, found), n in sorted(counts.items(), key=str)
        ],
        {"expected": "expected", "read": "read as", "messages": "messages"},
        empty="",
    )
