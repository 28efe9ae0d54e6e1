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
from storage.backtests import reading


def main(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer the one request, line by line."""
    for answer in answered(report.decode_request(requests.readline())):
        answers.write(report.encode(answer))
        answers.flush()


def answered(request: report.Request) -> Iterator[report.Answer]:
    """Yield progress, and the report or why there is none."""
    try:
        files = [lines.rule_file(file) for file in request.files]
        sets = folder.both(rules.load_sets(files))
        with reading(Path(request.database)) as reader:
            yield from Backtest(reader, sets, request).run()
    except (rules.RulesInvalid, rules.GateFault) as error:
        yield report.BacktestRefusal(str(error))


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
