"""Finds rule files on disk and reads them once, so that what was checked is what goes live."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from rules.problems import ProblemCollector, SourceLocation

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_FILE_BYTES = 1_048_576  # bytes; a rule file is a page or two
_SUFFIXES = frozenset({".yaml", ".yml"})


@dataclass(frozen=True, slots=True)
class RuleFile:
    """One file's path, as problems and decisions show it, and its text.

    An operator's `own` file lies over the shipped ones.
    """

    path: str
    text: str
    own: bool = False

    @property
    def name(self) -> str:
        """The name by which a file of the operator's meets one that is shipped."""
        return PurePath(self.path).name


def list_rule_files(path: Path) -> tuple[Path, ...]:
    """The rule files that a path means: itself, or those in the folder, by name.

    Hidden files, and the copies that editors leave behind, are none. A link that leads nowhere, or
    a folder of such a name, is one that can't be read, lest its rules be missing unnoticed. A pipe
    is left alone: to read it is to wait. Raises `RulesInvalid` where the folder can't be read.
    """
    found: list[Path] = []
    problems = ProblemCollector()
    try:
        if not path.is_dir():
            return (path,)
        found += (
            each for each in path.iterdir() if each.suffix in _SUFFIXES and not each.is_fifo()
        )
    except OSError as error:
        start = SourceLocation(str(path), 1, 1)
        problems.add(start, f"The folder cannot be read: {error.strerror}")
    problems.raise_if_any()
    return tuple(sorted(each for each in found if not each.name.startswith(".")))


def read_rule_files(paths: Iterable[Path], *, own: bool = False) -> tuple[RuleFile, ...]:
    """Read files as UTF-8 text; raises `RulesInvalid` with all that can't be read."""
    problems = ProblemCollector()
    texts = [(str(path), _read_text(path, problems)) for path in paths]
    problems.raise_if_any()
    return tuple(RuleFile(path, text, own) for path, text in texts if text is not None)


def _read_text(path: Path, problems: ProblemCollector) -> str | None:
    start = SourceLocation(str(path), 1, 1)
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
        if len(content) <= _MAX_FILE_BYTES:
            return content.decode("utf-8-sig")
        problems.add(start, "The file is larger than 1 MiB, a rule file is a page or two")
    except OSError as error:
        problems.add(start, f"The file cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        problems.add(start, "The file is not UTF-8 text: save it as UTF-8")
    return None
