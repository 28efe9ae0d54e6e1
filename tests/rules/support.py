"""Rule sets for tests, written as the text an operator would write."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from rules import Judge, RuleProblem, RuleSet, RulesInvalid, load
from rules.examples import baseline

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


def loaded(text: str, *more: str) -> RuleSet:
    """The set that these files' texts make."""
    with tempfile.TemporaryDirectory() as folder:
        return load(_written(Path(folder), (text, *more)))


def gate(rules: str) -> Judge:
    """A judge of a gate with the usual head and these sections."""
    return Judge(loaded(GATE_HEAD + rules))


def score(rules: str) -> Judge:
    """A judge of a score set with the usual head and these sections."""
    return Judge(loaded(SCORE_HEAD + rules))


def facts(judge: Judge, **changes: object) -> dict[str, object]:
    """Facts under which everything is allowed, with `group__name` changes."""
    changed = {name.replace("__", "."): value for name, value in changes.items()}
    return {**baseline(judge.ruleset), **changed}


def problems_of(text: str, *more: str) -> list[str]:
    """`line:column: sentence` of each problem; in several files `name:line:column: sentence`."""
    with tempfile.TemporaryDirectory() as folder:
        paths = _written(Path(folder), (text, *more))
        with pytest.raises(RulesInvalid) as caught:
            load(paths)
    return [_short(problem, alone=not more) for problem in caught.value.problems]


def _short(problem: RuleProblem, *, alone: bool) -> str:
    name = "" if alone else f"{Path(problem.file).name}:"
    return f"{name}{problem.line}:{problem.column}: {problem.sentence}"


def _written(folder: Path, texts: tuple[str, ...]) -> list[Path]:
    paths = [folder / f"{number}.yaml" for number in range(1, len(texts) + 1)]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    return paths
