"""The report of an import: what became of its records, and other imports of the same file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from storage import import_undo, imports
from storage.import_undo import StayingPerson, UndoOutcome
from storage.imports import ImportRecord, ImportRowOutcome
from storage.tx import Reader

UNDO_WINDOW: Final = timedelta(days=30)
MAX_LISTED: Final = 100
"""The most people who stay after an undoing that an answer names."""


class ImportUndo(Struct, frozen=True):
    """How far the undoing of an import is; ``done_at`` is None until it has ended.

    ``removed`` and ``left`` are records; ``stayed`` counts the others by their reason, and
    ``people`` are the first of them by name.
    """

    asked_at: datetime
    who: str
    reason: str
    done_at: datetime | None
    removed: int
    left: int
    stayed: Mapping[UndoOutcome, int]
    people: Sequence[StayingPerson]


class EarlierImport(Struct, frozen=True):
    """Another import of a file with the same bytes; ``finished_at`` is None where it was cut."""

    id: str
    filename: str
    who: str
    at: datetime
    finished_at: datetime | None


def list_earlier_imports(
    reader: Reader, file_hash: str, *, but: str = ""
) -> tuple[EarlierImport, ...]:
    """Return the latest imports of a file with these bytes, newest first, without ``but``."""
    return tuple(
        EarlierImport(each.id, each.filename, each.who, each.at, each.finished_at)
        for each in imports.list_imports_of_file(reader, file_hash)
        if each.id != but
    )


class ImportReport(Struct, frozen=True):
    """The result of an import. ``repeated``: the file was imported before, nothing changed.

    ``unused`` are the headers of its columns that nothing was read from; ``same_file`` are other
    imports of the same bytes, newest first. It can be undone until ``undo_until``; ``undo`` is how
    far that is, where somebody asked for it.
    """

    id: str
    filename: str
    source: str
    who: str
    at: datetime
    finished_at: datetime | None
    counts: Mapping[ImportRowOutcome, int]
    repeated: bool
    unused: Sequence[str] = ()
    same_file: Sequence[EarlierImport] = ()
    origen_en_palabras: str = ""
    undo_until: datetime | None = None
    undo: ImportUndo | None = None

    @property
    def duplicates(self) -> int:
        """The number of records whose phone line was a prospect already."""
        return self.counts[ImportRowOutcome.DUPLICATE]

    @property
    def rejected(self) -> int:
        """The number of records without a usable phone number."""
        return self.counts[ImportRowOutcome.REJECTED]

    @property
    def accepted(self) -> int:
        """The number of records that became a prospect, reachable or not."""
        return sum(self.counts.values()) - self.duplicates - self.rejected


def get_import_report(
    reader: Reader, import_id: str, *, repeated: bool = False
) -> ImportReport | None:
    """Return the report of an import so far, or None where there is none."""
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
        unused=_list_unused(found.options),
        same_file=list_earlier_imports(reader, found.file_hash, but=import_id),
        origen_en_palabras=found.origen_en_palabras,
        undo_until=get_undo_deadline(found),
        undo=read_undo(reader, import_id),
    )


def _list_unused(parameters: Mapping[str, object]) -> tuple[str, ...]:
    unused = parameters.get("unused")
    return tuple(map(str, unused)) if isinstance(unused, list) else ()


def get_undo_deadline(done: ImportRecord) -> datetime:
    """Return until when an import can be undone."""
    return (done.finished_at or done.at) + UNDO_WINDOW


def read_undo(reader: Reader, import_id: str) -> ImportUndo | None:
    """Return how far the undoing of an import is; None where nobody asked for it."""
    record = import_undo.get_undo(reader, import_id)
    if record is None:
        return None
    counts, left = import_undo.count_undo_outcomes(reader, import_id)
    removed = counts.pop(UndoOutcome.REMOVED, 0)
    people = import_undo.list_staying_people(reader, import_id, MAX_LISTED)
    return ImportUndo(
        record.asked_at,
        record.who,
        record.reason,
        record.done_at,
        removed,
        left,
        counts,
        people,
    )
