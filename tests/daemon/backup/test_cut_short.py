"""A backup, a restore and a move that are killed at any change lose nothing and leave nothing half.

The points are every change of a name or a folder that the work makes; one run takes a part of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

PROGRAM = "tests.helpers.programs.cut_backup"
EVERY = 5
"""Of so many points one is tried; the program itself tries all with 1."""


def cut_everywhere(scenario: str, folder: Path) -> list[dict[str, Any]]:
    """Return what was found for each point at which the scenario was cut; the last was not."""
    done = subprocess.run(
        [sys.executable, "-m", PROGRAM, scenario, str(folder), str(EVERY)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["cut"] for each in found] == [True] * (len(found) - 1) + [False]
    assert len(found) > 40 / EVERY
    return found


@pytest.mark.timeout(320)
def test_a_killed_backup_leaves_whole_copies_alone(tmp_path: Path) -> None:
    """Each copy that has its name can be restored, and the next backup removes the rest."""
    for found in cut_everywhere("backup", tmp_path):
        assert (found["faulty"], found["rest"], found["words"]) == ([], [], ["present"]), found


@pytest.mark.timeout(320)
def test_a_killed_restore_is_done_or_not_begun(tmp_path: Path) -> None:
    """The next start finds all of the backup or nothing of it, with every opt-out of both."""
    seen: set[str] = set()
    for found in cut_everywhere("restore", tmp_path):
        assert found["words"] in (["backup"], ["present"]), found
        assert (found["opt_outs"], found["opt_outs_again"]) == (2, 2), found
        assert (found["again"], found["login"]) == (["backup"], True), found
        seen.add(*found["words"])
    assert seen == {"backup", "present"}


@pytest.mark.timeout(320)
def test_a_killed_move_leaves_one_installation_that_may_run(tmp_path: Path) -> None:
    """No bundle has its name while the old installation could start; exporting again is enough."""
    for found in cut_everywhere("move", tmp_path):
        assert (found["could_run_twice"], found["dead"]) == (False, True), found
        assert found["opt_outs"] == 2, found
