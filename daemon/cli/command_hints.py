"""Completes the `leadmaster ...` commands in hints, so that they can be copied and run."""

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
    """Return the program's name, or its path where it is not on PATH."""
    path = sys.argv[0]
    return PROGRAM if shutil.which(PROGRAM) or Path(path).name != PROGRAM else shlex.quote(path)


def remember_global_options(options: Iterable[tuple[str, object]]) -> None:
    """Store the global options for :func:`expand_commands`."""
    # Without them, a copied command would go to another daemon.
    _OPTIONS.set("".join(f"{name} {shlex.quote(str(value))} " for name, value in options))


def expand_commands(text: str) -> str:
    """Complete every `leadmaster` command in a text with program path and global options."""
    return _COMMAND.sub(lambda _: f"{program_name()} {_OPTIONS.get()}", text)
