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
    """Return the command as it can be typed here: by its path where no shell finds it."""
    path = sys.argv[0]
    return PROGRAM if shutil.which(PROGRAM) or Path(path).name != PROGRAM else shlex.quote(path)


def remember_global_options(options: Iterable[tuple[str, object]]) -> None:
    """Keep the global options that were given: a hint that lacks them means another daemon."""
    _OPTIONS.set("".join(f"{name} {shlex.quote(str(value))} " for name, value in options))


def expand_commands(text: str) -> str:
    """Return words with every command of ours in them as it works here."""
    return _COMMAND.sub(lambda _: f"{program_name()} {_OPTIONS.get()}", text)
