"""`rules check`, `test` and `diff`: check rule files as the daemon would check a change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daemon.cli.console import print_json, print_text
from daemon.cli.context import CliContext, json_option, pass_cli_context
from daemon.cli.rules.files import (
    collect_rule_files,
    list_daemon_channels,
    load_or_reject,
    rule_path_arguments,
)

if TYPE_CHECKING:
    from rules import Ruleset
    from rules.check import RulesetCheck


EXIT_REFUSED = 2


@click.command("check")
@rule_path_arguments
@json_option
@pass_cli_context
def check_rules(cli: CliContext, *, paths: tuple[Path, ...], alone: bool, json_: bool) -> int:
    """Check PATHS (files or folders), or the live folder, as a save there would be checked.

    A running daemon is asked which channels a rule may route to.

    Errors are `file:line:column: sentence` and exit with 2; warnings stop nothing.
    """
    sets, result = _check_rule_files(cli, paths, alone=alone)
    if json_:
        print_json(_build_document(sets, result))
    else:
        for problem in result.problems:
            print_text(str(problem))
        for warning in result.warnings:
            print_text(
                f"{warning.file}:{warning.line}:{warning.column}: warning: {warning.sentence}"
            )
        if not result.problems:
            _print_rulesets(sets)
    return EXIT_REFUSED if result.problems else 0


@click.command("test")
@rule_path_arguments
@json_option
@pass_cli_context
def run_rule_tests(cli: CliContext, *, paths: tuple[Path, ...], alone: bool, json_: bool) -> int:
    """Run the examples beside the rules in both engines; show what came out otherwise."""
    sets, result = _check_rule_files(cli, paths, alone=alone)
    if json_:
        print_json(_build_document(sets, result))
        return EXIT_REFUSED if result.problems else 0
    for outcome in result.outcomes:
        if outcome.wrong:
            print_text(f"{outcome.example.place}: {outcome.example.name}")
            for line in outcome.mismatch_diff():
                print_text(f"    {line}")
    # A wrong example is a problem too; its difference was printed above.
    printed = {str(outcome.example.place) for outcome in result.outcomes if outcome.wrong}
    for problem in result.problems:
        if f"{problem.file}:{problem.line}" not in printed:
            print_text(str(problem))
    ran, wrong = len(result.outcomes), len(result.problems)
    print_text(
        f"{ran} examples, {wrong} wrong" if wrong else f"ok: {ran} examples, {_describe_engines()}"
    )
    return EXIT_REFUSED if result.problems else 0


@click.command("diff")
@rule_path_arguments
@json_option
@pass_cli_context
def diff_rules(cli: CliContext, *, paths: tuple[Path, ...], alone: bool, json_: bool) -> None:
    """Show how PATHS, or the live folder, differ from the rules in force.

    What is marked with `!` waits for `leadmaster rules accept` before it goes live.
    """
    from rules.diff import compare_rulesets

    live = {each.format: each for each in _load_active_rulesets(cli)}
    new = load_or_reject(collect_rule_files(cli, paths, alone=alone))
    changes = [
        change
        for each in new
        if each.format in live
        for change in compare_rulesets(live[each.format], each)
    ]
    if json_:
        print_json([{"change": str(each), "waits": each.needs_acceptance} for each in changes])
        return
    for each in changes:
        print_text(f"{'!' if each.needs_acceptance else ' '} {each}")
    if not changes:
        print_text("They mean the same.")


def _load_active_rulesets(cli: CliContext) -> list[Ruleset]:
    """Return the rulesets in force, loaded from the files that the daemon stored."""
    from rules import RuleFile

    # From the database, since the files on the disk may have changed after they went live.
    client = cli.client()
    state = client.get("rules")
    files = [
        RuleFile(file["path"], file["text"], file["own"])
        for side in ("gate", "score")
        for file in client.get("rules", "sets", state[side]["hash"])["files"]
    ]
    return load_or_reject(files)


def _check_rule_files(
    cli: CliContext, paths: Sequence[Path], *, alone: bool
) -> tuple[list[Ruleset], RulesetCheck]:
    """Check files as a change of the folder is checked; return the rulesets and the result."""
    from rules.check import RulesetCheck, check_rulesets, find_unknown_routes

    files, channels = collect_rule_files(cli, paths, alone=alone), list_daemon_channels(cli)
    sets = load_or_reject(files, channels)
    result = check_rulesets(sets)
    # Without a daemon nobody knows which channels there are: routes become warnings.
    unknown = [
        each for ruleset in sets if channels is None for each in find_unknown_routes(ruleset)
    ]
    warnings = tuple(sorted((*result.warnings, *unknown)))
    return sets, RulesetCheck(result.problems, warnings, result.outcomes)


def _describe_engines() -> str:
    from rules.engine import ENGINE_AVAILABLE

    return "in both engines" if ENGINE_AVAILABLE else "by the second evaluator alone"


def _print_rulesets(sets: Sequence[Ruleset]) -> None:
    from rules.check import compute_score_range

    for ruleset in sets:
        extent = compute_score_range(ruleset)
        rules = len(ruleset.vetoes) + len(ruleset.scores)
        print_text(
            f"ok: {ruleset.format} {ruleset.hash[:12]}, {rules} rules,"
            f" scores from {extent.lowest} to {extent.highest}, {', '.join(ruleset.files)}"
        )


def _build_document(sets: Sequence[Ruleset], result: RulesetCheck) -> dict[str, Any]:
    return {
        "ok": not result.problems,
        "sets": [
            {"format": str(each.format), "hash": each.hash, "files": list(each.files)}
            for each in sets
        ],
        "problems": [str(each) for each in result.problems],
        "warnings": [str(each) for each in result.warnings],
        "examples": len(result.outcomes),
    }
