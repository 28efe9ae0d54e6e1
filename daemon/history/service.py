"""Previews and imports the history of a former system, one at a time; or records that none is."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from daemon.api.clock import Clock
from daemon.api.effects import ContactRequest
from daemon.contacts.list_process import OpenedList, choose_source
from daemon.errors import Conflict, ImportRejected, require_reason
from daemon.events import HistoryRecorded
from daemon.history.line_parser import HistoryLine
from daemon.history.options import HistoryOptions
from daemon.history.process import (
    HistoryFileSummary,
    HistoryProcess,
    HistoryReadRequest,
    RejectedHistoryRecord,
    UnknownHistoryWord,
)
from daemon.history.writer import HistoryWriter
from daemon.inbound.contact_requests import Reading
from daemon.lists.columns import PlannedColumn
from daemon.plugin_manager import Plugins
from daemon.settings import Settings
from storage import audit, history
from storage.db import Database
from storage.history import HistoryDeclaration, HistoryImport, HistoryKind
from storage.tx import Reader, Tx

_LINES_PER_JOB: Final = 25  # few, because an urgent write waits for the job that runs
_NAMED_RECORDS: Final = 10
INSTALLATION: Final = "installation"
"""The subject of a declaration, in audit and events."""


class HistoryPreview(Struct, frozen=True):
    """The expected result of an import. ``plan`` is the hash of what was previewed.

    ``kinds`` counts the records by what they are, ``requests`` the received ones by what they were
    read as, and ``known`` those that are in the database already. ``rejects`` are the first of the
    ``rejected`` records; ``unknown_words`` and ``open_dates`` are what a person can answer.
    """

    plan: str
    form: str
    columns: Sequence[PlannedColumn]
    total: int
    kinds: Mapping[HistoryKind, int]
    requests: Mapping[ContactRequest, int]
    known: int
    rejected: int
    rejects: Sequence[RejectedHistoryRecord]
    unknown_words: Sequence[UnknownHistoryWord]
    open_dates: int
    date_examples: Sequence[str]
    remarks: Sequence[str]


class HistoryReport(Struct, frozen=True):
    """The result of an import. ``repeated``: the file was imported before, nothing changed.

    ``new`` counts the lines that were not known before, by kind.
    """

    id: str
    filename: str
    records: int
    new: Mapping[HistoryKind, int]
    known: int
    rejected: int
    repeated: bool


class HistoryStatus(Struct, frozen=True):
    """What is known of the past: ``settled`` once it was imported, or declared not to be."""

    settled: bool
    imports: Sequence[HistoryImport]
    declaration: HistoryDeclaration | None


class HistoryService:
    """Previews and imports histories."""

    def __init__(
        self,
        database: Database,
        plugins: Plugins,
        writer: HistoryWriter,
        clock: Clock,
        settings: Settings,
        *,
        process: HistoryProcess | None = None,
    ) -> None:
        self._database = database
        self._sources = plugins.sources()
        self._writer = writer
        self._clock = clock
        self._settings = settings
        self._process = process or HistoryProcess()
        self._lock = asyncio.Lock()

    async def get_status(self) -> HistoryStatus:
        """Return whether the past is known, by which imports, and what a person declared."""
        return await self._database.read(_read_status)

    async def preview(self, path: Path, options: HistoryOptions) -> HistoryPreview:
        """Read the whole file, and return the expected result; nothing is written."""
        request = self._build_request(path, options)
        plan = await asyncio.to_thread(_compute_plan, path, request)
        requests: Counter[ContactRequest] = Counter()
        hashes: set[str] = set()
        known = 0
        async with self._process.open_file(request) as reading:
            async for lines in reading.batches:
                read = [line for line in lines if not line.reason_code]
                requests.update(
                    Reading(frozenset(line.findings)).first.request
                    for line in read
                    if line.kind is HistoryKind.RECEIVED
                )
                known += await self._count_known(read, hashes)
        summary = reading.summary
        return HistoryPreview(
            plan=plan,
            form=summary.form,
            columns=summary.columns,
            total=summary.total,
            kinds=summary.kinds,
            requests=requests,
            known=known,
            rejected=summary.rejected,
            rejects=summary.rejects,
            unknown_words=summary.unknown_words,
            open_dates=summary.open_dates,
            date_examples=summary.date_examples,
            remarks=summary.remarks,
        )

    async def require_plan(self, path: Path, options: HistoryOptions, plan: str) -> None:
        """Raise :class:`Conflict` unless ``plan`` is the one of this file and these options."""
        request = self._build_request(path, options)
        if plan != await asyncio.to_thread(_compute_plan, path, request):
            raise Conflict(
                "The file or its options are not those that were previewed.",
                hint="Preview it again, and import what you see then.",
            )

    async def run(self, path: Path, options: HistoryOptions, who: str) -> HistoryReport:
        """Import a file; return the report.

        A line that is known changes nothing, so that the same file, or one that overlaps with it,
        may come again; an import that was cut short is continued. Raises :class:`ImportRejected`
        for an unreadable file, and for one with unreadable records unless these are left out;
        nothing is written then.
        """
        request = self._build_request(path, options)
        async with self._lock, self._process.open_file(request) as reading:
            _refuse_rejected(reading.summary, options)
            content_hash = await asyncio.to_thread(_compute_plan, path, request)
            begun = await self._begin(path, content_hash, who)
            if begun.finished_at is not None:
                return _build_report(begun, repeated=True)
            await self._write_batches(begun, reading)
            finished = await self._finish(begun, reading.summary, who)
        return _build_report(finished, repeated=False)

    async def declare_none(self, reason: str, who: str) -> HistoryStatus:
        """Record that a person says that there is no history to import; return the status."""
        declaration = HistoryDeclaration(self._clock.now(), who, require_reason(reason))

        def job(tx: Tx) -> HistoryStatus:
            history.insert_history_declaration(tx, declaration)
            self._record(tx, who, INSTALLATION, "declare_no_history", reason=declaration.reason)
            return _read_status(tx)

        return await self._database.write(job, urgent=True)

    def _build_request(self, path: Path, options: HistoryOptions) -> HistoryReadRequest:
        daemon = self._settings.daemon
        return HistoryReadRequest(
            path=str(path.absolute()),
            source=choose_source(self._sources, path, options.source),
            options=options,
            region=options.region or daemon.default_region,
            time_zone=options.time_zone or daemon.time_zone,
            today=self._clock.now().date(),
            phrases_file=self._settings.inbound.phrases_file,
            blocked=self._settings.plugins.blocked,
        )

    async def _count_known(self, lines: Sequence[HistoryLine], seen: set[str]) -> int:
        """Return how many of these lines are known, or were seen before in the same file."""
        hashes = [self._writer.hash_line(line) for line in lines]
        stored = await self._database.read(partial(history.find_known_lines, lines=hashes))
        known = 0
        for each in hashes:
            known += each in stored or each in seen
            seen.add(each)
        return known

    async def _begin(self, path: Path, content_hash: str, who: str) -> HistoryImport:
        return await self._database.write(
            partial(
                history.begin_history_import,
                content_hash=content_hash,
                filename=path.name,
                who=who,
                at=self._clock.now(),
            )
        )

    async def _write_batches(
        self, begun: HistoryImport, reading: OpenedList[HistoryFileSummary, HistoryLine]
    ) -> None:
        async for lines in reading.batches:
            for some in _split([line for line in lines if not line.reason_code]):
                await self._database.write(
                    partial(
                        self._writer.write_lines,
                        history_import=begun,
                        lines=some,
                        now=self._clock.now(),
                    )
                )

    async def _finish(
        self, begun: HistoryImport, summary: HistoryFileSummary, who: str
    ) -> HistoryImport:
        def job(tx: Tx) -> HistoryImport:
            done = history.finish_history_import(
                tx,
                begun.id,
                records=summary.total,
                rejected=summary.rejected,
                at=self._clock.now(),
            )
            self._record(tx, who, done.id, "import_history", records=done.records)
            return done

        return await self._database.write(job)

    def _record(
        self, tx: Tx, who: str, subject: str, action: str, *, reason: str = "", records: int = 0
    ) -> None:
        now = self._clock.now()
        audit.insert_audit_entry(
            tx,
            at=now,
            who=who,
            action=action,
            subject=subject,
            reason=reason,
            detail={"records": records},
        )
        tx.emit(HistoryRecorded(subject=subject, at=now, who=who, records=records))


def _read_status(reader: Reader) -> HistoryStatus:
    return HistoryStatus(
        settled=history.is_history_settled(reader),
        imports=history.list_history_imports(reader),
        declaration=history.get_latest_declaration(reader),
    )


def _split(lines: Sequence[HistoryLine]) -> Iterator[Sequence[HistoryLine]]:
    for start in range(0, len(lines), _LINES_PER_JOB):
        yield lines[start : start + _LINES_PER_JOB]


def _refuse_rejected(summary: HistoryFileSummary, options: HistoryOptions) -> None:
    """Raise ImportRejected where nothing can be read, or a record can't and was not left out."""
    if summary.rejected == summary.total:
        raise ImportRejected(
            "No record of the file can be read.", hint="Preview it, and correct what it says."
        )
    if summary.rejected and not options.leave_out_rejected:
        named = summary.rejects[:_NAMED_RECORDS]
        records = ", ".join(str(each.record) for each in named)
        if summary.rejected > len(named):
            records += " …"
        raise ImportRejected(
            f"Nothing was imported: {summary.rejected} of {summary.total} records can't be read"
            f" ({records}).",
            hint="Correct them, answer what the preview asks, or leave them out.",
        )


def _build_report(found: HistoryImport, *, repeated: bool) -> HistoryReport:
    return HistoryReport(
        found.id,
        found.filename,
        found.records,
        found.new,
        found.known,
        found.rejected,
        repeated,
    )


def _compute_plan(path: Path, request: HistoryReadRequest) -> str:
    """Return a hash of the file's bytes and of how it is read."""
    read_as = msgspec.json.encode(
        (request.source, request.region, request.time_zone, request.options), order="sorted"
    )
    digest = hashlib.sha256(read_as)
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
