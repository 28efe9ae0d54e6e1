"""The lines between an import's child process and the daemon: one request, then answers."""

from __future__ import annotations

from datetime import date
from typing import Final, TypeAlias

import msgspec

from daemon.imports.options import ImportOptions
from daemon.imports.reading import ReadRecord

BATCH: Final = 500
"""Records in one line, at most."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What the child is to do: open, map, read and understand every record of a file."""

    path: str
    source: str
    options: ImportOptions
    region: str
    today: date
    blocked: tuple[str, ...] = ()


class Opened(msgspec.Struct, frozen=True, tag="opened"):
    """The file was opened and read through once; ``rows`` are its first records' cells."""

    form: str
    headers: tuple[str, ...]
    mapping: dict[str, str]
    rows: tuple[tuple[int, dict[str, str]], ...]
    total: int


class Batch(msgspec.Struct, frozen=True, tag="batch"):
    """The next records, in file order."""

    records: tuple[ReadRecord, ...]


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """All records were handed over. Without this line an import is not finished."""

    total: int


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The file can't be imported, and why."""

    sentence: str
    hint: str = ""


Answer: TypeAlias = Opened | Batch | Ended | Refused


def encode(said: Request | Answer) -> bytes:
    """Return one line, with its end."""
    return msgspec.json.encode(said) + b"\n"


def decode_request(line: bytes) -> Request:
    """Return the request in a line; raise msgspec.MsgspecError for anything else."""
    return msgspec.json.decode(line, type=Request)


def decode_answer(line: bytes) -> Answer:
    """Return the answer in a line; raise msgspec.MsgspecError for anything else."""
    answer: Answer = msgspec.json.decode(line, type=Answer)
    return answer
