"""The files of a simulated session: login, sent messages, and timestamps."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from daemon.api.permit import Permit


class JsonLinesFile:
    """A private file of records, one a line. Opening it cuts off a last line that is not whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._records = _read_records(path)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield every record, oldest first."""
        return iter(tuple(self._records))

    def append(self, record: Mapping[str, object]) -> None:
        """Write one record, durably."""
        line = msgspec.json.encode(record)
        if self._file < 0:  # not earlier: a transport that fails to open is never closed
            self._file = _open_file(self._path)
        # Blocking, in the event loop: the same seed must give the same order, and nobody sends
        # enough through a simulated channel to notice.
        os.write(self._file, line + b"\n")
        os.fsync(self._file)
        self._records.append(msgspec.json.decode(line))

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _read_records(path: Path) -> list[dict[str, Any]]:
    """Return the records of a file; create it where it is missing."""
    with os.fdopen(_open_file(path), "r+b") as file:
        written = file.read()
        # A crash may have torn the last line.
        whole = written[: written.rfind(b"\n") + 1]
        file.truncate(len(whole))
    return [msgspec.json.decode(line) for line in whole.splitlines()]


def _open_file(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


SENT_FILE = "wire.jsonl"
TIMESTAMPS_FILE = "told.jsonl"
LOGIN_FILE = "login.json"


class SentMessage(Struct, frozen=True):
    """A message that reached its contact; ``body`` is the hash of its text."""

    wire_id: str
    message: str
    recipient: str
    body: str
    permit: str
    at: datetime


class SentLog:
    """The sent messages: a message counts as sent once it is in this file.

    It also remembers the used permits, across restarts.
    """

    def __init__(self, folder: Path) -> None:
        self._file = JsonLinesFile(folder / SENT_FILE)
        self._sent = [msgspec.convert(record, SentMessage) for record in self._file]
        self._permits = {sent.permit for sent in self._sent}

    @property
    def sent(self) -> Sequence[SentMessage]:
        """Return everything that was sent, oldest first."""
        return tuple(self._sent)

    def has_permit(self, permit: Permit) -> bool:
        """Return whether this permit was used for a message that was sent."""
        return permit.id in self._permits

    def append(self, sent: SentMessage) -> None:
        """Store a message as sent, durably."""
        self._file.append(msgspec.to_builtins(sent))
        self._sent.append(sent)
        self._permits.add(sent.permit)

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._file.close()


class TimestampLog:
    """Moments that survive a restart: when each signal was reported, and when states began."""

    def __init__(self, folder: Path) -> None:
        self._file = JsonLinesFile(folder / TIMESTAMPS_FILE)
        self._timestamps = {str(record["key"]): record["at"] for record in self._file}

    def get(self, key: str) -> datetime | None:
        """Return the moment under ``key``, or None."""
        noted = self._timestamps.get(key)
        return None if noted is None else msgspec.convert(noted, datetime)

    def record(self, key: str, at: datetime) -> None:
        """Store a moment under ``key``; a later one replaces it."""
        self._file.append({"key": key, "at": at})
        self._timestamps[key] = at.isoformat()

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._file.close()


class StoredLogin:
    """The stored login, with which a session connects without a QR code."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOGIN_FILE

    def get_phone(self) -> str | None:
        """Return the linked number, or None without a login."""
        if not self._path.exists():
            return None
        return str(msgspec.json.decode(self._path.read_bytes())["phone"])

    def store(self, phone: str) -> None:
        """Store the login in a private file, atomically."""
        draft = self._path.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_bytes(msgspec.json.encode({"phone": phone}))
        draft.replace(self._path)

    def delete(self) -> None:
        """Remove the login. Idempotent."""
        self._path.unlink(missing_ok=True)
