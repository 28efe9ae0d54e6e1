"""A fake sending port, on its way out: the outbox's tests run over the real sessions as well."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from daemon.api.permit import Permit, PermitSigner, PermitVerifier
from daemon.api.transport import Acknowledged, Outgoing, Refused, SendResult, Unknown, hash_content
from tests.helpers.clock import FakeClock
from tests.helpers.puppet_channel import RecordedSend, ScriptedSendResult, TransportBroke
from tests.helpers.transport import read_text


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

    def can_send(self, name: str, new_chat: bool) -> bool:  # noqa: ARG002, FBT001 - the port
        """Tell what the test set."""
        return self.up and (self.new_chats or not new_chat)

    async def send(self, name: str, permit: Permit, outgoing: Outgoing) -> SendResult:
        """Verify the permit, note the send, and answer by the script."""
        self.verifier.redeem(
            permit,
            message=outgoing.message,
            recipient=outgoing.recipient.value,
            body=hash_content(outgoing.content),
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
        return [read_text(sent.outgoing) for sent in self.sends]
