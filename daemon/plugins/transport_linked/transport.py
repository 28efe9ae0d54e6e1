"""The transport of a linked session: passes the calls of the port to its worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

from daemon.api.identity import Identity, IdentityKind, NotAContact, parse_identity
from daemon.api.permit import Permit, PermitRefused
from daemon.api.signals import (
    ConnectionRefused,
    Disconnected,
    Paired,
    PairingFailed,
    QrExhausted,
    Signal,
    TransportDied,
)
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
    redeem_permit,
)
from daemon.linked_worker.protocol import (
    CheckedNumber,
    CheckNumbersRequest,
    ConnectRequest,
    ContactsAnswer,
    LinkedAnswer,
    ListContactsRequest,
    ListedContact,
    LogoutRequest,
    NotSentAnswer,
    NumbersAnswer,
    PermitRefusedAnswer,
    SendMessageRequest,
    SendUnknownAnswer,
    SentAnswer,
)
from daemon.plugins.transport_linked.options import LinkedOptions
from daemon.plugins.transport_linked.worker_client import (
    NotAsked,
    WorkerBusy,
    WorkerClient,
    start_worker,
)
from daemon.worker_protocol import WorkerFailed

_SEND_SECONDS: Final = 95.0
"""Longer than a turn and the library's own limit of 75 s: after this the worker itself hangs."""
_CHECK_SECONDS: Final = 75.0
_LOGOUT_SECONDS: Final = 9.0
_LOGOUT_BUSY_SECONDS: Final = 1.0
_LAST_SIGNALS: Final = (ConnectionRefused, Disconnected, PairingFailed, QrExhausted)
"""Signals after which the worker ends by itself, so that its end needs no report."""


class LinkedTransport:
    """A transport with one worker; the session decides when another one is started."""

    def __init__(self, context: OpenContext, options: LinkedOptions, worker: WorkerClient) -> None:
        self._context = context
        self._options = options
        self._worker = worker
        self._closed = False

    async def signals(self) -> AsyncIterator[Signal]:
        """Yield signals until the worker has ended."""
        last: Signal | None = None
        while (signal := await self._worker.next_signal()) is not None:
            last = signal
            # A pairing that the daemon knows of is not reported again.
            if not (isinstance(signal, Paired) and self._context.session.paired):
                yield signal
        if not self._closed and not isinstance(last, (*_LAST_SIGNALS, TransportDied)):
            yield TransportDied(f"the worker {self._worker.failure}")

    async def connect(self) -> None:
        """Connect with the stored login, or show codes where there is none."""
        await self._worker.ask(ConnectRequest(self._context.session.pairing_phone))

    async def send(self, permit: Permit, outgoing: Outgoing) -> SendResult:
        """Send a message with its permit, which the worker verifies again."""
        # Here too, and not only in the worker, which runs a foreign library.
        redeem_permit(self._context, permit, outgoing)
        if outgoing.recipient.kind is not IdentityKind.PHONE:
            return Refused("recipient_not_supported", "This channel sends to numbers only.")
        if not isinstance(outgoing.content, Text):
            return Refused("content_not_supported", "This channel sends texts only.")
        request = SendMessageRequest(
            permit, outgoing.message, outgoing.recipient.value, outgoing.content.text
        )
        return await self._ask_to_send(request)

    async def _ask_to_send(self, request: SendMessageRequest) -> SendResult:
        """Return the worker's answer: certainly not sent where it was not asked, else unknown."""
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                answers = await self._worker.ask(request, busy_timeout=self._options.busy_timeout)
        except WorkerBusy:
            sentence = (
                "The linked device still waits for WhatsApp's answer to another call; nothing was"
                " sent."
            )
            return Refused("worker_busy", sentence, retryable=True)
        except NotAsked:
            return Refused(
                "not_connected", "The worker has ended; nothing was sent.", retryable=True
            )
        except WorkerFailed as failed:
            return Unknown("worker_ended", f"The worker {failed} before it answered.")
        except TimeoutError:
            return Unknown("no_answer", "The worker did not answer in time.")
        return _read_send_answer(answers)

    async def check_numbers(self, phones: Sequence[str]) -> Sequence[NumberAnswer]:
        """Return the platform's answers; UNKNOWN where none comes in time."""
        for answer in await self._ask_in_time(CheckNumbersRequest(tuple(phones))):
            if isinstance(answer, NumbersAnswer):
                return [_read_number(each) for each in answer.numbers]
        return [NumberAnswer(phone, OnWhatsApp.UNKNOWN) for phone in phones]

    async def contacts(self) -> Sequence[KnownContact]:
        """Return the contacts of the account; none where the worker can't be asked."""
        return [
            contact
            for answer in await self._ask_in_time(ListContactsRequest())
            if isinstance(answer, ContactsAnswer)
            for each in answer.contacts
            if (contact := _read_contact(each)) is not None
        ]

    async def logout(self) -> None:
        """Unlink the device, at the platform too if it can be reached; delete the login."""
        async with asyncio.timeout(_LOGOUT_SECONDS):
            try:
                await self._worker.ask(LogoutRequest(), busy_timeout=_LOGOUT_BUSY_SECONDS)
            except NotAsked:
                # It hangs in a call, or has ended: another one unlinks.
                await self._worker.close()
                self._worker = await start_worker(self._context, self._options)
                await self._worker.ask(LogoutRequest())

    async def close(self) -> None:
        """End the worker; sends without an answer are unknown."""
        self._closed = True
        await self._worker.close()

    async def _ask_in_time(
        self, request: CheckNumbersRequest | ListContactsRequest
    ) -> list[LinkedAnswer]:
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                return await self._worker.ask(request)
        except (WorkerFailed, TimeoutError):
            return []


def _read_send_answer(answers: list[LinkedAnswer]) -> SendResult:
    for answer in answers:
        match answer:
            case SentAnswer(wire_id, at):
                return Acknowledged(wire_id, at)
            case NotSentAnswer(reason_code, sentence, retryable, code):
                return Refused(reason_code, sentence, retryable, code)
            case PermitRefusedAnswer(reason_code, sentence, retryable):
                raise PermitRefused(reason_code, sentence, retryable=retryable)
            case SendUnknownAnswer(reason_code, sentence):
                return Unknown(reason_code, sentence)
            case _:
                break
    return Unknown("no_answer", "The worker did not say what became of the message.")


def _read_number(checked: CheckedNumber) -> NumberAnswer:
    try:
        answer = OnWhatsApp(checked.answer)
    except ValueError:
        answer = OnWhatsApp.UNKNOWN
    return NumberAnswer(
        checked.phone, answer, checked.whatsapp_id, _read_identity(checked.lid or "")
    )


def _read_contact(listed: ListedContact) -> KnownContact | None:
    identities = [_read_identity(each) for each in listed.identities]
    known = tuple(each for each in identities if each is not None)
    return KnownContact(known, listed.name) if known else None


def _read_identity(raw: str) -> Identity | None:
    try:
        return parse_identity(raw)
    except NotAContact:
        return None
