"""What all machines share: the stored state, restoring it, and firing an event strictly."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from statemachine import StateMachine
from statemachine.exceptions import TransitionNotAllowed

StateT = TypeVar("StateT", bound=StrEnum)


@dataclass(slots=True)
class StateModel(Generic[StateT]):
    """The one thing a machine changes: the state that the daemon stores and publishes."""

    state: StateT


class StrictMachine(StateMachine, Generic[StateT]):
    """The library's strict machine, with the type of its state known to the type checkers."""

    model: StateModel[StateT]


MachineT = TypeVar("MachineT", bound=StrictMachine[Any])


@dataclass(frozen=True, slots=True)
class StateDeadline:
    """How long a state may last, and the event that ends it.

    `seconds` counts from entering the state; None means that the daemon computes `due_at` itself
    (a growing delay, an expiry named by the platform). A move from a state to itself never
    postpones a deadline that stands.
    """

    seconds: int | None
    event: StrEnum
    why: str


class UnknownState(ValueError):
    """A stored value that names no state of the machine: another version, or an edited row."""

    def __init__(self, machine: type[StrictMachine[Any]], value: object) -> None:
        self.machine = machine
        self.value = value
        known = ", ".join(str(state) for state in machine.states_map)
        super().__init__(
            f"{machine.__name__} cannot be restored from {value!r}: it knows {known}. "
            "Start the version that wrote this row, or correct the row.",
        )


class IllegalTransition(ValueError):
    """An event that the machine does not accept in its present state; the state is unchanged."""

    def __init__(self, machine: type[StrictMachine[Any]], state: StrEnum, event: str) -> None:
        self.machine = machine
        self.state = state
        self.event = event
        super().__init__(
            f"{machine.__name__} refuses {str(event)!r} in {str(state)!r}: the state is unchanged.",
        )


def restore_machine(machine_class: type[MachineT], stored: str) -> MachineT:
    """Build a machine in the stored state, without running any entry action.

    Raises UnknownState for a value that is none of the machine's.
    """
    if stored not in machine_class.states_map:
        raise UnknownState(machine_class, stored)
    state: Any = machine_class.states_map[stored].value
    return machine_class(model=StateModel(state))


def fire_event(machine: StrictMachine[StateT], event: StrEnum) -> StateT:
    """Make the one legal transition for this event and return the new state.

    Raises IllegalMove, with the state unchanged, where there is none.
    """
    before = machine.model.state
    try:
        machine.send(event.value)
    except TransitionNotAllowed as refusal:
        raise IllegalTransition(type(machine), before, event.value) from refusal
    return machine.model.state


def list_accepted_events(machine_class: type[StrictMachine[Any]], state: str) -> tuple[str, ...]:
    """Name the events that the machine accepts in this state, in the order of declaration."""
    transitions = machine_class.states_map[state].transitions
    return tuple(str(event) for event in transitions.unique_events)
