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

from daemon.api.permit import Permit, PermitSigner, PermitVerifier, hash_body
from daemon.api.signals import Signal
from daemon.api.transport import (
    NumberAnswer,
    OpenContext,
    Outgoing,
    SendResult,
    SessionInfo,
    Transport,
)
from daemon.plugins.transport_simulated import open_simulated_transport
from tests.helpers.clock import FakeClock

ANA = "+5491145550001"
BRUNO = "+5491145550002"

SignalT = TypeVar("SignalT", bound=Signal)


@dataclass
class PermitFactory:
    """Signs permits for tests; each call makes a new permit."""

    clock: FakeClock
    signer: PermitSigner = field(default_factory=PermitSigner)
    _count: count[int] = field(default_factory=lambda: count(1))

    def issue(
        self, recipient: str = ANA, text: str = "Hola", *, session: str = "ventas"
    ) -> tuple[Permit, Outgoing]:
        """Return a signed permit, valid for ten minutes, and the message that it is for."""
        number = next(self._count)
        permit = Permit(
            id=f"per_{number}",
            message=f"msg_{number}",
            recipient=recipient,
            body=hash_body(text),
            session=session,
            decision=f"dec_{number}",
            ruleset="0" * 64,
            expires_at=self.clock.now() + timedelta(minutes=10),
        )
        return self.signer.sign(permit), Outgoing(permit.message, recipient, text)


@dataclass
class SimulatedTransportSession:
    """An open line and the signals that it has told."""

    transport: Transport
    clock: FakeClock
    permits: PermitFactory
    received_signals: list[Signal]

    def signals_of(self, kind: type[SignalT]) -> list[SignalT]:
        """Return the signals of one kind, in order."""
        return [signal for signal in self.received_signals if isinstance(signal, kind)]

    async def connect_until_ready(self) -> None:
        """Connect, and let the script scan."""
        await self.transport.connect()
        await self.clock.advance(10)

    async def send(
        self, recipient: str = ANA, text: str = "Hola", *, within: float = 80
    ) -> SendResult:
        """Send with a permit of its own; the clock advances until the answer is there."""
        sending = asyncio.create_task(self.transport.send(*self.permits.issue(recipient, text)))
        for _ in range(round(within * 10)):
            if sending.done():
                break
            await self.clock.advance(0.1)
        return await sending

    async def check_numbers(self, *phones: str) -> Sequence[NumberAnswer]:
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
async def open_test_transport(
    folder: Path,
    clock: FakeClock,
    script: Mapping[str, object] | None = None,
    *,
    seed: int = 7,
    permits: PermitFactory | None = None,
    paired: bool = False,
) -> AsyncIterator[SimulatedTransportSession]:
    """Open a line of session ``ventas`` and read its stream until the end of the block."""
    options: dict[str, object] = {"seed": seed}
    if script is not None:
        options["script"] = write_script(folder, script)
    permits = permits or PermitFactory(clock)
    async with open_unread_transport(
        folder, clock, options, permits=permits, paired=paired
    ) as transport:
        line = SimulatedTransportSession(transport, clock, permits, [])
        reading = asyncio.create_task(_collect_signals(line))
        try:
            yield line
        finally:
            await transport.close()
            await reading


@contextlib.asynccontextmanager
async def open_unread_transport(
    folder: Path,
    clock: FakeClock,
    options: Mapping[str, object] | None = None,
    *,
    permits: PermitFactory | None = None,
    paired: bool = True,
) -> AsyncIterator[Transport]:
    """Open a line of session ``ventas`` whose stream nobody reads yet."""
    info = SessionInfo("ventas", paired, None, folder / "ventas", options or {})
    permits = permits or PermitFactory(clock)
    transport = await open_simulated_transport(
        OpenContext(info, clock, PermitVerifier(permits.signer.public_key))
    )
    try:
        yield transport
    finally:
        await transport.close()


async def _collect_signals(line: SimulatedTransportSession) -> None:
    async for signal in line.transport.signals():
        line.received_signals.append(signal)
