"""Judges facts by rule files: two engines that have to agree, and decisions with their reasons.

Pure: no clock, no randomness, no I/O but the reading of rule files.
"""

from __future__ import annotations

from pathlib import Path

from rules.evaluator import EngineChoice, GateFault, RememberedRulings, RuleEvaluator
from rules.files import RuleFile, list_rule_files, read_rule_files
from rules.loader import load_ruleset, load_rulesets
from rules.problems import RuleProblem, RulesInvalid
from rules.ruleset import RuleFormat, Ruleset
from rules.verdict import Decision, Defer, DeferKind, Opinion, ScoreResult, Verdict, VetoEffect

DEFAULTS = Path(__file__).parent / "defaults"
"""The shipped rule files, `gate.yaml` and `score.yaml`, with their schemas beside them."""

__all__ = [
    "DEFAULTS",
    "Decision",
    "Defer",
    "DeferKind",
    "EngineChoice",
    "GateFault",
    "Opinion",
    "RememberedRulings",
    "RuleEvaluator",
    "RuleFile",
    "RuleFormat",
    "RuleProblem",
    "RulesInvalid",
    "Ruleset",
    "ScoreResult",
    "Verdict",
    "VetoEffect",
    "list_rule_files",
    "load_ruleset",
    "load_rulesets",
    "read_rule_files",
]
