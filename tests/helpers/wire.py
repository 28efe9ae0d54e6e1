"""A wire in a test's hands: it takes what a real permit allows, and answers as it was told to."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from daemon.api.permit import Permit, PermitSigner, PermitVerifier
from daemon.api.transport import Acknowledged, Outgoing, Refused, SendResult, Unknown
from tests.helpers.clock import FakeClock


class ScriptedSendResult(StrEnum):
    """How the wire answers one send."""

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
    """What a transport may raise in the middle of a send."""


@dataclass(frozen=True)
class RecordedSend:
    """One message that reached the wire, at which moment, and what the wire said."""

    session: str
    permit: Permit
    outgoing: Outgoing
    at: datetime
    result: ScriptedSendResult


@dataclass
class FakeSendingPort:
    """Stands where the sessions stand. ``script`` holds the next answers; after it, ``usual``."""

    clock: FakeClock
    up: bool = True
    new_chats: bool = True
    default_result: ScriptedSendResult = ScriptedSendResult.ACK
    results: deque[ScriptedSendResult] = field(default_factory=deque)
    sends: list[RecordedSend] = field(default_factory=list)
    verifier: PermitVerifier = field(
        default_factory=lambda: PermitVerifier(PermitSigner().public_key)
    )

    def can_send(self, _name: str, new_chat: bool) -> bool:  # noqa: FBT001 - the port's shape
        """Tell what the test set."""
        return self.up and (self.new_chats or not new_chat)

    async def send(self, name: str, permit: Permit, outgoing: Outgoing) -> SendResult:
        """Verify the permit, note the send, and answer by the script."""
        self.verifier.redeem(
            permit,
            recipient=outgoing.recipient,
            text=outgoing.text,
            session=name,
            now=self.clock.now(),
        )
        said = self.results.popleft() if self.results else self.default_result
        self.sends.append(RecordedSend(name, permit, outgoing, self.clock.now(), said))
        return await self._answer(said)

    async def _answer(self, said: ScriptedSendResult) -> SendResult:
        match said:
            case ScriptedSendResult.REFUSE | ScriptedSendResult.RETRY:
                return Refused(
                    "refused", "The server refused it.", retryable=said is ScriptedSendResult.RETRY
                )
            case ScriptedSendResult.UNKNOWN:
                return Unknown("line_lost", "The line broke before an answer came.")
            case ScriptedSendResult.SLOW:
                await self.clock.sleep(1)
            case ScriptedSendResult.SILENCE:
                await asyncio.Event().wait()
            case ScriptedSendResult.RAISE:
                raise TransportBroke
            case ScriptedSendResult.CANCELLED:
                raise asyncio.CancelledError
            case ScriptedSendResult.NONSENSE:
                return "done"  # type: ignore[return-value]
            case ScriptedSendResult.NO_ID:
                return Acknowledged("", self.clock.now())
        wire_id = "wire-1" if said is ScriptedSendResult.SAME_ID else f"wire-{len(self.sends)}"
        return Acknowledged(wire_id, self.clock.now())

    def trust_another_key(self) -> None:
        """Trust another key than the gate's from now on."""
        self.verifier = PermitVerifier(PermitSigner().public_key)

    def sent_texts(self) -> list[str]:
        """Return the texts that reached the wire, in order."""
        return [sent.outgoing.text for sent in self.sends]
