"""The test bench of the conformance suite: permits, open transports, and their signals so far."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from daemon.api.clock import Clock, SystemClock
from daemon.api.conformance import ChannelProbe, ProbeScenario, WireMessage
from daemon.api.identity import parse_identity
from daemon.api.permit import Permit, PermitRefused, PermitSigner, PermitVerifier
from daemon.api.signals import Paired, PairingCodeIssued, QrIssued, Signal, Synced
from daemon.api.transport import (
    Channel,
    Content,
    OpenContext,
    Outgoing,
    SendResult,
    SessionInfo,
    Text,
    Transport,
    hash_content,
)
from daemon.sessions.signal_check import RejectedSignal, SignalChecker
from daemon.worker_launcher import launch_worker

T = TypeVar("T")
SignalT = TypeVar("SignalT", bound=Signal)

SESSION = "conformance"


class ConformanceFailure(Exception):
    """The channel broke a promise; the message says how."""


class NotTestable(Exception):
    """A promise can't be tested with this channel or probe; the message says why."""


class TimeLimits(Struct, frozen=True):
    """How many seconds a channel may take to report a signal, to answer a send, to close."""

    signal: float = 10.0
    answer: float = 80.0
    close: float = 10.0


class OpenLine(Struct):
    """One open transport; its signals are read and checked as the daemon does it."""

    transport: Transport
    limits: TimeLimits
    signals: list[Signal] = field(default_factory=list)
    rejected: list[RejectedSignal] = field(default_factory=list)
    reading: asyncio.Task[None] | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def start_reading(self, checker: SignalChecker) -> None:
        """Start a task that reads the stream to its end."""
        self.reading = asyncio.create_task(self._read(checker))
        self.reading.add_done_callback(lambda _: self._news.set())

    async def _read(self, checker: SignalChecker) -> None:
        async for signal in self.transport.signals():
            checked = checker.check(signal)
            if checked.rejected is not None:
                self.rejected.append(checked.rejected)
            if checked.signal is not None:
                self.signals.append(checked.signal)
            self._news.set()

    def list_signals(self, kind: type[SignalT]) -> list[SignalT]:
        """Return the signals of one class so far, in order."""
        return [signal for signal in self.signals if isinstance(signal, kind)]

    def has_ended(self) -> bool:
        """Return whether the stream has ended."""
        return self.reading is not None and self.reading.done()

    async def wait_until(self, is_true: Callable[[], object], seconds: float | None = None) -> bool:
        """Return whether a condition became true in time; it is checked after each signal."""
        limit = self.limits.signal if seconds is None else seconds
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit):
                while not is_true():
                    self._news.clear()
                    await self._news.wait()
        return bool(is_true())

    async def connect(self) -> None:
        """Connect, and return once messages may be sent."""
        await limit_time(self.transport.connect(), self.limits.signal, "connect()")
        if await self.wait_until(lambda: self.list_signals(Synced)):
            return
        if any(isinstance(each, QrIssued | PairingCodeIssued) for each in self.signals):
            raise NotTestable("nobody scanned the code; lend a probe that links the account")
        raise ConformanceFailure(
            f"connect() led neither to Synced nor to a code within {self.limits.signal:g} s; it"
            f" reported {self.describe_signals()}"
        )

    async def send(self, permit: Permit, outgoing: Outgoing) -> SendResult | PermitRefused:
        """Send, and return the answer or the refusal of the permit."""
        try:
            return await limit_time(
                self.transport.send(permit, outgoing), self.limits.answer, "send()"
            )
        except PermitRefused as refused:
            return refused

    async def close(self) -> None:
        """Close the transport, bounded, as the daemon does."""
        await limit_time(self.transport.close(), self.limits.close, "close()")

    def describe_signals(self) -> str:
        """Return the class names of the signals so far, for a sentence."""
        return ", ".join(type(signal).__name__ for signal in self.signals) or "nothing"


async def limit_time(call: Awaitable[T], seconds: float, what: str) -> T:
    """Await a call of the transport; fail where it takes too long or cancels itself."""
    # wait() and not wait_for(), which waits on for a call that ignores its cancellation.
    task = asyncio.ensure_future(call)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            raise ConformanceFailure(f"{what} did not return within {seconds:g} s")
        if task.cancelled():
            raise ConformanceFailure(f"{what} raised CancelledError although nobody cancelled it")
        return task.result()
    finally:
        task.cancel()


class ConformanceBench(Struct):
    """What a check works with: a channel, a probe, permits, and a folder for its session."""

    channel: Channel
    probe: ChannelProbe
    folder: Path
    limits: TimeLimits = field(default_factory=TimeLimits)
    clock: Clock = field(default_factory=SystemClock)
    signer: PermitSigner = field(default_factory=PermitSigner)
    _numbers: count[int] = field(default_factory=lambda: count(1))
    _lines: list[OpenLine] = field(default_factory=list)
    _options: Mapping[str, object] = field(default_factory=dict)

    @property
    def recipient(self) -> str:
        """Return the number to send to; raise :class:`NotTestable` without one."""
        if self.probe.recipient is None:
            raise NotTestable("there is no number to send to; give one with --recipient")
        return self.probe.recipient

    @contextlib.asynccontextmanager
    async def open(
        self,
        scenario: ProbeScenario = ProbeScenario.FRIENDLY,
        *,
        pairing_phone: str | None = None,
    ) -> AsyncIterator[OpenLine]:
        """Open a transport in this scenario; all open ones are closed after the block."""
        options = await self.probe.start(scenario, self.folder)
        try:
            if options is None:
                raise NotTestable(f"no probe can play the scenario {scenario.value!r}")
            self._options = options
            yield await self.open_line(pairing_phone=pairing_phone)
        finally:
            for line in self._lines:
                await _end_line(line)
            await self.probe.stop()

    @contextlib.asynccontextmanager
    async def connected(
        self, scenario: ProbeScenario = ProbeScenario.FRIENDLY
    ) -> AsyncIterator[OpenLine]:
        """Open a transport in this scenario and connect it."""
        async with self.open(scenario) as line:
            await line.connect()
            yield line

    async def open_line(
        self, *, paired: bool | None = None, pairing_phone: str | None = None
    ) -> OpenLine:
        """Open another transport of the same session, and read its stream.

        ``paired`` is whether the daemon knows of a login; None: by the signals so far.
        ``pairing_phone`` is the number of a phone that is to be linked by a code.
        """
        if self.channel.open is None:
            raise NotTestable("the channel has no connection")
        if paired is None:
            paired = any(line.list_signals(Paired) for line in self._lines)
        info = SessionInfo(SESSION, paired, None, self.folder, self._options, pairing_phone)
        verifier = PermitVerifier(self.signer.public_key)
        context = OpenContext(info, self.clock, verifier, launch_worker)
        transport = await limit_time(self.channel.open(context), self.limits.signal, "open()")
        line = OpenLine(transport, self.limits)
        line.start_reading(SignalChecker(SESSION, self.channel))
        self._lines.append(line)
        return line

    def issue(
        self,
        *,
        to: str | None = None,
        content: Content | None = None,
        signer: PermitSigner | None = None,
        **otherwise: Any,  # noqa: ANN401 - any field of a permit
    ) -> tuple[Permit, Outgoing]:
        """Return a message and its permit; ``otherwise`` replaces fields of the permit."""
        number, now = next(self._numbers), self.clock.now()
        to = to or self.recipient
        outgoing = Outgoing(
            f"msg_{number}", parse_identity(to), content or Text(f"Conformance test {number}")
        )
        permit = Permit(
            id=f"per_{number}",
            message=outgoing.message,
            recipient=to,
            body=hash_content(outgoing.content),
            session=SESSION,
            decision=f"dec_{number}",
            ruleset="0" * 64,
            issued_at=now,
            expires_at=now + timedelta(minutes=10),
        )
        return (signer or self.signer).sign(replace(permit, **otherwise)), outgoing

    async def count_on_wire(self, outgoing: Outgoing) -> int | None:
        """Return how often a message left; None where no probe can see that."""
        wire = await self.probe.read_wire()
        if wire is None:
            return None
        # By hash: a probe need not show the texts of messages.
        sought = WireMessage(outgoing.recipient.value, hash_content(outgoing.content))
        return sum(each == sought for each in wire)

    async def require_not_sent(self, outgoing: Outgoing, why: str) -> None:
        """Fail where a message left that must not have."""
        if await self.count_on_wire(outgoing):
            raise ConformanceFailure(f"the message left, {why}")


async def _end_line(line: OpenLine) -> None:
    """Close a transport after a check."""
    with contextlib.suppress(Exception):  # how a channel closes is a check of its own
        await line.close()
    if line.reading is not None:
        line.reading.cancel()
        await asyncio.wait({line.reading})
