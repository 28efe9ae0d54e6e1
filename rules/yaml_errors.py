"""Says in a sentence what is wrong where a text is not YAML, and what to write instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ruamel.yaml.reader import ReaderError

from rules.problems import SourceLocation

if TYPE_CHECKING:
    from ruamel.yaml.error import StringMark

_QUOTE_HINT: Final = "a text with one of , : # [ ] { } in it is put in single quotes"
YAML_SENTENCES: Final = (
    (
        "but found another document",
        "A rule file holds one document: delete this `---`, or put what follows in another file",
    ),
    (r"found character '\t'", "A tab can't indent in YAML: use spaces"),
    (
        "found unknown escape character",
        r"In double quotes `\` begins an escape: put a text with `\` in it in single quotes",
    ),
    (
        "found unexpected end of stream",
        "A quotation mark is opened and never closed",
    ),
    (
        "expected ',' or",
        f"A comma, bracket or quotation mark is missing before this: {_QUOTE_HINT}",
    ),
    ("mapping values are not allowed", f"No `:` is possible here: {_QUOTE_HINT}"),
    (
        "expected <block end>",
        "This line is not indented as the lines are that it belongs to",
    ),
    ("could not find expected ':'", "A `:` is missing after the word that begins this line"),
    ("that cannot start any token", "No value begins with this character: put it in quotes"),
)
"""The beginning or a part of the parser's message, and our sentence for it."""


def locate_yaml_error(error: Exception, text: str, start: SourceLocation) -> SourceLocation:
    """Return where in ``text`` the parser's error is; ``start`` where it does not say."""
    if isinstance(error, ReaderError):
        return locate_offset(start, text[: int(error.position)])
    mark: StringMark | None = getattr(error, "problem_mark", None)
    return start if mark is None else SourceLocation(start.file, mark.line + 1, mark.column + 1)


def locate_offset(start: SourceLocation, before: str) -> SourceLocation:
    """Return the location that follows the text ``before`` of a file."""
    return SourceLocation(start.file, before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1)


def describe_yaml_error(error: Exception) -> str:
    """Return a sentence for an error of the parser, in our words where we have some."""
    if isinstance(error, ReaderError):
        return "This character has no place in a text file: delete it"
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "")
    for part, sentence in YAML_SENTENCES:
        if part in problem:
            return sentence
    return f"This is not valid YAML: {problem or 'it could not be understood'}"
