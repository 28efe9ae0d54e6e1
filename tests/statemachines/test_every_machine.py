"""What holds for every machine, under arbitrary sequences of events."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachines.machine import (
    IllegalTransition,
    StrictMachine,
    UnknownState,
    fire_event,
    list_accepted_events,
    restore_machine,
)
from statemachines.message import MessageMachine
from statemachines.vocabulary import BuiltinChannel
from tests.helpers.machine_walks import (
    MACHINE_KINDS,
    MachineKind,
    fire_all,
    is_accepted,
    list_reachable_states,
)

pytestmark = pytest.mark.slow

every_kind = pytest.mark.parametrize("kind", MACHINE_KINDS, ids=lambda kind: kind.machine.__name__)


Journey = tuple[MachineKind, list[StrEnum], bool]


@st.composite
def journeys(draw: st.DrawFn) -> Journey:
    """Draw a machine, a sequence of its events, and whether it sends by hand."""
    kind = draw(st.sampled_from(MACHINE_KINDS))
    events = draw(st.lists(st.sampled_from(list(kind.events)), max_size=40))
    return kind, events, draw(st.booleans())


def begin(kind: MachineKind, state: str, *, by_hand: bool = False) -> StrictMachine[Any]:
    """Build a machine that stands in `state`."""
    machine = restore_machine(kind.machine, state)
    if isinstance(machine, MessageMachine):
        machine.channel = BuiltinChannel.MANUAL if by_hand else "linked"
    return machine


@every_kind
def test_machine_and_enums_name_the_same_states_and_events(kind: MachineKind) -> None:
    """The machine has exactly the states and the events of its vocabulary."""
    events = {event for state in kind.states for event in list_accepted_events(kind.machine, state)}
    assert set(kind.machine.states_map) == set(kind.states)
    assert events == {str(event) for event in kind.events}


@every_kind
def test_every_state_can_happen_and_none_is_a_trap(kind: MachineKind) -> None:
    """Each state is reachable, and from each one a resting state is."""
    assert list_reachable_states(kind.machine, kind.first) == set(kind.states)
    for state in kind.states:
        assert list_reachable_states(kind.machine, state) & kind.rests


@every_kind
def test_only_a_final_state_has_no_exit(kind: MachineKind) -> None:
    """A state that accepts nothing is one of those declared final, and rests."""
    ends = {state for state in kind.states if not list_accepted_events(kind.machine, state)}
    assert ends == {state.value for state in kind.machine.final_states}
    assert ends <= kind.rests


@given(journeys())
def test_a_refused_event_changes_nothing(journey: Journey) -> None:
    """Each event of a sequence is either declared for the state, or refused without effect."""
    kind, events, by_hand = journey
    machine = begin(kind, kind.first, by_hand=by_hand)
    for event in events:
        before = machine.model.state
        declared = {
            target.value
            for step in kind.machine.states_map[before].transitions
            if step.event == event
            for target in step.targets
        }
        if is_accepted(machine, event):
            assert machine.model.state in declared
        else:
            assert machine.model.state is before


@given(journeys())
def test_no_sequence_gets_stuck(journey: Journey) -> None:
    """After any sequence of events the machine rests, or can still be brought to rest."""
    kind, events, by_hand = journey
    machine = begin(kind, kind.first, by_hand=by_hand)
    fire_all(machine, events)
    assert can_rest(kind, machine.model.state, by_hand=by_hand)


def can_rest(kind: MachineKind, state: str, *, by_hand: bool) -> bool:
    """Look for a resting state by firing, from `state` on, whatever is accepted."""
    seen, ahead = {state}, [state]
    while ahead and not seen & kind.rests:
        standing = ahead.pop()
        for event in kind.events:
            probe = begin(kind, standing, by_hand=by_hand)
            if is_accepted(probe, event) and probe.model.state not in seen:
                seen.add(probe.model.state)
                ahead.append(probe.model.state)
    return bool(seen & kind.rests)


@given(journeys())
def test_every_state_survives_a_restart(journey: Journey) -> None:
    """A machine restored from its stored text stands where it stood and accepts the same events."""
    kind, events, by_hand = journey
    machine = begin(kind, kind.first, by_hand=by_hand)
    fire_all(machine, events)
    state = machine.model.state
    stored = str(state)
    assert restore_machine(kind.machine, stored).model.state is state
    for event in kind.events:
        if event == "keepalive_restored":
            continue  # not believed after a restart: tests/statemachines/test_session_machines.py
        before, after = begin(kind, state, by_hand=by_hand), begin(kind, stored, by_hand=by_hand)
        assert is_accepted(before, event) == is_accepted(after, event)
        assert before.model.state is after.model.state


@every_kind
def test_an_unknown_stored_value_is_named(kind: MachineKind) -> None:
    """A row of another version is refused by a sentence that names the machine and the value."""
    with pytest.raises(
        UnknownState, match=f"{kind.machine.__name__} cannot .* 'sleeping'"
    ) as refusal:
        restore_machine(kind.machine, "sleeping")
    assert refusal.value.machine is kind.machine
    assert refusal.value.value == "sleeping"


def test_an_illegal_move_says_what_was_tried() -> None:
    """The refusal carries machine, state and event, and its sentence names all three."""
    kind = MACHINE_KINDS[0]
    machine = begin(kind, "stopped")
    with pytest.raises(
        IllegalTransition, match="ConnectionMachine refuses 'synced' in 'stopped'"
    ) as refusal:
        fire_event(machine, kind.events("synced"))
    assert (refusal.value.machine, refusal.value.state) == (kind.machine, "stopped")
    assert refusal.value.event == "synced"
