"""A channel that writes each message into a folder, once, and only with the gate's permit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from daemon.api.permit import Permit
from daemon.api.signals import Connected, Signal, Synced
from daemon.api.transport import (
    Acknowledged,
    KnownContact,
    NumberAnswer,
    OnWhatsApp,
    OpenContext,
    Outgoing,
    Refused,
    SendResult,
    Text,
    redeem_permit,
)


class FolderTransport:
    """One open line to a folder: the session's own, or the one in its option ``folder``."""

    def __init__(self, context: OpenContext) -> None:
        self._context = context
        self._folder = Path(str(context.session.options.get("folder", context.session.folder)))
        self._queue: asyncio.Queue[Signal | None] = asyncio.Queue()
        self._connected = False

    async def signals(self) -> AsyncIterator[Signal]:
        """Yield what happens on the line until it is closed."""
        while (signal := await self._queue.get()) is not None:
            yield signal

    async def connect(self) -> None:
        """Be ready at once: a folder needs no pairing."""
        await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
        self._connected = True
        self._queue.put_nowait(Connected())
        self._queue.put_nowait(Synced())

    async def send(self, permit: Permit, outgoing: Outgoing) -> SendResult:
        """Write the text under the message's id, which is the acknowledged id too."""
        redeem_permit(self._context, permit, outgoing)
        if not self._connected:
            return Refused("not_connected", "The line is closed; nothing was sent.", retryable=True)
        if not isinstance(outgoing.content, Text):
            return Refused("content_not_supported", "A folder takes texts only.")
        try:
            await asyncio.to_thread(self._write, outgoing, outgoing.content.text)
        except OSError as error:
            reason = f"The folder can't be written: {error.strerror}."
            return Refused("folder_not_written", reason, retryable=True)
        return Acknowledged(outgoing.message, self._context.clock.now())

    async def check_numbers(self, phones: Sequence[str]) -> Sequence[NumberAnswer]:
        """Answer unknown: a folder knows nobody."""
        return [NumberAnswer(phone, OnWhatsApp.UNKNOWN) for phone in phones]

    async def contacts(self) -> Sequence[KnownContact]:
        """Return nobody: a folder knows nobody."""
        return []

    async def logout(self) -> None:
        """Do nothing: there is no login."""

    async def close(self) -> None:
        """End the line; twice is as good as once."""
        self._connected = False
        self._queue.put_nowait(None)

    def _write(self, outgoing: Outgoing, text: str) -> None:
        """Write aside and rename: a message is there as a whole or not at all."""
        draft = self._folder / f".{outgoing.message}"
        draft.write_text(f"{outgoing.recipient}\n\n{text}\n", encoding="utf-8")
        draft.replace(self._folder / f"{outgoing.message}.txt")


async def open_folder(context: OpenContext) -> FolderTransport:
    """Open a line for a session."""
    return FolderTransport(context)
