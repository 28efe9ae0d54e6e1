"""Checks a ruleset before it goes live: compiles it, runs its examples, and lints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from rules.conditions import iter_leaves
from rules.evaluator import GateFault, RuleEvaluator
from rules.examples import run_example
from rules.facts import FACTS
from rules.problems import NO_LOCATION, RuleProblem, SourceLocation
from rules.ruleset import Ramp
from statemachines.vocabulary import BuiltinChannel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rules.examples import ExampleResult
    from rules.ruleset import Ruleset, ScoreRule, Veto


class ScoreRange(Struct, frozen=True):
    """The lowest and highest score that these rules can give for any facts.

    Rules that exclude each other are not recognised, so the true range may be narrower.
    """

    lowest: int
    highest: int


def lint_ruleset(ruleset: Ruleset, outcomes: Iterable[ExampleResult]) -> tuple[RuleProblem, ...]:
    """Return warnings: unreachable bands, unused windows and lists, rules without an example.

    `outcomes` are the results of the ruleset's own examples.
    """
    found = (
        *_find_unreachable_bands(ruleset),
        *_find_unused_windows(ruleset),
        *_find_unused_lists(ruleset),
        *_find_rules_without_example(ruleset, outcomes),
    )
    return tuple(sorted(found))


def compute_score_range(ruleset: Ruleset) -> ScoreRange:
    """Return the lowest and highest score that the rules can give."""
    low, high = _base_range(ruleset)
    ends = {rule.id: _points_range(rule) for rule in ruleset.scores}
    for group in ruleset.groups:
        members = [ends.pop(rule) for rule in group.rules]
        low += max(sum(min(least, 0) for least, _ in members), -group.cap)
        high += min(sum(max(most, 0) for _, most in members), group.cap)
    low += sum(least for least, _ in ends.values())
    high += sum(most for _, most in ends.values())
    return ScoreRange(_clamp_score(low, ruleset), _clamp_score(high, ruleset))


def _base_range(ruleset: Ruleset) -> tuple[int, int]:
    if isinstance(ruleset.base, int):
        return ruleset.base, ruleset.base
    fact = FACTS[ruleset.base]
    return int(fact.low), int(fact.high)


def _points_range(rule: ScoreRule) -> tuple[int, int]:
    """Return the fewest and most points that a rule adds."""
    points = rule.points
    ends = [points] if isinstance(points, int) else [points.start_points, points.end_points]
    if isinstance(points, Ramp):
        ends.append(min(0, points.lowest))  # over an unknown value
    if rule.when is not None:
        ends.append(0)  # where its condition does not hold
    return min(ends), max(ends)


def _clamp_score(points: int, ruleset: Ruleset) -> int:
    return min(max(points, ruleset.minimum), ruleset.maximum)


def find_unknown_routes(ruleset: Ruleset) -> tuple[RuleProblem, ...]:
    """Return a warning for each route whose channel can't be checked without a daemon."""
    # `manual` is built in, so it always exists.
    return tuple(
        _warning_at(
            veto.place, f"Whether `{veto.route}` is installed is not known: no daemon answers here"
        )
        for veto in ruleset.vetoes
        if veto.route not in (None, BuiltinChannel.MANUAL)
    )


def _find_unreachable_bands(ruleset: Ruleset) -> Iterator[RuleProblem]:
    extent, above = compute_score_range(ruleset), ruleset.maximum + 1
    for band in ruleset.bands:
        if band.start > extent.highest:
            yield _warning_at(
                band.place,
                f"`{band.name}` starts at {band.start}, and no score comes above {extent.highest}",
            )
        # `above` is where the next band up starts: this one ends just below it.
        elif above <= extent.lowest:
            yield _warning_at(
                band.place,
                f"`{band.name}` ends below {above}, and no score comes below {extent.lowest}",
            )
        above = band.start


def _find_unused_windows(ruleset: Ruleset) -> Iterator[RuleProblem]:
    named = {veto.defer.window for veto in ruleset.vetoes if veto.defer is not None}
    # Any word that a condition compares with counts: at worst one warning too few.
    for _, when, _ in ruleset.conditions:
        for leaf in iter_leaves(when):
            if isinstance(leaf.operand, str):
                named.add(leaf.operand)
            elif isinstance(leaf.operand, frozenset):
                named |= {word for word in leaf.operand if isinstance(word, str)}
    for window in ruleset.windows.values():
        if window.name not in named:
            yield _warning_at(window.place, f"No rule asks for the window `{window.name}`")


def _find_unused_lists(ruleset: Ruleset) -> Iterator[RuleProblem]:
    for each in ruleset.lists.values():
        if not each.used:
            yield _warning_at(each.place, f"No rule uses the list `{each.name}`")


def _find_rules_without_example(
    ruleset: Ruleset, outcomes: Iterable[ExampleResult]
) -> Iterator[RuleProblem]:
    """Yield a warning for each rule that fires in no example: no test would notice it break."""
    fired = {name for outcome in outcomes for name in outcome.fired}
    rules: tuple[Veto | ScoreRule, ...] = (*ruleset.vetoes, *ruleset.scores)
    for rule in rules:
        if rule.id not in fired:
            yield _warning_at(rule.place, f"No example under `tests` shows `{rule.id}` at work")


def _warning_at(place: SourceLocation, sentence: str) -> RuleProblem:
    return RuleProblem(place.file, place.line, place.column, sentence)


class RulesetCheck(Struct, frozen=True):
    """The result of a check: problems keep a ruleset from going live, warnings do not."""

    problems: tuple[RuleProblem, ...]
    warnings: tuple[RuleProblem, ...]
    outcomes: tuple[ExampleResult, ...]


def ignore_progress(_stage: str, _location: SourceLocation) -> None:
    """Do nothing: the default for `on_progress`."""


def check_rulesets(
    sets: Iterable[Ruleset],
    build_evaluator: Callable[[Ruleset], RuleEvaluator] = RuleEvaluator,
    on_progress: Callable[[str, SourceLocation], None] = ignore_progress,
) -> RulesetCheck:
    """Compile, run and lint each ruleset with the evaluator that `build_evaluator` returns.

    `on_progress` is called before each stage, with its name and location. A ruleset that hangs an
    engine hangs this call too, so the daemon runs it in a process of its own.
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
