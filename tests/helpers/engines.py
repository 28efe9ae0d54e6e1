"""Both rule engines judge in the tests; a process that is to have one alone is given one alone."""

from __future__ import annotations

import os
from pathlib import Path

from rules.evaluator import BOTH_ENGINES

ENGINE = BOTH_ENGINES
"""What a decision, a status and a log line name as their judge, on every Python."""

EXAMPLES_RAN = "in both engines"
"""How `leadmaster rules test` says that the examples were run."""

_HIDE_PROGRAM = "import sys\n\nsys.modules['durable_rules_engine'] = None\n"


def hide_durable_rules(folder: Path) -> dict[str, str]:
    """Return what to add to a process's environment so that it can't import durable-rules.

    Nor can what it starts: so it is where the engine was not built, or not as pyproject.toml says.
    """
    (folder / "sitecustomize.py").write_text(_HIDE_PROGRAM, encoding="utf-8")
    inherited = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(folder), *([inherited] if inherited else [])])}
