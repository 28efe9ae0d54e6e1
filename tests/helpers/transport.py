"""Transports for tests: simulated ones, puppets, permits, and scripted number checks."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import TypeVar, cast

from daemon.api.identity import parse_identity
from daemon.api.permit import Permit, PermitSigner, PermitVerifier, hash_body
from daemon.api.signals import Signal
from daemon.api.transport import (
    Acknowledged,
    KnownContact,
    NumberAnswer,
    OnWhatsApp,
    OpenContext,
    Outgoing,
    SendResult,
    SessionInfo,
    Text,
    Transport,
)
from daemon.plugins.transport_simulated import open_simulated_transport
from daemon.plugins.transport_simulated.script import SCRIPT_FILE
from daemon.worker_launcher import launch_worker
from tests.helpers.clock import FakeClock

ANA = "+5491145550001"
BRUNO = "+5491145550002"

SignalT = TypeVar("SignalT", bound=Signal)


def build_outgoing(message: str, recipient: str, text: str) -> Outgoing:
    """Return a text message to a number."""
    return Outgoing(message, parse_identity(recipient), Text(text))


@dataclass
class PermitFactory:
    """Issues signed permits for tests."""

    clock: FakeClock
    signer: PermitSigner = field(default_factory=PermitSigner)
    _count: count[int] = field(default_factory=lambda: count(1))

    def issue(
        self, recipient: str = ANA, text: str = "Hola", *, session: str = "ventas"
    ) -> tuple[Permit, Outgoing]:
        """Return a new permit, valid for ten minutes, and its message."""
        number = next(self._count)
        permit = Permit(
            id=f"per_{number}",
            message=f"msg_{number}",
            recipient=recipient,
            body=hash_body(text),
            session=session,
            decision=f"dec_{number}",
            ruleset="0" * 64,
            issued_at=self.clock.now(),
            expires_at=self.clock.now() + timedelta(minutes=10),
        )
        return self.signer.sign(permit), build_outgoing(permit.message, recipient, text)


@dataclass
class SimulatedTransportSession:
    """An open transport and the signals that it reported."""

    transport: Transport
    clock: FakeClock
    permits: PermitFactory
    received_signals: list[Signal]

    def signals_of(self, kind: type[SignalT]) -> list[SignalT]:
        """Return the signals of one class, in order."""
        return [signal for signal in self.received_signals if isinstance(signal, kind)]

    async def connect_until_ready(self) -> None:
        """Connect, and advance the clock until the script has scanned the code."""
        await self.transport.connect()
        await self.clock.advance(10)

    async def send(
        self, recipient: str = ANA, text: str = "Hola", *, within: float = 80
    ) -> SendResult:
        """Send with a new permit; advance the clock until the answer is there."""
        sending = asyncio.create_task(self.transport.send(*self.permits.issue(recipient, text)))
        # In small steps, so that everything due in between happens at its own moment.
        for _ in range(round(within * 10)):
            if sending.done():
                break
            await self.clock.advance(0.1)
        return await sending

    async def check_numbers(self, *phones: str) -> Sequence[NumberAnswer]:
        """Check numbers; advance the clock until the answer is there."""
        checking = asyncio.create_task(self.transport.check_numbers(phones))
        await self.clock.advance(1)
        return await checking


def write_script(folder: Path, script: Mapping[str, object]) -> str:
    """Write a script file and return its path."""
    folder.mkdir(exist_ok=True)
    path = folder / SCRIPT_FILE
    path.write_text(json.dumps(script), encoding="utf-8")
    return str(path)


def write_session_script(state_dir: Path, session: str, script: Mapping[str, object]) -> None:
    """Write the script that a simulated session of this state folder follows when it starts."""
    folder = state_dir / "sessions" / session
    for each in (folder.parent, folder):  # `parents` would leave the first open to others
        each.mkdir(mode=0o700, exist_ok=True)
    write_script(folder, script)


@contextlib.asynccontextmanager
async def open_test_transport(
    folder: Path,
    clock: FakeClock,
    script: Mapping[str, object] | None = None,
    *,
    seed: int = 7,
    permits: PermitFactory | None = None,
    paired: bool = False,
    pairing_phone: str | None = None,
) -> AsyncIterator[SimulatedTransportSession]:
    """Open a transport of session ``ventas`` and read its signals until the end of the block."""
    options: dict[str, object] = {"seed": seed}
    if script is not None:
        options["script"] = write_script(folder, script)
    permits = permits or PermitFactory(clock)
    async with open_unread_transport(
        folder, clock, options, permits=permits, paired=paired, pairing_phone=pairing_phone
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
    pairing_phone: str | None = None,
) -> AsyncIterator[Transport]:
    """Open a transport of session ``ventas``, without reading its signals."""
    info = SessionInfo("ventas", paired, None, folder / "ventas", options or {}, pairing_phone)
    permits = permits or PermitFactory(clock)
    transport = await open_simulated_transport(
        OpenContext(info, clock, PermitVerifier(permits.signer.public_key), launch_worker)
    )
    try:
        yield transport
    finally:
        await transport.close()


async def _collect_signals(line: SimulatedTransportSession) -> None:
    async for signal in line.transport.signals():
        line.received_signals.append(signal)


def read_text(outgoing: Outgoing) -> str:
    """Return the text of a text message."""
    assert isinstance(outgoing.content, Text)
    return outgoing.content.text


class PuppetTransport:
    """A transport that reports what a test says, and records the calls."""

    def __init__(self, context: OpenContext) -> None:
        self.context = context
        self.connected = False
        self.closed = False
        self.logged_out = False
        self.sent: list[Outgoing] = []
        self.checked: list[str] = []
        self.known: list[KnownContact] = []
        self.answer: SendResult | BaseException | None = Acknowledged("wire-1", context.clock.now())
        self.close_hangs = False
        self.close_fails: Exception | None = None
        self._queue: asyncio.Queue[object] = asyncio.Queue()

    def report(self, *signals: Signal | Exception) -> None:
        """Report signals; an exception is raised out of the stream."""
        for signal in signals:
            self._queue.put_nowait(signal)

    def end_stream(self) -> None:
        """End the stream of signals, without a signal."""
        self._queue.put_nowait(StopAsyncIteration)

    async def signals(self) -> AsyncIterator[Signal]:
        """Yield what the test reported, also what is no signal."""
        while (signal := await self._queue.get()) is not StopAsyncIteration:
            if isinstance(signal, Exception):
                raise signal
            yield cast("Signal", signal)

    async def connect(self) -> None:
        """Record the call."""
        self.connected = True

    async def send(self, permit: Permit, outgoing: Outgoing) -> SendResult:  # noqa: ARG002
        """Return or raise the answer that the test chose; None: never answer."""
        self.sent.append(outgoing)
        if isinstance(self.answer, BaseException):
            raise self.answer
        if self.answer is None:
            await asyncio.Event().wait()
        assert self.answer is not None
        return self.answer

    async def check_numbers(self, phones: Sequence[str]) -> Sequence[NumberAnswer]:
        """Answer yes for every number, or raise as sending does."""
        self.checked += phones
        if isinstance(self.answer, BaseException):
            raise self.answer
        return [NumberAnswer(phone, OnWhatsApp.YES) for phone in phones]

    async def contacts(self) -> Sequence[KnownContact]:
        """Return the contacts that the test set, or raise as sending does."""
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.known

    async def logout(self) -> None:
        """Record the call."""
        self.logged_out = True

    async def close(self) -> None:
        """Record the call and end the signals; hang or fail where the test says so."""
        self.closed = True
        self.end_stream()
        if self.close_fails:
            raise self.close_fails
        if self.close_hangs:
            await asyncio.Event().wait()
