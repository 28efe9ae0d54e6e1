"""Previews, runs and reports imports of prospect lists. One import runs at a time."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from daemon.api.clock import Clock
from daemon.api.numbers import list_phone_spellings as number_forms
from daemon.contacts.aliases import Aliases
from daemon.contacts.imports import process
from daemon.contacts.imports.doubts import DoubtCounter, ImportDoubts
from daemon.contacts.imports.options import ImportOptions
from daemon.contacts.imports.process import ImportProcess
from daemon.contacts.imports.row_parser import ParsedImportRow
from daemon.contacts.imports.writer import ImportWriter
from daemon.contacts.list_process import choose_source
from daemon.contacts.validation_transitions import build_validation_transitions
from daemon.errors import Conflict, NotFound
from daemon.events import ImportFinished
from daemon.gate.scoring import Scoring
from daemon.lists.columns import PlannedColumn
from daemon.lists.consent_cells import ConsentAnswer
from daemon.lists.vocabulary import ColumnUse
from daemon.plugin_manager import Plugins
from daemon.settings import Settings
from storage import consent_words, imports
from storage.db import Database
from storage.imports import ImportRecord, ImportRowOutcome, ImportRowRecord
from storage.tx import Reader, Tx


@dataclass(frozen=True, slots=True)
class ImportRow:
    """One record of a file: its number there, and its cells by header."""

    record: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ImportPreview:
    """The expected result of an import. ``plan`` is the hash of what was previewed.

    ``mapping`` is from our column to the file's header.

    ``columns`` are all headers, each with its use; ``notices`` are sentences on the whole file;
    ``remarks`` counts the records with a remark, by its sentence; ``doubts`` are what the list
    leaves open, and a person can answer.
    """

    plan: str
    form: str
    headers: Sequence[str]
    mapping: Mapping[str, str]
    rows: Sequence[ImportRow]
    total: int
    counts: Mapping[ImportRowOutcome, int]
    remarks: Mapping[str, int]
    columns: Sequence[PlannedColumn] = ()
    notices: Sequence[str] = ()
    doubts: ImportDoubts = field(default_factory=ImportDoubts)


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The result of an import. ``repeated``: the file was imported before, nothing changed.

    ``unused`` are the headers of its columns that nothing was read from.
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
    )


def _list_unused(parameters: Mapping[str, object]) -> tuple[str, ...]:
    unused = parameters.get("unused")
    return tuple(map(str, unused)) if isinstance(unused, list) else ()


ProgressCallback: TypeAlias = Callable[[int, int | None], None]
_ROWS_PER_JOB: Final = 50  # few, because an urgent write waits for the job that runs


class ImportService:
    """Previews, runs and reports imports, one at a time."""

    def __init__(
        self,
        database: Database,
        plugins: Plugins,
        scoring: Scoring,
        aliases: Aliases,
        clock: Clock,
        settings: Settings,
        *,
        import_process: ImportProcess | None = None,
    ) -> None:
        self._database = database
        self._sources = plugins.sources()
        self._writer = ImportWriter(
            aliases, scoring, build_validation_transitions(scoring, aliases, settings)
        )
        self._clock = clock
        self._settings = settings
        self._import_process = import_process or ImportProcess()
        self._lock = asyncio.Lock()
        self._running: set[asyncio.Task[ImportReport]] = set()

    async def preview(self, path: Path, options: ImportOptions) -> ImportPreview:
        """Read the whole file, and return the expected result; nothing is written."""
        counts = Counter(dict.fromkeys(ImportRowOutcome, 0))
        remarks: Counter[str] = Counter()
        seen: set[str] = set()
        plan = await self.compute_plan(path, options)
        request = await self._prepare_request(path, options)
        doubts = DoubtCounter(request.region)
        async with self._import_process.open_file(request) as reading:
            async for records in reading.batches:
                doubts.add(records)
                remarks.update(remark.sentence for each in records for remark in each.remarks)
                counts.update(
                    await self._database.read(
                        partial(self._predict_outcomes, records=records, seen=seen)
                    )
                )
        return ImportPreview(
            plan=plan,
            form=reading.summary.form,
            headers=reading.summary.headers,
            mapping=reading.summary.mapping,
            rows=tuple(ImportRow(number, cells) for number, cells in reading.summary.rows),
            total=reading.summary.total,
            counts=counts,
            remarks=remarks,
            columns=reading.summary.columns,
            notices=reading.summary.remarks,
            doubts=doubts.build(),
        )

    async def compute_plan(self, path: Path, options: ImportOptions) -> str:
        """Return a hash of the file's bytes, the options and the words explained before.

        Raises :class:`ImportRejected` where no source reads the file.
        """
        request = await self._prepare_request(path, options)
        parameters = (
            request.source,
            request.region,
            msgspec.to_builtins(options),
            request.consent_words,
        )
        return await asyncio.to_thread(_hash_import, path, parameters)

    async def require_plan(self, path: Path, options: ImportOptions, plan: str) -> None:
        """Raise :class:`Conflict` unless ``plan`` is the one of this file and these options."""
        if plan != await self.compute_plan(path, options):
            raise Conflict(
                "The file or its options are not those that were previewed.",
                hint="Preview it again, and import what you see then.",
            )

    def start(
        self, path: Path, options: ImportOptions, who: str, on_progress: ProgressCallback
    ) -> asyncio.Task[ImportReport]:
        """Start :meth:`run` as a task, which goes on when nobody awaits it any more."""
        task = asyncio.create_task(self.run(path, options, who, on_progress))
        # The loop itself holds tasks weakly only: without this one could be collected.
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def close(self) -> None:
        """Cancel the started imports, between two writes; what is written stays."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def run(
        self,
        path: Path,
        options: ImportOptions,
        who: str,
        on_progress: ProgressCallback = lambda _done, _total: None,
    ) -> ImportReport:
        """Import a file; return the report.

        The same file, mapping and options a second time change nothing, and return the first report
        with ``repeated``. An import that was cut short is continued. ``on_progress`` is called with
        (done, total). Raises :class:`ImportRejected`; what is written until then stays, and the
        import is not marked as finished.
        """
        request = await self._prepare_request(path, options)
        async with self._lock, self._import_process.open_file(request) as reading:
            import_record = await self._begin(path, request, reading.summary, who)
            if import_record.finished_at is not None:
                return await self.get_report(import_record.id, repeated=True)
            if options.consent_words:
                await self._database.write(partial(self._remember_words, options=options, who=who))
            done = 0
            async for records in reading.batches:
                await self._write_batch(import_record, records, given=options.given_statement)
                done += len(records)
                on_progress(done, reading.summary.total)
            await self._database.write(partial(self._finish, import_record=import_record))
        return await self.get_report(import_record.id)

    async def _write_batch(
        self, import_record: ImportRecord, records: Sequence[ParsedImportRow], *, given: str
    ) -> None:
        """Write the records in several small jobs, in their order. Raises what one of them did."""
        jobs = (
            self._database.write(
                partial(
                    self._writer.write_rows,
                    import_record=import_record,
                    records=records[start : start + _ROWS_PER_JOB],
                    at=self._clock.now(),
                    given=given,
                )
            )
            for start in range(0, len(records), _ROWS_PER_JOB)
        )
        # All at once, so that the writer is never idle between two; each is awaited in any case.
        ended = await asyncio.gather(*jobs, return_exceptions=True)
        for each in ended:
            if isinstance(each, BaseException):
                raise each

    async def get_report(self, import_id: str, *, repeated: bool = False) -> ImportReport:
        """Return the report of an import so far. Raises NotFound for an unknown one."""
        report = await self._database.read(
            partial(get_import_report, import_id=import_id, repeated=repeated)
        )
        if report is None:
            raise NotFound(f"There is no import {import_id!r}.")
        return report

    async def list_rejects(self, import_id: str) -> Sequence[ImportRowRecord]:
        """Return the rejected records with their reasons, in file order. Raises NotFound."""
        await self.get_report(import_id)  # raises for an unknown id
        return await self._database.read(
            partial(
                imports.list_import_rows, import_id=import_id, outcome=ImportRowOutcome.REJECTED
            )
        )

    async def _prepare_request(
        self, path: Path, options: ImportOptions
    ) -> process.ImportReadRequest:
        """Return the request with the words on consent that people explained before."""
        request = self._build_request(path, options)
        words = await self._database.read(consent_words.list_consent_words)
        answers = {word: ConsentAnswer(answer) for word, answer in words.items()}
        return msgspec.structs.replace(request, consent_words=answers)

    def _build_request(self, path: Path, options: ImportOptions) -> process.ImportReadRequest:
        return process.ImportReadRequest(
            path=str(path.absolute()),
            source=choose_source(self._sources, path, options.source),
            options=options,
            region=options.region or self._settings.daemon.default_region,
            today=self._clock.now().date(),
            blocked=self._settings.plugins.blocked,
        )

    def _remember_words(self, tx: Tx, options: ImportOptions, who: str) -> None:
        """Store what a person said of words on consent, so that the next list does not ask."""
        answers = {word: each.value for word, each in options.folded_consent_words.items()}
        consent_words.store_consent_words(tx, answers, who=who, at=self._clock.now())

    async def _begin(
        self,
        path: Path,
        request: process.ImportReadRequest,
        opened: process.ImportFileSummary,
        who: str,
    ) -> ImportRecord:
        parameters = {
            "source": request.source,
            "region": request.region,
            "mapping": opened.mapping,
            "options": msgspec.to_builtins(request.options),
            "unused": [each.header for each in opened.columns if each.use is ColumnUse.UNUSED],
        }
        content_hash = await asyncio.to_thread(_hash_import, path, parameters)
        return await self._database.write(
            partial(
                imports.begin_import,
                content_hash=content_hash,
                source=request.source,
                filename=path.name,
                who=who,
                options=parameters,
                at=self._clock.now(),
            )
        )

    def _finish(self, tx: Tx, import_record: ImportRecord) -> None:
        now = self._clock.now()
        counts = imports.finish_import(tx, import_record.id, at=now)
        duplicates, rejected = counts[ImportRowOutcome.DUPLICATE], counts[ImportRowOutcome.REJECTED]
        tx.emit(
            ImportFinished(
                subject=import_record.id,
                at=now,
                filename=import_record.filename,
                accepted=sum(counts.values()) - duplicates - rejected,
                duplicates=duplicates,
                rejected=rejected,
            )
        )

    def _predict_outcomes(
        self, reader: Reader, records: Sequence[ParsedImportRow], seen: set[str]
    ) -> Counter[ImportRowOutcome]:
        """Return the expected outcomes; ``seen`` are the spellings of all earlier numbers."""
        counts: Counter[ImportRowOutcome] = Counter()
        for record in records:
            forms = number_forms(record.phone) if record.phone else frozenset()
            again = not seen.isdisjoint(forms)
            counts[
                ImportRowOutcome.DUPLICATE
                if again
                else self._writer.predict_outcome(reader, record)
            ] += 1
            seen |= forms
        return counts


def _hash_import(path: Path, parameters: object) -> str:
    """Return a hash of the file's bytes, its mapping and the options: the import's identity."""
    digest = hashlib.sha256(msgspec.json.encode(parameters, order="sorted"))
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
