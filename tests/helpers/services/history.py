"""The services with Ana's number unknown, and histories that are read in this process."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from daemon.contacts.list_process import (
    ListAnswer,
    ListRefusal,
    OpenedList,
    RecordBatch,
    answer_request,
)
from daemon.errors import ImportRejected
from daemon.gate.consent import Permission, derive_permission
from daemon.history.line_parser import HistoryLine
from daemon.history.options import HistoryOptions
from daemon.history.process import (
    HistoryFileSummary,
    HistoryProcess,
    HistoryReadRequest,
    read_history,
)
from daemon.history.service import HistoryReport, HistoryService
from daemon.history.writer import HistoryWriter
from daemon.plugins import sync
from storage import contacts, evidence, inbound_reviews, suppressions
from storage.contacts import HoldScope
from storage.inbound_reviews import ReviewCause
from storage.tx import Reader
from tests.helpers.services.messaging import ANA, MessagingServices, open_messaging_services

HEADERS = ("telefono", "fecha y hora", "sentido", "mensaje")


class InProcessHistoryReader(HistoryProcess):
    """Runs the worker's code in this process, since starting one takes half a second."""

    @contextlib.asynccontextmanager
    async def open_file(
        self, request: HistoryReadRequest
    ) -> AsyncIterator[OpenedList[HistoryFileSummary, HistoryLine]]:
        """Yield the answers of the worker's own code."""
        answers = map(_raise_refusal, answer_request(request, read_history))
        opened = next(answers)
        assert isinstance(opened, HistoryFileSummary)
        yield OpenedList(opened, _iterate_batches(answers))


async def _iterate_batches(
    answers: Iterator[ListAnswer[HistoryFileSummary, HistoryLine]],
) -> AsyncIterator[Sequence[HistoryLine]]:
    for answer in answers:
        if isinstance(answer, RecordBatch):
            yield answer.records


def _raise_refusal(
    answer: ListAnswer[HistoryFileSummary, HistoryLine],
) -> ListAnswer[HistoryFileSummary, HistoryLine]:
    if isinstance(answer, ListRefusal):
        raise ImportRejected(answer.sentence, hint=answer.hint)
    return answer


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """What is known of a number, as far as the order of lines and files must not change it."""

    permission: Permission
    suppressed: bool
    stopped: bool
    hold: HoldScope | None
    unread: frozenset[str]
    """The quotes of what a person still has to read."""
    evidence: tuple[tuple[str, str, datetime], ...]


@dataclass(frozen=True, slots=True)
class HistoryServices:
    """The daemon's services, and histories read in this process."""

    services: MessagingServices
    history: HistoryService
    folder: Path

    def write_csv(self, rows: Iterable[Sequence[str]], name: str = "history.csv") -> Path:
        """Write rows below the usual headers."""
        path = self.folder / name
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([HEADERS, *rows])
        return path

    async def import_rows(
        self,
        *rows: Sequence[str],
        name: str = "history.csv",
        options: HistoryOptions | None = None,
    ) -> HistoryReport:
        """Import rows of number, moment, kind and words."""
        path = self.write_csv(rows, name)
        return await self.history.run(path, options or HistoryOptions(), "eva")

    async def get_person(self, phone: str = ANA) -> KnownPerson:
        """Return what is known of a number."""
        return await self.services.database.read(lambda r: self._read_person(r, phone))

    def _read_person(self, reader: Reader, phone: str) -> KnownPerson:
        contact = contacts.find_contact_by_aliases(reader, self.services.aliases.from_phone(phone))
        assert contact is not None
        found = contacts.get_contact(reader, contact)
        assert found is not None
        pieces = evidence.list_contact_evidence(reader, contact)
        reviews = inbound_reviews.list_contact_reviews(reader, contact)
        return KnownPerson(
            permission=derive_permission(pieces, self.services.clock.now()),
            suppressed=suppressions.is_contact_suppressed(reader, contact),
            stopped=found.stopped_reason is not None,
            hold=found.hold_scope,
            unread=frozenset(
                each.quote for each in reviews if each.cause is not ReviewCause.OPT_OUT
            ),
            evidence=tuple(sorted((each.kind.value, each.value, each.at) for each in pieces)),
        )


@contextlib.asynccontextmanager
async def open_history_services(folder: Path) -> AsyncIterator[HistoryServices]:
    """Open the services with a ready session, and nobody known."""
    async with open_messaging_services(folder / "state", plugins={"lists": sync}) as services:
        await services.add_session()
        history = HistoryService(
            services.database,
            services.plugins,
            HistoryWriter(
                services.aliases,
                services.suppression,
                services.scoring,
                services.settings.sending,
            ),
            services.clock,
            services.settings,
            process=InProcessHistoryReader(),
        )
        yield HistoryServices(services, history, folder)
