"""Status of the rulesets: active, pending acceptance, rejected; and the preview of a change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import rules
from daemon.rulesets.active import CompiledRulesets
from rules.diff import RulesetChange, compare_rulesets
from rules.edits import RampEnds, UpdatedExample


@dataclass(frozen=True, slots=True)
class RulesetSummary:
    """One set that is in force."""

    hash: str
    format: str
    engine: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PendingRulesets:
    """Sound files that wait for a person; `hash` is what to accept.

    `differs` are the files of the folder that say otherwise than what is live; `undone` that a
    person rolled back to what is live, so that the folder still says what they did not want.
    """

    at: datetime
    hash: str
    gate: str
    score: str
    changes: tuple[str, ...]
    files: tuple[str, ...]
    differs: tuple[str, ...]
    undone: bool


@dataclass(frozen=True, slots=True)
class RejectedRulesets:
    """Files that can't go live; each problem is `file:line:column: sentence`."""

    at: datetime
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RulesetStatus:
    """The rules at a glance; `shadow` is the gate that is judged beside and never obeyed.

    `channels` are those that a rule may route to.
    """

    gate: RulesetSummary
    score: RulesetSummary
    folder: str
    channels: tuple[str, ...]
    waiting: PendingRulesets | None
    rejected: RejectedRulesets | None
    warnings: tuple[str, ...]
    shadow: RulesetSummary | None
    shadow_problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RuleChangePreview:
    """What a change by form would bring: `files` as they would be, `written` those that change.

    `changes` is all that would be otherwise than what is live, `waits` whether a person must
    accept it, `examples` those whose expectation follows.
    """

    before: int | RampEnds
    files: tuple[rules.RuleFile, ...]
    written: tuple[rules.RuleFile, ...]
    changes: tuple[RulesetChange, ...]
    waits: bool
    examples: tuple[UpdatedExample, ...]

    def build_audit_detail(self, after: int | RampEnds) -> dict[str, object]:
        """Return what the audit keeps of the change."""
        values = (each if isinstance(each, int) else str(each) for each in (self.before, after))
        files = [file.path for file in self.written]
        return {**dict(zip(("before", "after"), values, strict=True)), "files": files}


def summarise_ruleset(evaluator: rules.RuleEvaluator) -> RulesetSummary:
    """Describe the ruleset of an evaluator."""
    ruleset = evaluator.ruleset
    return RulesetSummary(ruleset.hash, str(ruleset.format), evaluator.engine, ruleset.files)


def compare_compiled_rulesets(
    old: CompiledRulesets, new: CompiledRulesets
) -> tuple[RulesetChange, ...]:
    """Return what changed in both sets."""
    return (
        *compare_rulesets(old.gate.ruleset, new.gate.ruleset),
        *compare_rulesets(old.score.ruleset, new.score.ruleset),
    )


def describe_pending(
    old: CompiledRulesets,
    new: CompiledRulesets,
    changes: tuple[RulesetChange, ...],
    at: datetime,
    *,
    undone: bool,
) -> PendingRulesets:
    """Describe what waits; the gate's hash is what to accept, unless only the score's is."""
    gate, score = new.hashes
    same_gate = gate == old.hashes[0]
    files = new.score.ruleset.files if same_gate else new.gate.ruleset.files
    return PendingRulesets(
        at=at,
        hash=score if same_gate else gate,
        gate=gate,
        score=score,
        changes=tuple(map(str, changes)),
        files=files,
        differs=tuple(sorted({file.path for file in old.sources ^ new.sources})),
        undone=undone,
    )
