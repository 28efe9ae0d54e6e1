"""A folder with a short path and the settings of a daemon, for the commands."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.client.process import CLI_SETTINGS


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Return a folder with a short path and the settings of a demonstration."""
    with tempfile.TemporaryDirectory(prefix="lm-") as name:
        path = Path(name)
        (path / "leadmaster.toml").write_text(CLI_SETTINGS.format(folder=path), encoding="utf-8")
        yield path
