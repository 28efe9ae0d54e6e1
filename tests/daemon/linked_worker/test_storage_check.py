"""What keeps a linked device from storing anything is found, and said in a sentence."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.linked_worker.storage_check import (
    DATABASE_FILE,
    DATABASE_HELD,
    DISK_FULL,
    PROBE_FILE,
    StorageCheck,
)
from tests.helpers.process_limits import limit_file_size

HOLDER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The database of a device, as its library opens it."""
    connection = sqlite3.connect(tmp_path / DATABASE_FILE, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE sessions (name TEXT)")
    yield connection
    connection.close()


def test_a_folder_with_room_has_no_fault(tmp_path: Path) -> None:
    """Before there is a database too; the room is given back."""
    assert StorageCheck(tmp_path).find_fault() == ""
    assert (tmp_path / PROBE_FILE).stat().st_size == 0


def test_a_full_disk_is_one(tmp_path: Path) -> None:
    """Until there is room again."""
    check = StorageCheck(tmp_path)
    with limit_file_size(1000):
        assert check.find_fault() == DISK_FULL
    assert check.find_fault() == ""


def test_a_folder_that_is_gone_is_no_full_disk(tmp_path: Path) -> None:
    """The system's own word says what it is."""
    assert "(No such file or directory)" in StorageCheck(tmp_path / "gone").find_fault()


def test_a_database_that_another_process_holds_is_one(
    tmp_path: Path, database: sqlite3.Connection
) -> None:
    """Until it lets go; the locks of this process, which is the device's own, are none."""
    check = StorageCheck(tmp_path)
    try:
        database.execute("BEGIN IMMEDIATE")
        assert check.find_fault() == ""
        database.execute("ROLLBACK")
        command = [sys.executable, "-c", HOLDER, str(tmp_path / DATABASE_FILE)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            assert check.find_fault() == DATABASE_HELD
        assert check.find_fault() == ""
    finally:
        check.close()
