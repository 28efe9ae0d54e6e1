"""Import sources: the types by which a plugin reads prospect lists from files."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias


@dataclass(frozen=True, slots=True)
class ImportRow:
    """One data record: its number in the file (the first data record is 2) and its cells."""

    record: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SourcePreview:
    """A preview of a file: a description of its form, its headers and its first rows.

    ``mapping`` is from our column (``phone``, ``name``, ``trade``, ``cartera_origen``,
    ``permission``, ``data_date``, ``notes``, ``evidence``) to the file's header.
    """

    form: str
    headers: Sequence[str]
    mapping: Mapping[str, str]
    rows: Sequence[ImportRow] = field(default_factory=tuple)


class OpenedSource(Protocol):
    """A file that is open for import."""

    def preview(self) -> SourcePreview:
        """Return form, headers, guessed mapping and the first rows."""
        ...

    def rows(self) -> Iterator[ImportRow]:
        """Yield every data record once, in file order."""
        ...


class SourceUnreadable(Exception):
    """The file can't be read by this source; the message says what is wrong, where, what to do."""


OpenSource: TypeAlias = Callable[[Path], OpenedSource]


@dataclass(frozen=True, slots=True)
class ImportSource:
    """An import source, as a plugin declares it. ``suffixes`` are lower-case, with the dot."""

    name: str
    summary: str
    suffixes: tuple[str, ...]
    open: OpenSource


def normalise_text(text: str) -> str:
    """Return the words of a header or a cell without case, accents and punctuation."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(each for each in plain if not unicodedata.combining(each))
    return " ".join(re.findall(r"[a-z0-9]+", letters))
