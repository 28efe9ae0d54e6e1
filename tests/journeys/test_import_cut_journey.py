"""An import that a power cut ended in the middle: repeated, it gives what one run would have."""

from __future__ import annotations

import contextlib
import csv
import sqlite3
from pathlib import Path

import pytest

from daemon.errors import LeadMasterError
from tests.helpers.client.process import DaemonProcess, run_daemon

pytestmark = pytest.mark.slow

SETTINGS = """
[daemon]
state_dir = "{folder}/state"
port = 0
[clock]
start = 2026-03-03T15:00:00Z
"""
RECORDS = 3_000
CONSENTS = ("sí", "no", "", "cliente")
PEOPLE = """
SELECT p.phone, p.name, p.cartera_origen, p.permission, p.score_contactabilidad, s.document,
 (SELECT group_concat(alias || ' ' || hex(alias_hash), ';') FROM
  (SELECT * FROM aliases WHERE contact = p.contact ORDER BY alias)),
 (SELECT group_concat(kind || ' ' || value || ' ' || source || ' ' || quote, ';') FROM
  (SELECT * FROM evidence WHERE contact = p.contact ORDER BY id)),
 (SELECT group_concat(type || ' ' || data, ';') FROM
  (SELECT * FROM events WHERE subject = p.id ORDER BY seq))
FROM prospects AS p JOIN score_explanations AS s ON s.id = p.score_explanation ORDER BY p.phone
"""
RECORD_OUTCOMES = """
SELECT r.record, r.outcome, r.phone, p.phone, r.reason_code, r.sentence
FROM import_records AS r LEFT JOIN prospects AS p ON p.id = r.prospect ORDER BY r.record
"""
UNOWNED = """
SELECT (SELECT count(*) FROM contacts WHERE id NOT IN (SELECT contact FROM prospects)),
 (SELECT count(*) FROM events WHERE type = 'import.finished')
"""


def _write_list(path: Path) -> None:
    """Write a list with numbers twice: in the next record, and a thousand records later."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("nombre", "celular", "consentimiento", "evidencia"))
        for number in range(RECORDS):
            line, form = 40_000_000 + number, "+54911{}"
            if number % 40 == 39:
                line, form = line - 1, "+5411{}"
            elif number % 40 == 19 and number > 1_000:
                line -= 1_000
            cell = "s/n" if number % 500 == 7 else form.format(line)
            writer.writerow((f"Ana {number}", cell, CONSENTS[number % 4], "formulario"))


def _import_list(daemon: DaemonProcess, path: Path, *, kill_after: int | None = None) -> None:
    """Import the list; kill the daemon once so many records are written, where given."""
    upload = daemon.client.upload(path.read_bytes(), "uploads", filename=path.name)["upload"]
    plan = daemon.client.post("imports", "preview", upload=upload, options={})["plan"]
    lines = daemon.client.follow("imports", upload=upload, options={}, plan=plan)
    with contextlib.suppress(LeadMasterError, OSError):  # of a daemon that was killed
        for line in lines:
            if kill_after is not None and line["type"] == "progress" and line["done"] >= kill_after:
                daemon.kill()
                return
    assert kill_after is None, "the import ended before it could be cut short"


def _read_all(daemon: DaemonProcess) -> dict[str, list[tuple[object, ...]]]:
    """Return what an import leaves, without ids and times."""
    path = daemon.state_dir / "leadmaster.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return {
            sql: connection.execute(sql).fetchall() for sql in (PEOPLE, RECORD_OUTCOMES, UNOWNED)
        }


def test_an_import_that_was_killed_gives_the_same_when_it_is_repeated(tmp_path: Path) -> None:
    """Aliases, evidence, scores, explanations, outcomes and events are those of one whole run."""
    path = tmp_path / "list.csv"
    _write_list(path)
    for name in ("whole", "cut"):
        state = tmp_path / name / "state"
        state.mkdir(mode=0o700, parents=True)
        (state / "suppressions.key").write_bytes(bytes(32))  # the same, so that hashes compare
    with run_daemon(tmp_path / "whole", SETTINGS.format(folder=tmp_path / "whole")) as daemon:
        _import_list(daemon, path)
        assert daemon.stop() == 0
        whole = _read_all(daemon)
    with run_daemon(tmp_path / "cut", SETTINGS.format(folder=tmp_path / "cut")) as daemon:
        _import_list(daemon, path, kill_after=RECORDS // 3)
        cut = _read_all(daemon)
        assert 0 < len(cut[RECORD_OUTCOMES]) < RECORDS
        daemon.start()
        _import_list(daemon, path)
        assert daemon.stop() == 0
        repeated = _read_all(daemon)
    assert len(whole[RECORD_OUTCOMES]) == RECORDS
    assert repeated == whole
