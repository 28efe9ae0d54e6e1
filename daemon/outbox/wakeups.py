"""Wakes evaluation, senders, number checks and breaker when a committed event concerns them.

No message depends on an event: what waits is a row. At a start, after lost events and every minute
all rows are checked.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Final

import structlog

from daemon.api.clock import Clock
from daemon.api.effects import ContactRequest
from daemon.background import run_in_background
from daemon.bus import EventBus, EventSubscription, SubscriberLagged
from daemon.contacts.validation import ValidationService
from daemon.events import (
    ClockStepped,
    DomainEvent,
    InboundClassified,
    InboundReceived,
    MessageChanged,
    NewChatsResumed,
    RulesLoaded,
    SendingResumed,
    SessionChanged,
)
from daemon.numbers.breaker import Breaker
from daemon.outbox.outbox import Outbox
from statemachines.message import BUSY_STATES, MessageState
from statemachines.session import CAN_SEND_STATES
from statemachines.vocabulary import WaitsFor

log = structlog.get_logger("outbox")

_MAX_QUEUED_EVENTS: Final = 4096
_RETRY_SECONDS: Final = 1.0
_KINDS: Final = (
    MessageChanged,
    SessionChanged,
    InboundReceived,
    InboundClassified,
    SendingResumed,
    NewChatsResumed,
    RulesLoaded,
    ClockStepped,
)
"""Those of the cases of :meth:`Wakeups._handle_event`: others never arrive there."""
_NO_ANSWERS: Final = frozenset({ContactRequest.OPT_OUT, ContactRequest.COMPLAINT})
"""What contacts write that counts for the breaker of a number."""


class Wakeups:
    """A task that follows the event bus, and wakes what an event concerns."""

    def __init__(
        self,
        bus: EventBus,
        outbox: Outbox,
        validation: ValidationService,
        breaker: Breaker,
        clock: Clock,
    ) -> None:
        self._bus = bus
        self._outbox = outbox
        self._validation = validation
        self._breaker = breaker
        self._clock = clock

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the bus for the length of the block; at first all rows are checked."""
        # Subscribed before the task starts, so that no event of the block is missed.
        async with run_in_background(self._run(self._subscribe()), "wakeups"):
            yield

    async def _wake_all(self) -> None:
        """Wake everything."""
        await self._breaker.review()
        await self._outbox.wake()
        self._validation.wake()

    def _subscribe(self) -> EventSubscription:
        # Of the kinds that mean work: an import's thousands of others must not fill the queue.
        return self._bus.subscribe(_MAX_QUEUED_EVENTS, kinds=_KINDS)

    async def _run(self, subscription: EventSubscription) -> None:
        while True:
            try:
                await self._follow(subscription)
            except SubscriberLagged:
                log.warning("wakeups_lagged", events=_MAX_QUEUED_EVENTS)
            except Exception:
                log.exception("wakeups_failed")
                await self._clock.sleep(_RETRY_SECONDS)
            finally:
                subscription.close()
            subscription = self._subscribe()

    async def _follow(self, subscription: EventSubscription) -> None:
        """Wake everything, then what each event concerns. Raises what handling an event raises."""
        # First everything: events may have been lost before this subscription.
        await self._wake_all()
        async for published in subscription:
            await self._handle_event(published.event)

    async def _handle_event(self, event: DomainEvent) -> None:
        match event:
            case MessageChanged():
                await self._handle_message(event)
            case SessionChanged():
                self._handle_session(event)
            case InboundReceived() if event.request in _NO_ANSWERS:
                await self._breaker.review()
            case InboundClassified():
                await self._breaker.review()
            case SendingResumed() | RulesLoaded() | ClockStepped() | NewChatsResumed():
                await self._wake_all()
            case _:
                pass

    async def _handle_message(self, event: MessageChanged) -> None:
        if event.state == MessageState.FAILED:
            await self._breaker.review()
        if event.state == MessageState.QUEUED:
            self._outbox.wake_evaluation()
        elif event.state == MessageState.CLEARED:
            self._outbox.wake_session(event.session)
        elif event.waits_for == WaitsFor.CHECKED:
            self._validation.wake()
        # Only one message per contact is on its way: the next one may be sent now.
        if event.previous in BUSY_STATES and event.state not in BUSY_STATES:
            await self._outbox.wake_contact(event.contact)

    def _handle_session(self, event: SessionChanged) -> None:
        self._outbox.requeue_for_sessions()
        if event.state in CAN_SEND_STATES:
            self._outbox.serve_session(event.subject)
            self._outbox.wake_session(event.subject)
            self._validation.wake()
