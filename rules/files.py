"""Finds rule files on disk, and reads each once, so that what was checked is what goes live."""

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
    """One file: its path, as problems and decisions show it, and its text.

    `own`: an operator's file, which is merged over the shipped one of the same name.
    """

    path: str
    text: str
    own: bool = False

    @property
    def name(self) -> str:
        """The file name, by which an operator's file is matched with a shipped one."""
        return PurePath(self.path).name


def list_rule_files(path: Path) -> tuple[Path, ...]:
    """Return the rule files of a path: itself, or those in the folder, sorted by name.

    Hidden files, which editors leave behind, are left out. Raises `RulesInvalid` where the folder
    can't be read.
    """
    found: list[Path] = []
    problems = ProblemCollector()
    try:
        if not path.is_dir():
            return (path,)
        # By suffix, not by type: a broken link or a folder `x.yaml` is an error when it is read, or
        # its rules would be missing unnoticed. Reading a pipe would wait for ever.
        found += (
            each for each in path.iterdir() if each.suffix in _SUFFIXES and not each.is_fifo()
        )
    except OSError as error:
        start = SourceLocation(str(path), 1, 1)
        problems.add(start, f"The folder cannot be read: {error.strerror}")
    problems.raise_if_any()
    return tuple(sorted(each for each in found if not each.name.startswith(".")))


def read_rule_files(paths: Iterable[Path], *, own: bool = False) -> tuple[RuleFile, ...]:
    """Read files as UTF-8 text. Raises `RulesInvalid` with a problem for each unreadable one."""
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
            return content.decode("utf-8-sig")  # Windows editors write a byte order mark
        problems.add(start, "The file is larger than 1 MiB, a rule file is a page or two")
    except OSError as error:
        problems.add(start, f"The file cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        problems.add(start, "The file is not UTF-8 text: save it as UTF-8")
    return None
