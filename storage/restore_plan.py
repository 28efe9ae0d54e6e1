"""Puts prepared files and folders in place of others, so that a crash leaves all of it or nothing.

The plan is on the disk before the first move, and gone after the last. Each start of the daemon
finishes a plan that it finds, so that what a crash cut short is completed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import asdict

from storage.errors import ReplacementUnfinished
from storage.state_folder import StateFolder, sync_folder, write_durably


class FileMove(Struct, frozen=True):
    """One move: `prepared` becomes `target`; what is at `target` becomes `kept`.

    Prepared and target are on one file system. Without `prepared`, what is at `target` is only
    moved away; without `kept`, there is nothing there to keep.
    """

    prepared: str
    target: str
    kept: str


def begin_replacement(folder: StateFolder, moves: Sequence[FileMove], scratch: Path) -> None:
    """Write the plan: from here on it is carried out, by this process or by the next.

    `scratch` is the folder of prepared files, which is removed at the end.
    """
    plan = {"moves": [asdict(move) for move in moves], "scratch": str(scratch)}
    write_durably(folder.replacement_plan, json.dumps(plan, indent=1).encode())


def finish_replacement(folder: StateFolder) -> bool:
    """Carry out the plan that is there; return False where there is none. Repeat it after a crash.

    Raises ReplacementUnfinished where this user may not move a file.
    """
    try:
        plan = json.loads(folder.replacement_plan.read_bytes())
    except FileNotFoundError:
        return False
    try:
        for move in plan["moves"]:
            _make_move(FileMove(**move))
        shutil.rmtree(plan["scratch"], ignore_errors=True)
        folder.replacement_plan.unlink()
        sync_folder(folder.path)
    except OSError as error:
        raise ReplacementUnfinished(
            f"A restore was cut short, and {error.filename} can not be moved ({error.strerror}).",
            "Finish it as root: leadmaster restore --finish",
        ) from error
    return True


def _make_move(move: FileMove) -> None:
    prepared, target = Path(move.prepared), Path(move.target)
    if move.prepared and not os.path.lexists(prepared):
        return  # made before the crash
    if os.path.lexists(target):
        kept = Path(move.kept)
        _make_folder(kept.parent, like=target.parent)
        target.rename(kept)
        sync_folder(kept.parent)
    if move.prepared:
        _make_folder(target.parent, like=target.parent.parent)
        prepared.rename(target)
        sync_folder(prepared.parent)
    if target.parent.exists():
        sync_folder(target.parent)


def _make_folder(path: Path, *, like: Path) -> None:
    if not path.exists():
        path.mkdir(mode=0o700, parents=True)
        with contextlib.suppress(OSError):
            owner = like.stat()
            os.chown(path, owner.st_uid, owner.st_gid)
        sync_folder(path.parent)
