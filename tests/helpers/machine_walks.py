"""Shared by the tests of all state machines: the list of machines, and walks through them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, NamedTuple

from statemachines.delivery import DeliveryRowEvent, DeliveryRowMachine, DeliveryRowState
from statemachines.machine import IllegalTransition, StrictMachine, fire_event
from statemachines.message import FINAL_STATES, MessageMachine, MessageState
from statemachines.prospect import ValidationEvent, ValidationMachine, ValidationState
from statemachines.qr import QrEvent, QrMachine, QrState
from statemachines.session import (
    RESTING_STATES,
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


class MachineKind(NamedTuple):
    """One machine with its states, its events, and the states in which it may rest."""

    machine: type[StrictMachine[Any]]
    states: type[StrEnum]
    events: type[StrEnum]
    rests: frozenset[StrEnum]

    @property
    def first(self) -> str:
        """The machine's initial state."""
        return next(state for state in self.states if self.machine.states_map[state].initial)


MACHINE_KINDS = (
    MachineKind(ConnectionMachine, ConnectionState, ConnectionEvent, frozenset(RESTING_STATES)),
    MachineKind(PhoneMachine, PhoneState, PhoneEvent, frozenset(PhoneState)),
    MachineKind(SendingMachine, SendingState, SendingEvent, frozenset(SendingState)),
    MachineKind(
        QrMachine, QrState, QrEvent, frozenset({QrState.PAIRED, QrState.EXPIRED, QrState.CANCELLED})
    ),
    MachineKind(MessageMachine, MessageState, MessageState, frozenset(FINAL_STATES)),
    MachineKind(
        ValidationMachine,
        ValidationState,
        ValidationEvent,
        frozenset(
            {ValidationState.VALIDATED, ValidationState.NOT_REACHABLE, ValidationState.ERASED}
        ),
    ),
    MachineKind(
        DeliveryRowMachine,
        DeliveryRowState,
        DeliveryRowEvent,
        frozenset(DeliveryRowState) - {DeliveryRowState.DISPUTED},
    ),
)


def is_accepted(machine: StrictMachine[Any], event: StrEnum) -> bool:
    """Fire the event; return whether the machine accepted it."""
    try:
        fire_event(machine, event)
    except IllegalTransition:
        return False
    return True


def fire_all(machine: StrictMachine[Any], events: Iterable[StrEnum]) -> None:
    """Fire all events, whether the machine accepts them or not."""
    for event in events:
        is_accepted(machine, event)


def list_reachable_states(
    machine: type[StrictMachine[Any]], start: str, without: str | None = None
) -> set[str]:
    """Return all states reachable from `start`, itself included, without the event `without`."""
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
