"""An older copy takes the place of the database under a real daemon that is sending."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import LeadMasterError
from tests.helpers.client.process import (
    SCRIPTED_SETTINGS,
    DaemonProcess,
    PageReader,
    poll_until,
    run_daemon,
)

pytestmark = pytest.mark.slow

ANA = "+5491141234567"
OTHERS = tuple(f"+549114123{number}" for number in range(5000, 5030))


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon that has written to Ana, with a copy of its database from before that."""
    (tmp_path / "script.json").write_text(json.dumps({"scan_after": 1}), encoding="utf-8")
    settings = SCRIPTED_SETTINGS.format(folder=tmp_path).replace(
        "messages_per_minute = 600", "messages_per_minute = 6"
    )
    with run_daemon(tmp_path, settings) as started:
        client = started.client
        client.post("sessions", name="ventas", channel="simulated")
        client.post("sessions", "ventas", "start")
        poll_until(lambda: client.get("sessions", "ventas")["state"] == "ready", "it is ready")
        for phone in (ANA, *OTHERS):
            made = client.post(
                "prospects",
                phone=phone,
                cartera_origen="feria",
                permission="opted_in",
                statement="ticked the box",
            )
            client.post("prospects", made["id"], "validate", validated=True, reason="called them")
        _copy_database(started.state_dir, tmp_path / "yesterday.db")
        _send(started, ANA)
        poll_until(lambda: _count_sent(started) == 1, "Ana was written to")
        # What a checkpoint does after some minutes, so that the file has what the copy lacks.
        with contextlib.closing(sqlite3.connect(started.state_dir / "leadmaster.db")) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        copied = _count_events(tmp_path / "yesterday.db")
        poll_until(lambda: _read_anchor(started)["checkpointed"] > copied, "the anchor has it")
        yield started


def _copy_database(state_dir: Path, copy: Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(state_dir / "leadmaster.db")) as source,
        contextlib.closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)


def _send(daemon: DaemonProcess, to: str) -> None:
    daemon.client.send(to, f"Hola, {to}", session="ventas", wait=False)


def _count_sent(daemon: DaemonProcess) -> int:
    counts = daemon.client.get("status")["messages"]
    return sum(counts.get(state, 0) for state in ("sent", "delivered", "read"))


def _read_anchor(daemon: DaemonProcess) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((daemon.state_dir / "leadmaster.anchor").read_bytes())
    return found


def _find_blocker(daemon: DaemonProcess) -> dict[str, Any] | None:
    status, readiness = daemon.get_document("/ready")
    found = [each for each in readiness["blockers"] if each["code"] == "database_replaced"]
    return found[0] if status == 503 and found else None


def _count_permits(database: Path) -> int:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        found: int = connection.execute("SELECT count(*) FROM permits").fetchone()[0]
        return found


def _count_events(database: Path) -> int:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        found: int = connection.execute("SELECT max(seq) FROM events").fetchone()[0]
        return found


def _refuse_start(daemon: DaemonProcess) -> str:
    return daemon.run_command("run", expect=2)


def test_a_copy_moved_in_while_messages_leave_ends_the_sending(
    daemon: DaemonProcess, tmp_path: Path
) -> None:
    """No permit more; readiness, status and the next start say it; the anchor stays."""
    for phone in OTHERS:
        _send(daemon, phone)
    poll_until(lambda: _count_sent(daemon) >= 3, "some have left")
    anchor, database = _read_anchor(daemon), daemon.state_dir / "leadmaster.db"
    reader = PageReader(daemon)
    os.link(database, tmp_path / "leadmaster.db")
    (tmp_path / "yesterday.db").replace(database)
    blocker = poll_until(lambda: _find_blocker(daemon), "readiness names the swap")
    assert blocker["sentence"] == f"{database} was replaced by another file while the daemon ran."
    sent = _count_sent(daemon)
    assert blocker["sentence"] in " ".join(daemon.run_command("status").split())
    for path in ("/", "/prospects"):
        assert f"{database} was replaced by another file" in reader.open_page("en", path)
        spanish = reader.open_page("es", path)
        assert f"{database} fue reemplazado por otro archivo" in spanish
        assert "was replaced" not in spanish
        assert 'class="calm"' not in spanish
    with pytest.raises(LeadMasterError, match="was replaced by another file"):
        _send(daemon, ANA)
    assert _count_sent(daemon) == sent < len(OTHERS)
    assert daemon.stop() == 2
    shutil.copyfile(daemon.state_dir / "leadmaster.db-wal", tmp_path / "leadmaster.db-wal")
    assert _count_permits(tmp_path / "leadmaster.db") <= sent + 1  # one was on the wire
    after = _read_anchor(daemon)
    assert after["inode"] == anchor["inode"]
    assert after["high_water"] >= anchor["high_water"]
    assert "not the database that last ran here" in _refuse_start(daemon)


@pytest.mark.parametrize("end", [DaemonProcess.stop, DaemonProcess.kill])
def test_a_copy_written_over_it_is_never_taken_for_the_true_one(
    daemon: DaemonProcess, tmp_path: Path, end: Callable[[DaemonProcess], object]
) -> None:
    """Not by a stop, nor after a kill -9; adopted, nothing is sent until a person resumes."""
    anchor, database = _read_anchor(daemon), daemon.state_dir / "leadmaster.db"
    shutil.copyfile(tmp_path / "yesterday.db", database)
    if end is DaemonProcess.stop:
        blocker = poll_until(lambda: _find_blocker(daemon), "readiness names the swap")
        assert "changed by another program while the daemon ran" in blocker["sentence"]
    end(daemon)
    after = _read_anchor(daemon)
    assert after["inode"] == anchor["inode"]
    assert after["high_water"] >= anchor["high_water"]
    assert "doctor --adopt" in _refuse_start(daemon)
    daemon.run_command("doctor", "--adopt", "yesterday's copy was put back")
    daemon.start()
    assert daemon.client.get("halt")["halt"]["reason"].startswith("adopted")
    assert daemon.client.get("status")["epoch"] == 2


def test_a_deleted_file_is_named_and_its_place_is_not_filled(daemon: DaemonProcess) -> None:
    """The next start finds the anchor beside nothing."""
    (daemon.state_dir / "leadmaster.db").unlink()
    blocker = poll_until(lambda: _find_blocker(daemon), "readiness names the deletion")
    assert "was deleted or moved away" in blocker["sentence"]
    assert daemon.stop() == 2
    assert not (daemon.state_dir / "leadmaster.db").exists()
    assert "leadmaster.anchor" in _refuse_start(daemon)
