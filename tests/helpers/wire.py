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


class Say(StrEnum):
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


CERTAINLY_NOT_SENT = frozenset({Say.REFUSE, Say.RETRY})


class LineBroke(Exception):
    """What a transport may raise in the middle of a send."""


@dataclass(frozen=True)
class Sent:
    """One message that reached the wire, at which moment, and what the wire said."""

    session: str
    permit: Permit
    outgoing: Outgoing
    at: datetime
    said: Say


@dataclass
class FakeWire:
    """Stands where the sessions stand. ``script`` holds the next answers; after it, ``usual``."""

    clock: FakeClock
    up: bool = True
    new_chats: bool = True
    usual: Say = Say.ACK
    script: deque[Say] = field(default_factory=deque)
    sends: list[Sent] = field(default_factory=list)
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
        said = self.script.popleft() if self.script else self.usual
        self.sends.append(Sent(name, permit, outgoing, self.clock.now(), said))
        return await self._answer(said)

    async def _answer(self, said: Say) -> SendResult:
        match said:
            case Say.REFUSE | Say.RETRY:
                return Refused("refused", "The server refused it.", retryable=said is Say.RETRY)
            case Say.UNKNOWN:
                return Unknown("line_lost", "The line broke before an answer came.")
            case Say.SLOW:
                await self.clock.sleep(1)
            case Say.SILENCE:
                await asyncio.Event().wait()
            case Say.RAISE:
                raise LineBroke
            case Say.CANCELLED:
                raise asyncio.CancelledError
            case Say.NONSENSE:
                return "done"  # type: ignore[return-value]
            case Say.NO_ID:
                return Acknowledged("", self.clock.now())
        wire_id = "wire-1" if said is Say.SAME_ID else f"wire-{len(self.sends)}"
        return Acknowledged(wire_id, self.clock.now())

    def forget_the_gate(self) -> None:
        """Trust another key than the gate's from now on."""
        self.verifier = PermitVerifier(PermitSigner().public_key)

    def texts(self) -> list[str]:
        """Return the texts that reached the wire, in order."""
        return [sent.outgoing.text for sent in self.sends]
