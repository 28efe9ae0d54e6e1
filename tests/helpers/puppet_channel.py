"""A channel whose connections do what a test says, declared as a plugin."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec.structs import replace

from daemon.api import hookimpl
from daemon.api.permit import Permit, PermitSigner, PermitVerifier
from daemon.api.signals import (
    Connected,
    Disconnected,
    KeepAlive,
    Paired,
    QrIssued,
    Scanned,
    Synced,
)
from daemon.api.transport import (
    Acknowledged,
    Capabilities,
    Channel,
    NumberAnswer,
    OnWhatsApp,
    OpenContext,
    Outgoing,
    Pairing,
    Refused,
    SendResult,
    Transport,
    Unknown,
    redeem_permit,
)
from statemachines.vocabulary import BuiltinChannel
from tests.helpers.clock import FakeClock
from tests.helpers.transport import PuppetTransport, read_text

_KEEP_ALIVE_SECONDS: Final = 20.0
_CAPABILITIES: Final = Capabilities(
    acks=True, number_check=True, receipts=True, pairing=Pairing.QR, restrictions=True
)


class ScriptedSendResult(StrEnum):
    """How one send is answered."""

    ACK = "ack"
    REFUSE = "refuse"
    RETRY = "retry"
    UNKNOWN = "unknown"
    SILENCE = "silence"
    SLOW = "slow"
    RAISE = "raise"
    CANCELLED = "cancelled"
    NONSENSE = "nonsense"
    NO_ID = "no_id"
    SAME_ID = "same_id"


NOT_SENT_RESULTS = frozenset({ScriptedSendResult.REFUSE, ScriptedSendResult.RETRY})


class TransportBroke(Exception):
    """An error that a transport raises during a send."""


@dataclass(frozen=True)
class RecordedSend:
    """One message that reached the wire: when, and how it was answered."""

    session: str
    permit: Permit
    outgoing: Outgoing
    at: datetime
    result: ScriptedSendResult


@dataclass
class PuppetChannel:
    """The channel, its open connections by session, and everything sent through them.

    ``results`` holds the next answers; after them ``default_result`` is given. While it is not
    ``up``, no connection is made. It outlives the services, as a platform does.
    """

    clock: FakeClock
    up: bool = True
    default_result: ScriptedSendResult = ScriptedSendResult.ACK
    results: deque[ScriptedSendResult] = field(default_factory=deque)
    sends: list[RecordedSend] = field(default_factory=list)
    lines: dict[str, PuppetLine] = field(default_factory=dict)
    answers: dict[str, NumberAnswer] = field(default_factory=dict)
    """Answers of the number check; any other number is on WhatsApp."""
    knows_all_numbers: bool = True
    """Whether a number without an answer is on WhatsApp; else nothing is said about it."""
    checks: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    """Each number check that reached the wire: the session, and the numbers."""
    before_check_answer: Callable[[], Awaitable[object]] | None = None
    """Awaited after a number check has reached the wire, before its answer."""
    check_fault: Exception | None = None
    """Raised in place of an answer to a number check."""
    verifier: PermitVerifier | None = None
    """Verifies permits in place of the daemon's own verifier, where a test sets it."""

    @hookimpl
    def leadmaster_declare_channels(self) -> Sequence[Channel]:
        """Declare the channel, in place of the simulated one."""
        return [
            Channel(
                BuiltinChannel.SIMULATED,
                "what a test says",
                self._open_line,
                _CAPABILITIES,
                simulated=True,
            )
        ]

    async def _open_line(self, context: OpenContext) -> Transport:
        self.lines[context.session.name] = line = PuppetLine(context, self)
        return line

    def drop_lines(self) -> None:
        """Break every connection; none is made again until ``up`` is set."""
        self.up = False
        for line in self.lines.values():
            line.report(Disconnected())

    def trust_another_key(self) -> None:
        """Trust another key than the gate's, so that every permit is refused."""
        self.verifier = PermitVerifier(PermitSigner().public_key)

    def sent_texts(self) -> list[str]:
        """Return the texts that reached the wire, in order."""
        return [read_text(sent.outgoing) for sent in self.sends]

    def record_send(self, session: str, permit: Permit, outgoing: Outgoing) -> ScriptedSendResult:
        """Record a message that reached the wire; return its result."""
        result = self.results.popleft() if self.results else self.default_result
        self.sends.append(RecordedSend(session, permit, outgoing, self.clock.now(), result))
        return result

    async def answer_number_check(
        self, session: str, phones: Sequence[str]
    ) -> Sequence[NumberAnswer]:
        """Note a number check that reached the wire, and answer it as a test says."""
        self.checks.append((session, tuple(phones)))
        if self.before_check_answer is not None:
            await self.before_check_answer()
        if self.check_fault is not None:
            raise self.check_fault
        # In reverse, because nobody may rely on the order of answers.
        known = {phone: NumberAnswer(phone, OnWhatsApp.YES) for phone in phones}
        found = (known if self.knows_all_numbers else {}) | self.answers
        return [found[phone] for phone in reversed(phones) if phone in found]

    async def answer_send(self, result: ScriptedSendResult) -> SendResult:
        """Answer a send with its result, at once, late or never."""
        number = 1 if result is ScriptedSendResult.SAME_ID else len(self.sends)
        match result:
            case ScriptedSendResult.SLOW:
                await self.clock.sleep(1)
            case ScriptedSendResult.SILENCE:
                await asyncio.Event().wait()
            case ScriptedSendResult.RAISE:
                raise TransportBroke
            case ScriptedSendResult.CANCELLED:
                raise asyncio.CancelledError
        return _ANSWERS.get(result) or Acknowledged(f"wire-{number}", self.clock.now())


_ANSWERS: Mapping[ScriptedSendResult, SendResult] = {
    ScriptedSendResult.REFUSE: Refused("refused", "The server refused it."),
    ScriptedSendResult.RETRY: Refused("refused", "The server refused it.", retryable=True),
    ScriptedSendResult.UNKNOWN: Unknown("line_lost", "The line broke before an answer came."),
    ScriptedSendResult.NONSENSE: "done",  # type: ignore[dict-item] # a careless plugin
}


class PuppetLine(PuppetTransport):
    """A connection that comes up at once while its channel is up, and sends keep-alives."""

    def __init__(self, context: OpenContext, channel: PuppetChannel) -> None:
        super().__init__(context)
        self._channel = channel
        self._pulse: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Connect; pair first where no phone is linked and the session's options have a number."""
        await super().connect()
        if not self._channel.up:
            return
        phone = self.context.session.options.get("phone")
        if phone is not None and not self.context.session.paired:
            self.report(QrIssued("secret", 1, 6, 60), Scanned(), Paired(str(phone)))
        self.report(Connected(), Synced())
        self._pulse = asyncio.create_task(self._keep_alive())

    async def send(self, permit: Permit, outgoing: Outgoing) -> SendResult:
        """Verify the permit, record the send, and answer with its result."""
        verifier = self._channel.verifier or self.context.verifier
        redeem_permit(replace(self.context, verifier=verifier), permit, outgoing)
        self.sent.append(outgoing)
        result = self._channel.record_send(self.context.session.name, permit, outgoing)
        if result is ScriptedSendResult.NO_ID:
            return Acknowledged("", self.context.clock.now())
        return await self._channel.answer_send(result)

    async def check_numbers(self, phones: Sequence[str]) -> Sequence[NumberAnswer]:
        """Answer with the channel's answers."""
        self.checked += phones
        return await self._channel.answer_number_check(self.context.session.name, phones)

    async def close(self) -> None:
        """Close, and end the keep-alives."""
        if self._pulse is not None:
            self._pulse.cancel()
        await super().close()

    async def _keep_alive(self) -> None:
        # More often than every 45 s, after which a session counts as silent.
        while self._channel.up:
            await self.context.clock.sleep(_KEEP_ALIVE_SECONDS)
            self.report(KeepAlive())
