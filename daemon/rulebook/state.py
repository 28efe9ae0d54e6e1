"""What the desk of the rules shows: what is live, what waits for a person, what was refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import rules
from daemon.rulebook.book import Judges
from rules.diff import Change, differences


@dataclass(frozen=True, slots=True)
class LiveSet:
    """One set that is in force."""

    hash: str
    format: str
    engine: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Sound files that wait for a person; `hash` is what to accept."""

    at: datetime
    hash: str
    gate: str
    score: str
    changes: tuple[str, ...]
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """Files that can't go live; each problem is `file:line:column: sentence`."""

    at: datetime
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RulesState:
    """The rules at a glance; `shadow` is the gate that is judged beside and never obeyed."""

    gate: LiveSet
    score: LiveSet
    folder: str
    waiting: Waiting | None
    rejected: Rejected | None
    warnings: tuple[str, ...]
    shadow: LiveSet | None
    shadow_problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What changing a number would bring: `files` as they would be, `written` those that change.

    `changes` is all that would be otherwise than what is live, `waits` whether a person must
    accept it, `examples` those whose expectation follows.
    """

    before: int
    files: tuple[rules.RuleFile, ...]
    written: tuple[rules.RuleFile, ...]
    changes: tuple[str, ...]
    waits: bool
    examples: tuple[str, ...]


def live_set(judge: rules.Judge) -> LiveSet:
    """Describe the set behind a judge."""
    ruleset = judge.ruleset
    return LiveSet(ruleset.hash, str(ruleset.format), judge.engine, ruleset.files)


def changes_between(old: Judges, new: Judges) -> tuple[Change, ...]:
    """Return what changed in both sets."""
    return (
        *differences(old.gate.ruleset, new.gate.ruleset),
        *differences(old.score.ruleset, new.score.ruleset),
    )


def waiting_for(old: Judges, new: Judges, changes: tuple[Change, ...], at: datetime) -> Waiting:
    """Describe judges that wait; the gate's hash is what to accept, unless only the score's is."""
    gate, score = new.hashes
    same_gate = gate == old.hashes[0]
    files = new.score.ruleset.files if same_gate else new.gate.ruleset.files
    return Waiting(
        at=at,
        hash=score if same_gate else gate,
        gate=gate,
        score=score,
        changes=tuple(map(str, changes)),
        files=files,
    )
