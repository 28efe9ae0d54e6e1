"""An import is undone by the command line, and a kill -9 in the middle only delays it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from tests.helpers.client.process import DaemonProcess, run_daemon

pytestmark = pytest.mark.slow

SETTINGS = """
[daemon]
state_dir = "{folder}/state"
port = 0
[clock]
start = 2026-03-03T15:00:00Z
"""
RECORDS = 5_000
LEFT = """
SELECT (SELECT count(*) FROM prospects), (SELECT count(*) FROM contacts),
 (SELECT count(*) FROM imports WHERE undo_asked_at IS NOT NULL AND undone_at IS NULL)
"""


def _count_left(daemon: DaemonProcess) -> tuple[int, int, int]:
    """Return how many prospects and contacts are left, and how many undoings are not done."""
    path = daemon.state_dir / "leadmaster.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        found: tuple[int, int, int] = connection.execute(LEFT).fetchone()
        return found


def test_undoing_goes_on_after_a_kill(tmp_path: Path) -> None:
    """Everybody but who refused is gone in the end; the report names who stays."""
    path = tmp_path / "list.csv"
    rows = (f"P{number},+54911{40_000_000 + number}," for number in range(RECORDS))
    path.write_text("\n".join(["nombre,tel,acepta", "Ana,+5491155550101,no", *rows]))
    with run_daemon(tmp_path, SETTINGS.format(folder=tmp_path)) as daemon:
        report = daemon.run_json_command("prospects", "import", str(path), "--yes", "--json")
        undo = ("prospects", "undo-import", report["id"], "--reason", "the wrong list")
        assert "is being undone" in daemon.run_command(*undo)
        daemon.kill()
        people, _, begun = _count_left(daemon)
        assert begun == 1, "the undoing ended before it could be cut short"
        assert people > 1
        daemon.start()
        for line in daemon.client.stream("events", after=0):
            if line["type"] == "import.undone":
                break
        assert line["data"] == {"filename": "list.csv", "removed": RECORDS, "stayed": 1}
        assert _count_left(daemon) == (1, 1, 0)
        shown = " ".join(daemon.run_command("prospects", "import-report", report["id"]).split())
        assert f"is undone: {RECORDS} removed; who stays: 1 said no: stays always." in shown
        assert "Ana said no" in shown
        assert daemon.stop() == 0
