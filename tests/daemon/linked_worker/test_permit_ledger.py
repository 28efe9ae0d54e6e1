"""The worker's ledger: a permit is good for one send, also after a restart."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.api.permit import Permit, PermitRefused
from daemon.linked_worker.permit_ledger import (
    LEDGER_FILE,
    PermitLedger,
    SessionLocked,
    lock_session,
)


def build_permit(name: str) -> Permit:
    """Return a permit of that name; the ledger looks at nothing else."""
    now = datetime.now(UTC)
    return Permit(name, "m", "r", "b", "s", "d", "r", now, now + timedelta(minutes=1))


def write_once(folder: Path, *names: str) -> None:
    """Record permits, as one worker does in its life."""
    ledger = PermitLedger(folder)
    try:
        for name in names:
            ledger.record(build_permit(name))
    finally:
        ledger.close()


def test_a_permit_is_recorded_once(tmp_path: Path) -> None:
    """The second time it is refused."""
    write_once(tmp_path, "per_1", "per_2")
    with pytest.raises(PermitRefused) as refused:
        write_once(tmp_path, "per_3", "per_2")
    assert refused.value.reason_code == "permit_used"


def test_half_a_line_is_a_message_that_did_not_go(tmp_path: Path) -> None:
    """The record is whole before anything leaves."""
    write_once(tmp_path, "per_1")
    with (tmp_path / LEDGER_FILE).open("a", encoding="utf-8") as ledger:
        ledger.write(f"{time.time():.0f} per_2")
    write_once(tmp_path, "per_2")
    with pytest.raises(PermitRefused):
        write_once(tmp_path, "per_2")


def test_what_no_permit_can_be_any_more_is_dropped(tmp_path: Path) -> None:
    """The file does not grow for ever."""
    old = time.time() - timedelta(days=2).total_seconds()
    (tmp_path / LEDGER_FILE).write_text(f"{old:.0f} per_old\n", encoding="utf-8")
    write_once(tmp_path, "per_new")
    assert (tmp_path / LEDGER_FILE).read_text(encoding="utf-8").split()[1::2] == ["per_new"]


def test_a_session_has_one_worker(tmp_path: Path) -> None:
    """Two would spend a permit twice, and break the library's keys."""
    lock = lock_session(tmp_path)
    with pytest.raises(SessionLocked):
        lock_session(tmp_path)
    os.close(lock)
    os.close(lock_session(tmp_path))
