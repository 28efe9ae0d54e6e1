"""The child process of a backtest: reads the database beside the daemon, and only reads.

``python -m daemon.hindsight.worker`` takes one request line and answers on the standard output.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import rules
from daemon.hindsight import report
from daemon.hindsight.backtest import Backtest
from daemon.rulebook import folder, lines
from storage.backtests import open_snapshot


def main(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer the one request, line by line."""
    for answer in answer_backtest(report.decode_request(requests.readline())):
        answers.write(report.encode_message(answer))
        answers.flush()


def answer_backtest(request: report.BacktestRequest) -> Iterator[report.BacktestAnswer]:
    """Yield progress, and the report or why there is none."""
    try:
        files = [lines.to_rule_file(file) for file in request.files]
        sets = folder.build_ruleset_pair(rules.load_rulesets(files))
        with open_snapshot(Path(request.database)) as reader:
            yield from Backtest(reader, sets, request).run()
    except (rules.RulesInvalid, rules.GateFault) as error:
        yield report.BacktestRefusal(str(error))


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
