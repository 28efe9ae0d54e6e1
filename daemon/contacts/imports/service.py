"""Previews, runs and reports imports of prospect lists. One import runs at a time."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from daemon.api.clock import Clock
from daemon.contacts.aliases import Aliases
from daemon.contacts.imports import process
from daemon.contacts.imports.options import ImportOptions
from daemon.contacts.imports.preview import ImportPreview, PreviewBuilder
from daemon.contacts.imports.process import ImportProcess
from daemon.contacts.imports.report import ImportReport, get_import_report, list_earlier_imports
from daemon.contacts.imports.row_parser import ParsedImportRow
from daemon.contacts.imports.writer import ImportWriter
from daemon.contacts.list_process import choose_source
from daemon.contacts.validation_transitions import build_validation_transitions
from daemon.errors import Conflict, NotFound, Unavailable
from daemon.events import ImportFinished
from daemon.gate.scoring import Scoring
from daemon.lists.consent_cells import ConsentAnswer
from daemon.lists.vocabulary import ColumnUse
from daemon.plugin_manager import Plugins
from daemon.settings import Settings
from storage import audit, imports
from storage.db import Database
from storage.imports import ImportRecord, ImportRowOutcome, ImportRowRecord
from storage.tx import Tx

ProgressCallback: TypeAlias = Callable[[int, int | None], None]
MAX_PREVIEWS: Final = 2
"""The most previews at a time; each has a child process."""
MAX_WAITING_PREVIEWS: Final = 8
"""A preview beyond these is refused."""
_ROWS_PER_JOB: Final = 50  # few, because an urgent write waits for the job that runs
_ROWS_PER_CHECKPOINT: Final = 2_000


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
        self.turn = asyncio.Lock()
        """Held by the import, or the undoing of one, that writes."""
        self._preview_places = asyncio.Semaphore(MAX_PREVIEWS)
        self._waiting_previews = 0
        self._running: set[asyncio.Task[ImportReport]] = set()

    async def preview(self, path: Path, options: ImportOptions) -> ImportPreview:
        """Read the whole file, and return the expected result; nothing is written.

        Two files are read at a time; a further one waits. Raises :class:`Unavailable` where many
        wait already.
        """
        plan = await self.compute_plan(path, options)
        request = await self._prepare_request(path, options)
        async with self._take_preview_place(), self._import_process.open_file(request) as reading:
            builder = PreviewBuilder(request, reading.summary)
            async for records in reading.batches:
                await self._database.read(partial(builder.add, records=records))
        file_hash = await asyncio.to_thread(_hash_file, path)
        same_file = await self._database.read(partial(list_earlier_imports, file_hash=file_hash))
        return builder.build(plan, same_file)

    @contextlib.asynccontextmanager
    async def _take_preview_place(self) -> AsyncIterator[None]:
        """Wait for one of the few places; raise :class:`Unavailable` where too many wait."""
        if self._waiting_previews >= MAX_WAITING_PREVIEWS:
            raise Unavailable(
                "Several lists are being read already.", hint="Try again in a moment."
            )
        self._waiting_previews += 1
        try:
            await self._preview_places.acquire()
        finally:
            self._waiting_previews -= 1
        try:
            yield
        finally:
            self._preview_places.release()

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
        return _hash_content(await asyncio.to_thread(_hash_file, path), parameters)

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
        async with self.turn, self._import_process.open_file(request) as reading:
            import_record = await self._begin(path, request, reading.summary, who)
            if import_record.finished_at is not None:
                return await self.get_report(import_record.id, repeated=True)
            if options.consent_words:
                await self._database.write(partial(self._remember_words, options=options, who=who))
            done = 0
            async for records in reading.batches:
                await self._write_batch(import_record, records, options)
                done += len(records)
                on_progress(done, reading.summary.total)
                # Here, beside the writer: a full log would be moved by whoever commits next, and
                # an opt-out would wait for it.
                if done // _ROWS_PER_CHECKPOINT > (done - len(records)) // _ROWS_PER_CHECKPOINT:
                    await self._database.checkpoint(cut=False)
            await self._database.write(partial(self._finish, import_record=import_record))
        return await self.get_report(import_record.id)

    async def _write_batch(
        self,
        import_record: ImportRecord,
        records: Sequence[ParsedImportRow],
        options: ImportOptions,
    ) -> None:
        """Write the records in several small jobs, in their order. Raises what one of them did."""
        jobs = (
            self._database.write(
                partial(
                    self._writer.write_rows,
                    import_record=import_record,
                    records=records[start : start + _ROWS_PER_JOB],
                    at=self._clock.now(),
                    given=options.given_statement,
                    record_consents=options.record_consents,
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

    async def set_origin_in_words(self, import_id: str, words: str, who: str) -> ImportReport:
        """Store how one would tell these people where their numbers are from; it is audited.

        Raises :class:`NotFound`.
        """
        at = self._clock.now()
        await self.get_report(import_id)

        def job(tx: Tx) -> None:
            imports.set_origin_in_words(tx, import_id, words)
            audit.insert_audit_entry(
                tx, at=at, who=who, action="import_origin_told", subject=import_id
            )

        await self._database.write(job, urgent=True)
        return await self.get_report(import_id)

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
        words = await self._database.read(imports.list_consent_words)
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
        imports.store_consent_words(tx, answers, who=who, at=self._clock.now())

    async def _begin(
        self,
        path: Path,
        request: process.ImportReadRequest,
        opened: process.ImportFileSummary,
        who: str,
    ) -> ImportRecord:
        options = msgspec.to_builtins(request.options)
        # Other words on where the people are from make no other import: they replace the first.
        words = options.pop("origen_en_palabras")
        parameters = {
            "source": request.source,
            "region": request.region,
            "mapping": opened.mapping,
            "options": options,
            "unused": [each.header for each in opened.columns if each.use is ColumnUse.UNUSED],
        }
        file_hash = await asyncio.to_thread(_hash_file, path)
        return await self._database.write(
            partial(
                imports.begin_import,
                content_hash=_hash_content(file_hash, parameters),
                file_hash=file_hash,
                source=request.source,
                filename=path.name,
                who=who,
                options=parameters,
                origen_en_palabras=words,
                at=self._clock.now(),
            )
        )

    def _finish(self, tx: Tx, import_record: ImportRecord) -> None:
        now = self._clock.now()
        counts = imports.finish_import(tx, import_record.id, at=now)
        duplicates, rejected = counts[ImportRowOutcome.DUPLICATE], counts[ImportRowOutcome.REJECTED]
        audit.insert_audit_entry(
            tx,
            now,
            import_record.who,
            "import_list",
            import_record.id,
            detail={"name": import_record.filename, "record": sum(counts.values())},
        )
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


def _hash_file(path: Path) -> str:
    """Return a hash of the file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hash_content(file_hash: str, parameters: object) -> str:
    """Return a hash of a file and how it is read: what makes two imports the same."""
    content = (file_hash, parameters)
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()
