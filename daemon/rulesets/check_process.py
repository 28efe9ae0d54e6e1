"""The child process that checks rule files: messages, parent side and child side.

What hangs there does not hang the daemon. ``python -m daemon.rulesets.check_process`` takes one
request line and answers on the standard output.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import BinaryIO, Final

import msgspec

import rules
from daemon import subprocesses
from daemon.rulesets import rule_files
from daemon.rulesets.rule_files import EngineChoice, RuleFileContent
from rules.check import check_rulesets
from rules.problems import SourceLocation


class RuleCheckRequest(msgspec.Struct, frozen=True):
    """Try these; `channels` are those that a rule may route to, if that is known."""

    files: tuple[RuleFileContent, ...]
    engines: EngineChoice
    channels: tuple[str, ...] | None = None


class RuleCheckFinding(msgspec.Struct, frozen=True):
    """A problem or a warning, and its place."""

    file: str
    line: int
    column: int
    sentence: str

    def __str__(self) -> str:
        """`file:line:column: sentence`, as editors link it."""
        return f"{self.file}:{self.line}:{self.column}: {self.sentence}"


class RuleCheckProgress(msgspec.Struct, frozen=True, tag="stage"):
    """The child is about to do this, here."""

    stage: str
    file: str
    line: int
    column: int


class RuleCheckResult(msgspec.Struct, frozen=True, tag="tried"):
    """What came of it; with problems the files can't go live."""

    problems: tuple[RuleCheckFinding, ...] = ()
    warnings: tuple[RuleCheckFinding, ...] = ()
    examples: int = 0


RuleCheckAnswer = RuleCheckProgress | RuleCheckResult
_answer_decoder = msgspec.json.Decoder(RuleCheckAnswer)
_request_decoder = msgspec.json.Decoder(RuleCheckRequest)


def build_findings(problems: Iterable[rules.RuleProblem]) -> tuple[RuleCheckFinding, ...]:
    """Return problems ready to travel."""
    return tuple(
        RuleCheckFinding(each.file, each.line, each.column, each.sentence) for each in problems
    )


def encode_message(message: RuleCheckRequest | RuleCheckAnswer) -> bytes:
    """Return one line."""
    return msgspec.json.encode(message) + b"\n"


def decode_request(line: bytes) -> RuleCheckRequest:
    """Read the daemon's line."""
    return _request_decoder.decode(line)


def decode_answer(line: bytes) -> RuleCheckAnswer:
    """Read the child's line; raises ``msgspec.MsgspecError`` where it is none."""
    answer: RuleCheckAnswer = _answer_decoder.decode(line)
    return answer


WORKER_COMMAND: Final = (sys.executable, "-m", "daemon.rulesets.check_process")
_MAX_LINE_BYTES: Final = 16 * 2**20


class RuleCheckProcess:
    """A way to try rule files: check, compile, run their examples in both engines."""

    def __init__(
        self,
        seconds: float,
        engines: rule_files.EngineChoice,
        command: Sequence[str] = WORKER_COMMAND,
        channels: tuple[str, ...] | None = None,
    ) -> None:
        self._seconds = seconds
        self._engines: rule_files.EngineChoice = engines
        self._command = command
        self._channels = channels

    async def check_files(self, files: Sequence[rules.RuleFile]) -> RuleCheckResult:
        """Return what came of it; a child that hangs or dies is a problem at its last place."""
        at = RuleCheckProgress("reading", _guess_faulty_file(files), 1, 1)
        request = RuleCheckRequest(
            tuple(map(rule_files.to_rule_file_content, files)), self._engines, self._channels
        )
        async with subprocesses.run_worker(self._command, _MAX_LINE_BYTES) as child:
            try:
                async with asyncio.timeout(self._seconds):
                    await child.send_request(encode_message(request))
                    while isinstance(answer := await _read_answer(child), RuleCheckProgress):
                        at = answer
                    return answer or _build_failure(at, "the process that tried them died")
            except TimeoutError:
                return _build_failure(at, f"it took longer than {self._seconds:g} s")


def _guess_faulty_file(files: Sequence[rules.RuleFile]) -> str:
    """Return the file that is most likely to blame before the child has named a place."""
    own = [file.path for file in files if file.own]
    return (own or [file.path for file in files] or ["rules"])[-1]


async def _read_answer(child: subprocesses.WorkerProcess) -> RuleCheckAnswer | None:
    line = await child.read_line()
    try:
        return decode_answer(line) if line.endswith(b"\n") else None
    except msgspec.MsgspecError:
        return None


def _build_failure(at: RuleCheckProgress, what: str) -> RuleCheckResult:
    sentence = f"The rules could not be tried: {what}, while {at.stage} here"
    return RuleCheckResult(problems=(RuleCheckFinding(at.file, at.line, at.column, sentence),))


def main(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer the one request."""

    def told(stage: str, at: SourceLocation) -> None:
        _write_answer(answers, RuleCheckProgress(stage, at.file, at.line, at.column))

    _write_answer(answers, check_rule_files(decode_request(requests.readline()), told))


def check_rule_files(
    request: RuleCheckRequest, on_progress: Callable[[str, SourceLocation], None]
) -> RuleCheckResult:
    """Load, compile and run the examples; problems of the files are the answer."""
    files = [rule_files.to_rule_file(file) for file in request.files]
    try:
        sets = rule_files.build_ruleset_pair(rules.load_rulesets(files, request.channels))
    except rules.RulesInvalid as error:
        return RuleCheckResult(problems=build_findings(error.problems))
    trial = check_rulesets(
        (sets.gate, sets.score), partial(rules.RuleEvaluator, engines=request.engines), on_progress
    )
    return RuleCheckResult(
        build_findings(trial.problems),
        build_findings(trial.warnings),
        len(trial.outcomes),
    )


def _write_answer(answers: BinaryIO, answer: RuleCheckAnswer) -> None:
    answers.write(encode_message(answer))
    answers.flush()


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
