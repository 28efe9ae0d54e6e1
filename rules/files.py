"""Finds rule files on disk, and reads each once, so that what was checked is what goes live."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from msgspec import Struct

from rules.problems import ProblemCollector, SourceLocation
from rules.yaml_errors import locate_offset

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_FILE_BYTES = 1_048_576  # bytes; a rule file is a page or two
_SUFFIXES = frozenset({".yaml", ".yml"})
_SETTLED_BY = ("st_dev", "st_ino", "st_size", "st_mtime_ns")


class RuleFile(Struct, frozen=True):
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

    Raises `RulesInvalid` where the folder can't be read, or a file in it has a name that is no
    text.
    """
    found: list[Path] = []
    problems = ProblemCollector()
    try:
        if not path.is_dir():
            return (path,)
        # By name, not by type: a broken link or a folder `x.yaml` is an error when it is read, or
        # its rules would be missing unnoticed. Reading a pipe would wait for ever.
        found += (
            each for each in path.iterdir() if has_rule_file_name(each.name) and not each.is_fifo()
        )
    except OSError as error:
        start = SourceLocation(str(path), 1, 1)
        problems.add(start, f"The folder cannot be read: {error.strerror}")
    found.sort()
    for each in found:
        _check_name(each, problems)
    problems.raise_if_any()
    return tuple(found)


def has_rule_file_name(name: str) -> bool:
    """Return whether a folder's entry of this name is read as a rule file.

    Hidden files, which editors leave behind, are not.
    """
    return PurePath(name).suffix in _SUFFIXES and not name.startswith(".")


def _check_name(path: Path, problems: ProblemCollector) -> None:
    """Add a problem where the name is not UTF-8: no message and no row could hold it."""
    shown = os.fsencode(path).decode(errors="replace")
    if shown != str(path):
        problems.add(SourceLocation(shown, 1, 1), "The name of this file is not UTF-8: rename it")


def read_rule_files(paths: Iterable[Path], *, own: bool = False) -> tuple[RuleFile, ...]:
    """Read files as UTF-8 text. Raises `RulesInvalid` with a problem for each unreadable one."""
    problems = ProblemCollector()
    texts = [(str(path), _read_text(path, problems)) for path in paths]
    problems.raise_if_any()
    return tuple(RuleFile(path, text, own) for path, text in texts if text is not None)


def _read_text(path: Path, problems: ProblemCollector) -> str | None:
    start = SourceLocation(str(path), 1, 1)
    try:
        content = _read_settled(path)
    except OSError as error:
        problems.add(start, f"The file cannot be read: {error.strerror}")
        return None
    if content is None:
        problems.add(start, "The file was changed while it was read: save it once more")
    elif len(content) > _MAX_FILE_BYTES:
        problems.add(start, "The file is larger than 1 MiB, a rule file is a page or two")
    else:
        return _decode(content, start, problems)
    return None


def _read_settled(path: Path) -> bytes | None:
    """Return the first bytes of a regular file; None where it changed meanwhile.

    The half of a file that is being written may be a valid one, with rules missing.
    """
    with open(path, "rb", opener=_open_without_waiting) as file:
        before = os.fstat(file.fileno())
        if not stat.S_ISREG(before.st_mode):
            raise OSError(errno.EINVAL, "It is no regular file")
        content = file.read(_MAX_FILE_BYTES + 1)
        after = path.stat()
    unchanged = all(getattr(before, name) == getattr(after, name) for name in _SETTLED_BY)
    return content if unchanged else None


def _open_without_waiting(path: str, flags: int) -> int:
    # A pipe may have taken the place of the file since the folder was listed.
    return os.open(path, flags | os.O_NONBLOCK)


def _decode(content: bytes, start: SourceLocation, problems: ProblemCollector) -> str | None:
    try:
        return content.decode("utf-8-sig")  # Windows editors write a byte order mark
    except UnicodeDecodeError as error:
        place = locate_offset(start, content[: error.start].decode())
        problems.add(place, "This character is not UTF-8: save the file as UTF-8")
    return None
