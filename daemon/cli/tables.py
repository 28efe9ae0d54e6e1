"""Tables where they fit, a card for each row where they don't, one plain line a row in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from daemon.cli.layout import GAP, READABLE, Cell, padded, width_of, widths
from daemon.cli.moments import is_moment, moment
from daemon.cli.screen import COLOURS, advise, console, screen_width, visible

if TYPE_CHECKING:
    from rich.text import Text

_WHOLE: Final = frozenset({"id", "state", "phone", "recipient", "alias", "score"})
"""Columns that are copied or compared: they are never broken over two lines."""
_COLOURED: Final = frozenset({"state", "verdict", "connection"})
_Pairs = Sequence[tuple[str, Cell]]


def print_table(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, empty: str
) -> None:
    """Print rows under headings (`columns` goes from key to heading), or what to do instead.

    Where the screen is too narrow for a table that can be read, each row is a card. Nothing is
    ever cut. In a pipe every row is one line, however long.
    """
    if not rows:
        advise(empty)
        return
    _print(table_lines(rows, columns, screen_width()))


def print_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print names and values below each other; what is not known is left out."""
    screen = screen_width()
    pairs = [
        (name, cell(name, value, flat=screen is None))
        for name, value in facts
        if value not in (None, "")
    ]
    _print(_pair_lines(pairs, screen))


def print_hanging(before: Text, words: str) -> None:
    """Print words behind some others; their further lines stand below their first."""
    _print(hanging_lines(before, words, screen_width()))


def cell(key: str, value: object, *, flat: bool = False) -> Cell:
    """Return a value as a person reads it; a flat one is on one line."""
    if value is None:
        return Cell("")
    if isinstance(value, bool):
        return Cell("yes" if value else "no")
    text = visible(str(value)).replace("\t", " ").strip()
    if is_moment(text):
        return Cell(moment(text), whole=True)
    style = COLOURS.get(text, "") if key in _COLOURED else ""
    return Cell(" ".join(text.split()) if flat else text, style, whole=key in _WHOLE)


def table_lines(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], screen: int | None
) -> Iterator[Text]:
    """Yield the lines of a table for a screen of so many columns, or for a pipe."""
    from rich.text import Text

    grid = [[cell(key, row.get(key), flat=screen is None) for key in columns] for row in rows]
    heads = [Cell(visible(heading), "bold", whole=True) for heading in columns.values()]
    found = widths(zip(heads, *grid, strict=True), screen)
    if found is None:
        yield from _cards([head.text for head in heads], grid, screen)
        return
    yield from _row_lines(heads, found)
    yield Text("─" * (sum(found) + GAP * (len(found) - 1)))
    for row in grid:
        yield from _row_lines(row, found)


def hanging_lines(before: Text, words: str, screen: int | None) -> Iterator[Text]:
    """Yield words behind some others, the further lines below the first of them."""
    from rich.text import Text

    first, words = before.cell_len, visible(words)
    if screen is None or first + width_of(words) <= screen:
        yield before.append(words)
        return
    beside = screen - first >= READABLE
    indent = first if beside else GAP * 2
    lines = Cell(words).lines(max(screen - indent, 1))
    yield before.append(lines.pop(0)) if beside else before
    for line in lines:
        yield Text(" " * indent + line)


def _row_lines(row: Sequence[Cell], found: Sequence[int]) -> Iterator[Text]:
    from rich.text import Text

    columns = [each.lines(width) for each, width in zip(row, found, strict=True)]
    for parts in zip_longest(*columns, fillvalue=""):
        line = Text(" " * GAP).join(
            Text(padded(part, width), each.style)
            for part, each, width in zip(parts, row, found, strict=True)
        )
        line.rstrip()
        yield line


def _cards(
    names: Sequence[str], grid: Sequence[Sequence[Cell]], screen: int | None
) -> Iterator[Text]:
    """Yield each row as its first value, and below it name and value of the others."""
    from rich.text import Text

    for number, (title, *others) in enumerate(grid):
        if number:
            yield Text()
        yield Text(f"{names[0]} ").append(title.text, "bold")
        named = zip(names[1:], others, strict=True)
        yield from _pair_lines(
            [(f"{name}:", each) for name, each in named if each.text], screen, GAP
        )


def _pair_lines(pairs: _Pairs, screen: int | None, indent: int = 0) -> Iterator[Text]:
    """Yield names and values beside each other; a value that has no room there, below."""
    from rich.text import Text

    room = indent + GAP + max((width_of(name) for name, _ in pairs), default=0)
    for name, each in pairs:
        label = padded(" " * indent + name, room)
        lines = each.lines(each.natural if screen is None else max(screen - room, 1))
        if screen is not None and any(room + width_of(line) > screen for line in lines):
            yield Text(label, "bold")
            lines, label = each.lines(max(screen - indent - GAP, 1)), " " * (indent + GAP)
        for line in lines:
            yield Text(label, "bold").append(line, each.style)
            label = " " * width_of(label)


def _print(lines: Iterable[Text]) -> None:
    from rich.text import Text

    console().print(Text("\n").join(lines))
