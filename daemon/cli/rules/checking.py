"""`rules check`, `test` and `diff`: what a save would meet, without a daemon and before it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daemon.cli.context import Here, as_json, pass_here
from daemon.cli.rules.sources import channels_of, files_of, rule_paths, sets_of
from daemon.cli.screen import print_json, say

if TYPE_CHECKING:
    from rules import RuleSet
    from rules.trial import Trial

REFUSED = 2


@click.command()
@rule_paths
@as_json
@pass_here
def check(here: Here, *, paths: tuple[Path, ...], alone: bool, json_: bool) -> int:
    """Check PATHS (files or folders), or the live folder, as a save there would be checked.

    A running daemon is asked which channels a rule may route to.

    Errors are `file:line:column: sentence` and exit with 2; warnings stop nothing.
    """
    sets, trial = _tried(here, paths, alone=alone)
    if json_:
        print_json(_document(sets, trial))
    else:
        for problem in trial.problems:
            say(str(problem))
        for warning in trial.warnings:
            say(f"{warning.file}:{warning.line}:{warning.column}: warning: {warning.sentence}")
        if not trial.problems:
            _say_sets(sets)
    return REFUSED if trial.problems else 0


@click.command()
@rule_paths
@as_json
@pass_here
def test(here: Here, *, paths: tuple[Path, ...], alone: bool, json_: bool) -> int:
    """Run the examples beside the rules in both engines; show what came out otherwise."""
    sets, trial = _tried(here, paths, alone=alone)
    if json_:
        print_json(_document(sets, trial))
        return REFUSED if trial.problems else 0
    for outcome in trial.outcomes:
        if outcome.wrong:
            say(f"{outcome.example.place}: {outcome.example.name}")
            for line in outcome.diff():
                say(f"    {line}")
    told = {str(outcome.example.place) for outcome in trial.outcomes if outcome.wrong}
    for problem in trial.problems:
        if f"{problem.file}:{problem.line}" not in told:
            say(str(problem))
    ran, wrong = len(trial.outcomes), len(trial.problems)
    say(f"{ran} examples, {wrong} wrong" if wrong else f"ok: {ran} examples, {_judged_by()}")
    return REFUSED if trial.problems else 0


@click.command()
@rule_paths
@as_json
@pass_here
def diff(here: Here, *, paths: tuple[Path, ...], alone: bool, json_: bool) -> None:
    """Show how PATHS, or the live folder, differ from the rules in force.

    What is marked with `!` waits for `leadmaster rules accept` before it goes live.
    """
    from rules.diff import differences

    live = {each.format: each for each in _live(here)}
    new = sets_of(files_of(here, paths, alone=alone))
    found = [
        change
        for each in new
        if each.format in live
        for change in differences(live[each.format], each)
    ]
    if json_:
        print_json([{"change": str(each), "waits": each.weighty} for each in found])
        return
    for each in found:
        say(f"{'!' if each.weighty else ' '} {each}")
    if not found:
        say("They mean the same.")


def _live(here: Here) -> list[RuleSet]:
    """Load the sets in force from the daemon, as they were when they went live."""
    from rules import RuleFile

    client = here.client()
    state = client.get("rules")
    files = [
        RuleFile(file["path"], file["text"], file["own"])
        for side in ("gate", "score")
        for file in client.get("rules", "sets", state[side]["hash"])["files"]
    ]
    return sets_of(files)


def _tried(here: Here, paths: Sequence[Path], *, alone: bool) -> tuple[list[RuleSet], Trial]:
    """Try what a save would be tried for; without a daemon, say what only it could tell."""
    from rules.lint import unknown_routes
    from rules.trial import Trial, try_out

    files, channels = files_of(here, paths, alone=alone), channels_of(here)
    sets = sets_of(files, channels)
    trial = try_out(sets)
    unknown = [each for ruleset in sets if channels is None for each in unknown_routes(ruleset)]
    warnings = tuple(sorted((*trial.warnings, *unknown)))
    return sets, Trial(trial.problems, warnings, trial.outcomes)


def _judged_by() -> str:
    from rules.engine import available

    return "in both engines" if available else "by the second evaluator alone"


def _say_sets(sets: Sequence[RuleSet]) -> None:
    from rules.lint import reach

    for ruleset in sets:
        extent = reach(ruleset)
        rules = len(ruleset.vetoes) + len(ruleset.scores)
        say(
            f"ok: {ruleset.format} {ruleset.hash[:12]}, {rules} rules,"
            f" scores from {extent.lowest} to {extent.highest}, {', '.join(ruleset.files)}"
        )


def _document(sets: Sequence[RuleSet], trial: Trial) -> dict[str, Any]:
    return {
        "ok": not trial.problems,
        "sets": [
            {"format": str(each.format), "hash": each.hash, "files": list(each.files)}
            for each in sets
        ],
        "problems": [str(each) for each in trial.problems],
        "warnings": [str(each) for each in trial.warnings],
        "examples": len(trial.outcomes),
    }
