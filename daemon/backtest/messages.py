"""Messages of a backtest: request, progress, report, refusal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from daemon.rulesets.rule_files import RuleFileContent
from rules import EngineChoice


class BacktestRequest(msgspec.Struct, frozen=True):
    """Compare these files with what was decided in the database since then."""

    database: str
    since: datetime
    files: tuple[RuleFileContent, ...]
    engines: EngineChoice
    examples: int


class BacktestProgress(msgspec.Struct, frozen=True, tag="progress"):
    """How far it has come."""

    done: int
    total: int


class RuleFlipCounts(msgspec.Struct, frozen=True):
    """How many decisions one rule had a part in flipping, towards and away from allow."""

    rule: str
    allows: int
    stops: int


class VerdictFlip(msgspec.Struct, frozen=True):
    """One decision that would come out otherwise, whom it is about, and what came after."""

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
    """Masked."""
    state: str = ""
    outcomes: tuple[str, ...] = ()
    """Of `answered`, `complained` and `bounced`, those that hold."""


class BacktestReport(msgspec.Struct, frozen=True, tag="report"):
    """The whole comparison. Scores are counted in steps of five points, from the lowest."""

    gate: str
    score: str
    since: datetime
    decisions: int
    left_out: int
    """Their text is forgotten, and a rule reads it."""
    before: Mapping[str, int]
    after: Mapping[str, int]
    flips: Mapping[str, int]
    """`before → after` to how many."""
    allows_more: int
    allows_less: int
    by_rule: tuple[RuleFlipCounts, ...]
    more: Mapping[str, int]
    """Of those newly allowed: how many answered, complained, bounced afterwards."""
    less: Mapping[str, int]
    """Of those allowed no more."""
    examples: tuple[VerdictFlip, ...]
    scores_before: tuple[int, ...]
    scores_after: tuple[int, ...]
    checked: int
    """Decisions that durable-rules was asked about as well."""
    disagreed: int
    seconds: float

    @property
    def share_more(self) -> float:
        """Newly allowed, of all decisions."""
        return self.allows_more / self.decisions if self.decisions else 0.0


class BacktestRefusal(msgspec.Struct, frozen=True, tag="refused"):
    """Why there is no report."""

    sentence: str


BacktestAnswer = BacktestProgress | BacktestReport | BacktestRefusal
