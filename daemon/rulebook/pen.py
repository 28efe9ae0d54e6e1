"""Writes rule files into the operator's folder, each whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import rules
from daemon.errors import Conflict, Unavailable
from daemon.settings import RulesSettings

_NO_EXECUTE_BITS: Final = 0o666


def require_writable_folder(settings: RulesSettings) -> Path:
    """Return the operator's folder; raise :class:`Conflict` where there is none to write in."""
    if not settings.dir:
        raise Conflict(
            "No folder for rules of your own is set.",
            hint="Set dir under [rules] in leadmaster.toml, and start the daemon again.",
        )
    folder = Path(settings.dir)
    if not folder.is_dir():
        raise Conflict(
            f"The folder for rules of your own, {folder}, is not there.",
            hint=f"Make it, for the user that runs the daemon: mkdir -p {folder}",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Conflict(
            f"The daemon may not write in {folder}.",
            hint="Give the folder to the user that runs the daemon, or edit the files by hand.",
        )
    return folder


def write_rule_files(files: Iterable[rules.RuleFile]) -> None:
    """Replace files, or begin them, with the rights that stand there or that the folder has.

    After a power cut each is the old one or the new one; raises :class:`Unavailable`.
    """
    for file in files:
        path = Path(file.path)
        try:
            _replace_file(path.resolve(), file.text.encode())
        except OSError as error:
            raise Unavailable(f"The file {path} could not be written: {error.strerror}.") from error


def _replace_file(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.new")  # hidden: no reader of the folder takes it
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, _choose_mode(path))
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)


def _choose_mode(path: Path) -> int:
    like = path if path.exists() else path.parent
    return stat.S_IMODE(like.stat().st_mode) & _NO_EXECUTE_BITS
