"""A rule set on trial before it goes live: compiled, its examples run, both engines compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rules.examples import run_example
from rules.judge import GateFault, RuleEvaluator
from rules.lint import lint_ruleset
from rules.problems import NO_LOCATION, RuleProblem, SourceLocation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rules.examples import ExampleResult
    from rules.ruleset import Ruleset


@dataclass(frozen=True, slots=True)
class RulesetCheck:
    """What came of it: problems keep a set from going live, warnings do not."""

    problems: tuple[RuleProblem, ...]
    warnings: tuple[RuleProblem, ...]
    outcomes: tuple[ExampleResult, ...]


def ignore_progress(_stage: str, _location: SourceLocation) -> None:
    """Hear how far a trial has come, and do nothing about it."""


def check_rulesets(
    sets: Iterable[Ruleset],
    build_evaluator: Callable[[Ruleset], RuleEvaluator] = RuleEvaluator,
    on_progress: Callable[[str, SourceLocation], None] = ignore_progress,
) -> RulesetCheck:
    """Try each set behind the judge that `make` builds; `told` hears of each stage before it.

    A set that hangs an engine hangs here too: who can't afford that tries it in a process apart.
    """
    problems: list[RuleProblem] = []
    warnings: list[RuleProblem] = []
    outcomes: list[ExampleResult] = []
    for ruleset in sets:
        start = SourceLocation(ruleset.files[-1], 1, 1) if ruleset.files else NO_LOCATION
        on_progress("compiling", start)
        try:
            judge = build_evaluator(ruleset)
        except GateFault as fault:
            problems.append(_problem_at(start, f"The rules can't be compiled: {fault.sentence}"))
            continue
        ran, wrong = _run_examples(judge, on_progress)
        outcomes += ran
        problems += wrong
        warnings += lint_ruleset(judge.ruleset, ran)
        judge.close()
    return RulesetCheck(tuple(sorted(problems)), tuple(sorted(warnings)), tuple(outcomes))


def _run_examples(
    judge: RuleEvaluator, on_progress: Callable[[str, SourceLocation], None]
) -> tuple[list[ExampleResult], list[RuleProblem]]:
    ran: list[ExampleResult] = []
    wrong: list[RuleProblem] = []
    for example in judge.ruleset.examples:
        on_progress("examples", example.place)
        try:
            outcome = run_example(judge, example)
        except GateFault as fault:
            wrong.append(
                _problem_at(example.place, f"The example `{example.name}`: {fault.sentence}")
            )
            continue
        ran.append(outcome)
        if outcome.wrong:
            said = "; ".join(outcome.mismatch_sentences())
            wrong.append(_problem_at(example.place, f"The example `{example.name}` fails: {said}"))
    return ran, wrong


def _problem_at(place: SourceLocation, sentence: str) -> RuleProblem:
    return RuleProblem(place.file, place.line, place.column, sentence)
