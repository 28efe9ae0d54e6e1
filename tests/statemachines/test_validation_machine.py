"""The validation of a prospect and the flag that the rules see."""

from __future__ import annotations

import pytest

from statemachines.machine import fire_event, restore_machine
from statemachines.prospect import (
    VALIDATION_DEADLINES,
    ValidationEvent,
    ValidationMachine,
    ValidationState,
    validado_tecnicamente_from_state,
)
from tests.helpers.machine_walks import is_accepted


@pytest.mark.parametrize(
    ("answer", "state"),
    [("found", "validated"), ("not_found", "not_reachable"), ("unknown", "unchecked")],
)
def test_a_check_has_three_answers(answer: str, state: str) -> None:
    """Yes, no and unknown lead to three places; unknown never becomes a no."""
    machine = restore_machine(ValidationMachine, "unchecked")
    fire_event(machine, ValidationEvent.CHECK_STARTED)
    assert fire_event(machine, ValidationEvent(answer)) == state


@pytest.mark.parametrize("state", [s for s in ValidationState if s is not ValidationState.ERASED])
def test_an_operators_word_counts_from_anywhere(state: ValidationState) -> None:
    """An operator validates, rejects or erases a prospect in whatever state it is."""
    for event, target in (
        (ValidationEvent.OPERATOR_VALIDATED, ValidationState.VALIDATED),
        (ValidationEvent.OPERATOR_REJECTED, ValidationState.NOT_REACHABLE),
        (ValidationEvent.ERASED, ValidationState.ERASED),
    ):
        assert fire_event(restore_machine(ValidationMachine, state), event) is target


def test_an_inbound_renews_but_does_not_resurrect() -> None:
    """Writing to us renews a validation; a number known unreachable needs an operator's word."""
    inbound = ValidationEvent.INBOUND_RECEIVED
    assert (
        fire_event(restore_machine(ValidationMachine, "validated"), inbound)
        is ValidationState.VALIDATED
    )
    assert (
        fire_event(restore_machine(ValidationMachine, "expired"), inbound)
        is ValidationState.VALIDATED
    )
    assert not is_accepted(restore_machine(ValidationMachine, "not_reachable"), inbound)


@pytest.mark.parametrize("state", sorted(VALIDATION_DEADLINES))
def test_a_check_and_a_validation_end_by_themselves(state: ValidationState) -> None:
    """A check without an answer and a validation of 90 days are left by their deadlines' events."""
    machine = restore_machine(ValidationMachine, state)
    fire_event(machine, ValidationEvent(VALIDATION_DEADLINES[state].event))
    assert machine.model.state is not state


def test_the_flag_is_true_false_or_undecided() -> None:
    """Only a standing validation is true and only a known no is false; an expired one waits."""
    flags = {state: validado_tecnicamente_from_state(state) for state in ValidationState}
    assert [state for state, flag in flags.items() if flag is True] == [ValidationState.VALIDATED]
    assert [state for state, flag in flags.items() if flag is False] == [
        ValidationState.NOT_REACHABLE
    ]
    assert flags[ValidationState.EXPIRED] is None
