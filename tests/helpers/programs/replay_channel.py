"""A plugin with a channel that reports the signals in a file of JSON lines, unchecked.

Lines may be added while it runs. They have the form of tests/data/signals, with raw identities.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from daemon.api import hookimpl
from daemon.api.permit import Permit
from daemon.api.signals import Connected, Signal, Synced
from daemon.api.transport import (
    Channel,
    KnownContact,
    NumberAnswer,
    OpenContext,
    Outgoing,
    Refused,
    SendResult,
)
from tests.helpers.signals import build_signal

REPLAY_FILE_VARIABLE: Final = "LEADMASTER_REPLAY_FILE"
_POLL_SECONDS: Final = 0.05


class ReplayTransport:
    """A transport that is ready at once, reports the lines of its file, and sends nothing."""

    def __init__(self, context: OpenContext, path: Path) -> None:
        self._context = context
        self._path = path
        self._connected = asyncio.Event()
        self._closed = False

    async def signals(self) -> AsyncIterator[Signal]:
        """Yield the signals of all lines, also of later ones, until it is closed."""
        await self._connected.wait()
        yield Connected()
        yield Synced()
        reported = 0
        while not self._closed:
            lines = await asyncio.to_thread(self._read_lines)
            for line in lines[reported:]:
                yield build_signal(json.loads(line), self._context.clock.now())
            reported = len(lines)
            await asyncio.sleep(_POLL_SECONDS)  # another process adds the lines

    def _read_lines(self) -> list[str]:
        """Return the complete lines."""
        text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        return text[: text.rfind("\n") + 1].splitlines()

    async def connect(self) -> None:
        """Let the signals begin."""
        self._connected.set()

    async def send(self, _permit: Permit, _outgoing: Outgoing) -> SendResult:
        """Refuse every message."""
        return Refused("not_supported", "This channel sends nothing.")

    async def check_numbers(self, _phones: Sequence[str]) -> Sequence[NumberAnswer]:
        """Return no answer."""
        return []

    async def contacts(self) -> Sequence[KnownContact]:
        """Return no contact."""
        return []

    async def logout(self) -> None:
        """Do nothing: there is no login."""

    async def close(self) -> None:
        """End the stream of signals."""
        self._closed = True


async def _open_replay(context: OpenContext) -> ReplayTransport:
    return ReplayTransport(context, Path(os.environ[REPLAY_FILE_VARIABLE]))


class ReplayPlugin:
    """Declares the channel ``replay``."""

    @hookimpl
    def leadmaster_declare_channels(self) -> Sequence[Channel]:
        """Declare the channel as simulated, so that it may run on an injected clock."""
        return [Channel("replay", "Reports a file", _open_replay, simulated=True)]


plugin = ReplayPlugin()
"""The object of the entry point."""
