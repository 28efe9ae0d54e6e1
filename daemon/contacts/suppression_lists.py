"""Imports and exports suppression lists as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from daemon.api import numbers
from daemon.contacts.suppression import SuppressionService
from daemon.errors import ImportRejected
from storage.suppressions import SuppressionSource

CSV_HEADER = ("alias", "source", "reason", "at", "alias_hash")
_ALIAS_HEADERS = frozenset(
    {"alias", "phone", "number", "numero", "número", "telefono", "teléfono", "celular", "whatsapp"}
)
_BATCH_SIZE = 500
_LID_SUFFIX = "@lid"


@dataclass(frozen=True, slots=True)
class RejectedListRecord:
    """A record that could not be read: its number in the list (from 1), and the reason."""

    record: int
    sentence: str


@dataclass(slots=True)
class SuppressionImportResult:
    """The result of importing a list; counts are records."""

    added: int = 0
    already: int = 0
    rejected: list[RejectedListRecord] = field(default_factory=list)


async def import_suppression_list(
    suppression: SuppressionService, text: str, *, region: str, reason: str, who: str
) -> SuppressionImportResult:
    """Suppress every number of a list, each with all of its aliases.

    The numbers are in the column with a known header, else in the first; ``region`` is for those
    without +. A bad record is rejected, the others are imported. Raises :class:`ImportRejected`
    where there is no record at all.
    """
    result = SuppressionImportResult()
    records = enumerate(_read_alias_cells(text), start=1)
    while batch := list(islice(records, _BATCH_SIZE)):
        targets: list[str] = []
        for record, cell in batch:
            try:
                targets.append(_parse_alias(cell, region))
            except numbers.NumberUnusable as error:
                result.rejected.append(RejectedListRecord(record, error.sentence))
        done = await suppression.suppress_all(
            targets, source=SuppressionSource.IMPORT, reason=reason, who=who
        )
        result.added += sum(each.new > 0 for each in done)
        result.already += sum(each.new == 0 for each in done)
    if not (result.added or result.already or result.rejected):
        raise ImportRejected("The list has no number.", hint="Write one number a line.")
    return result


async def export_suppression_list(suppression: SuppressionService) -> str:
    """Return all suppressions in force as CSV; an erased alias has its hash only."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    async for record in suppression.iterate_records():
        row = (record.source.value, record.reason, record.at.isoformat(), record.alias_hash)
        writer.writerow((record.alias or "", *row))
    return out.getvalue()


def _read_alias_cells(text: str) -> Iterator[str]:
    """Yield the number cell of each record that has one."""
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")), delimiter=delimiter)
    header = [cell.strip().lower() for cell in next(rows, [])]
    column = next((place for place, name in enumerate(header) if name in _ALIAS_HEADERS), 0)
    # A list without a header: its first row is a number, too.
    if header and header[column] not in _ALIAS_HEADERS:
        yield header[column]
    for row in rows:
        if len(row) > column and row[column].strip():
            yield row[column].strip()


def _parse_alias(cell: str, region: str) -> str:
    """Return a hidden id as it is, or a number in E.164. Raises ``NumberUnusable``."""
    if cell.endswith(_LID_SUFFIX):
        return cell
    return numbers.parse_phone(cell, region).e164
