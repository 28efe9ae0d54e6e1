"""What may be sent: rule files, two engines that must agree, verdicts that explain themselves."""

from __future__ import annotations

from pathlib import Path

from rules.files import RuleFile, read_files, rule_files
from rules.judge import GateFault, Judge
from rules.loader import load, load_sets
from rules.problems import RuleProblem, RulesInvalid
from rules.ruleset import Format, RuleSet
from rules.verdict import (
    Decision,
    Defer,
    DeferKind,
    Effect,
    Opinion,
    ScoreResult,
    Verdict,
)

DEFAULTS = Path(__file__).parent / "defaults"
"""The shipped rule files, `gate.yaml` and `score.yaml`, with their schemas beside them."""

__all__ = [
    "DEFAULTS",
    "Decision",
    "Defer",
    "DeferKind",
    "Effect",
    "Format",
    "GateFault",
    "Judge",
    "Opinion",
    "RuleFile",
    "RuleProblem",
    "RuleSet",
    "RulesInvalid",
    "ScoreResult",
    "Verdict",
    "load",
    "load_sets",
    "read_files",
    "rule_files",
]
