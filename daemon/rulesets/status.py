"""The status of the rulesets (live, waiting, rejected, shadow), and the preview of an edit."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

import rules
from daemon.rulesets.active import CompiledRulesets
from rules.diff import RulesetChange, compare_rulesets
from rules.edits import RampEnds, UpdatedExample


class RulesetSummary(Struct, frozen=True):
    """One ruleset: its hash, format, engines and files."""

    hash: str
    format: str
    engine: str
    files: tuple[str, ...]


class PendingRulesets(Struct, frozen=True):
    """Valid rulesets that wait for a person's acceptance, by `hash`.

    `differs` are the files that differ from the live ones. `undone`: a person rolled these rulesets
    back, and the folder still has them.
    """

    at: datetime
    hash: str
    gate: str
    score: str
    changes: tuple[str, ...]
    files: tuple[str, ...]
    differs: tuple[str, ...]
    undone: bool


class RejectedRulesets(Struct, frozen=True):
    """The problems of files that can't go live, each as `file:line:column: sentence`."""

    at: datetime
    problems: tuple[str, ...]


class RulesetStatus(Struct, frozen=True):
    """The status of all rulesets. `shadow` is the gate whose verdicts are only counted.

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


class RuleChangePreview(Struct, frozen=True):
    """The effect of an edit by form: all `files` after it, and those that would be `written`.

    `changes` are the differences from the live rulesets, `waits` whether a person must accept them,
    `examples` the ones whose expectation would be changed.
    """

    before: int | RampEnds
    files: tuple[rules.RuleFile, ...]
    written: tuple[rules.RuleFile, ...]
    changes: tuple[RulesetChange, ...]
    waits: bool
    examples: tuple[UpdatedExample, ...]

    def build_audit_detail(self, after: int | RampEnds) -> dict[str, object]:
        """Return the detail of the audit entry: the values before and after, and the files."""
        values = (each if isinstance(each, int) else str(each) for each in (self.before, after))
        files = [file.path for file in self.written]
        return {**dict(zip(("before", "after"), values, strict=True)), "files": files}


def summarise_ruleset(evaluator: rules.RuleEvaluator) -> RulesetSummary:
    """Return the summary of an evaluator's ruleset."""
    ruleset = evaluator.ruleset
    return RulesetSummary(ruleset.hash, str(ruleset.format), evaluator.engine, ruleset.files)


def compare_compiled_rulesets(
    old: CompiledRulesets, new: CompiledRulesets
) -> tuple[RulesetChange, ...]:
    """Return the changes of both rulesets."""
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
    """Return the description of waiting rulesets.

    They are accepted by the gate's hash, or by the score's where only that one changed.
    """
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
