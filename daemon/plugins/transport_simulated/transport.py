"""The simulated transport, which can be as unreliable as a real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from functools import partial

from daemon.api.identity import IdentityKind, parse_phone_identity
from daemon.api.permit import Permit, PermitRefused
from daemon.api.signals import AliasLearned, SendingRestricted, Signal, TransportDied
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
    Unknown,
    hash_content,
    redeem_permit,
)
from daemon.plugins.transport_simulated.connection import SimulatedConnection
from daemon.plugins.transport_simulated.contacts import SimulatedContacts
from daemon.plugins.transport_simulated.disk_state import (
    SentLog,
    SentMessage,
    StoredLogin,
    TimestampLog,
)
from daemon.plugins.transport_simulated.script import SimulationScript
from daemon.plugins.transport_simulated.scripted_events import ScriptedEventScheduler
from daemon.plugins.transport_simulated.timeline import SimulationTimeline

ANSWER_SECONDS = 75.0
"""After so many seconds without an acknowledgement, a message's fate is unknown."""

CHECK_SECONDS = 0.3
TIMELOCK_CODE = "463"


class SimulatedTransport:
    """A transport whose contacts are simulated; what it sent is in ``wire.jsonl``."""

    def __init__(self, context: OpenContext, script: SimulationScript, seed: int) -> None:
        self._context = context
        self._clock = context.clock
        self._session = context.session.name
        self._contacts = SimulatedContacts(script, seed)
        self._sent_log = SentLog(context.session.folder)
        self._timestamps = TimestampLog(context.session.folder)
        self._queue: asyncio.Queue[tuple[Signal, str | None] | None] = asyncio.Queue()
        self._unanswered: set[asyncio.Future[SendResult]] = set()
        self._timeline = SimulationTimeline(self._clock, self._die)
        self._closed = False
        self._connection = SimulatedConnection(
            context=context,
            script=script,
            contacts=self._contacts,
            login=StoredLogin(context.session.folder),
            sent_log=self._sent_log,
            timestamps=self._timestamps,
            timeline=self._timeline,
            emit=self._emit,
            on_down=self._answer_pending_unknown,
            on_synced=self._schedule_scripted_events,
        )

    async def signals(self) -> AsyncIterator[Signal]:
        """Yield signals; one with a key counts as delivered once the next one is asked for."""
        while (item := await self._queue.get()) is not None:
            signal, key = item
            yield signal
            # Not before: a daemon that crashes while it stores a signal gets it again after the
            # restart.
            if key and not self._closed:
                self._timestamps.record(key, self._clock.now())
            if isinstance(signal, TransportDied):
                return

    async def connect(self) -> None:
        """Log in with the stored login, or show QR codes where there is none."""
        self._connection.start()

    async def send(self, permit: Permit, outgoing: Outgoing) -> SendResult:
        """Send a message with its permit; see :class:`daemon.api.transport.Transport`."""
        self._redeem_permit(permit, outgoing)
        if outgoing.recipient.kind is not IdentityKind.PHONE:
            return Refused("recipient_not_supported", "This channel sends to numbers only.")
        if not isinstance(outgoing.content, Text):
            return Refused("content_not_supported", "This channel sends texts only.")
        if not self._connection.is_up:
            return Refused(
                "not_connected", "There is no connection; nothing was sent.", retryable=True
            )
        phone = outgoing.recipient.value
        delay = self._contacts.ack_delay(phone)
        refusal = self._find_refusal(phone)
        if refusal is not None:
            return await self._answer_after(delay, refusal)
        # Delivered before it is acknowledged: a crash in between leaves a message in doubt that
        # arrived.
        sent = self._deliver(permit, outgoing)
        if self._contacts.behaviour(sent.recipient).drop_ack or self._connection.is_silent:
            unknown = Unknown("no_acknowledgement", "The server did not answer in time.")
            return await self._answer_after(ANSWER_SECONDS, unknown)
        result = await self._answer_after(delay, Acknowledged(sent.wire_id, sent.at))
        return Acknowledged(sent.wire_id, self._clock.now()) if _is_acknowledged(result) else result

    async def check_numbers(self, phones: Sequence[str]) -> Sequence[NumberAnswer]:
        """Answer by each contact's behaviour; UNKNOWN while the connection is down or silent."""
        await self._clock.sleep(CHECK_SECONDS)
        if not self._connection.is_up or self._connection.is_silent:
            return [NumberAnswer(phone, OnWhatsApp.UNKNOWN) for phone in phones]
        return [self._contacts.answer_number_check(phone) for phone in phones]

    async def contacts(self) -> Sequence[KnownContact]:
        """Return the contacts that were written to, each with its number and hidden id."""
        phones = dict.fromkeys(sent.recipient for sent in self._sent_log.sent)
        return [
            KnownContact((parse_phone_identity(phone), self._contacts.lid(phone)))
            for phone in phones
        ]

    async def logout(self) -> None:
        """Delete the stored login and disconnect."""
        self._connection.log_out()

    async def close(self) -> None:
        """Disconnect, answer pending sends with ``Unknown``, and end the stream."""
        if self._closed:
            return
        self._closed = True
        self._connection.disconnect()
        self._queue.put_nowait(None)
        self._sent_log.close()
        self._timestamps.close()

    def _redeem_permit(self, permit: Permit, outgoing: Outgoing) -> None:
        """Check that the permit is for exactly this message, and was never used."""
        redeem_permit(self._context, permit, outgoing)
        # The daemon's own check forgets used permits at a restart; the file does not.
        if self._sent_log.has_permit(permit):
            raise PermitRefused("permit_used", "The permit brought a message to the wire before.")

    def _find_refusal(self, phone: str) -> Refused | None:
        """Return the platform's refusal of a message to this contact, or None."""
        behaviour = self._contacts.behaviour(phone)
        if behaviour.on_whatsapp is OnWhatsApp.NO:
            return Refused("not_on_whatsapp", "The number is not on WhatsApp.")
        if behaviour.refuse == TIMELOCK_CODE or self._connection.is_restricted(phone):
            self._emit(SendingRestricted("reach_out_timelock", self._connection.restricted_until()))
            return Refused(TIMELOCK_CODE, "WhatsApp closed new chats for this number.")
        if behaviour.refuse is not None:
            wait = behaviour.retry_after
            return Refused(
                behaviour.refuse,
                f"The platform refused the message with {behaviour.refuse}.",
                behaviour.retryable,
                behaviour.refusal_code,
                behaviour.refusal_detail,
                None if wait is None else timedelta(seconds=wait),
            )
        return None

    def _deliver(self, permit: Permit, outgoing: Outgoing) -> SentMessage:
        """Store the message as sent, and schedule what follows."""
        count = str(len(self._sent_log.sent))
        sent = SentMessage(
            wire_id=f"3EB0{self._contacts.digest('wire', self._session, count)[:18].upper()}",
            message=outgoing.message,
            recipient=outgoing.recipient.value,
            body=hash_content(outgoing.content),
            permit=permit.id,
            at=self._clock.now(),
        )
        self._sent_log.append(sent)
        self._emit(AliasLearned(self._contacts.lid(sent.recipient), outgoing.recipient))
        self._connection.schedule_signals_after(sent)
        return sent

    async def _answer_after(self, delay: float, result: SendResult) -> SendResult:
        """Return ``result`` after ``delay``, or ``Unknown`` where the connection breaks before."""
        answer: asyncio.Future[SendResult] = asyncio.get_running_loop().create_future()
        self._unanswered.add(answer)
        self._timeline.schedule_after(delay, partial(_set_result, answer, result))
        try:
            return await answer
        finally:
            self._unanswered.discard(answer)

    def _schedule_scripted_events(self) -> None:
        ScriptedEventScheduler(self._connection).schedule()

    def _answer_pending_unknown(self) -> None:
        for answer in self._unanswered:
            _set_result(
                answer, Unknown("line_lost", "The connection broke before WhatsApp answered.")
            )

    def _emit(self, signal: Signal, key: str | None = None) -> None:
        self._queue.put_nowait((signal, key))

    def _die(self, error: Exception) -> None:
        """End the transport after an error of its own, as a worker that died."""
        self._connection.disconnect()
        self._emit(TransportDied(type(error).__name__))


def _set_result(answer: asyncio.Future[SendResult], result: SendResult) -> None:
    if not answer.done():
        answer.set_result(result)


def _is_acknowledged(result: SendResult) -> bool:
    return isinstance(result, Acknowledged)
