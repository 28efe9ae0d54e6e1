"""The lines between an import's child process and the daemon: one request, then answers."""

from __future__ import annotations

from datetime import date
from typing import Final, TypeAlias

import msgspec

from daemon.imports.options import ImportOptions
from daemon.imports.reading import ParsedImportRow

BATCH_SIZE: Final = 500
"""Records in one line, at most."""


class ImportReadRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the child is to do: open, map, read and understand every record of a file."""

    path: str
    source: str
    options: ImportOptions
    region: str
    today: date
    blocked: tuple[str, ...] = ()


class ImportFileSummary(msgspec.Struct, frozen=True, tag="opened"):
    """The file was opened and read through once; ``rows`` are its first records' cells."""

    form: str
    headers: tuple[str, ...]
    mapping: dict[str, str]
    rows: tuple[tuple[int, dict[str, str]], ...]
    total: int


class ImportRowBatch(msgspec.Struct, frozen=True, tag="batch"):
    """The next records, in file order."""

    records: tuple[ParsedImportRow, ...]


class ImportFileEnd(msgspec.Struct, frozen=True, tag="ended"):
    """All records were handed over. Without this line an import is not finished."""

    total: int


class ImportFileRefusal(msgspec.Struct, frozen=True, tag="refused"):
    """The file can't be imported, and why."""

    sentence: str
    hint: str = ""


ImportReadAnswer: TypeAlias = ImportFileSummary | ImportRowBatch | ImportFileEnd | ImportFileRefusal


def encode_message(message: ImportReadRequest | ImportReadAnswer) -> bytes:
    """Return one line, with its end."""
    return msgspec.json.encode(message) + b"\n"


def decode_request(line: bytes) -> ImportReadRequest:
    """Return the request in a line; raise msgspec.MsgspecError for anything else."""
    return msgspec.json.decode(line, type=ImportReadRequest)


def decode_answer(line: bytes) -> ImportReadAnswer:
    """Return the answer in a line; raise msgspec.MsgspecError for anything else."""
    answer: ImportReadAnswer = msgspec.json.decode(line, type=ImportReadAnswer)
    return answer
