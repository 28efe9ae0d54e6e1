"""Prints the output of commands: wrapped text, hints, JSON, CSV files and errors."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from daemon.cli.command_hints import expand_commands
from daemon.severity import (
    CONNECTION_SEVERITY,
    MESSAGE_SEVERITY,
    VERDICT_SEVERITY,
    Severity,
)

if TYPE_CHECKING:
    from rich.console import Console


COLUMN_GAP: Final = 2
READABLE_WIDTH: Final = 24
"""The least number of columns for a readable sentence."""


class TextCell(Struct, frozen=True):
    """A value of a table. A whole one (an id, a time) is never wrapped."""

    text: str
    style: str = ""
    whole: bool = False

    def wrap(self, width: int) -> list[str]:
        """Return the text in lines of at most `width`; a wider word gets a line of its own."""
        # A path or an id that is cut in two could not be copied.
        return [line for part in self._split_words() for line in _wrap_words(part, width)]

    @property
    def natural_width(self) -> int:
        """Return the width of the text without wrapping."""
        return max(map(text_width, self.text.split("\n")))

    @property
    def least_width(self) -> int:
        """Return the least width at which the text is readable."""
        longest = max(
            (text_width(word) for part in self._split_words() for word in part), default=0
        )
        return max(longest, min(self.natural_width, READABLE_WIDTH))

    def _split_words(self) -> list[list[str]]:
        return [[line] if self.whole else line.split() for line in self.text.split("\n")]


def text_width(text: str) -> int:
    """Return how many columns of a terminal the text takes."""
    if text.isascii():  # by far the most frequent; rich is slow to import
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def wrap_hanging(line: str, width: int) -> list[str]:
    """Wrap a line at `width`; further lines are indented like the first."""
    if text_width(line) <= width:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    return [indent + part for part in TextCell(line).wrap(max(width - len(indent), 1))]


def pad_text(text: str, width: int) -> str:
    """Return the text filled with spaces to `width`."""
    return text + " " * (width - text_width(text))


def fit_columns(columns: Iterable[Sequence[TextCell]], screen: int | None) -> list[int] | None:
    """Return the width of each column of a table; None where the screen is too narrow for it.

    Without a screen (None, a pipe) every column has its natural width.
    """
    columns = list(columns)
    natural = [max(cell.natural_width for cell in cells) for cells in columns]
    gaps = COLUMN_GAP * (len(columns) - 1)
    if screen is None or sum(natural) + gaps <= screen:
        return natural
    least = [max(cell.least_width for cell in cells) for cells in columns]
    spare = screen - sum(least) - gaps
    return None if spare < 0 else _share_width(spare, least, natural)


def _share_width(spare: int, least: list[int], natural: list[int]) -> list[int]:
    """Return the widths of the columns, widened evenly and none beyond its natural width."""
    found = list(least)
    # Those that need least come first, so that what they leave goes to the others.
    by_need = sorted(range(len(least)), key=lambda index: natural[index] - least[index])
    for place, index in enumerate(by_need):
        more = min(natural[index] - least[index], spare // (len(by_need) - place))
        found[index] += more
        spare -= more
    return found


def _wrap_words(words: Sequence[str], width: int) -> list[str]:
    lines = [""]
    for word in words:
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and text_width(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


_CONTROL_PICTURES: Final = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"},
    0x7F: 0x2421,
    **dict.fromkeys((*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)), 0xFFFD),
}
"""Control characters by their Unicode pictures; those that change the writing direction by �."""
_SEVERITY_COLOURS: Final[Mapping[Severity, str]] = {
    Severity.READY: "green",
    Severity.WAITING: "blue",
    Severity.NEEDS_YOU: "yellow",
    Severity.STOPPED: "red",
    Severity.OFF: "bright_black",
}
STATE_COLOURS: Final[Mapping[str, str]] = {
    word: _SEVERITY_COLOURS[severity]
    for severities in (CONNECTION_SEVERITY, MESSAGE_SEVERITY, VERDICT_SEVERITY)
    for word, severity in severities.items()
}
"""Colours of states; the state itself is always printed too."""


def build_console(*, stderr: bool = False) -> Console:
    """Return a console for coloured lines; a pipe gets them plain."""
    from rich.console import Console
    from rich.text import Text

    # Whatever is printed, also by rich itself, passes through here.
    class Screen(Console):
        def render_str(self, text: str, **how: Any) -> Text:  # noqa: ANN401 - rich's own options
            return super().render_str(escape_controls(text), **how)

    stream = sys.stderr if stderr else sys.stdout
    return Screen(file=stream, highlight=False, soft_wrap=True, emoji=False)


def escape_controls(text: str) -> str:
    """Return text with its control characters replaced: a name must not control a terminal."""
    return text.translate(_CONTROL_PICTURES)


def get_screen_width() -> int | None:
    """Return the columns of the terminal; None in a pipe, where lines are not wrapped."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def print_text(text: str) -> None:
    """Print text; on a terminal wrapped between words, with a hanging indent."""
    screen = get_screen_width()
    lines = [escape_controls(line) for line in text.split("\n")]
    if screen is not None:
        lines = [part for line in lines for part in wrap_hanging(line, screen)]
    print_raw("\n".join(lines))


def print_raw(text: str) -> None:
    """Print a text as it is, in one write, since other threads may print too."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def print_hint(text: str) -> None:
    """Print what to do next; a command in it is completed, and not wrapped."""
    print_raw(escape_controls(expand_commands(text)))


def print_json(document: object) -> None:
    """Print a document of the daemon unchanged, for programs."""
    print(json.dumps(document, ensure_ascii=False, indent=2))


def print_json_line(document: object) -> None:
    """Print one document on one line, and flush it."""
    print(json.dumps(document, ensure_ascii=False), flush=True)


def write_csv(content: bytes, path: Path | None, *, json_: bool) -> None:
    """Write a CSV file that only its owner may read, or print it, or print its records as JSON."""
    import csv
    import io

    records = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    if path is not None:
        _write_private(content, path)
    if json_:
        print_json(records)
    elif path is None:
        sys.stdout.write(content.decode())
    else:
        print_text(f"{len(records)} records are in {path}")


def write_file(content: bytes, path: Path, *, json_: bool) -> None:
    """Write a file that only its owner may read, and print where it is."""
    _write_private(content, path)
    if json_:
        print_json({"file": str(path), "bytes": len(content)})
    else:
        print_text(f"{len(content)} bytes are in {path}")


def _write_private(content: bytes, path: Path) -> None:
    # Created before it is written: with the umask alone, others might read the first bytes.
    path.touch(mode=0o600)
    path.write_bytes(content)


def print_error(code: str, sentence: str, hint: str) -> None:
    """Print an error on standard error: what happened, and what to do about it."""
    print(escape_controls(f"{code}: {sentence}"), file=sys.stderr)
    if hint:
        print(escape_controls(f"hint: {expand_commands(hint)}"), file=sys.stderr)


def print_error_json(problem: Mapping[str, object]) -> None:
    """Print a problem document on standard error, as the HTTP interface would answer it."""
    document = {**problem, "hint": expand_commands(str(problem["hint"]))}
    print(json.dumps(document, ensure_ascii=False), file=sys.stderr)
