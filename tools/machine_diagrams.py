"""Prints docs/reference/machines.md from the declared machines, for `make docs`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from statemachine.transition import Transition

from statemachines import delivery, message, prospect, qr, session
from statemachines.machine import StateDeadline, StrictMachine

MIN_GROUP_SIZE = 5
MAX_EXCEPTIONS = 3
"""A group of at least five states, which are all but three at most, is drawn as one node."""

HEADER = """\
# State machines

<!-- Written by `make docs`; a test fails when this page is stale. -->

Every state, every legal move, and how long a state may last. What is not drawn here is refused,
and the state stays as it was. The words are the same in code, database, JSON and page. A move
that many states share is told once, for all of them, at the end of its table.
"""


@dataclass(frozen=True, slots=True)
class MachineSection:
    """One machine of the page: heading, sentence, and what the machine itself does not declare."""

    title: str
    sentence: str
    machine: type[StrictMachine[Any]]
    table: Callable[[MachineSection], list[str]]
    deadlines: Mapping[Any, StateDeadline] = field(default_factory=dict)
    state_groups: Mapping[AbstractSet[Any], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DiagramArrow:
    """All transitions from a node to a state; a node may represent several states."""

    source: str
    target: str
    labels: tuple[str, ...]


def collect_arrows(section: MachineSection) -> list[DiagramArrow]:
    """Return the transitions of a machine, with one arrow for each pair of nodes."""
    sources: dict[tuple[str, str], list[str]] = {}
    for state in section.machine.states_map.values():
        for step in state.transitions:
            for target in step.targets:
                sources.setdefault((_event_label(step), target.value), []).append(state.value)
    labels: dict[tuple[str, str], list[str]] = {}
    for (label, target), crowd in sources.items():
        for place in _name_sources(section, crowd):
            labels.setdefault((place, target), []).append(label)
    return [DiagramArrow(place, target, tuple(names)) for (place, target), names in labels.items()]


def _event_label(step: Transition) -> str:
    """Return the event with its guards."""
    names = [step.event]
    for guard in step.cond:
        words = str(guard).removeprefix("!").replace("_", " ")
        names.append(f"[{words}]" if guard.expected_value else f"[not {words}]")
    return " ".join(names)


def _name_sources(section: MachineSection, crowd: list[str]) -> Iterable[str]:
    """Return the name of the group of these states, if they have one; else each state."""
    if frozenset(crowd) in section.state_groups:
        return [section.state_groups[frozenset(crowd)]]
    others = [state for state in section.machine.states_map if state not in crowd]
    if len(crowd) < MIN_GROUP_SIZE or len(others) > MAX_EXCEPTIONS:
        return crowd
    return [f"any state but {_join_words(others)}" if others else "any state"]


def _join_words(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def render_mermaid(section: MachineSection) -> list[str]:
    """Return one machine as the lines of a Mermaid state diagram."""
    found = collect_arrows(section)
    many = dict.fromkeys(a.source for a in found if a.source not in section.machine.states_map)
    lines = [f'state "{place}" as {_mermaid_identifier(place)}' for place in many]
    for state in section.machine.states_map.values():
        lines += [f"[*] --> {state.value}"] * state.initial
        lines += [f"{state.value} --> [*]"] * state.final
    for arrow in found:
        # An arrow need not repeat the name of the state that it leads to.
        shortened = (label.removeprefix(arrow.target).strip() for label in arrow.labels)
        label = ", ".join(filter(None, shortened))
        step = f"{_mermaid_identifier(arrow.source)} --> {arrow.target}"
        lines.append(f"{step}: {label}" if label else step)
    return ["stateDiagram-v2", *(f"    {line}" for line in lines)]


def _mermaid_identifier(place: str) -> str:
    return re.sub(r"\W+", "_", place)


def render_state_table(section: MachineSection) -> list[str]:
    """Return the table of a machine's nodes: the longest stay, and the transitions."""
    exits: dict[str, list[str]] = {state: [] for state in section.machine.states_map}
    for arrow in collect_arrows(section):
        events = ", ".join(f"`{label}`" for label in arrow.labels)
        exits.setdefault(arrow.source, []).append(f"{events} → **{arrow.target}**")
    rows = [
        f"| {place} | {_format_duration_limit(section, place)} | {'; '.join(exits[place])} |"
        for place in exits
    ]
    return ["| state | lasts | moves |", "| --- | --- | --- |", *rows]


def _format_duration_limit(section: MachineSection, place: str) -> str:
    if place not in section.machine.states_map:
        return "as each of them"
    if section.machine.states_map[place].final:
        return "final"
    if place not in section.deadlines:
        return "until something happens"
    deadline = section.deadlines[place]
    return f"{_format_seconds(deadline.seconds)}, then `{deadline.event}`: {deadline.why}"


def _format_seconds(seconds: int | None) -> str:
    if seconds is None:
        return "until its computed time"
    for length, unit in ((86_400, "days"), (60, "min")):
        if seconds >= 2 * length and seconds % length == 0:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def render_transition_table(section: MachineSection) -> list[str]:
    """Return the table of a message's transitions: actors, channels, and why."""
    rows = [
        f"| {move.source} | {move.target} | {_join_words(list(move.actors))}"
        f" | {move.channels} | {move.why} |"
        for state in section.machine.states_map
        for move in message.MESSAGE_TRANSITIONS
        if move.source == state
    ]
    return ["| from | to | by | channels | why |", "| --- | --- | --- | --- | --- |", *rows]


SECTIONS = (
    MachineSection(
        "Connection",
        "How far a session's way to WhatsApp is open; messages leave only in `ready`.",
        session.ConnectionMachine,
        render_state_table,
        session.CONNECTION_DEADLINES,
        {
            session.ACTIVE_STATES: "any active state",
            session.NEEDS_PERSON_STATES: "any state that needs a person",
        },
    ),
    MachineSection(
        "Phone",
        "Whether the phone that owns the account is still there; it warns at "
        f"{', '.join(map(str, session.PHONE_WARNING_DAYS))} days without it, and WhatsApp unlinks "
        f"at about {session.PHONE_UNLINKED_AFTER_DAYS}.",
        session.PhoneMachine,
        render_state_table,
    ),
    MachineSection(
        "Sending",
        "What the platform's restriction signals leave open; after a silence, replies come first.",
        session.SendingMachine,
        render_state_table,
        session.SENDING_DEADLINES,
    ),
    MachineSection(
        "QR",
        f"One attempt to link a phone: {qr.MAX_CODES} codes, "
        f"the first for {qr.FIRST_CODE_SECONDS} s, "
        f"each of the others for {qr.NEXT_CODE_SECONDS} s. A session tells it as `pairing`.",
        qr.QrMachine,
        render_state_table,
    ),
    MachineSection(
        "Message",
        "From the queue to a proven end; each arrow bears the name of the state that it leads to.",
        message.MessageMachine,
        render_transition_table,
    ),
    MachineSection(
        "Validation of a prospect",
        "Whether the number is known to be reachable; `validado_tecnicamente` is read off here.",
        prospect.ValidationMachine,
        render_state_table,
        prospect.VALIDATION_DEADLINES,
    ),
    MachineSection(
        "Row of a delivery",
        "What a client says of a person who was handed to them; a dispute is settled by a person.",
        delivery.DeliveryRowMachine,
        render_state_table,
    ),
)


def render_page() -> str:
    """Return the whole page."""
    lines = [HEADER]
    for section in SECTIONS:
        lines += [f"## {section.title}", "", section.sentence, ""]
        lines += ["```mermaid", *render_mermaid(section), "```", "", *section.table(section), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(render_page())
