"""What commands print: tables and stories on a terminal, JSON for programs, errors in two lines."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH: Final = 160
_SIGNS: Final = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}
"""Control characters become the pictures that Unicode has for them."""
COLOURS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("ready", "cleared", "sent", "delivered", "read", "confirmed_by_hand", "allow"), "green"
    ),
    **dict.fromkeys(("queued", "deferred", "taken", "revealed", "sending", "defer"), "blue"),
    **dict.fromkeys(("held", "in_doubt", "awaiting_scan", "review", "route"), "yellow"),
    **dict.fromkeys(("blocked", "failed", "logged_out", "banned_temporarily", "block"), "red"),
    **dict.fromkeys(("cancelled", "expired", "stopped"), "bright_black"),
}
"""Colour is for state only, and always beside the word."""


def console(*, stderr: bool = False) -> Console:
    """Return a console as wide as the terminal; a pipe gets plain text of a fixed width."""
    from rich.console import Console
    from rich.text import Text

    class Screen(Console):
        def render_str(self, text: str, **how: Any) -> Text:  # noqa: ANN401 - rich's own options
            return super().render_str(visible(text), **how)

    stream = sys.stderr if stderr else sys.stdout
    width = shutil.get_terminal_size().columns if stream.isatty() else _pipe_width()
    return Screen(file=stream, width=width, highlight=False, soft_wrap=False, emoji=False)


def visible(text: str) -> str:
    """Return text with its control characters as signs: a name must not steer a terminal."""
    return text.translate(_SIGNS)


def _pipe_width() -> int:
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() and int(columns) > 0 else PIPE_WIDTH


def say(sentence: str) -> None:
    """Print one line of plain words."""
    print(visible(sentence))


def print_json(thing: object) -> None:
    """Print a document as the daemon gave it: stable, for programs."""
    print(json.dumps(thing, ensure_ascii=False, indent=2))


def print_line(thing: object) -> None:
    """Print one document on one line, at once."""
    print(json.dumps(thing, ensure_ascii=False), flush=True)


def give_out(content: bytes, path: Path | None, *, json_: bool) -> None:
    """Write a CSV file that its owner alone may read, or print it; as JSON, its records."""
    import csv
    import io

    records = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    if path is not None:
        path.touch(mode=0o600)
        path.write_bytes(content)
    if json_:
        print_json(records)
    elif path is None:
        sys.stdout.write(content.decode())
    else:
        say(f"{len(records)} records are in {path}")


def print_table(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, empty: str
) -> None:
    """Print rows under headings (`columns` goes from key to heading), or what to do instead."""
    if not rows:
        print(empty)
        return
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for key, heading in columns.items():
        table.add_column(heading, no_wrap=key in _WHOLE, overflow="fold")
    for row in rows:
        table.add_row(*(cell(key, row.get(key)) for key in columns))
    console().print(table)


_WHOLE: Final = frozenset({"id", "name", "state", "phone", "recipient", "score"})
"""Columns that are copied or compared: they are never broken over two lines."""


def print_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print names and values below each other."""
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        if value not in (None, ""):
            table.add_row(name, cell(name, value))
    console().print(table)


def cell(key: str, value: object) -> str:
    """Return a value as a person reads it; moments are cut to the second, in UTC."""
    from rich.markup import escape

    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = escape(str(value))
    if key in {"state", "verdict", "connection"} and (colour := COLOURS.get(str(value))):
        return f"[{colour}]{text}[/{colour}]"
    return moment(text) if key.endswith(("at", "since", "deadline", "until")) else text


def moment(text: str) -> str:
    """Return an ISO moment without its fraction, as `2026-03-02 14:00:00`."""
    return text[:19].replace("T", " ") if text[4:5] == "-" and text[10:11] == "T" else text


def explain(code: str, sentence: str, hint: str) -> None:
    """Print an error on standard error: what happened, and what to do about it."""
    print(f"{code}: {sentence}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)
