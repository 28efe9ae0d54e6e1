"""A child process that reads a list: its messages, the parent's side, and the child's frame.

A child, so that a bad file can't harm the daemon. Each kind of list has a module with its own
request and records, which runs as ``python -m``, by :mod:`daemon.worker_protocol`.
"""

from __future__ import annotations

import contextlib
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from pathlib import Path
from typing import BinaryIO, Final, Generic, Never, Protocol, TypeAlias, TypeVar

import msgspec
import structlog

from daemon import subprocesses
from daemon.api.imports import ImportSource, SourceUnreadable
from daemon.errors import ImportRejected, LeadMasterError
from daemon.plugin_manager import Plugins
from daemon.worker_protocol import (
    SILENCE_SECONDS,
    FrameWriter,
    WorkerFailed,
    WorkerProtocol,
    ask_worker,
    describe_defect,
    serve_requests,
)

log = structlog.get_logger("imports")

MAX_LINE_BYTES: Final = 2 * 2**20
"""The longest line of the protocol: what the daemon holds of a file at a time."""
BATCH_SIZE: Final = 500
"""The most records in one message of the protocol."""
_BATCH_BYTES: Final = 2**19
"""Bytes after which a batch is full: a record of the longest cells may still be added."""
STALL_SECONDS: Final = 600.0
"""The longest time between two answers, in seconds. A large file is read twice before the first."""


class ListRequest(Protocol):
    """What every request says: the file, the source that reads it, and the plugins left out."""

    @property
    def path(self) -> str:
        """The absolute path of the file."""
        ...

    @property
    def source(self) -> str:
        """The name of the import source."""
        ...

    @property
    def blocked(self) -> tuple[str, ...]:
        """The names of plugins that are not loaded."""
        ...


class ListSummary(Protocol):
    """What every first answer says: how many records will follow."""

    @property
    def total(self) -> int:
        """The number of records."""
        ...


RequestT = TypeVar("RequestT", bound=ListRequest)
SummaryT = TypeVar("SummaryT", bound=ListSummary)
RecordT = TypeVar("RecordT")


class RecordBatch(msgspec.Struct, Generic[RecordT], frozen=True, tag="batch"):
    """The next records, in file order."""

    records: tuple[RecordT, ...]


class ListRefusal(msgspec.Struct, frozen=True, tag="refused"):
    """The reason why the file can't be read."""

    sentence: str
    hint: str = ""
    detail: str = ""
    """For the log: the defect and its location, where an import source failed."""


ListAnswer: TypeAlias = SummaryT | RecordBatch[RecordT] | ListRefusal
ListProtocol: TypeAlias = WorkerProtocol[RequestT, ListAnswer[SummaryT, RecordT], Never, Never]


class OpenedList(Generic[SummaryT, RecordT]):
    """A list that the child has opened: its summary, and batches of its records in file order."""

    def __init__(self, summary: SummaryT, batches: AsyncIterator[Sequence[RecordT]]) -> None:
        self.summary = summary
        self.batches = batches


class ListProcess(Generic[RequestT, SummaryT, RecordT]):
    """Reads lists of one kind in a child process, which ``command`` starts."""

    def __init__(
        self,
        protocol: ListProtocol[RequestT, SummaryT, RecordT],
        command: Sequence[str],
        *,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self._protocol = protocol
        self._command = command
        self._silence_seconds = silence_seconds

    @contextlib.asynccontextmanager
    async def open_file(self, request: RequestT) -> AsyncIterator[OpenedList[SummaryT, RecordT]]:
        """Yield the list as the child reads it; the child has ended when the block ends.

        Raises :class:`ImportRejected`, here or while batches are read, where the file is refused,
        and where the child ends, stalls or breaks the protocol before all records have arrived.
        """
        async with (
            subprocesses.run_worker(self._command, self._protocol.max_line_bytes) as child,
            contextlib.aclosing(self._read_answers(child, request)) as answers,
        ):
            opened = await anext(answers, None)
            if opened is None or isinstance(opened, RecordBatch):
                raise _process_failure("did not say what it found")
            yield OpenedList(opened, _read_batches(answers, opened.total))

    async def _read_answers(
        self, child: subprocesses.WorkerProcess, request: RequestT
    ) -> AsyncGenerator[SummaryT | RecordBatch[RecordT], None]:
        """Yield the child's answers. Raises ImportRejected for a refusal or a failed child."""
        asked = ask_worker(
            self._protocol,
            child,
            request,
            silence_seconds=self._silence_seconds,
            stall_seconds=STALL_SECONDS,
        )
        try:
            async with contextlib.aclosing(asked) as said:
                async for message in said:
                    if isinstance(message.body, ListRefusal):
                        if message.body.detail:
                            log.error("import_source_failed", detail=message.body.detail)
                        raise ImportRejected(message.body.sentence, hint=message.body.hint)
                    yield message.body
        except WorkerFailed as failure:
            log.error("import_process_failed", failure=str(failure), detail=failure.detail)
            raise _process_failure(str(failure)) from None


async def _read_batches(
    answers: AsyncIterator[SummaryT | RecordBatch[RecordT]], total: int
) -> AsyncIterator[Sequence[RecordT]]:
    done = 0
    async for answer in answers:
        if not isinstance(answer, RecordBatch):
            raise _process_failure("said twice what it found")
        done += len(answer.records)
        yield answer.records
    # A child that ended early must not make an import that looks complete.
    if done != total:
        raise _process_failure(f"found {total} records and handed over {done}")


def _process_failure(what: str) -> ImportRejected:
    return ImportRejected(
        f"The process that reads the file {what}.",
        hint="Nothing is lost: import the same file again, and it continues where it stopped.",
    )


def choose_source(sources: Mapping[str, ImportSource], path: Path, asked: str | None = None) -> str:
    """Return the name of the source that reads a file: the asked one, else the suffix's.

    Raises :class:`ImportRejected` where there is no file, or no source for it.
    """
    if not path.is_file():
        raise ImportRejected(f"{path} is not a file.", hint="Check the path.")
    if asked in sources:
        return str(asked)
    suffix = path.suffix.lower()
    fitting = [name for name, source in sources.items() if suffix in source.suffixes]
    if asked is None and fitting:
        return fitting[0]
    known = "; ".join(f"{name} ({', '.join(each.suffixes)})" for name, each in sources.items())
    raise ImportRejected(
        f"No import source is called {asked!r}."
        if asked
        else f"No import source reads files that end in {suffix!r}.",
        hint=f"There are: {known}.",
    )


ReadList: TypeAlias = Callable[
    [ImportSource, RequestT], Iterator[SummaryT | RecordBatch[RecordT] | ListRefusal]
]


def serve_lists(
    protocol: ListProtocol[RequestT, SummaryT, RecordT],
    read: ReadList[RequestT, SummaryT, RecordT],
    requests: BinaryIO,
    answers: BinaryIO,
) -> None:
    """In the child: answer requests in the frames of the protocol."""

    def send_answers(
        request: RequestT, writer: FrameWriter[ListAnswer[SummaryT, RecordT], Never, Never]
    ) -> None:
        for answer in answer_request(request, read):
            writer.send_answer(answer)

    serve_requests(protocol, send_answers, requests, answers)


def answer_request(
    request: RequestT, read: ReadList[RequestT, SummaryT, RecordT]
) -> Iterator[SummaryT | RecordBatch[RecordT] | ListRefusal]:
    """Yield what ``read`` does of a file, or at last a refusal (in the child)."""
    plugins = Plugins()
    try:
        plugins.load(blocked=request.blocked)
        yield from read(plugins.sources()[request.source], request)
    except SourceUnreadable as problem:
        yield ListRefusal(str(problem))
    except LeadMasterError as problem:
        yield ListRefusal(str(problem), problem.hint)
    except Exception as defect:  # noqa: BLE001 - a plugin's source may raise anything
        yield ListRefusal(
            f"The import source {request.source!r} failed while it read the file;"
            " the log says where.",
            "Fix or replace the plugin that provides it.",
            describe_defect(defect),
        )


def split_batches(records: Iterable[RecordT]) -> Iterator[RecordBatch[RecordT]]:
    """Yield records in batches, each small enough for a line of the protocol (in the child)."""
    batch: list[RecordT] = []
    size = 0
    for record in records:
        batch.append(record)
        size += len(msgspec.json.encode(record))
        if len(batch) == BATCH_SIZE or size > _BATCH_BYTES:
            yield RecordBatch(tuple(batch))
            batch, size = [], 0
    if batch:
        yield RecordBatch(tuple(batch))
