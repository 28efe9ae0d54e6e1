"""What the daemon and the child that tries rule files say to each other, a line at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

import rules

EngineChoice = Literal["both", "reference"]


class RuleFileContent(msgspec.Struct, frozen=True):
    """A rule file as it travels."""

    path: str
    text: str
    own: bool


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


def to_rule_file_content(file: rules.RuleFile) -> RuleFileContent:
    """Return a file ready to travel."""
    return RuleFileContent(file.path, file.text, file.own)


def to_rule_file(file: RuleFileContent) -> rules.RuleFile:
    """Return a file that has travelled."""
    return rules.RuleFile(file.path, file.text, file.own)


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
