"""What the tests of all machines share: which machines there are, and walks through them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, NamedTuple

from statemachines.machine import IllegalMove, Machine, fire
from statemachines.message import FINAL, MessageMachine, MessageState
from statemachines.prospect import ValidationEvent, ValidationMachine, ValidationState
from statemachines.qr import Qr, QrEvent, QrMachine
from statemachines.session import (
    RESTING,
    ConnectionEvent,
    ConnectionMachine,
    ConnectionState,
    PhoneEvent,
    PhoneMachine,
    PhoneState,
    SendingEvent,
    SendingMachine,
    SendingState,
)


class Kind(NamedTuple):
    """One machine, its vocabulary, and where it may come to rest."""

    machine: type[Machine[Any]]
    states: type[StrEnum]
    events: type[StrEnum]
    rests: frozenset[StrEnum]

    @property
    def first(self) -> str:
        """The machine's initial state."""
        return next(state for state in self.states if self.machine.states_map[state].initial)


KINDS = (
    Kind(ConnectionMachine, ConnectionState, ConnectionEvent, frozenset(RESTING)),
    Kind(PhoneMachine, PhoneState, PhoneEvent, frozenset(PhoneState)),
    Kind(SendingMachine, SendingState, SendingEvent, frozenset(SendingState)),
    Kind(QrMachine, Qr, QrEvent, frozenset({Qr.PAIRED, Qr.EXPIRED, Qr.CANCELLED})),
    Kind(MessageMachine, MessageState, MessageState, frozenset(FINAL)),
    Kind(
        ValidationMachine,
        ValidationState,
        ValidationEvent,
        frozenset(
            {ValidationState.VALIDATED, ValidationState.NOT_REACHABLE, ValidationState.ERASED}
        ),
    ),
)


def fires(machine: Machine[Any], event: StrEnum) -> bool:
    """Fire the event and tell whether the machine accepted it."""
    try:
        fire(machine, event)
    except IllegalMove:
        return False
    return True


def walk(machine: Machine[Any], events: Iterable[StrEnum]) -> None:
    """Fire all events, whatever the machine says to each."""
    for event in events:
        fires(machine, event)


def reachable(machine: type[Machine[Any]], start: str, without: str | None = None) -> set[str]:
    """Collect all states that can follow `start`, itself included, without the named event."""
    seen: set[str] = set()
    ahead = [start]
    while ahead:
        state = ahead.pop()
        if state in seen:
            continue
        seen.add(state)
        steps = machine.states_map[state].transitions
        ahead += [target.value for s in steps if s.event != without for target in s.targets]
    return seen
