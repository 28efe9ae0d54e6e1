"""A simulated line in a test's hands: permits, a folder, and everything that the line told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import TypeVar

from daemon.api.permit import Permit, PermitSigner, PermitVerifier, body_hash
from daemon.api.signals import Signal
from daemon.api.transport import (
    NumberAnswer,
    OpenContext,
    Outgoing,
    SendResult,
    SessionInfo,
    Transport,
)
from daemon.plugins.transport_simulated import open_line
from tests.helpers.clock import FakeClock

ANA = "+5491145550001"
BRUNO = "+5491145550002"

SignalT = TypeVar("SignalT", bound=Signal)


@dataclass
class Pen:
    """Signs permits for tests; each call makes a new permit."""

    clock: FakeClock
    signer: PermitSigner = field(default_factory=PermitSigner)
    _count: count[int] = field(default_factory=lambda: count(1))

    def permit(
        self, recipient: str = ANA, text: str = "Hola", *, session: str = "ventas"
    ) -> tuple[Permit, Outgoing]:
        """Return a signed permit, valid for ten minutes, and the message that it is for."""
        number = next(self._count)
        permit = Permit(
            id=f"per_{number}",
            message=f"msg_{number}",
            recipient=recipient,
            body=body_hash(text),
            session=session,
            decision=f"dec_{number}",
            ruleset="0" * 64,
            expires_at=self.clock.now() + timedelta(minutes=10),
        )
        return self.signer.sign(permit), Outgoing(permit.message, recipient, text)


@dataclass
class HeldLine:
    """An open line and the signals that it has told."""

    transport: Transport
    clock: FakeClock
    pen: Pen
    told: list[Signal]

    def of(self, kind: type[SignalT]) -> list[SignalT]:
        """Return the signals of one kind, in order."""
        return [signal for signal in self.told if isinstance(signal, kind)]

    async def ready(self) -> None:
        """Connect, and let the script scan."""
        await self.transport.connect()
        await self.clock.advance(10)

    async def send(
        self, recipient: str = ANA, text: str = "Hola", *, within: float = 80
    ) -> SendResult:
        """Send with a permit of its own; the clock advances until the answer is there."""
        sending = asyncio.create_task(self.transport.send(*self.pen.permit(recipient, text)))
        for _ in range(round(within * 10)):
            if sending.done():
                break
            await self.clock.advance(0.1)
        return await sending

    async def check(self, *phones: str) -> Sequence[NumberAnswer]:
        """Ask about numbers; the clock advances until the answer is there."""
        checking = asyncio.create_task(self.transport.check_numbers(phones))
        await self.clock.advance(1)
        return await checking


def write_script(folder: Path, script: Mapping[str, object]) -> str:
    """Write a script file and return its path."""
    folder.mkdir(exist_ok=True)
    path = folder / "script.json"
    path.write_text(json.dumps(script))
    return str(path)


@contextlib.asynccontextmanager
async def held_line(
    folder: Path,
    clock: FakeClock,
    script: Mapping[str, object] | None = None,
    *,
    seed: int = 7,
    pen: Pen | None = None,
    paired: bool = False,
) -> AsyncIterator[HeldLine]:
    """Open a line of session ``ventas`` and read its stream until the end of the block."""
    options: dict[str, object] = {"seed": seed}
    if script is not None:
        options["script"] = write_script(folder, script)
    pen = pen or Pen(clock)
    async with unread_line(folder, clock, options, pen=pen, paired=paired) as transport:
        line = HeldLine(transport, clock, pen, [])
        reading = asyncio.create_task(_read(line))
        try:
            yield line
        finally:
            await transport.close()
            await reading


@contextlib.asynccontextmanager
async def unread_line(
    folder: Path,
    clock: FakeClock,
    options: Mapping[str, object] | None = None,
    *,
    pen: Pen | None = None,
    paired: bool = True,
) -> AsyncIterator[Transport]:
    """Open a line of session ``ventas`` whose stream nobody reads yet."""
    info = SessionInfo("ventas", paired, None, folder / "ventas", options or {})
    pen = pen or Pen(clock)
    transport = await open_line(OpenContext(info, clock, PermitVerifier(pen.signer.public_key)))
    try:
        yield transport
    finally:
        await transport.close()


async def _read(line: HeldLine) -> None:
    async for signal in line.transport.signals():
        line.told.append(signal)
