"""Fixtures and settings of every test.

Hypothesis profile, nothing left open, a folder with a short path.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.helpers import hypothesis_profiles, leaks

ROOM_FOR_FOLDER = 60
SLOW_FILE = "\npytestmark = pytest.mark.slow\n"

hypothesis_profiles.register_profiles()
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))

# A suite that was started in the background inherits a Ctrl-C that is ignored, and would hand
# that on to each process it starts; the tests that interrupt one mean it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The path of a unix socket has room for 107 bytes: a longer place for temporary folders, as some
# machines name one, is left aside, here and for the processes that tests start.
if len(tempfile.gettempdir()) > ROOM_FOR_FOLDER:
    tempfile.tempdir = os.environ["TMPDIR"] = "/tmp"  # noqa: S108 - each makes its own folder in it


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out slow files unread where they would only be read to be left out."""
    unwanted = config.option.markexpr == "not slow" and collection_path.suffix == ".py"
    return True if unwanted and SLOW_FILE in collection_path.read_text("utf-8") else None


@pytest.fixture(autouse=True)
def nothing_left_open(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a connection to a database open, or a file of its own folders."""
    known = leaks.list_open_connections()
    yield
    left = leaks.wait_until_none(
        lambda: [e for e in leaks.list_open_connections() if e not in known]
    )
    assert left == [], "a connection to a database was not closed"
    given = getattr(request.node, "funcargs", {}).values()
    folders = [each for each in given if isinstance(each, Path)]
    assert not folders or leaks.wait_until_none(lambda: leaks.list_open_files(folders)) == []


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Return an empty folder whose path is short enough for a unix socket in it."""
    with tempfile.TemporaryDirectory(prefix="lm-") as folder:
        yield Path(folder)
