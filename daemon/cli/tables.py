"""Prints tables: as columns where they fit, else as a card for each row; in a pipe, as lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from daemon.cli.console import (
    COLUMN_GAP,
    READABLE_WIDTH,
    STATE_COLOURS,
    TextCell,
    build_console,
    escape_controls,
    fit_columns,
    get_screen_width,
    pad_text,
    print_hint,
    text_width,
)
from daemon.cli.time_format import format_time, is_iso_time

if TYPE_CHECKING:
    from rich.text import Text

_UNBROKEN_COLUMNS: Final = frozenset({"id", "state", "phone", "recipient", "alias", "score"})
"""Columns that are never wrapped, since people copy or compare their values."""
_COLOURED_COLUMNS: Final = frozenset({"state", "verdict", "connection"})
_Pairs = Sequence[tuple[str, TextCell]]


def print_table(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, empty: str
) -> None:
    """Print rows under headings (`columns` maps keys to headings), or the hint `empty`.

    Where the screen is too narrow for a readable table, each row is a card. Nothing is
    ever cut off. In a pipe every row is one line.
    """
    if not rows:
        print_hint(empty)
        return
    _print_lines(render_table(rows, columns, get_screen_width()))


def print_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one a line; empty ones are left out."""
    screen = get_screen_width()
    pairs = [
        (name, build_cell(name, value, flat=screen is None))
        for name, value in fields
        if value not in (None, "")
    ]
    _print_lines(_render_pairs(pairs, screen))


def print_hanging(prefix: Text, text: str) -> None:
    """Print text after a prefix, with a hanging indent."""
    _print_lines(render_hanging(prefix, text, get_screen_width()))


def build_cell(key: str, value: object, *, flat: bool = False) -> TextCell:
    """Return a value formatted for people; a flat one is on one line."""
    if value is None:
        return TextCell("")
    if isinstance(value, bool):
        return TextCell("yes" if value else "no")
    text = escape_controls(str(value)).replace("\t", " ").strip()
    if is_iso_time(text):
        return TextCell(format_time(text), whole=True)
    style = STATE_COLOURS.get(text, "") if key in _COLOURED_COLUMNS else ""
    return TextCell(" ".join(text.split()) if flat else text, style, whole=key in _UNBROKEN_COLUMNS)


def render_table(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], screen: int | None
) -> Iterator[Text]:
    """Yield the lines of a table for a screen of `screen` columns, or for a pipe (None)."""
    from rich.text import Text

    grid = [[build_cell(key, row.get(key), flat=screen is None) for key in columns] for row in rows]
    heads = [TextCell(escape_controls(heading), "bold", whole=True) for heading in columns.values()]
    widths = fit_columns(zip(heads, *grid, strict=True), screen)
    if widths is None:
        yield from _render_cards([head.text for head in heads], grid, screen)
        return
    yield from _render_row(heads, widths)
    yield Text("─" * (sum(widths) + COLUMN_GAP * (len(widths) - 1)))
    for row in grid:
        yield from _render_row(row, widths)


def render_hanging(prefix: Text, text: str, screen: int | None) -> Iterator[Text]:
    """Yield the lines of a text after a prefix, with a hanging indent."""
    from rich.text import Text

    first, text = prefix.cell_len, escape_controls(text)
    if screen is None or first + text_width(text) <= screen:
        yield prefix.append(text)
        return
    # A prefix that leaves too few columns for a sentence gets a line of its own.
    beside = screen - first >= READABLE_WIDTH
    indent = first if beside else COLUMN_GAP * 2
    lines = TextCell(text).wrap(max(screen - indent, 1))
    yield prefix.append(lines.pop(0)) if beside else prefix
    for line in lines:
        yield Text(" " * indent + line)


def _render_row(row: Sequence[TextCell], widths: Sequence[int]) -> Iterator[Text]:
    from rich.text import Text

    columns = [each.wrap(width) for each, width in zip(row, widths, strict=True)]
    for parts in zip_longest(*columns, fillvalue=""):
        line = Text(" " * COLUMN_GAP).join(
            Text(pad_text(part, width), each.style)
            for part, each, width in zip(parts, row, widths, strict=True)
        )
        line.rstrip()
        yield line


def _render_cards(
    names: Sequence[str], grid: Sequence[Sequence[TextCell]], screen: int | None
) -> Iterator[Text]:
    """Yield each row as a card: its first value, then name and value of the others."""
    from rich.text import Text

    for number, (title, *others) in enumerate(grid):
        if number:
            yield Text()
        yield Text(f"{names[0]} ").append(title.text, "bold")
        named = zip(names[1:], others, strict=True)
        yield from _render_pairs(
            [(f"{name}:", each) for name, each in named if each.text], screen, COLUMN_GAP
        )


def _render_pairs(pairs: _Pairs, screen: int | None, indent: int = 0) -> Iterator[Text]:
    """Yield each name with its value on a line; a value that does not fit goes below."""
    from rich.text import Text

    label_width = indent + COLUMN_GAP + max((text_width(name) for name, _ in pairs), default=0)
    for name, each in pairs:
        label = pad_text(" " * indent + name, label_width)
        lines = each.wrap(each.natural_width if screen is None else max(screen - label_width, 1))
        if screen is not None and any(label_width + text_width(line) > screen for line in lines):
            yield Text(label, "bold")
            lines, label = (
                each.wrap(max(screen - indent - COLUMN_GAP, 1)),
                " " * (indent + COLUMN_GAP),
            )
        for line in lines:
            yield Text(label, "bold").append(line, each.style)
            label = " " * text_width(label)


def _print_lines(lines: Iterable[Text]) -> None:
    from rich.text import Text

    # In one print: in the demonstration, events are printed by another thread.
    build_console().print(Text("\n").join(lines))
