"""Rule sets of careless and of unlucky operators."""

from __future__ import annotations

from pathlib import Path

from daemon.settings import RulesSettings
from tests.helpers.heart import GATE_WITHOUT_VETOES


def write_gate_rules(folder: Path, text: str = GATE_WITHOUT_VETOES) -> RulesSettings:
    """Write a gate file and return settings that name it."""
    file = folder / "gate.yaml"
    file.write_text(text, encoding="utf-8")
    return RulesSettings(gate=(str(file),))
