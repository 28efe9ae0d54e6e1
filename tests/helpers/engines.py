"""What the tests expect of the rule engines, and a way to hide durable-rules from a process."""

from __future__ import annotations

import os
from pathlib import Path

from rules.evaluator import BOTH_ENGINES

ENGINE = BOTH_ENGINES
"""The engine that a decision, a status and a log line name, on every Python."""

EXAMPLES_RAN = "in both engines"
"""How `leadmaster rules test` says that the examples were run."""

_HIDE_PROGRAM = "import sys\n\nsys.modules['durable_rules_engine'] = None\n"


def hide_durable_rules(folder: Path) -> dict[str, str]:
    """Return environment variables with which a process and its children lack durable-rules."""
    # Python imports sitecustomize at its start; None in sys.modules makes an import fail.
    (folder / "sitecustomize.py").write_text(_HIDE_PROGRAM, encoding="utf-8")
    inherited = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(folder), *([inherited] if inherited else [])])}
