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
from rules.problems import Place
from rules.trial import try_out


def main(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer the one request."""

    def told(stage: str, at: Place) -> None:
        _say(answers, lines.Stage(stage, at.file, at.line, at.column))

    _say(answers, tried(lines.decode_request(requests.readline()), told))


def tried(request: lines.Request, told: Callable[[str, Place], None]) -> lines.Tried:
    """Load, compile and run the examples; problems of the files are the answer."""
    files = [lines.rule_file(file) for file in request.files]
    try:
        sets = folder.both(rules.load_sets(files, request.channels))
    except rules.RulesInvalid as error:
        return lines.Tried(problems=lines.remarks(error.problems))
    trial = try_out((sets.gate, sets.score), partial(rules.Judge, engines=request.engines), told)
    return lines.Tried(
        lines.remarks(trial.problems), lines.remarks(trial.warnings), len(trial.outcomes)
    )


def _say(answers: BinaryIO, answer: lines.Answer) -> None:
    answers.write(lines.encode(answer))
    answers.flush()


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
