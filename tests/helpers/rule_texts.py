"""Rulesets for tests, from texts such as an operator would write."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from rules import RuleEvaluator, RuleProblem, Ruleset, RulesInvalid, load_ruleset
from rules.examples import baseline_facts

GATE_HEAD = """\
format: leadmaster/gate@1
score: {base: prospect.score_contactabilidad, min: 0, max: 100}
thresholds:
  - {verdict: allow, from: 70}
  - {verdict: review, from: 50}
  - {verdict: block, from: 0}
windows:
  business: {days: mon-fri, from: "09:30", to: "18:30", holidays: false}
"""

SCORE_HEAD = """\
format: leadmaster/score@1
score: {base: 0, min: 0, max: 100}
bands: [{band: good, from: 50}, {band: bad, from: 0}]
"""


def load_rules(text: str, *more: str) -> Ruleset:
    """Return the ruleset of files with these texts."""
    with tempfile.TemporaryDirectory() as folder:
        return load_ruleset(_write_rule_files(Path(folder), (text, *more)))


def build_gate_evaluator(rules: str) -> RuleEvaluator:
    """Return an evaluator of a gate with the usual head and these sections."""
    return RuleEvaluator(load_rules(GATE_HEAD + rules))


def build_score_evaluator(rules: str) -> RuleEvaluator:
    """Return an evaluator of a score with the usual head and these sections."""
    return RuleEvaluator(load_rules(SCORE_HEAD + rules))


def build_facts(judge: RuleEvaluator, **changes: object) -> dict[str, object]:
    """Return facts under which everything is allowed, changed by `group__name` keywords."""
    changed = {name.replace("__", "."): value for name, value in changes.items()}
    return {**baseline_facts(judge.ruleset), **changed}


def list_problems(text: str, *more: str) -> list[str]:
    """Return each problem as `line:column: sentence`, with the file's name if there are several."""
    with tempfile.TemporaryDirectory() as folder:
        paths = _write_rule_files(Path(folder), (text, *more))
        with pytest.raises(RulesInvalid) as caught:
            load_ruleset(paths)
    return [_format_problem(problem, alone=not more) for problem in caught.value.problems]


def _format_problem(problem: RuleProblem, *, alone: bool) -> str:
    name = "" if alone else f"{Path(problem.file).name}:"
    return f"{name}{problem.line}:{problem.column}: {problem.sentence}"


def _write_rule_files(folder: Path, texts: tuple[str, ...]) -> list[Path]:
    paths = [folder / f"{number}.yaml" for number in range(1, len(texts) + 1)]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    return paths
