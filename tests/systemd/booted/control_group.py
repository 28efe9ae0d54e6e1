"""Control groups of a booted root: one of its own, and a limit of its memory from outside."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

_MOUNT: Final = Path("/sys/fs/cgroup")
_numbers = itertools.count()


@contextlib.contextmanager
def create_control_groups(memory_bytes: int | None = None) -> Iterator[Sequence[Path]]:
    """Make the groups that the parent of a root joins; each is a folder with `cgroup.procs`.

    With ``memory_bytes``, all its processes together may use no more. That needs the memory
    controller of version 1: a machine that has it there has none for the root's own systemd.
    """
    name = f"leadmaster-tests-{os.getpid()}-{next(_numbers)}"
    folders = [hierarchy / name for hierarchy in _list_hierarchies()]
    if memory_bytes is not None:
        folders.append(_MOUNT / "memory" / name)
    try:
        for folder in folders:
            folder.mkdir()
        if memory_bytes is not None:
            (folders[-1] / "memory.limit_in_bytes").write_text(str(memory_bytes), encoding="ascii")
        yield folders
    finally:
        for folder in folders:
            _remove_group(folder)


def _list_hierarchies() -> list[Path]:
    """Return where systemd keeps its groups: version 2, beside which may be one of version 1."""
    if (_MOUNT / "cgroup.procs").exists():
        return [_MOUNT]
    return [each for each in (_MOUNT / "unified", _MOUNT / "systemd") if each.is_dir()]


def _remove_group(folder: Path) -> None:
    """Remove a group and those in it, which the root's systemd made."""
    for path, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            Path(path).rmdir()
