"""What the daemon and the child that tries rule files say to each other, a line at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

import rules

Engines = Literal["both", "reference"]


class RuleFileContent(msgspec.Struct, frozen=True):
    """A rule file as it travels."""

    path: str
    text: str
    own: bool


class Request(msgspec.Struct, frozen=True):
    """Try these; `channels` are those that a rule may route to, if that is known."""

    files: tuple[RuleFileContent, ...]
    engines: Engines
    channels: tuple[str, ...] | None = None


class Remark(msgspec.Struct, frozen=True):
    """A problem or a warning, and its place."""

    file: str
    line: int
    column: int
    sentence: str

    def __str__(self) -> str:
        """`file:line:column: sentence`, as editors link it."""
        return f"{self.file}:{self.line}:{self.column}: {self.sentence}"


class Stage(msgspec.Struct, frozen=True, tag="stage"):
    """The child is about to do this, here."""

    stage: str
    file: str
    line: int
    column: int


class Tried(msgspec.Struct, frozen=True, tag="tried"):
    """What came of it; with problems the files can't go live."""

    problems: tuple[Remark, ...] = ()
    warnings: tuple[Remark, ...] = ()
    examples: int = 0


Answer = Stage | Tried
_answers = msgspec.json.Decoder(Answer)
_requests = msgspec.json.Decoder(Request)


def plain(file: rules.RuleFile) -> RuleFileContent:
    """Return a file ready to travel."""
    return RuleFileContent(file.path, file.text, file.own)


def rule_file(file: RuleFileContent) -> rules.RuleFile:
    """Return a file that has travelled."""
    return rules.RuleFile(file.path, file.text, file.own)


def remarks(problems: Iterable[rules.RuleProblem]) -> tuple[Remark, ...]:
    """Return problems ready to travel."""
    return tuple(Remark(each.file, each.line, each.column, each.sentence) for each in problems)


def encode(message: Request | Answer) -> bytes:
    """Return one line."""
    return msgspec.json.encode(message) + b"\n"


def decode_request(line: bytes) -> Request:
    """Read the daemon's line."""
    return _requests.decode(line)


def decode_answer(line: bytes) -> Answer:
    """Read the child's line; raises ``msgspec.MsgspecError`` where it is none."""
    answer: Answer = _answers.decode(line)
    return answer
