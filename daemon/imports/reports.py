"""What people are told of an import: before it, and after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from daemon.api.imports import ImportRow
from storage import imports
from storage.imports import ImportRowOutcome
from storage.tx import Reader


@dataclass(frozen=True, slots=True)
class ImportPreview:
    """What an import would do. ``mapping`` goes from our column to the file's header.

    ``remarks`` counts records that would be held to be less than they say, by the sentence why.
    """

    form: str
    headers: Sequence[str]
    mapping: Mapping[str, str]
    rows: Sequence[ImportRow]
    total: int
    counts: Mapping[ImportRowOutcome, int]
    remarks: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a file's records. ``repeated``: it was imported before, nothing changed."""

    id: str
    filename: str
    source: str
    who: str
    at: datetime
    finished_at: datetime | None
    counts: Mapping[ImportRowOutcome, int]
    repeated: bool

    @property
    def duplicates(self) -> int:
        """Records of a line that is there already."""
        return self.counts[ImportRowOutcome.DUPLICATE]

    @property
    def rejected(self) -> int:
        """Records without a number that can be used."""
        return self.counts[ImportRowOutcome.REJECTED]

    @property
    def accepted(self) -> int:
        """Records that became a prospect, reachable or not."""
        return sum(self.counts.values()) - self.duplicates - self.rejected


def get_import_report(
    reader: Reader, import_id: str, *, repeated: bool = False
) -> ImportReport | None:
    """Return what became of an import's records so far, or None where there is none."""
    found = imports.get_import(reader, import_id)
    if found is None:
        return None
    return ImportReport(
        id=found.id,
        filename=found.filename,
        source=found.source,
        who=found.who,
        at=found.at,
        finished_at=found.finished_at,
        counts=imports.count_import_rows(reader, import_id),
        repeated=repeated,
    )
