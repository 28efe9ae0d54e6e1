"""One simulated line: a transport that behaves as badly as the real ones do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial

from daemon.api.permit import Permit, PermitRefused, body_hash
from daemon.api.signals import LidLearned, SendingRestricted, Signal, TransportDied
from daemon.api.transport import (
    Acknowledged,
    NumberAnswer,
    OnWhatsApp,
    OpenContext,
    Outgoing,
    Refused,
    SendResult,
    Unknown,
)
from daemon.plugins.transport_simulated.agenda import Agenda
from daemon.plugins.transport_simulated.happenings import Happenings
from daemon.plugins.transport_simulated.link import Link
from daemon.plugins.transport_simulated.script import Script
from daemon.plugins.transport_simulated.wire import Login, Sent, Told, Wire
from daemon.plugins.transport_simulated.world import World

ANSWER_SECONDS = 75.0
"""After so long without an acknowledgement nobody can say whether a message left."""

CHECK_SECONDS = 0.3
TIMELOCK = "463"


class SimulatedLine:
    """The transport. Its ids are known on return only; what it sent is in ``wire.jsonl``."""

    def __init__(self, context: OpenContext, script: Script, seed: int) -> None:
        self._context = context
        self._clock = context.clock
        self._session = context.session.name
        self._world = World(script, seed)
        self._wire = Wire(context.session.folder)
        self._told = Told(context.session.folder)
        self._queue: asyncio.Queue[tuple[Signal, str | None] | None] = asyncio.Queue()
        self._unanswered: set[asyncio.Future[SendResult]] = set()
        self._agenda = Agenda(self._clock, self._break)
        self._closed = False
        self._link = Link(
            context=context,
            script=script,
            world=self._world,
            login=Login(context.session.folder),
            wire=self._wire,
            told=self._told,
            agenda=self._agenda,
            emit=self._emit,
            on_down=self._give_up_answers,
            on_synced=self._schedule_happenings,
        )

    async def signals(self) -> AsyncIterator[Signal]:
        """Yield signals; what was yielded counts as told once the next one is asked for."""
        while (item := await self._queue.get()) is not None:
            signal, key = item
            yield signal
            if key and not self._closed:
                self._told.note(key, self._clock.now())
            if isinstance(signal, TransportDied):
                return

    async def connect(self) -> None:
        """Log in with the stored login, or show codes where there is none."""
        self._link.begin()

    async def send(self, permit: Permit, outgoing: Outgoing) -> SendResult:
        """Send what the permit allows; see :class:`daemon.api.transport.Transport`."""
        self._redeem(permit, outgoing)
        if not self._link.up:
            return Refused("not_connected", "The line is down; nothing was sent.", retryable=True)
        delay = self._world.ack_delay(outgoing.recipient)
        refusal = self._refusal(outgoing.recipient)
        if refusal is not None:
            return await self._answer(delay, refusal)
        sent = self._carry(permit, outgoing)
        if self._world.behaviour(sent.recipient).drop_ack or self._link.silent:
            unknown = Unknown("no_acknowledgement", "The server did not answer in time.")
            return await self._answer(ANSWER_SECONDS, unknown)
        result = await self._answer(delay, Acknowledged(sent.wire_id, sent.at))
        return Acknowledged(sent.wire_id, self._clock.now()) if _is_ack(result) else result

    async def check_numbers(self, phones: Sequence[str]) -> Sequence[NumberAnswer]:
        """Answer as each contact's behaviour says; unknown while the line is down."""
        await self._clock.sleep(CHECK_SECONDS)
        if not self._link.up or self._link.silent:
            return [NumberAnswer(phone, OnWhatsApp.UNKNOWN) for phone in phones]
        return [self._world.answer(phone) for phone in phones]

    async def logout(self) -> None:
        """Forget the stored login and hang up."""
        self._link.log_out()

    async def close(self) -> None:
        """Hang up, answer what is unanswered with ``Unknown``, end the stream."""
        if self._closed:
            return
        self._closed = True
        self._link.down()
        self._queue.put_nowait(None)
        self._wire.close()
        self._told.close()

    def _redeem(self, permit: Permit, outgoing: Outgoing) -> None:
        """Stand at the wire: the permit must be for exactly this, and never used before."""
        self._context.verifier.redeem(
            permit,
            recipient=outgoing.recipient,
            text=outgoing.text,
            session=self._session,
            now=self._clock.now(),
        )
        if outgoing.message != permit.message:
            raise PermitRefused(
                "permit_message_differs", "The permit was given for another message."
            )
        if self._wire.has(permit):
            raise PermitRefused("permit_used", "The permit brought a message to the wire before.")

    def _refusal(self, phone: str) -> Refused | None:
        """Return why the platform will not take a message to this contact, if it will not."""
        does = self._world.behaviour(phone)
        if does.on_whatsapp is OnWhatsApp.NO:
            return Refused("not_on_whatsapp", "The number is not on WhatsApp.")
        if does.refuse == TIMELOCK or self._link.restricts(phone):
            self._emit(SendingRestricted("reach_out_timelock", self._link.restricted_until()))
            return Refused(TIMELOCK, "The platform closed new chats for this number.")
        if does.refuse is not None:
            sentence = f"The platform refused the message with {does.refuse}."
            return Refused(does.refuse, sentence, retryable=does.retryable)
        return None

    def _carry(self, permit: Permit, outgoing: Outgoing) -> Sent:
        """Bring the message to its contact, before anybody acknowledges anything."""
        count = str(len(self._wire.sent))
        sent = Sent(
            wire_id=f"3EB0{self._world.digest('wire', self._session, count)[:18].upper()}",
            message=outgoing.message,
            recipient=outgoing.recipient,
            body=body_hash(outgoing.text),
            permit=permit.id,
            at=self._clock.now(),
        )
        self._wire.take(sent)
        self._emit(LidLearned(self._world.lid(sent.recipient), sent.recipient))
        self._link.follow(sent)
        return sent

    async def _answer(self, delay: float, result: SendResult) -> SendResult:
        """Return ``result`` after ``delay``, or ``Unknown`` when the line breaks before."""
        answer: asyncio.Future[SendResult] = asyncio.get_running_loop().create_future()
        self._unanswered.add(answer)
        self._agenda.after(delay, partial(_settle, answer, result))
        try:
            return await answer
        finally:
            self._unanswered.discard(answer)

    def _schedule_happenings(self) -> None:
        Happenings(self._link).schedule()

    def _give_up_answers(self) -> None:
        for answer in self._unanswered:
            _settle(answer, Unknown("line_lost", "The line broke before the server answered."))

    def _emit(self, signal: Signal, key: str | None = None) -> None:
        self._queue.put_nowait((signal, key))

    def _break(self, error: Exception) -> None:
        """End as a worker does that met a fault of its own."""
        self._link.down()
        self._emit(TransportDied(type(error).__name__))


def _settle(answer: asyncio.Future[SendResult], result: SendResult) -> None:
    if not answer.done():
        answer.set_result(result)


def _is_ack(result: SendResult) -> bool:
    return isinstance(result, Acknowledged)
