"""Records the shapes and times of what a linked device and WhatsApp say to each other.

The file holds a line of JSON for each frame (:class:`TracedFrame`): its number, the seconds since
the first one, who sent it, its shape, and the number of the frame that it answers. Bodies, names,
numbers, addresses, ids and keys are not in it (:mod:`.frame_shape`).
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import Final, Literal

import msgspec

from daemon.linked_worker.neonize_driver.frame_shape import read_shape

TRACE_FILE: Final = "trace.jsonl"
"""In the folder of the session."""
MAX_FRAMES: Final = 5000
"""After so many frames nothing more is recorded."""
_MAX_OPEN_IDS: Final = 1000
_ID: Final = re.compile(r'<[\w:.-]+(?: [\w:.-]+="[^"]*")*? id="([^"]*)"')

Sender = Literal["server", "device"]


class TracedFrame(msgspec.Struct, frozen=True, omit_defaults=True):
    """One frame; ``seconds`` are those since the first one, ``answers`` the number of another."""

    number: int
    seconds: float
    sender: Sender
    shape: str
    answers: int | None = None


class FrameTrace:
    """Records into a file, which only its owner can read, until it is long enough.

    Where it can't be written any more, the session goes on, and nothing more is recorded.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        self._lock = threading.Lock()
        self._encoder = msgspec.json.Encoder()
        self._begun = 0.0
        self._count = 0
        self._ids: OrderedDict[tuple[Sender, str], int] = OrderedDict()

    def listen(self, received: str, sent: str) -> None:
        """Record what the library logs of frames, under the names of these two loggers."""
        loggers: dict[Sender, str] = {"server": received, "device": sent}
        for sender, name in loggers.items():
            logger = logging.getLogger(name)
            logger.setLevel(logging.DEBUG)
            logger.propagate = False  # they hold codes and numbers
            logger.addHandler(_TraceHandler(self, sender))

    def record(self, sender: Sender, frame: str) -> None:
        """Record a frame, as the library logs it."""
        with self._lock:
            if self._count >= MAX_FRAMES:
                return
            now = time.monotonic()
            self._begun = self._begun or now
            self._count += 1
            answers = self._find_answered(sender, frame)
            seconds = round(now - self._begun, 2)
            traced = TracedFrame(self._count, seconds, sender, read_shape(frame), answers)
            try:
                with self._path.open("ab") as file:
                    file.write(self._encoder.encode(traced) + b"\n")
            except OSError:
                self._count = MAX_FRAMES

    def _find_answered(self, sender: Sender, frame: str) -> int | None:
        """Return the number of the other side's frame with the same id; remember this one's."""
        found = _ID.match(frame)
        if found is None:
            return None
        other: Sender = "device" if sender == "server" else "server"
        answered = self._ids.get((other, found[1]))
        self._ids.setdefault((sender, found[1]), self._count)
        if len(self._ids) > _MAX_OPEN_IDS:
            self._ids.popitem(last=False)
        return answered


class _TraceHandler(logging.Handler):
    """Records each line of one logger."""

    def __init__(self, trace: FrameTrace, sender: Sender) -> None:
        super().__init__(logging.DEBUG)
        self._trace = trace
        self._sender: Sender = sender

    def emit(self, record: logging.LogRecord) -> None:
        """Record one."""
        self._trace.record(self._sender, record.getMessage())


def read_trace(content: bytes) -> list[TracedFrame]:
    """Return the frames of a trace; raise :class:`msgspec.MsgspecError` where it is none."""
    return [msgspec.json.decode(line, type=TracedFrame) for line in content.splitlines()]
