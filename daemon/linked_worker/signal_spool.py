"""The worker's spool: what was received and is not stored by the daemon yet, on the disk.

The library acknowledges a message to WhatsApp as it receives it; from then on nobody sends it
again. So each signal that must not be lost is written here before it is handed to the daemon, and
is forgotten once the daemon has stored it. What is left is handed over by the next worker.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from daemon.api.signals import AliasLearned, InboundMessage, Origin, OwnMessage, Receipt
from daemon.linked_worker.protocol import SignalReport, decode_signal

SPOOL_FILE: Final = "unstored_signals.jsonl"
SPOOLED_SIGNALS: Final = (InboundMessage, OwnMessage, Receipt, AliasLearned)
"""Those that the daemon stores before it reads the next one; the others it learns again."""
MAX_SPOOL_BYTES: Final = 16 << 20
"""About 40,000 messages. A worker whose spool is full receives nothing more."""


class SpoolUnreadable(Exception):
    """The file holds what this version can't read; the text says where, and what to do."""


class SignalSpool:
    """The unstored signals of one session, by number; needs the session's lock.

    A number is good for one process: what an earlier one left is numbered again.
    """

    def __init__(self, folder: Path, max_bytes: int = MAX_SPOOL_BYTES) -> None:
        self._path = folder / SPOOL_FILE
        self._max_bytes = max_bytes
        self._lines = dict(enumerate(_read_lines(self._path), 1))
        self._last = len(self._lines)
        self._changed = threading.Condition()
        self._rewrite()

    def list_unstored(self) -> list[SignalReport]:
        """Return what was not stored, oldest first. It has waited, so that it is not live."""
        with self._changed:
            return [_mark_as_late(_decode(line), number) for number, line in self._lines.items()]

    def append(self, report: SignalReport) -> SignalReport:
        """Write a report durably; return it with its number. Raises OSError where that fails."""
        line = msgspec.json.encode(report) + b"\n"
        with self._changed:
            if os.write(self._file, line) < len(line):
                raise OSError("the disk is full")
            os.fdatasync(self._file)
            self._last += 1
            self._lines[self._last] = line
            self._unstored_bytes += len(line)
            self._file_bytes += len(line)
            return msgspec.structs.replace(report, number=self._last)

    def acknowledge(self, number: int) -> None:
        """Forget a signal that the daemon has stored."""
        with self._changed:
            self._unstored_bytes -= len(self._lines.pop(number, b""))
            if not self._lines:
                # Not synced: a signal that comes again is known by its id.
                os.ftruncate(self._file, 0)
                self._file_bytes = 0
            elif self._file_bytes > 2 * self._max_bytes:
                os.close(self._file)
                self._rewrite()
            self._changed.notify_all()

    @property
    def is_full(self) -> bool:
        """Return whether there is no room for more."""
        return self._unstored_bytes > self._max_bytes

    def wait_for_room(self) -> None:
        """Return once there is room for more."""
        with self._changed:
            self._changed.wait_for(lambda: not self.is_full)

    def wait_for_fewer(self, count: int) -> None:
        """Return once fewer signals than that are unstored."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._lines) < count)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _rewrite(self) -> None:
        """Replace the file by one of what is unstored, atomically, and open it."""
        new = self._path.with_suffix(".new")
        with new.open("wb") as file:
            file.writelines(self._lines.values())
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._file_bytes = self._unstored_bytes = sum(map(len, self._lines.values()))


def _read_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file; raise :class:`SpoolUnreadable` for one that is no signal."""
    if not path.exists():
        return
    for line in path.read_bytes().splitlines(keepends=True):
        if not line.endswith(b"\n"):
            return  # a power cut left a part of it
        try:
            decode_signal(_decode(line))
        except msgspec.MsgspecError:
            raise SpoolUnreadable(
                f"{path} holds received messages that this version can't read. Read them (one a"
                " line), enter each opt-out (leadmaster suppress add), then move the file away."
            ) from None
        yield line


def _decode(line: bytes) -> SignalReport:
    return msgspec.json.decode(line, type=SignalReport)


def _mark_as_late(report: SignalReport, number: int) -> SignalReport:
    fields = dict(report.fields)
    if fields.get("origin") == Origin.LIVE.value:
        fields["origin"] = Origin.OFFLINE.value
    return msgspec.structs.replace(report, fields=fields, number=number)
