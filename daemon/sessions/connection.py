"""One connection of a session: opens its transport, reads its signals, sends through it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

import structlog

from daemon.api.clock import Clock
from daemon.api.permit import Permit, PermitRefused
from daemon.api.signals import Signal, TransportDied
from daemon.api.transport import (
    CannotOpen,
    Channel,
    KnownContact,
    NumberAnswer,
    OpenContext,
    Outgoing,
    Refused,
    SendResult,
    Transport,
    Unknown,
)
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
"""Seconds between the attempts to store a signal."""


async def store_with_retries(
    store: Callable[[], Awaitable[object]], clock: Clock, session: str
) -> None:
    """Store a signal, trying four times; raise what the last attempt raised."""
    for pause in STORE_RETRY_SECONDS:
        try:
            await store()
        except Exception as error:  # noqa: BLE001 - a full disk, a fault: all the same to the connection
            log.warning("signal_not_stored", session=session, error=type(error).__name__)
            await clock.sleep(pause)
        else:
            return
    # The caller gives the connection up by this error: a session that can't store an opt-out must
    # not send. The platform reports the signal again to the next connection.
    await store()


T = TypeVar("T")

CLOSE_SECONDS = 10.0
GRACE_SECONDS = 1.5
"""How long an orderly close waits for calls to the transport that are under way, in seconds."""


class SessionUnavailable(Refused, frozen=True):
    """The session could not send: nothing reached its channel, and the message waits for it."""


NOT_CONNECTED = SessionUnavailable(
    "not_connected", "The session is not connected; nothing was sent.", retryable=True
)


class SessionConnection:
    """Opens a transport, reads its signals and passes calls to it, until :meth:`close`.

    For each signal, ``on_fault`` is awaited with what the check refused of it, then ``on_signal``
    with what it accepted, before the next signal is read. Any error of the transport becomes a
    :class:`TransportDied`.
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
        self._muted = False
        self._reading = asyncio.create_task(self._run())

    async def send(self, permit: Permit, outgoing: Outgoing) -> SendResult:
        """Send a message; never raises. Unknown where the connection closes before the answer."""
        transport, capabilities = self._transport, self._channel.capabilities
        if transport is None or self._closing.is_set():
            return NOT_CONNECTED
        if refused := refuse_content(outgoing.content, capabilities):
            return refused
        # Once the transport has the message, no failure proves that it did not leave.
        in_doubt = Unknown("line_closed", "The connection was closed before WhatsApp answered.")
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
        """Return whether numbers are on WhatsApp; UNKNOWN where the channel can't tell or fails."""
        transport = self._transport
        if not self._channel.capabilities.number_check or transport is None:
            return check_number_answers((), phones)
        call = self._ask("check_numbers", lambda: transport.check_numbers(phones))
        return check_number_answers(await call, phones)

    async def list_contacts(self) -> Sequence[KnownContact]:
        """Return the account's contacts; an empty list where the channel can't tell or fails."""
        transport = self._transport
        if transport is None:
            return []
        return check_contacts(await self._ask("contacts", transport.contacts))

    async def _ask(
        self, call: str, ask: Callable[[], Coroutine[Any, Any, Sequence[T]]]
    ) -> Sequence[T]:
        """Return the transport's answer; an empty one where it is closed or fails."""
        if self._closing.is_set():
            return ()
        try:
            return await self._await_unless_closed(ask(), ())
        except Exception as fault:  # noqa: BLE001 - as above
            log.warning("transport_failed", call=call, error=type(fault).__name__)
            return ()

    def mute(self) -> None:
        """Pass on no signal any more: they are of an account that is not ours."""
        self._muted = True

    async def logout(self) -> None:
        """Unlink the device through the open transport, if there is one; bounded."""
        if self._transport is not None:
            await run_with_timeout(self._clock, CLOSE_SECONDS, self._transport.logout())

    async def close(self, *, orderly: bool = False) -> None:
        """End the connection: bounded, idempotent, and never raises.

        ``orderly`` gives calls that are under way a moment to be answered.
        """
        if orderly and self._calls and not self._closing.is_set():
            await run_with_timeout(self._clock, GRACE_SECONDS, _wait_for_all(set(self._calls)))
        # From here on calls get their "closed" answer, and only then is the transport taken away.
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
            await self._on_signal(self, ConnectionNotOpened(str(error), retryable=error.retryable))
        except Exception as fault:  # noqa: BLE001 - as above
            kind = type(fault).__name__
            log.warning("line_failed", session=self._context.session.name, error=kind)
            await self._on_signal(self, TransportDied(kind))
        else:
            await self._on_signal(self, TransportDied("the stream of signals ended"))

    async def _take_signal(self, checked: CheckedSignal) -> None:
        """Report what was refused of a signal, then pass on what was accepted."""
        if self._muted:
            return
        if checked.rejected or checked.nobody:
            await self._on_fault(checked)
        if checked.signal is not None:
            await self._on_signal(self, checked.signal)

    async def _await_unless_closed(self, call: Coroutine[Any, Any, T], otherwise: T) -> T:
        """Return what ``call`` returns, or ``otherwise`` where the connection closes first."""
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
        """Remove a call that has ended."""
        self._calls.discard(task)
        if not task.cancelled():
            task.exception()  # read, or asyncio reports it as never retrieved


async def unlink_device(
    channel: Channel, context: OpenContext, store: Callable[[CheckedSignal], Awaitable[None]]
) -> None:
    """Unlink the device of a session that is not connected, through a transport of its own.

    What people wrote to it meanwhile is passed to ``store``: after that it comes to nobody.
    """
    if channel.open is None:
        return
    checker = SignalChecker(context.session.name, channel)
    transport = await channel.open(context)

    async def read() -> None:
        async for signal in transport.signals():
            await store(checker.check(signal))

    reading = asyncio.create_task(read())
    try:
        await transport.logout()
    finally:
        try:
            await transport.close()
            await asyncio.wait({reading})
        finally:
            reading.cancel()
    reading.result()


async def run_with_timeout(
    clock: Clock, seconds: float, coroutine: Coroutine[Any, Any, Any]
) -> None:
    """Run ``coroutine`` for at most ``seconds`` of the clock; its errors are logged, not raised."""
    task = asyncio.create_task(coroutine)
    timer = asyncio.create_task(clock.sleep(seconds))
    try:
        # wait() and not wait_for(): a transport may ignore its cancellation, and is left behind
        # then.
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        timer.cancel()
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        if task.done() and (error := task.exception()):
            log.warning("line_did_not_close_well", error=type(error).__name__)


async def _wait_for_all(tasks: set[asyncio.Task[Any]]) -> None:
    await asyncio.wait(tasks)
