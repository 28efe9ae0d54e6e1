"""Journeys start several real processes: on a busy machine each needs more than two minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
SECONDS = 300


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each journey more time before it counts as hanging."""
    for item in items:
        if FOLDER in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SECONDS))
