"""The child process of a backtest: parent side and child side.

A child, so that a long computation does not slow the daemon. It opens the database read-only.
``python -m daemon.backtest.process`` uses the protocol of :mod:`daemon.worker_protocol`.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, Never

import structlog

import rules
from daemon import subprocesses
from daemon.backtest import messages
from daemon.backtest.comparison import Backtest
from daemon.rulesets import rule_files
from daemon.worker_protocol import (
    SILENCE_SECONDS,
    FrameWriter,
    Progress,
    WorkerFailed,
    WorkerProtocol,
    ask_worker,
    serve_requests,
    take_standard_streams,
)
from storage.backtest_queries import open_snapshot

log = structlog.get_logger("backtest")

PROTOCOL: Final[
    WorkerProtocol[
        messages.BacktestRequest,
        messages.BacktestReport | messages.BacktestRefusal,
        messages.BacktestProgress,
        Never,
    ]
] = WorkerProtocol(
    request=messages.BacktestRequest,
    answer=messages.BacktestReport | messages.BacktestRefusal,
    progress=messages.BacktestProgress,
    max_line_bytes=16 * 2**20,
)
WORKER_COMMAND: Final = (sys.executable, "-m", "daemon.backtest.process")
STALL_SECONDS: Final = 300.0
"""The longest time between two steps of progress, in seconds."""


async def run_backtest_process(
    request: messages.BacktestRequest,
    command: Sequence[str] = WORKER_COMMAND,
    *,
    silence_seconds: float = SILENCE_SECONDS,
    stall_seconds: float = STALL_SECONDS,
) -> AsyncGenerator[messages.BacktestAnswer, None]:
    """Yield progress, and at last a report, or a refusal with the reason why there is none.

    The child has ended when the loop over this ends.
    """
    last: messages.BacktestAnswer = _build_refusal("answered nothing")
    async with subprocesses.run_worker(command, PROTOCOL.max_line_bytes) as child:
        asked = ask_worker(
            PROTOCOL, child, request, silence_seconds=silence_seconds, stall_seconds=stall_seconds
        )
        try:
            async with contextlib.aclosing(asked) as said:
                async for message in said:
                    if isinstance(message, Progress):
                        yield message.body
                    else:
                        last = message.body
        except WorkerFailed as failure:
            log.error("backtest_failed", failure=str(failure), detail=failure.detail)
            last = _build_refusal(str(failure))
    yield last


def _build_refusal(failure: str) -> messages.BacktestRefusal:
    return messages.BacktestRefusal(f"The process of the backtest {failure}.")


def main(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests in the frames of the protocol."""
    serve_requests(PROTOCOL, _send_answers, requests, answers)


def _send_answers(
    request: messages.BacktestRequest,
    writer: FrameWriter[
        messages.BacktestReport | messages.BacktestRefusal, messages.BacktestProgress, Never
    ],
) -> None:
    for answer in answer_backtest(request):
        if isinstance(answer, messages.BacktestProgress):
            writer.send_progress(answer)
        else:
            writer.send_answer(answer)


def answer_backtest(request: messages.BacktestRequest) -> Iterator[messages.BacktestAnswer]:
    """Yield progress, and at last a report or a refusal (in the child)."""
    try:
        files = [rule_files.to_rule_file(file) for file in request.files]
        sets = rule_files.build_ruleset_pair(rules.load_rulesets(files))
        with open_snapshot(Path(request.database)) as reader:
            yield from Backtest(reader, sets, request).run()
    except (rules.RulesInvalid, rules.GateFault) as error:
        yield messages.BacktestRefusal(str(error))


if __name__ == "__main__":
    main(*take_standard_streams())
