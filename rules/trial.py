"""A rule set on trial before it goes live: compiled, its examples run, both engines compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rules.examples import run_example
from rules.judge import GateFault, Judge
from rules.lint import lint
from rules.problems import NOWHERE, Place, RuleProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rules.examples import ExampleResult
    from rules.ruleset import RuleSet


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it: problems keep a set from going live, warnings do not."""

    problems: tuple[RuleProblem, ...]
    warnings: tuple[RuleProblem, ...]
    outcomes: tuple[ExampleResult, ...]


def nobody(_stage: str, _at: Place) -> None:
    """Hear how far a trial has come, and do nothing about it."""


def try_out(
    sets: Iterable[RuleSet],
    make: Callable[[RuleSet], Judge] = Judge,
    told: Callable[[str, Place], None] = nobody,
) -> Trial:
    """Try each set behind the judge that `make` builds; `told` hears of each stage before it.

    A set that hangs an engine hangs here too: who can't afford that tries it in a process apart.
    """
    problems: list[RuleProblem] = []
    warnings: list[RuleProblem] = []
    outcomes: list[ExampleResult] = []
    for ruleset in sets:
        start = Place(ruleset.files[-1], 1, 1) if ruleset.files else NOWHERE
        told("compiling", start)
        try:
            judge = make(ruleset)
        except GateFault as fault:
            problems.append(_at(start, f"The rules can't be compiled: {fault.sentence}"))
            continue
        ran, wrong = _examples(judge, told)
        outcomes += ran
        problems += wrong
        warnings += lint(judge.ruleset, ran)
        judge.close()
    return Trial(tuple(sorted(problems)), tuple(sorted(warnings)), tuple(outcomes))


def _examples(
    judge: Judge, told: Callable[[str, Place], None]
) -> tuple[list[ExampleResult], list[RuleProblem]]:
    ran: list[ExampleResult] = []
    wrong: list[RuleProblem] = []
    for example in judge.ruleset.examples:
        told("examples", example.place)
        try:
            outcome = run_example(judge, example)
        except GateFault as fault:
            wrong.append(_at(example.place, f"The example `{example.name}`: {fault.sentence}"))
            continue
        ran.append(outcome)
        if outcome.wrong:
            said = "; ".join(outcome.sentences())
            wrong.append(_at(example.place, f"The example `{example.name}` fails: {said}"))
    return ran, wrong


def _at(place: Place, sentence: str) -> RuleProblem:
    return RuleProblem(place.file, place.line, place.column, sentence)
