"""One connection of a session: its transport, the signals it reports, the code it shows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import structlog

from daemon.api.clock import Clock
from daemon.api.permit import Permit, PermitRefused
from daemon.api.signals import QrIssued, Signal, TransportDied
from daemon.api.transport import (
    CannotOpen,
    Channel,
    KnownContact,
    NumberAnswer,
    OpenContext,
    OpenTransport,
    Outgoing,
    Refused,
    SendResult,
    Transport,
    Unknown,
)
from daemon.events import SessionQrShown
from daemon.sessions.answer_check import (
    check_contacts,
    check_number_answers,
    check_send_result,
    refuse_content,
)
from daemon.sessions.signal_check import CheckedSignal, SignalChecker
from daemon.sessions.signal_mapping import ConnectionNotOpened, ConnectionOpened

log = structlog.get_logger("sessions")

STORE_RETRY_SECONDS = (1.0, 5.0, 15.0)
"""Seconds between the tries."""


async def store_with_retries(
    store: Callable[[], Awaitable[object]], clock: Clock, session: str
) -> None:
    """Store what came in; raise what the last try raised, so that the connection is given up.

    Who can't store an opt-out must not send; the next connection reports it again.
    """
    for pause in STORE_RETRY_SECONDS:
        try:
            await store()
        except Exception as error:  # noqa: BLE001 - a full disk, a fault: all the same to the connection
            log.warning("signal_not_stored", session=session, error=type(error).__name__)
            await clock.sleep(pause)
        else:
            return
    await store()


class QrCodeDisplay:
    """The QR code that is on show. A code is a secret, and stored nowhere else."""

    def __init__(self) -> None:
        self._shown: SessionQrShown | None = None

    def show(self, session: str, issued: QrIssued, now: datetime) -> SessionQrShown:
        """Show a code; it carries the moment at which it ends."""
        self._shown = SessionQrShown(
            subject=session,
            at=now,
            code=issued.code,
            index=issued.index,
            maximum=issued.maximum,
            expires_at=now + timedelta(seconds=issued.valid_seconds),
        )
        return self._shown

    def hide(self) -> None:
        """Show none any more: it was scanned, or the attempt is over."""
        self._shown = None

    def get_current(self, now: datetime) -> SessionQrShown | None:
        """Return the code that can be scanned now, or None."""
        return self._shown if self._shown and now < self._shown.expires_at else None

    def move_back(self, by: timedelta, now: datetime) -> None:
        """Show the code for as long as was meant, after the wall clock was set back by so much."""
        if self._shown and self._shown.at > now:
            at, expires_at = self._shown.at - by, self._shown.expires_at - by
            self._shown = replace(self._shown, at=at, expires_at=expires_at)


T = TypeVar("T")

CLOSE_SECONDS = 10.0
GRACE_SECONDS = 5.0
"""How long an orderly close waits for what is on the wire already."""


@dataclass(frozen=True, slots=True)
class SessionUnavailable(Refused):
    """The session itself could not send: nothing reached its channel, and it waits for that."""


NOT_CONNECTED = SessionUnavailable(
    "not_connected", "The session is not connected; nothing was sent.", retryable=True
)


class SessionConnection:
    """A transport's whole life, from the moment it is made to :meth:`close`.

    ``on_fault`` is awaited for what the check found wrong with a signal, and ``on_signal`` for
    each signal that counts, before the next one is taken. Whatever else the transport does wrong
    becomes a :class:`TransportDied`.
    """

    def __init__(
        self,
        channel: Channel,
        context: OpenContext,
        *,
        on_signal: Callable[[SessionConnection, Signal], Awaitable[None]],
        on_fault: Callable[[CheckedSignal], Awaitable[None]],
    ) -> None:
        self._channel = channel
        self._context = context
        self._clock: Clock = context.clock
        self._on_signal = on_signal
        self._on_fault = on_fault
        self._transport: Transport | None = None
        self._closing = asyncio.Event()
        self._calls: set[asyncio.Task[Any]] = set()
        self._reading = asyncio.create_task(self._run())

    async def send(self, permit: Permit, outgoing: Outgoing) -> SendResult:
        """Send; a connection that closes meanwhile leaves the message in doubt."""
        transport, capabilities = self._transport, self._channel.capabilities
        if transport is None or self._closing.is_set():
            return NOT_CONNECTED
        if refused := refuse_content(outgoing.content, capabilities):
            return refused
        in_doubt = Unknown("line_closed", "The line was closed before the server answered.")
        try:
            result = await self._await_unless_closed(transport.send(permit, outgoing), in_doubt)
        except PermitRefused as refused_permit:
            reason = refused_permit.reason_code
            log.warning("permit_refused", message=outgoing.message, reason=reason)
            return Refused(reason, str(refused_permit), retryable=refused_permit.retryable)
        except Exception as fault:  # noqa: BLE001 - a plugin's transport; what it did is unknown
            log.warning("transport_failed", call="send", error=type(fault).__name__)
            return Unknown(
                "transport_failed", "The connection failed while sending; it may have left."
            )
        return check_send_result(result, capabilities, self._clock.now())

    async def check_numbers(self, phones: Sequence[str]) -> Sequence[NumberAnswer]:
        """Ask about numbers; where nobody can be asked, or the call fails, they are unknown."""
        transport = self._transport
        if not self._channel.capabilities.number_check or transport is None:
            return check_number_answers((), phones)
        call = self._ask("check_numbers", lambda: transport.check_numbers(phones))
        return check_number_answers(await call, phones)

    async def list_contacts(self) -> Sequence[KnownContact]:
        """Return whom the account knows, as far as the channel tells."""
        transport = self._transport
        if transport is None:
            return []
        return check_contacts(await self._ask("contacts", transport.contacts))

    async def _ask(
        self, call: str, ask: Callable[[], Coroutine[Any, Any, Sequence[T]]]
    ) -> Sequence[T]:
        """Return what the transport answers; nothing where it is closed or fails."""
        if self._closing.is_set():
            return ()
        try:
            return await self._await_unless_closed(ask(), ())
        except Exception as fault:  # noqa: BLE001 - as above
            log.warning("transport_failed", call=call, error=type(fault).__name__)
            return ()

    async def logout(self) -> None:
        """Unlink the device, as far as the connection can; bounded."""
        if self._transport is not None:
            await run_with_timeout(self._clock, CLOSE_SECONDS, self._transport.logout())

    async def close(self, *, orderly: bool = False) -> None:
        """End the connection: bounded, idempotent, and never raises.

        ``orderly`` gives what is on the wire a moment to be acknowledged.
        """
        if orderly and self._calls and not self._closing.is_set():
            await run_with_timeout(self._clock, GRACE_SECONDS, _wait_for_all(set(self._calls)))
        self._closing.set()
        self._reading.cancel()
        await asyncio.wait({self._reading})
        transport, self._transport = self._transport, None
        if transport is not None:
            await run_with_timeout(self._clock, CLOSE_SECONDS, transport.close())

    async def _run(self) -> None:
        checker = SignalChecker(self._context.session.name, self._channel)
        try:
            if self._channel.open is None:
                raise CannotOpen(f"The channel {self._channel.name} has no connection.")  # noqa: TRY301
            self._transport = await self._channel.open(self._context)
            await self._on_signal(self, ConnectionOpened())
            await self._transport.connect()
            async for signal in self._transport.signals():
                await self._take_signal(checker.check(signal))
        except CannotOpen as error:
            log.warning("channel_not_opened", session=self._context.session.name, error=str(error))
            await self._on_signal(self, ConnectionNotOpened(str(error)))
        except Exception as fault:  # noqa: BLE001 - as above
            kind = type(fault).__name__
            log.warning("line_failed", session=self._context.session.name, error=kind)
            await self._on_signal(self, TransportDied(kind))
        else:
            await self._on_signal(self, TransportDied("the stream of signals ended"))

    async def _take_signal(self, checked: CheckedSignal) -> None:
        """Report what is wrong with a signal, then hand on what counts of it."""
        if checked.rejected or checked.nobody:
            await self._on_fault(checked)
        if checked.signal is not None:
            await self._on_signal(self, checked.signal)

    async def _await_unless_closed(self, call: Coroutine[Any, Any, T], otherwise: T) -> T:
        """Return what ``call`` returns, or ``otherwise`` when the connection closes before."""
        task = asyncio.create_task(call)
        closing = asyncio.create_task(self._closing.wait())
        self._calls.add(task)
        task.add_done_callback(self._forget_call)
        try:
            await asyncio.wait({task, closing}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() and not task.cancelled() else otherwise
        finally:
            task.cancel()
            closing.cancel()

    def _forget_call(self, task: asyncio.Task[Any]) -> None:
        """Let go of a call that has ended, also of one that failed after nobody waited for it."""
        self._calls.discard(task)
        if not task.cancelled():
            task.exception()


async def unlink_device(open_transport: OpenTransport, context: OpenContext) -> None:
    """Unlink the device of a session that has no connection now."""
    transport = await open_transport(context)
    try:
        await transport.logout()
    finally:
        await transport.close()


async def run_with_timeout(
    clock: Clock, seconds: float, coroutine: Coroutine[Any, Any, Any]
) -> None:
    """Let ``coroutine`` run for at most so many seconds of the clock; its errors are logged."""
    task = asyncio.create_task(coroutine)
    timer = asyncio.create_task(clock.sleep(seconds))
    try:
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        timer.cancel()
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        if task.done() and (error := task.exception()):
            log.warning("line_did_not_close_well", error=type(error).__name__)


async def _wait_for_all(tasks: set[asyncio.Task[Any]]) -> None:
    await asyncio.wait(tasks)
