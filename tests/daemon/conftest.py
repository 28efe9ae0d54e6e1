"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Return an empty folder whose path is short enough for a unix socket in it."""
    with tempfile.TemporaryDirectory(prefix="lm-") as folder:
        yield Path(folder)
