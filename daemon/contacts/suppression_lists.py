"""Imports suppression lists of any format, and exports the suppressions in force as CSV."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from daemon.contacts.number_lists import (
    NumberListOptions,
    NumberListProcess,
    NumberListSummary,
    NumberRecord,
    build_number_request,
)
from daemon.contacts.suppression import SuppressionEntry, SuppressionService
from daemon.errors import ImportRejected, require_reason
from daemon.lists.csv_export import format_csv, restore_cell
from daemon.lists.vocabulary import ListKind
from daemon.plugin_manager import Plugins
from daemon.settings import Settings
from storage.suppressions import SuppressionSource

CSV_HEADER: Final = ("alias", "source", "reason", "at", "alias_hash", "key")
_BATCH_SIZE: Final = 100
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_OTHER_KEY: Final = (
    "It has only a hash, made with another installation's key: move that key first, or take the"
    " numbers from there."
)


class RejectedListRecord(Struct, frozen=True):
    """A record of which something was not read: its number in the file, and the reason.

    ``partly`` is set where its other numbers were taken.
    """

    record: int
    reason_code: str
    sentence: str
    partly: bool = False


class SuppressionImportResult(Struct):
    """The result of importing a list; ``added`` and ``already`` count numbers.

    ``phones`` are the headers that numbers were read from, and ``unused`` those that were not read.
    ``other_key`` counts records of which only a hash is known, made with another key.
    """

    form: str
    phones: Sequence[str]
    unused: Sequence[str]
    remarks: Sequence[str]
    records: int
    added: int = 0
    already: int = 0
    other_key: int = 0
    rejected: list[RejectedListRecord] = field(default_factory=list)


class SuppressionLists:
    """Imports and exports lists of people who must not be written to."""

    def __init__(
        self,
        suppression: SuppressionService,
        plugins: Plugins,
        settings: Settings,
        *,
        list_process: NumberListProcess | None = None,
    ) -> None:
        self._suppression = suppression
        self._sources = plugins.sources()
        self._settings = settings
        self._process = list_process or NumberListProcess()

    async def import_list(
        self, path: Path, options: NumberListOptions, *, reason: str, who: str
    ) -> SuppressionImportResult:
        """Suppress every number of a list, each with all of its aliases.

        An unreadable file is refused before anybody is suppressed; a record without a number is
        rejected, and the others are imported. Raises :class:`ImportRejected`, also where no record
        has a number.
        """
        stated = require_reason(reason)
        request = build_number_request(
            path, options, ListKind.SUPPRESSIONS, self._sources, self._settings
        )
        async with self._process.open_file(request) as reading:
            result = _begin_result(reading.summary)
            async for records in reading.batches:
                for start in range(0, len(records), _BATCH_SIZE):
                    await self._write_records(
                        records[start : start + _BATCH_SIZE], result, stated, who
                    )
        if not (result.added or result.already or result.rejected or result.other_key):
            raise ImportRejected("The list has no number.", hint="Write one number a line.")
        return result

    async def export_list(self) -> str:
        """Return all suppressions in force as CSV; an erased alias has its hash only."""
        rows: list[Sequence[object]] = [CSV_HEADER]
        async for record in self._suppression.iterate_records():
            row = (record.source.value, record.reason, record.at.isoformat(), record.alias_hash)
            rows.append((record.alias, *row, self._suppression.key_id))
        return format_csv(rows)

    async def _write_records(
        self,
        records: Sequence[NumberRecord],
        result: SuppressionImportResult,
        reason: str,
        who: str,
    ) -> None:
        entries: list[SuppressionEntry] = []
        for record in records:
            found = list(self._list_entries(record, reason))
            entries += found
            if not found and record.exported and record.exported.alias_hash:
                result.other_key += 1
                result.rejected.append(RejectedListRecord(record.number, "other_key", _OTHER_KEY))
            elif record.reason_code:
                result.rejected.append(
                    RejectedListRecord(
                        record.number, record.reason_code, record.sentence, partly=bool(found)
                    )
                )
        done = await self._suppression.enter_all(entries, who=who)
        result.added += sum(each.new > 0 for each in done)
        result.already += sum(each.new == 0 for each in done)

    def _list_entries(self, record: NumberRecord, reason: str) -> Iterator[SuppressionEntry]:
        """Yield an entry for each number of a record; of our own export, for a hash alone too."""
        row = record.exported
        # Their own opt-out stays theirs: nobody here can correct it away.
        own = row is not None and row.source == SuppressionSource.CONTACT
        source = SuppressionSource.CONTACT if own else SuppressionSource.IMPORT
        said = restore_cell(record.why) or reason if row else reason
        said_at = _parse_moment(row.at) if row else None
        for target in (*record.phones, *record.hidden_ids):
            yield SuppressionEntry(source, said, said_at, target=target)
        ours = row is not None and row.key == self._suppression.key_id
        if row and ours and _HASH.fullmatch(row.alias_hash) and not record.phones:
            yield SuppressionEntry(source, said, said_at, alias_hash=row.alias_hash)


def _begin_result(summary: NumberListSummary) -> SuppressionImportResult:
    return SuppressionImportResult(
        summary.form, summary.phones, summary.unused, summary.remarks, summary.total
    )


def _parse_moment(text: str) -> datetime | None:
    """Return the moment in a cell of our own export; None for anything else."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else None
