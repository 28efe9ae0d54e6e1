"""Messages between the daemon and a backtest's process: request, progress, report, refusal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from daemon.rulesets.rule_files import RuleFileContent
from rules import EngineChoice


class BacktestRequest(msgspec.Struct, frozen=True):
    """Request to compare these rule files with the decisions of a database since a moment.

    `examples` is how many changed decisions the report lists at most.
    """

    database: str
    since: datetime
    files: tuple[RuleFileContent, ...]
    engines: EngineChoice
    examples: int


class BacktestProgress(msgspec.Struct, frozen=True, tag="progress"):
    """How many of all decisions have been compared."""

    done: int
    total: int


class RuleFlipCounts(msgspec.Struct, frozen=True):
    """How many changes to allow, and away from it, one rule is responsible for."""

    rule: str
    allows: int
    stops: int


class VerdictFlip(msgspec.Struct, frozen=True):
    """One decision whose verdict changes, its prospect, and what happened afterwards."""

    decision: str
    before: str
    after: str
    score_before: int | None
    score_after: int | None
    responsible_rules: tuple[str, ...]
    sentence: str
    message: str = ""
    prospect: str | None = None
    name: str = ""
    phone: str = ""
    """The masked number."""
    state: str = ""
    outcomes: tuple[str, ...] = ()
    """Those of `answered`, `complained` and `bounced` that happened."""


class BacktestReport(msgspec.Struct, frozen=True, tag="report"):
    """The result of a backtest. Scores are counted in steps of five points, from the lowest."""

    gate: str
    score: str
    since: datetime
    decisions: int
    left_out: int
    """Decisions left out, because a rule reads the text, which retention has blanked."""
    before: Mapping[str, int]
    after: Mapping[str, int]
    flips: Mapping[str, int]
    """How many, by the pair of verdicts written as `before → after`."""
    allows_more: int
    allows_less: int
    by_rule: tuple[RuleFlipCounts, ...]
    more: Mapping[str, int]
    """How many of the newly allowed answered, complained or bounced afterwards."""
    less: Mapping[str, int]
    """The same for those allowed no more."""
    examples: tuple[VerdictFlip, ...]
    scores_before: tuple[int, ...]
    scores_after: tuple[int, ...]
    checked: int
    """Decisions that were also evaluated by durable-rules."""
    disagreed: int
    seconds: float

    @property
    def share_more(self) -> float:
        """The share of newly allowed messages among all decisions, from 0 to 1."""
        return self.allows_more / self.decisions if self.decisions else 0.0


class BacktestRefusal(msgspec.Struct, frozen=True, tag="refused"):
    """The reason why there is no report."""

    sentence: str


BacktestAnswer = BacktestProgress | BacktestReport | BacktestRefusal
