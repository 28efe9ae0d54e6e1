"""States of one row of a delivery: a person who was handed to a client, and what they pay for."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from statemachine.states import States

from statemachines.machine import IllegalTransition, StrictMachine


class DeliveryRowState(StrEnum):
    """What the client says of a row, and what a person settled."""

    DELIVERED = "delivered"
    ACCEPTED = "accepted"
    DISPUTED = "disputed"
    REPLACED = "replaced"
    WITHDRAWN = "withdrawn"


class DeliveryRowEvent(StrEnum):
    """What changes a row; each is named after the state that it leads to."""

    ACCEPTED = "accepted"
    DISPUTED = "disputed"
    REPLACED = "replaced"
    WITHDRAWN = "withdrawn"


class DeliveryRowMachine(StrictMachine[DeliveryRowState]):
    """From delivered to accepted, or through a dispute, which a person settles."""

    s = States.from_enum(
        DeliveryRowState,
        initial=DeliveryRowState.DELIVERED,
        final={
            DeliveryRowState.ACCEPTED,
            DeliveryRowState.REPLACED,
            DeliveryRowState.WITHDRAWN,
        },
        use_enum_instance=True,
    )

    # By the client, by the deadline, or by a person who settles a dispute against the client.
    accepted = s.ACCEPTED.from_(s.DELIVERED, s.DISPUTED)
    disputed = s.DELIVERED.to(s.DISPUTED)
    replaced = s.DISPUTED.to(s.REPLACED)
    withdrawn = s.DISPUTED.to(s.WITHDRAWN)


DELIVERY_ROW_TRANSITIONS: Final[Mapping[DeliveryRowState, frozenset[DeliveryRowState]]] = (
    MappingProxyType(
        {
            state: frozenset(
                DeliveryRowState(target.value)
                for step in DeliveryRowMachine.states_map[state].transitions
                for target in step.targets
            )
            for state in DeliveryRowState
        }
    )
)
"""The states that may follow each state, as the machine declares them."""


def move_delivery_row(state: DeliveryRowState, event: DeliveryRowEvent) -> DeliveryRowState:
    """Return the state after an event. Raises IllegalTransition where there is none."""
    target = DeliveryRowState(event.value)
    # By the table: a machine of its own for each of hundreds of rows would cost too much.
    if target not in DELIVERY_ROW_TRANSITIONS[state]:
        raise IllegalTransition(DeliveryRowMachine, state, event)
    return target
