"""The child process that checks rule files: messages, parent side and child side.

A child, because some rules could hang the engine for ever. ``python -m
daemon.rulesets.check_process`` uses the protocol of :mod:`daemon.worker_protocol`.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import BinaryIO, Final, Never

import msgspec
import structlog

import rules
from daemon import subprocesses
from daemon.rulesets import rule_files
from daemon.rulesets.rule_files import RuleFileContent
from daemon.worker_protocol import (
    FrameWriter,
    Progress,
    WorkerFailed,
    WorkerProtocol,
    ask_worker,
    serve_requests,
    take_standard_streams,
)
from rules import EngineChoice
from rules.check import check_rulesets
from rules.problems import SourceLocation

log = structlog.get_logger("rules")


class RuleCheckRequest(msgspec.Struct, frozen=True):
    """Request to check these files. `channels`: those that a rule may route to, if known."""

    files: tuple[RuleFileContent, ...]
    engines: EngineChoice
    channels: tuple[str, ...] | None = None


class RuleCheckFinding(msgspec.Struct, frozen=True):
    """A problem or a warning in a rule file."""

    file: str
    line: int
    column: int
    sentence: str

    def __str__(self) -> str:
        """Return `file:line:column: sentence`, as editors link it."""
        return f"{self.file}:{self.line}:{self.column}: {self.sentence}"


class RuleCheckProgress(msgspec.Struct, frozen=True):
    """The stage that the child begins, and its location in the files."""

    stage: str
    file: str
    line: int
    column: int


class RuleCheckResult(msgspec.Struct, frozen=True):
    """The result of a check. Files with problems can't go live."""

    problems: tuple[RuleCheckFinding, ...] = ()
    warnings: tuple[RuleCheckFinding, ...] = ()
    examples: int = 0


PROTOCOL: Final[WorkerProtocol[RuleCheckRequest, RuleCheckResult, RuleCheckProgress, Never]] = (
    WorkerProtocol(
        request=RuleCheckRequest,
        answer=RuleCheckResult,
        progress=RuleCheckProgress,
        max_line_bytes=16 * 2**20,
    )
)


def build_findings(problems: Iterable[rules.RuleProblem]) -> tuple[RuleCheckFinding, ...]:
    """Return problems as messages of the protocol."""
    return tuple(
        RuleCheckFinding(each.file, each.line, each.column, each.sentence) for each in problems
    )


WORKER_COMMAND: Final = (sys.executable, "-m", "daemon.rulesets.check_process")


class RuleCheckProcess:
    """Checks rule files in a child process: loads, compiles, and runs the examples.

    `seconds` is the time limit of one check, after which the child is killed.
    """

    def __init__(
        self,
        seconds: float,
        engines: EngineChoice,
        command: Sequence[str] = WORKER_COMMAND,
        channels: tuple[str, ...] | None = None,
    ) -> None:
        self._seconds = seconds
        self._engines: EngineChoice = engines
        self._command = command
        self._channels = channels

    async def check_files(self, files: Sequence[rules.RuleFile]) -> RuleCheckResult:
        """Return the result; a child that hangs or dies is a problem at its last location."""
        progress = RuleCheckProgress("reading", _guess_faulty_file(files), 1, 1)
        result = _build_failure(progress, "the process that tried them answered nothing")
        request = RuleCheckRequest(
            tuple(map(rule_files.to_rule_file_content, files)), self._engines, self._channels
        )
        async with (
            subprocesses.run_worker(self._command, PROTOCOL.max_line_bytes) as child,
            contextlib.aclosing(ask_worker(PROTOCOL, child, request)) as said,
        ):
            try:
                async with asyncio.timeout(self._seconds):
                    async for message in said:
                        if isinstance(message, Progress):
                            progress = message.body
                        else:
                            result = message.body
            except TimeoutError:
                return _build_failure(progress, f"it took longer than {self._seconds:g} s")
            except WorkerFailed as failure:
                log.error("rule_check_failed", failure=str(failure), detail=failure.detail)
                return _build_failure(progress, f"the process that tried them {failure}")
        return result


def _guess_faulty_file(files: Sequence[rules.RuleFile]) -> str:
    """Return the most likely cause while the child has named no location: the last own file."""
    own = [file.path for file in files if file.own]
    return (own or [file.path for file in files] or ["rules"])[-1]


def _build_failure(progress: RuleCheckProgress, what: str) -> RuleCheckResult:
    sentence = f"The rules could not be tried: {what}, while {progress.stage} here"
    return RuleCheckResult(
        problems=(RuleCheckFinding(progress.file, progress.line, progress.column, sentence),)
    )


def main(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests in the frames of the protocol."""
    serve_requests(PROTOCOL, _send_result, requests, answers)


def _send_result(
    request: RuleCheckRequest, writer: FrameWriter[RuleCheckResult, RuleCheckProgress, Never]
) -> None:
    def report_progress(stage: str, place: SourceLocation) -> None:
        writer.send_progress(RuleCheckProgress(stage, place.file, place.line, place.column))

    writer.send_answer(check_rule_files(request, report_progress))


def check_rule_files(
    request: RuleCheckRequest, on_progress: Callable[[str, SourceLocation], None]
) -> RuleCheckResult:
    """Load, compile and run the examples, in the child; problems of the files are the result."""
    files = [rule_files.to_rule_file(file) for file in request.files]
    try:
        sets = rule_files.build_ruleset_pair(rules.load_rulesets(files, request.channels))
    except rules.RulesInvalid as error:
        return RuleCheckResult(problems=build_findings(error.problems))
    checked = check_rulesets(
        (sets.gate, sets.score), partial(rules.RuleEvaluator, engines=request.engines), on_progress
    )
    return RuleCheckResult(
        build_findings(checked.problems),
        build_findings(checked.warnings),
        len(checked.outcomes),
    )


if __name__ == "__main__":
    main(*take_standard_streams())
