"""Writes the files that a client gets: a workbook and CSV, of the same bytes each time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from msgspec import Struct

from daemon.api.numbers import format_phone_groups
from daemon.lists.csv_export import format_csv
from daemon.lists.xlsx_export import Sheet, format_workbook
from storage.client_terms import DeliveryColumn
from storage.deliveries import DeliveryEvidence, DeliveryFact, DeliveryFormat, NewDeliveryRow

Words: TypeAlias = Callable[..., str]
"""A language of the console: the word for a key."""
_BYTE_ORDER_MARK: Final = "\ufeff"
_WIDTHS: Final[Mapping[str, int]] = {
    DeliveryColumn.NAME: 24,
    DeliveryColumn.PHONE: 22,
    DeliveryColumn.QUOTE: 48,
}
_USUAL_WIDTH: Final = 18
_NUMBER_WIDTH: Final = 6
_EVIDENCE_WIDTHS: Final = (8, 18, 34, 14, 60)
_FACT_COLUMNS: Final[Mapping[DeliveryColumn, DeliveryFact]] = {
    DeliveryColumn.VALIDATION: DeliveryFact.VALIDATION,
    DeliveryColumn.PERMISSION: DeliveryFact.PERMISSION,
    DeliveryColumn.INTENT: DeliveryFact.INTENT,
}


class FileRow(Struct, frozen=True, kw_only=True):
    """A row of the file by its number; None for a person who was erased since."""

    number: int
    person: NewDeliveryRow | None


class FilePlan(Struct, frozen=True, kw_only=True):
    """What a file is made of; the same plan gives the same bytes."""

    title: str
    at: datetime
    zone: ZoneInfo
    columns: Sequence[DeliveryColumn]
    rows: Sequence[FileRow]


class WrittenFile(Struct, frozen=True):
    """A file and the SHA-256 of its bytes, as hexadecimal digits."""

    format: DeliveryFormat
    content: bytes
    hash: str


def write_files(plan: FilePlan, words: Words) -> list[WrittenFile]:
    """Return the workbook and the CSV of a plan; the library must be loaded."""
    made = {
        DeliveryFormat.XLSX: _write_workbook(plan, words),
        DeliveryFormat.CSV: _write_csv(plan, words),
    }
    return [
        WrittenFile(format_, content, hashlib.sha256(content).hexdigest())
        for format_, content in made.items()
    ]


def _write_csv(plan: FilePlan, words: Words) -> bytes:
    # The mark, because Excel would take the letters of a file without one for another encoding.
    text = _BYTE_ORDER_MARK + format_csv([_list_headers(plan, words), *_list_people(plan, words)])
    return text.encode()


def _write_workbook(plan: FilePlan, words: Words) -> bytes:
    widths = [_WIDTHS.get(each, _USUAL_WIDTH) for each in plan.columns]
    people = Sheet(
        title=words("delivery_file.people"),
        rows=[_list_headers(plan, words), *_list_people(plan, words)],
        widths=[_NUMBER_WIDTH, *widths],
    )
    evidence = Sheet(
        title=words("delivery_file.evidence"),
        rows=[*_list_evidence(plan, words), *_list_meanings(plan, words)],
        widths=_EVIDENCE_WIDTHS,
    )
    return format_workbook([people, evidence], title=plan.title, at=plan.at)


def _list_headers(plan: FilePlan, words: Words) -> list[str]:
    names = [words(f"delivery_file.column.{each}") for each in plan.columns]
    return [words("delivery_file.header.row"), *names]


def _list_people(plan: FilePlan, words: Words) -> list[list[str]]:
    return [_list_cells(plan, each, words) for each in plan.rows]


def _list_cells(plan: FilePlan, row: FileRow, words: Words) -> list[str]:
    if row.person is None:
        return [str(row.number), words("delivery_file.erased")]
    facts = {each.fact: each for each in row.person.evidence}
    cells = [_read_cell(plan, row.person, facts, column, words) for column in plan.columns]
    return [str(row.number), *cells]


def _read_cell(
    plan: FilePlan,
    person: NewDeliveryRow,
    facts: Mapping[DeliveryFact, DeliveryEvidence],
    column: DeliveryColumn,
    words: Words,
) -> str:
    match column:
        case DeliveryColumn.NAME:
            return person.name
        case DeliveryColumn.PHONE:
            return format_phone_groups(person.phone)
        case DeliveryColumn.QUOTE:
            return facts[DeliveryFact.INTENT].quote
        case DeliveryColumn.VALIDATION | DeliveryColumn.PERMISSION | DeliveryColumn.INTENT:
            piece = facts[_FACT_COLUMNS[column]]
            word = _name_value(piece, words)
            if piece.at is None or piece.fact is DeliveryFact.INTENT:
                return word
            return f"{word}, {_format_day(plan, piece.at, words)}"
        case _:
            return person.cells.get(column, "")


def _list_evidence(plan: FilePlan, words: Words) -> list[list[str]]:
    """Return a line for each piece of evidence of each row, after the headers."""
    names = ("row", "what", "how", "day", "words")
    lines = [[words(f"delivery_file.header.{name}") for name in names]]
    for row in plan.rows:
        for piece in row.person.evidence if row.person else ():
            day = _format_day(plan, piece.at, words) if piece.at else ""
            fact = words(f"delivery_file.fact.{piece.fact}")
            lines.append([str(row.number), fact, _name_value(piece, words), day, piece.quote])
    return lines


def _list_meanings(plan: FilePlan, words: Words) -> list[list[str]]:
    """Return what each word of the file means, after an empty line."""
    used = {
        (each.fact, each.value): _name_value(each, words)
        for row in plan.rows
        if row.person
        for each in row.person.evidence
    }
    lines = [[], [words("delivery_file.meanings")]]
    for (fact, value), word in sorted(used.items()):
        meaning = words(f"delivery_file.meaning.{fact}.{value}")
        lines.append(["", words(f"delivery_file.fact.{fact}"), word, "", meaning])
    return lines


def _name_value(piece: DeliveryEvidence, words: Words) -> str:
    return words(f"delivery_file.value.{piece.fact}.{piece.value}")


def _format_day(plan: FilePlan, at: datetime, words: Words) -> str:
    local = at.astimezone(plan.zone)
    return words(
        "delivery_file.date", day=f"{local.day:02}", month=f"{local.month:02}", year=local.year
    )
