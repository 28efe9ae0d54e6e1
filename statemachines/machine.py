"""What all machines share: the stored state, its restoration, and firing events strictly."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Generic, TypeVar

from msgspec import Struct
from statemachine import StateMachine
from statemachine.exceptions import TransitionNotAllowed

StateT = TypeVar("StateT", bound=StrEnum)


class StateModel(Struct, Generic[StateT]):
    """The only thing that a machine changes: the state that the daemon stores and publishes."""

    state: StateT


class StrictMachine(StateMachine, Generic[StateT]):
    """A `StateMachine` of the library, typed by its state; an illegal event raises."""

    # The library has it as Any; narrowed here, so that type checkers know `machine.model.state`.
    model: StateModel[StateT]


MachineT = TypeVar("MachineT", bound=StrictMachine[Any])


class StateDeadline(Struct, frozen=True):
    """How long a state may last, and the event that ends it.

    `seconds` counts from entering the state; None means that the daemon computes `due_at` itself
    (a growing delay, an expiry named by the platform). A transition from a state to itself does
    not postpone its deadline.
    """

    seconds: int | None
    event: StrEnum
    why: str


class UnknownState(ValueError):
    """A stored value is no state of the machine: another version or a person wrote the row."""

    def __init__(self, machine: type[StrictMachine[Any]], value: object) -> None:
        self.machine = machine
        self.value = value
        known = ", ".join(str(state) for state in machine.states_map)
        super().__init__(
            f"{machine.__name__} cannot be restored from {value!r}: it knows {known}. "
            "Start the version that wrote this row, or correct the row.",
        )


class IllegalTransition(ValueError):
    """The machine does not accept an event in its present state; the state is unchanged."""

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
    # Checked here: the library takes any value, and fails only once the state is used.
    if stored not in machine_class.states_map:
        raise UnknownState(machine_class, stored)
    # The map finds a plain string, since a StrEnum hashes like one; the model gets the member.
    state: Any = machine_class.states_map[stored].value
    return machine_class(model=StateModel(state))


def fire_event(machine: StrictMachine[StateT], event: StrEnum) -> StateT:
    """Make the legal transition for this event and return the new state.

    Raises IllegalTransition where there is none; the state is unchanged then.
    """
    before = machine.model.state
    try:
        machine.send(event.value)
    except TransitionNotAllowed as refusal:
        raise IllegalTransition(type(machine), before, event.value) from refusal
    return machine.model.state


def list_accepted_events(machine_class: type[StrictMachine[Any]], state: str) -> tuple[str, ...]:
    """Return the names of the events accepted in this state, in the order of declaration."""
    transitions = machine_class.states_map[state].transitions
    return tuple(str(event) for event in transitions.unique_events)
