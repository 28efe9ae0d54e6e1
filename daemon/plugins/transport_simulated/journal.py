"""Append-only files of JSON lines that survive a crash: each line is on the disk when written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec


class Journal:
    """One private file of records. A last line that a crash tore is cut off when it is opened.

    Writing waits for the disk on the spot, in the caller's thread: this wire is for training and
    tests, where the same seed must give the same order, and a few milliseconds do not matter.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        written = path.read_bytes()
        whole = written[: written.rfind(b"\n") + 1]
        os.ftruncate(self._file, len(whole))
        self._records = [msgspec.json.decode(line) for line in whole.splitlines()]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield every record, oldest first."""
        return iter(tuple(self._records))

    def append(self, record: Mapping[str, object]) -> None:
        """Write one record; return when it is on the disk."""
        line = msgspec.json.encode(record)
        os.write(self._file, line + b"\n")
        os.fsync(self._file)
        self._records.append(msgspec.json.decode(line))

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
