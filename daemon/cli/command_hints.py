"""Rewrites a `leadmaster ...` command of a hint so that it can be copied on this machine."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Iterable
from contextvars import ContextVar
from pathlib import Path
from typing import Final

PROGRAM: Final = "leadmaster"
_COMMAND: Final = re.compile(rf"\b{PROGRAM} (?=[a-z]+\b)")
_OPTIONS: ContextVar[str] = ContextVar("options", default="")


def program_name() -> str:
    """Return the program's name, or its path where the shell does not find it by name."""
    path = sys.argv[0]
    return PROGRAM if shutil.which(PROGRAM) or Path(path).name != PROGRAM else shlex.quote(path)


def remember_global_options(options: Iterable[tuple[str, object]]) -> None:
    """Remember the global options: a hint without them would mean another daemon."""
    _OPTIONS.set("".join(f"{name} {shlex.quote(str(value))} " for name, value in options))


def expand_commands(text: str) -> str:
    """Complete every `leadmaster` command in a text with program path and global options."""
    return _COMMAND.sub(lambda _: f"{program_name()} {_OPTIONS.get()}", text)
