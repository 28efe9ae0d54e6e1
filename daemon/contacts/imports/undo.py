"""Undoes an import within 30 days, in small batches behind the page, and goes on after a crash.

It removes the people that only this import made and nothing happened to since. The others stay, by
name and with the reason; a permission that the import gave them is withdrawn. Refusals and opt-outs
stay always.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Final

import structlog

from daemon.api.clock import Clock
from daemon.contacts.imports.report import ImportUndo, get_undo_deadline, read_undo
from daemon.contacts.imports.service import ImportService
from daemon.errors import Conflict, NotFound, require_reason
from daemon.events import ImportUndone
from daemon.gate.scoring import Scoring
from storage import audit, erasure, evidence, import_undo, imports, prospects
from storage.db import Database
from storage.evidence import EvidenceKind
from storage.import_undo import UndoOutcome
from storage.imports import ImportRecord
from storage.tx import Reader, Tx

log = structlog.get_logger("imports")

_PEOPLE_PER_JOB: Final = 50  # few, because an urgent write waits for the job that runs


class ImportUndoService:
    """Undoes imports, one at a time, and never while a list is being imported."""

    def __init__(
        self, database: Database, scoring: Scoring, clock: Clock, imports_: ImportService
    ) -> None:
        self._database = database
        self._scoring = scoring
        self._clock = clock
        self._turn = imports_.turn
        self._running: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Go on with what a crash cut short; at the end of the block stop between two batches."""
        for import_id in await self._database.read(import_undo.list_begun_undos):
            self._start(import_id)
        try:
            yield
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def request(self, import_id: str, *, reason: str, who: str) -> ImportUndo:
        """Begin to undo an import; the work goes on behind the answer.

        Raises NotFound for an unknown import, Conflict after 30 days or for a second time.
        """
        stated, now = require_reason(reason), self._clock.now()

        def begin(tx: Tx) -> None:
            found = _require_import(tx, import_id)
            if import_undo.get_undo(tx, import_id) is not None:
                raise Conflict("This import is undone already.", hint="Its report says who stays.")
            if now > get_undo_deadline(found):
                raise Conflict(
                    "An import can be undone for 30 days only.",
                    hint="Suppress or correct its people one by one.",
                )
            import_undo.begin_undo(tx, import_id, who=who, reason=stated, at=now)
            audit.insert_audit_entry(tx, now, who, "undo_import", import_id, stated)

        await self._database.write(begin)
        self._start(import_id)
        undo = await self.get(import_id)
        if undo is None:
            raise NotFound(f"There is no import {import_id!r}.")
        return undo

    async def get(self, import_id: str) -> ImportUndo | None:
        """Return how far the undoing of an import is; None where nobody asked for it."""
        return await self._database.read(partial(read_undo, import_id=import_id))

    async def finish_all(self) -> None:
        """Return once every undoing that has begun is done."""
        await asyncio.gather(*self._running)

    def _start(self, import_id: str) -> None:
        task = asyncio.create_task(self._undo(import_id), name=f"undo {import_id}")
        # The loop itself holds tasks weakly only: without this one could be collected.
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _undo(self, import_id: str) -> None:
        async with self._turn:
            last: int | None = 0
            while last is not None:
                batch = partial(self._undo_batch, import_id=import_id, after=last)
                last = await self._database.write(batch)
            await self._database.write(partial(self._finish, import_id=import_id))
        log.info("import_undone", import_id=import_id)

    def _undo_batch(self, tx: Tx, import_id: str, after: int) -> int | None:
        """Look at the next people; return the last record, or None at the end."""
        undone = _require_import(tx, import_id)
        rows = import_undo.list_people_to_undo(tx, import_id, after=after, limit=_PEOPLE_PER_JOB)
        for record, prospect in rows:
            outcome = self._undo_person(tx, undone, prospect)
            import_undo.mark_record(tx, import_id, record, outcome)
        return rows[-1][0] if rows else None

    def _undo_person(self, tx: Tx, undone: ImportRecord, prospect_id: str) -> UndoOutcome:
        """Remove a person, or withdraw what the import said on their permission."""
        prospect = prospects.get_prospect(tx, prospect_id)
        if prospect is None:  # erased since, or removed as the person of an earlier record
            return UndoOutcome.REMOVED
        reason = import_undo.find_reason_to_stay(tx, undone, prospect)
        if reason is None:
            erasure.erase_contact(tx, prospect.contact)
            return UndoOutcome.REMOVED
        self._withdraw_permissions(tx, undone, prospect.contact)
        return reason

    def _withdraw_permissions(self, tx: Tx, undone: ImportRecord, contact: str) -> None:
        """Withdraw what the list said that we may; what it said that we may not stays."""
        now = self._clock.now()
        pieces = evidence.drop_withdrawn(evidence.list_contact_evidence(tx, contact))
        given = [
            piece
            for piece in import_undo.list_pieces_of_import(undone, pieces)
            if piece.kind is EvidenceKind.PERMISSION
        ]
        for piece in given:
            evidence.withdraw_evidence(
                tx, contact, piece, at=now, source=f"undone import {undone.filename}"
            )
        if given:
            self._scoring.refresh_prospect(
                tx,
                contact,
                now,
                reason_code="import_undone",
                sentence=f"The import of {undone.filename} was undone.",
            )

    def _finish(self, tx: Tx, import_id: str) -> None:
        now, undone = self._clock.now(), _require_import(tx, import_id)
        asked = import_undo.get_undo(tx, import_id)
        counts, _ = import_undo.count_undo_outcomes(tx, import_id)
        removed = counts.pop(UndoOutcome.REMOVED, 0)
        stayed = sum(counts.values())
        import_undo.finish_undo(tx, import_id, at=now)
        audit.insert_audit_entry(
            tx,
            now,
            asked.who if asked else "",
            "import_undone",
            import_id,
            detail={"removed": removed, "stayed": stayed},
        )
        tx.emit(
            ImportUndone(
                subject=import_id,
                at=now,
                filename=undone.filename,
                removed=removed,
                stayed=stayed,
            )
        )


def _require_import(reader: Reader, import_id: str) -> ImportRecord:
    found = imports.get_import(reader, import_id)
    if found is None:
        raise NotFound(f"There is no import {import_id!r}.")
    return found
