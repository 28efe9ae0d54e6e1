"""Writes log lines to systemd's journal with their values as fields, such as `LM_SESSION=`.

The journal's native protocol is one datagram of `NAME=value` lines; a value with a line break is
preceded by its length instead (systemd.io, "Native Journal Protocol").
"""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TextIO

JOURNAL_SOCKET: Final = Path("/run/systemd/journal/socket")
_IDENTIFIER: Final = "leadmaster"
_SEND_SECONDS: Final = 0.5
_MOST_CHARACTERS: Final = 16_000  # of a value: a datagram holds about 200 KB
_FIELD_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{0,60}")
_PRIORITIES: Final = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
)
_DEBUG_PRIORITY: Final = 7


def is_journal(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether systemd connected a stream with its journal, as `JOURNAL_STREAM` says."""
    device, _, inode = environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):  # a stream in memory has no descriptor
        return False
    return (device, inode) == (str(found.st_dev), str(found.st_ino))


class JournalHandler(logging.Handler):
    """Sends each log line, which its formatter renders as JSON, to the journal.

    The line is the entry's message, and each of its values that is a text, a number or a flag is a
    field, `LM_` and its name. Where the journal does not take it, ``fallback`` does.
    """

    def __init__(self, fallback: logging.Handler, path: Path = JOURNAL_SOCKET) -> None:
        super().__init__()
        self._fallback = fallback
        self._path = str(path)

    def emit(self, record: logging.LogRecord) -> None:
        """Send a line; never raises."""
        try:
            line = self.format(record)
            entry = encode_journal_entry(line, _find_priority(record.levelno))
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                # A journal that hangs may not stop the event loop.
                sender.settimeout(_SEND_SECONDS)
                sender.sendto(entry, self._path)
        except (OSError, ValueError):
            self._fallback.handle(record)


def encode_journal_entry(line: str, priority: int) -> bytes:
    """Return a JSON line as an entry of the journal; raise :class:`ValueError` for another text."""
    values: dict[str, Any] = json.loads(line)
    fields = {"MESSAGE": line, "PRIORITY": str(priority), "SYSLOG_IDENTIFIER": _IDENTIFIER}
    for key, value in values.items():
        name = f"LM_{key.upper()}"
        if isinstance(value, str | int | float) and _FIELD_NAME.fullmatch(name):
            fields[name] = value if isinstance(value, str) else json.dumps(value)
    return b"".join(_encode_field(name, value) for name, value in fields.items())


def _encode_field(name: str, value: str) -> bytes:
    content = value[:_MOST_CHARACTERS].encode(errors="replace")
    if b"\n" not in content:
        return name.encode() + b"=" + content + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(content)) + content + b"\n"


def _find_priority(level: int) -> int:
    """Return the priority of a level, as syslog(3) numbers them."""
    return next((priority for least, priority in _PRIORITIES if level >= least), _DEBUG_PRIORITY)
