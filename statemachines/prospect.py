"""States of a prospect's technical validation, and the flag `validado_tecnicamente`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from statemachine.states import States

from statemachines.machine import StateDeadline, StrictMachine

VALIDITY_DAYS = 90


class ValidationState(StrEnum):
    """What is known about reaching this prospect on WhatsApp."""

    UNCHECKED = "unchecked"
    CHECKING = "checking"
    VALIDATED = "validated"
    NOT_REACHABLE = "not_reachable"
    EXPIRED = "expired"
    ERASED = "erased"


CHECKABLE_STATES = frozenset({ValidationState.UNCHECKED, ValidationState.EXPIRED})
"""A check may begin."""

DECIDED_STATES = frozenset({ValidationState.VALIDATED, ValidationState.NOT_REACHABLE})
"""A check or a person has decided whether the prospect is reachable."""


class ValidationEvent(StrEnum):
    """What changes a validation. `unknown` is a result of its own, never taken for `not_found`."""

    CHECK_STARTED = "check_started"
    FOUND = "found"
    NOT_FOUND = "not_found"
    UNKNOWN = "unknown"
    BOUNCED = "bounced"
    INBOUND_RECEIVED = "inbound_received"
    AGED = "aged"
    OPERATOR_VALIDATED = "operator_validated"
    OPERATOR_REJECTED = "operator_rejected"
    WORD_WITHDRAWN = "word_withdrawn"
    ERASED = "erased"


VALIDATION_DEADLINES: Mapping[ValidationState, StateDeadline] = MappingProxyType(
    {
        ValidationState.CHECKING: StateDeadline(
            300, ValidationEvent.UNKNOWN, "a check without an answer says nothing"
        ),
        ValidationState.VALIDATED: StateDeadline(
            VALIDITY_DAYS * 86_400, ValidationEvent.AGED, "a validation holds for 90 days"
        ),
    },
)


class ValidationMachine(StrictMachine[ValidationState]):
    """Validation from unchecked to validated or not reachable; an operator can set either."""

    s = States.from_enum(
        ValidationState,
        initial=ValidationState.UNCHECKED,
        final=ValidationState.ERASED,
        use_enum_instance=True,
    )
    _open = (s.UNCHECKED, s.CHECKING, s.VALIDATED, s.NOT_REACHABLE, s.EXPIRED)

    check_started = s.CHECKING.from_(s.UNCHECKED, s.EXPIRED)
    found = s.CHECKING.to(s.VALIDATED)
    not_found = s.CHECKING.to(s.NOT_REACHABLE)
    # Back to where a check may begin: no answer must not block a person who may be reachable.
    unknown = s.CHECKING.to(s.UNCHECKED)
    bounced = s.VALIDATED.to(s.NOT_REACHABLE)
    # They wrote to us: renewed. After `not_reachable` an operator has to confirm it.
    inbound_received = s.VALIDATED.from_(s.VALIDATED, s.EXPIRED)
    aged = s.VALIDATED.to(s.EXPIRED)
    operator_validated = s.VALIDATED.from_(*_open)
    # The word that it rested on was wrong, or a message did not arrive: nothing is known again.
    word_withdrawn = s.VALIDATED.to(s.UNCHECKED)
    operator_rejected = s.NOT_REACHABLE.from_(*_open)
    erased = s.ERASED.from_(*_open)


def validado_tecnicamente_from_state(state: ValidationState) -> bool | None:
    """Return the flag that the rules see: true, false, or None while it is undecided."""
    if state is ValidationState.VALIDATED:
        return True
    if state is ValidationState.NOT_REACHABLE:
        return False
    # `expired` too: a message waits for a new check, it is not blocked.
    return None
