"""Write docs/reference/machines.md from the running machines: `python -m statemachines.drawing`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from statemachine.transition import Transition

from statemachines import message, prospect, qr, session
from statemachines.machine import Deadline, Machine

CROWD = 5
EXCEPTIONS = 3
"""So many states with the same move, all but so few, are drawn as one place with one arrow."""

HEADER = """\
# State machines

<!-- Written by `python -m statemachines.drawing`; a test fails when this page is stale. -->

Every state, every legal move, and how long a state may last. What is not drawn here is refused,
and the state stays as it was. The words are the same in code, database, JSON and page. A move
that many states share is told once, for all of them, at the end of its table.
"""


@dataclass(frozen=True, slots=True)
class Section:
    """One machine on the page: a heading, one sentence, and what the machine itself cannot say."""

    title: str
    sentence: str
    machine: type[Machine[Any]]
    table: Callable[[Section], list[str]]
    deadlines: Mapping[Any, Deadline] = field(default_factory=dict)
    crowds: Mapping[AbstractSet[Any], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Arrow:
    """All moves from one place of a drawing to a state; a place may stand for many states."""

    source: str
    target: str
    labels: tuple[str, ...]


def arrows(section: Section) -> list[Arrow]:
    """Collect the moves of a machine into one arrow for each pair of places."""
    sources: dict[tuple[str, str], list[str]] = {}
    for state in section.machine.states_map.values():
        for step in state.transitions:
            for target in step.targets:
                sources.setdefault((_label(step), target.value), []).append(state.value)
    labels: dict[tuple[str, str], list[str]] = {}
    for (label, target), crowd in sources.items():
        for place in _places(section, crowd):
            labels.setdefault((place, target), []).append(label)
    return [Arrow(place, target, tuple(names)) for (place, target), names in labels.items()]


def _label(step: Transition) -> str:
    """Name the event and the condition on which it is accepted."""
    names = [step.event]
    for guard in step.cond:
        words = str(guard).removeprefix("!").replace("_", " ")
        names.append(f"[{words}]" if guard.expected_value else f"[not {words}]")
    return " ".join(names)


def _places(section: Section, crowd: list[str]) -> Iterable[str]:
    """Give the one place that stands for all these states, if it has a name; else each state."""
    if frozenset(crowd) in section.crowds:
        return [section.crowds[frozenset(crowd)]]
    others = [state for state in section.machine.states_map if state not in crowd]
    if len(crowd) < CROWD or len(others) > EXCEPTIONS:
        return crowd
    return [f"any state but {_and(others)}" if others else "any state"]


def _and(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def mermaid(section: Section) -> list[str]:
    """Draw one machine as the lines of a Mermaid state diagram."""
    found = arrows(section)
    many = dict.fromkeys(a.source for a in found if a.source not in section.machine.states_map)
    lines = [f'state "{place}" as {_identifier(place)}' for place in many]
    for state in section.machine.states_map.values():
        lines += [f"[*] --> {state.value}"] * state.initial
        lines += [f"{state.value} --> [*]"] * state.final
    for arrow in found:
        # An arrow need not repeat the name of the state that it leads to.
        told = (label.removeprefix(arrow.target).strip() for label in arrow.labels)
        label = ", ".join(filter(None, told))
        step = f"{_identifier(arrow.source)} --> {arrow.target}"
        lines.append(f"{step}: {label}" if label else step)
    return ["stateDiagram-v2", *(f"    {line}" for line in lines)]


def _identifier(place: str) -> str:
    return re.sub(r"\W+", "_", place)


def state_table(section: Section) -> list[str]:
    """List each place: how long it may last, and where its events lead."""
    exits: dict[str, list[str]] = {state: [] for state in section.machine.states_map}
    for arrow in arrows(section):
        events = ", ".join(f"`{label}`" for label in arrow.labels)
        exits.setdefault(arrow.source, []).append(f"{events} → **{arrow.target}**")
    rows = [
        f"| {place} | {_lasts(section, place)} | {'; '.join(exits[place])} |" for place in exits
    ]
    return ["| state | lasts | moves |", "| --- | --- | --- |", *rows]


def _lasts(section: Section, place: str) -> str:
    if place not in section.machine.states_map:
        return "as each of them"
    if section.machine.states_map[place].final:
        return "final"
    if place not in section.deadlines:
        return "until something happens"
    deadline = section.deadlines[place]
    return f"{_span(deadline.seconds)}, then `{deadline.event}`: {deadline.why}"


def _span(seconds: int | None) -> str:
    if seconds is None:
        return "until its computed time"
    for length, unit in ((86_400, "days"), (60, "min")):
        if seconds >= 2 * length and seconds % length == 0:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def move_table(section: Section) -> list[str]:
    """List the declared moves of a message: by whom, by which channels, and why."""
    rows = [
        f"| {move.source} | {move.target} | {_and(list(move.by))} | {move.channels} | {move.why} |"
        for state in section.machine.states_map
        for move in message.MOVES
        if move.source == state
    ]
    return ["| from | to | by | channels | why |", "| --- | --- | --- | --- | --- |", *rows]


SECTIONS = (
    Section(
        "Connection",
        "How far a session's way to WhatsApp is open; messages leave only in `ready`.",
        session.ConnectionMachine,
        state_table,
        session.DEADLINES,
        {session.ACTIVE: "any active state", session.NEEDS_PERSON: "any state that needs a person"},
    ),
    Section(
        "Phone",
        "Whether the phone that owns the account is still there; it warns at "
        f"{', '.join(map(str, session.PHONE_WARNING_DAYS))} days without it, and WhatsApp unlinks "
        f"at about {session.PHONE_UNLINKED_AFTER_DAYS}.",
        session.PhoneMachine,
        state_table,
    ),
    Section(
        "Sending",
        "What the platform's restriction signals leave open; after a silence, replies come first.",
        session.SendingMachine,
        state_table,
        session.SENDING_DEADLINES,
    ),
    Section(
        "QR",
        f"One attempt to link a phone: {qr.CODES} codes, the first for {qr.FIRST_CODE_SECONDS} s, "
        f"each of the others for {qr.NEXT_CODE_SECONDS} s.",
        qr.QrMachine,
        state_table,
    ),
    Section(
        "Message",
        "From the queue to a proven end; each arrow bears the name of the state that it leads to.",
        message.MessageMachine,
        move_table,
    ),
    Section(
        "Validation of a prospect",
        "Whether the number is known to be reachable; `validado_tecnicamente` is read off here.",
        prospect.ValidationMachine,
        state_table,
        prospect.VALIDATION_DEADLINES,
    ),
)


def page() -> str:
    """Write the whole page."""
    lines = [HEADER]
    for section in SECTIONS:
        lines += [f"## {section.title}", "", section.sentence, ""]
        lines += ["```mermaid", *mermaid(section), "```", "", *section.table(section), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(page())
