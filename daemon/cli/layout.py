"""How words are laid out on a screen of some width: wrapped between words, never within one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

COLUMN_GAP: Final = 2
READABLE_WIDTH: Final = 24
"""Columns that a sentence needs at least; in fewer it turns into a tower of single words."""


@dataclass(frozen=True, slots=True)
class TextCell:
    """A value as it is shown. A whole one (an id, a moment) is one word, whatever is in it."""

    text: str
    style: str = ""
    whole: bool = False

    def wrap(self, width: int) -> list[str]:
        """Return the text in lines of `width` at most, but for words that are wider by themselves.

        Those stand alone on a line of their own: cut in two they could not be copied.
        """
        return [line for part in self._split_words() for line in _wrap_words(part, width)]

    @property
    def natural_width(self) -> int:
        """Return the width of the text as it is."""
        return max(map(text_width, self.text.split("\n")))

    @property
    def least_width(self) -> int:
        """Return the width below which the text could not be read."""
        longest = max(
            (text_width(word) for part in self._split_words() for word in part), default=0
        )
        return max(longest, min(self.natural_width, READABLE_WIDTH))

    def _split_words(self) -> list[list[str]]:
        return [[line] if self.whole else line.split() for line in self.text.split("\n")]


def text_width(text: str) -> int:
    """Return how many columns a terminal needs for the text: an emoji takes two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def wrap_hanging(line: str, width: int) -> list[str]:
    """Return a line in parts of `width`, the further ones as far in as it begins."""
    if text_width(line) <= width:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    return [indent + part for part in TextCell(line).wrap(max(width - len(indent), 1))]


def pad_text(text: str, width: int) -> str:
    """Return the text with spaces behind it, up to `width`."""
    return text + " " * (width - text_width(text))


def fit_columns(columns: Iterable[Sequence[TextCell]], screen: int | None) -> list[int] | None:
    """Return the width of each column of a table; None where the screen is too narrow for it.

    Without a screen (None, a pipe) every column is as wide as it likes.
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
    """Widen the columns evenly, none beyond what it needs."""
    found = list(least)
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
