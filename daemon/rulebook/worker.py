"""The throwaway child: tries the rule files of one request and says how far it has come.

``python -m daemon.rulebook.worker`` takes one request line and answers on the standard output.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import BinaryIO

import rules
from daemon.rulebook import folder, lines
from rules.problems import SourceLocation
from rules.trial import check_rulesets


def main(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer the one request."""

    def told(stage: str, at: SourceLocation) -> None:
        _write_answer(answers, lines.RuleCheckProgress(stage, at.file, at.line, at.column))

    _write_answer(answers, check_rule_files(lines.decode_request(requests.readline()), told))


def check_rule_files(
    request: lines.RuleCheckRequest, on_progress: Callable[[str, SourceLocation], None]
) -> lines.RuleCheckResult:
    """Load, compile and run the examples; problems of the files are the answer."""
    files = [lines.to_rule_file(file) for file in request.files]
    try:
        sets = folder.build_ruleset_pair(rules.load_rulesets(files, request.channels))
    except rules.RulesInvalid as error:
        return lines.RuleCheckResult(problems=lines.build_findings(error.problems))
    trial = check_rulesets(
        (sets.gate, sets.score), partial(rules.RuleEvaluator, engines=request.engines), on_progress
    )
    return lines.RuleCheckResult(
        lines.build_findings(trial.problems),
        lines.build_findings(trial.warnings),
        len(trial.outcomes),
    )


def _write_answer(answers: BinaryIO, answer: lines.RuleCheckAnswer) -> None:
    answers.write(lines.encode_message(answer))
    answers.flush()


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
