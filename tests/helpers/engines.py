"""Both rule engines, or one: what needs both is set aside where one is all there can be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rules.engine import ENGINE_AVAILABLE
from rules.evaluator import BOTH_ENGINES, SECOND_ENGINE

needs_both_engines = pytest.mark.skipif(
    not ENGINE_AVAILABLE,
    reason="durable-rules is there up to Python 3.12; the second evaluator judges",
)
"""For a fact about the two engines together. Where there is one, pytest names what it left out."""

ENGINE = BOTH_ENGINES if ENGINE_AVAILABLE else SECOND_ENGINE
"""What a decision, a status and a log line name here as their judge."""

EXAMPLES_RAN = "in both engines" if ENGINE_AVAILABLE else "by the second evaluator alone"
"""How `leadmaster rules test` says here that the examples were run."""

_HIDE_PROGRAM = "import sys\n\nsys.modules['durable_rules_engine'] = None\n"


def hide_durable_rules(folder: Path) -> dict[str, str]:
    """Return what to add to a process's environment so that it can't import durable-rules.

    Nor can what it starts: so does every Python behave from 3.13 on.
    """
    (folder / "sitecustomize.py").write_text(_HIDE_PROGRAM, encoding="utf-8")
    inherited = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(folder), *([inherited] if inherited else [])])}
