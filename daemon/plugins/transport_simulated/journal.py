"""Append-only files of JSON lines that survive a crash: each line is on the disk when written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec


class JsonLinesFile:
    """One private file of records. A last line that a crash tore is cut off when it is opened.

    Writing waits for the disk on the spot, in the caller's thread: this wire is for training and
    tests, where the same seed must give the same order, and a few milliseconds do not matter.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._records = _read_records(path)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield every record, oldest first."""
        return iter(tuple(self._records))

    def append(self, record: Mapping[str, object]) -> None:
        """Write one record; return when it is on the disk."""
        line = msgspec.json.encode(record)
        if self._file < 0:  # not before: a line that can't be opened has nothing to close
            self._file = _open_file(self._path)
        os.write(self._file, line + b"\n")
        os.fsync(self._file)
        self._records.append(msgspec.json.decode(line))

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _read_records(path: Path) -> list[dict[str, Any]]:
    """Return the whole records of a file; make it where it is missing."""
    with os.fdopen(_open_file(path), "r+b") as file:
        written = file.read()
        whole = written[: written.rfind(b"\n") + 1]
        file.truncate(len(whole))
    return [msgspec.json.decode(line) for line in whole.splitlines()]


def _open_file(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
