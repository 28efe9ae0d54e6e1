"""The child process of a backtest: parent side and child side.

It reads the database beside the daemon, and only reads. ``python -m daemon.backtest.process`` takes
one request line and answers on the standard output.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

import rules
from daemon import subprocesses
from daemon.backtest import messages
from daemon.backtest.comparison import Backtest
from daemon.rulesets import rule_files
from storage.backtest_queries import open_snapshot

WORKER_COMMAND: Final = (sys.executable, "-m", "daemon.backtest.process")
SILENCE_SECONDS: Final = 60.0
_MAX_LINE_BYTES: Final = 16 * 2**20


async def run_backtest_process(
    request: messages.BacktestRequest,
    command: Sequence[str] = WORKER_COMMAND,
    *,
    silence_seconds: float = SILENCE_SECONDS,
) -> AsyncGenerator[messages.BacktestAnswer, None]:
    """Yield the child's answers; the last is a report, or says why there is none.

    The child is gone when the loop over this ends.
    """
    async with subprocesses.run_worker(command, _MAX_LINE_BYTES) as child:
        await child.send_request(messages.encode_message(request))
        answer: messages.BacktestAnswer = messages.BacktestProgress(0, 0)
        while isinstance(answer, messages.BacktestProgress):
            answer = await _read_answer(child, silence_seconds)
            yield answer


async def _read_answer(
    child: subprocesses.WorkerProcess, seconds: float
) -> messages.BacktestAnswer:
    try:
        async with asyncio.timeout(seconds):
            return messages.decode_answer(await child.read_line())
    except TimeoutError:
        return messages.BacktestRefusal(f"The backtest said nothing for {seconds:g} s.")
    except msgspec.MsgspecError:
        return messages.BacktestRefusal("The process of the backtest died.")


def main(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer the one request, line by line."""
    for answer in answer_backtest(messages.decode_request(requests.readline())):
        answers.write(messages.encode_message(answer))
        answers.flush()


def answer_backtest(request: messages.BacktestRequest) -> Iterator[messages.BacktestAnswer]:
    """Yield progress, and the report or why there is none."""
    try:
        files = [rule_files.to_rule_file(file) for file in request.files]
        sets = rule_files.build_ruleset_pair(rules.load_rulesets(files))
        with open_snapshot(Path(request.database)) as reader:
            yield from Backtest(reader, sets, request).run()
    except (rules.RulesInvalid, rules.GateFault) as error:
        yield messages.BacktestRefusal(str(error))


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
