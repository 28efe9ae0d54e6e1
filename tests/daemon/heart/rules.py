"""Rule sets of careless and of unlucky operators."""

from __future__ import annotations

from pathlib import Path

from daemon.settings import RulesSettings
from tests.helpers.heart import NO_VETOES


def written(folder: Path, text: str = NO_VETOES) -> RulesSettings:
    """Write a gate file and return settings that name it."""
    file = folder / "gate.yaml"
    file.write_text(text, encoding="utf-8")
    return RulesSettings(gate=(str(file),))
