"""Imports official do-not-call registers: who is on one gets nothing commercial.

A register is taken whole or not at all. The newest of a country is in force; the gate asks for a
newer one when it is too old.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from daemon.api.clock import Clock
from daemon.contacts.aliases import Aliases
from daemon.contacts.number_lists import (
    NumberListOptions,
    NumberListProcess,
    NumberListRequest,
    NumberRecord,
    build_number_request,
)
from daemon.contacts.suppression_lists import RejectedListRecord
from daemon.errors import ImportRejected
from daemon.lists.vocabulary import ListKind
from daemon.plugin_manager import Plugins
from daemon.settings import Settings
from statemachines.vocabulary import WaitsFor
from storage import audit, do_not_call, queue
from storage.db import Database
from storage.do_not_call import DoNotCallRegister
from storage.tx import Tx

_DELETED_ROWS: Final = 2_000
_MAX_REJECTS: Final = 100


class RegisterImportResult(Struct, frozen=True):
    """The result of importing a register: what is in force now, and what was not read.

    ``rejects`` are the first of the ``rejected`` records.
    """

    register: DoNotCallRegister
    form: str
    phones: Sequence[str]
    unused: Sequence[str]
    remarks: Sequence[str]
    records: int
    rejected: int
    rejects: Sequence[RejectedListRecord]


class RegisterPreview(Struct, frozen=True):
    """What an import of a register would read; ``numbers`` counts one that repeats each time.

    ``rejects`` are the first of the ``rejected`` records; each number of a record is its row.
    """

    form: str
    phones: Sequence[str]
    unused: Sequence[str]
    remarks: Sequence[str]
    records: int
    numbers: int
    rejected: int
    rejects: Sequence[RejectedListRecord]


class DoNotCallService:
    """Imports do-not-call registers, one at a time."""

    def __init__(
        self,
        database: Database,
        plugins: Plugins,
        aliases: Aliases,
        clock: Clock,
        settings: Settings,
        *,
        list_process: NumberListProcess | None = None,
    ) -> None:
        self._database = database
        self._sources = plugins.sources()
        self._aliases = aliases
        self._clock = clock
        self._settings = settings
        self._process = list_process or NumberListProcess()
        self._lock = asyncio.Lock()

    async def preview(
        self, path: Path, options: NumberListOptions, *, country: str
    ) -> RegisterPreview:
        """Return what an import would read of a file; nothing is stored.

        Raises :class:`ImportRejected` for an unreadable file, and one without a number.
        """
        rejects: list[RejectedListRecord] = []
        rejected = numbers = 0
        async with self._process.open_file(self._build_request(path, options, country)) as reading:
            async for records in reading.batches:
                found = [_build_reject(each) for each in records if each.reason_code]
                rejected += len(found)
                rejects += found[: _MAX_REJECTS - len(rejects)]
                numbers += sum(len(each.phones) for each in records)
        if not numbers:
            raise _build_empty_register()
        summary = reading.summary
        return RegisterPreview(
            summary.form,
            summary.phones,
            summary.unused,
            summary.remarks,
            summary.total,
            numbers,
            rejected,
            rejects,
        )

    def _build_request(
        self, path: Path, options: NumberListOptions, country: str
    ) -> NumberListRequest:
        return build_number_request(
            path,
            msgspec.structs.replace(options, region=country),
            ListKind.DO_NOT_CALL,
            self._sources,
            self._settings,
        )

    async def import_register(
        self, path: Path, options: NumberListOptions, *, country: str, dated: date, who: str
    ) -> RegisterImportResult:
        """Import a register of a country as it was on a day, and put it in force if it is newest.

        Raises :class:`ImportRejected` for an unreadable file, one without a number, and a day that
        has not come yet. Nothing is in force of an import that was cut short.
        """
        self._refuse_future_day(dated)
        request = self._build_request(path, options, country)
        rejects: list[RejectedListRecord] = []
        rejected = 0
        async with self._lock, self._process.open_file(request) as reading:
            register = await self._begin(path.name, country, dated, who)
            # No other import runs: what is unfinished was cut short.
            await self._delete_superseded(keep=register)
            async for records in reading.batches:
                found = [_build_reject(each) for each in records if each.reason_code]
                rejected += len(found)
                rejects += found[: _MAX_REJECTS - len(rejects)]
                await self._write_numbers(register, records)
            in_force = await self._finish(register, who)
        await self._delete_superseded()
        summary = reading.summary
        return RegisterImportResult(
            in_force,
            summary.form,
            summary.phones,
            summary.unused,
            summary.remarks,
            summary.total,
            rejected,
            rejects,
        )

    def _refuse_future_day(self, dated: date) -> None:
        if dated > self._clock.now().date() + timedelta(days=1):  # somewhere it is tomorrow
            raise ImportRejected(
                f"The register can't be of {dated}: that day has not come yet.",
                hint="Give the day on which it was issued: --dated YYYY-MM-DD",
            )

    async def list_registers(self) -> Sequence[DoNotCallRegister]:
        """Return the latest registers, newest first."""
        return await self._database.read(do_not_call.list_registers)

    async def _begin(self, filename: str, country: str, dated: date, who: str) -> str:
        def job(tx: Tx) -> str:
            return do_not_call.begin_register(
                tx,
                country=country,
                dated=dated,
                filename=filename,
                who=who,
                at=self._clock.now(),
            )

        return await self._database.write(job)

    async def _write_numbers(self, register: str, records: Sequence[NumberRecord]) -> None:
        # The first spelling stands for the line, whichever way a contact's number is written.
        hashes = [
            self._aliases.from_phone(phone)[0].hash for each in records for phone in each.phones
        ]
        await self._database.write(
            partial(do_not_call.insert_register_numbers, register=register, hashes=hashes)
        )

    async def _finish(self, register: str, who: str) -> DoNotCallRegister:
        at = self._clock.now()

        def job(tx: Tx) -> DoNotCallRegister:
            found = do_not_call.finish_register(tx, register, at)
            if not found.numbers:
                raise _build_empty_register()
            audit.insert_audit_entry(
                tx,
                at=at,
                who=who,
                action="import_do_not_call",
                subject=register,
                detail={"country": found.country, "numbers": found.numbers},
            )
            queue.requeue_waiting_messages(tx, at, WaitsFor.REGISTER)
            return found

        return await self._database.write(job)

    async def _delete_superseded(self, *, keep: str = "") -> None:
        while await self._database.write(
            lambda tx: do_not_call.delete_superseded_numbers(tx, _DELETED_ROWS, keep=keep)
        ):
            pass


def _build_empty_register() -> ImportRejected:
    return ImportRejected("The register has no number.", hint="Check the file and its columns.")


def _build_reject(record: NumberRecord) -> RejectedListRecord:
    return RejectedListRecord(
        record.number, record.reason_code, record.sentence, partly=bool(record.phones)
    )
