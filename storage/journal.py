"""The suppression journal: a second, append-only copy of the opt-outs in a file of its own.

After an older database was restored, the opt-outs that it lacks are read back from here. Each line
is one JSON object with a number and a checksum, so that a line that was cut, changed or removed is
noticed. People appear as keyed hashes only.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from msgspec import Struct

from storage.column_formats import format_timestamp, parse_timestamp
from storage.errors import SuppressionKeyLost, classify_disk_error
from storage.state_folder import StateFolder, create_durably

KEY_BYTES: Final = 32
_CHECKSUM_DIGITS: Final = 16


class JournalAction(StrEnum):
    """What a journal line does: suppress an alias, or lift its suppression."""

    SUPPRESSED = "suppressed"
    LIFTED = "lifted"


class JournalEntry(Struct, frozen=True):
    """One line: an alias, hashed by `SuppressionJournal.hash`, the action, its time and source."""

    alias_hash: str
    action: JournalAction
    at: datetime
    source: str


class SuppressionJournal:
    """The journal file of a state folder. An appended entry is on the disk when the call returns.

    Append an opt-out inside the job that stores it, so that no committed opt-out is missing here;
    append a lifting only after its commit. Use it from one thread at a time, and while the
    database is open, which locks the folder for this process.

    Opening removes a last line that a crash left unfinished; `torn` is True then. `damaged` holds
    the numbers of lines that can not be read or are gone; the others are still used. Raises
    SuppressionKeyLost when the key of the hashes is missing.
    """

    def __init__(self, folder: Path) -> None:
        state = StateFolder(folder)
        self._path = state.journal
        self._key = load_suppression_key(state)
        self._keyed = hmac.new(self._key, digestmod="sha256")
        content = self._read_content()
        # Every line ends with a newline: what follows the last one was never acknowledged.
        whole = content[: content.rfind(b"\n") + 1]
        self.torn = whole != content
        if self.torn:
            os.truncate(self._path, len(whole))
        numbers = {number for number, _ in _parse_lines(whole)}
        # The count of lines too: the last one may be damaged, and its number must not be reused.
        self._last = max(whole.count(b"\n"), *numbers, 0)
        self.damaged = tuple(sorted(set(range(1, self._last + 1)) - numbers))

    def hash(self, alias: str) -> str:
        """Return the keyed hash (HMAC-SHA256, hexadecimal) under which an alias is stored."""
        keyed = self._keyed.copy()  # to begin with the key each time would take half as long again
        keyed.update(alias.encode())
        return keyed.hexdigest()

    @property
    def key_id(self) -> str:
        """The first half of a digest of the key: the same for two folders with the same key."""
        return hashlib.sha256(b"leadmaster suppression key" + self._key).hexdigest()[:32]

    def entries(self) -> list[JournalEntry]:
        """Return every readable entry, oldest first."""
        return [entry for _, entry in _parse_lines(self._read_content())]

    def append(self, entries: Sequence[JournalEntry]) -> None:
        """Append all the entries, on the disk at return. Raises WriteFailed; keeps none then."""
        lines = [
            _format_line(number, entry) for number, entry in enumerate(entries, self._last + 1)
        ]
        if not self._path.exists():
            create_durably(self._path)
        size = self._path.stat().st_size
        try:
            _append_durably(self._path, b"".join(lines))
        except OSError as error:
            # Half a line in the middle of the file would be called damaged at the next start.
            os.truncate(self._path, size)
            raise classify_disk_error(error, self._path) or error from error
        self._last += len(lines)

    def add_missing(self, other: Sequence[JournalEntry]) -> int:
        """Append the entries of another copy of this journal that are not here; return how many.

        Both have to be hashed with the same key.
        """
        known = set(self.entries())
        missing = [entry for entry in other if entry not in known]
        if missing:
            self.append(missing)
        return len(missing)

    def _read_content(self) -> bytes:
        return self._path.read_bytes() if self._path.exists() else b""


def load_suppression_key(folder: StateFolder) -> bytes:
    """Return the key of the hashes; make it in a folder that is new.

    Raises SuppressionKeyLost where it is missing or damaged.
    """
    path = folder.suppression_key
    # Never a new key beside an old journal or database: no opt-out would be recognised with it.
    if not path.exists() and not folder.journal.exists() and not folder.database.exists():
        create_durably(path, secrets.token_bytes(KEY_BYTES))
    key = path.read_bytes() if path.exists() else b""
    if len(key) != KEY_BYTES:
        raise SuppressionKeyLost(
            f"{path} is {'damaged' if key else 'not there'}, so nobody who opted out would be "
            "recognised.",
            "Put suppressions.key back from a copy of the folder: without it no opt-out is known.",
        )
    return key


def _parse_lines(content: bytes) -> list[tuple[int, JournalEntry]]:
    parsed = (_parse_line(line) for line in content.split(b"\n"))
    return [line for line in parsed if line is not None]


def _parse_line(line: bytes) -> tuple[int, JournalEntry] | None:
    """Return a line's number and entry; None where it differs in any byte from what was written."""
    try:
        found = json.loads(line)
        entry = JournalEntry(
            found["alias"],
            JournalAction(found["action"]),
            parse_timestamp(found["at"]),
            found["source"],
        )
        number = int(found["line"])
    except (ValueError, KeyError, TypeError):
        return None
    return (number, entry) if _format_line(number, entry) == line + b"\n" else None


def _format_line(number: int, entry: JournalEntry) -> bytes:
    fields = {
        "line": number,
        "at": format_timestamp(entry.at),
        "action": entry.action,
        "alias": entry.alias_hash,
        "source": entry.source,
    }
    checksum = hashlib.sha256(json.dumps(fields).encode()).hexdigest()[:_CHECKSUM_DIGITS]
    return json.dumps({**fields, "checksum": checksum}).encode() + b"\n"


def _append_durably(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
