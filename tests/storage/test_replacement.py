"""The files of an open database are deleted, exchanged or written over by somebody else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.connections import connect_to_file_alone
from storage.db import Database
from storage.errors import DatabaseRefused, DatabaseReplaced
from storage.opening import adopt_database
from storage.tx import Tx
from tests.helpers import leaks
from tests.helpers.services.notes_database import (
    NOTES_MIGRATIONS,
    add_note,
    connect_directly,
    hold_writer,
    ignore_events,
    list_note_texts,
    open_notes_database,
)

Swap = Callable[[Path, Path], object]
"""What somebody does to the open database, given an older copy of it."""


def _put_backup_in(database: Path, copy: Path) -> None:
    with connect_directly(copy) as source, connect_directly(database) as target:
        source.backup(target)


def _put_log_back(database: Path, copy: Path) -> None:
    log = Path(f"{database}-wal")
    log.write_bytes(copy.with_suffix(".wal").read_bytes())


def _touch_anew(database: Path, _copy: Path) -> None:
    database.unlink()
    database.touch()


SWAPS: dict[str, Swap] = {
    "mv copy": lambda database, copy: copy.replace(database),
    "cp copy": lambda database, copy: shutil.copyfile(copy, database),
    "cp copy with its times": lambda database, copy: shutil.copy2(copy, database),
    "rm": lambda database, _copy: database.unlink(),
    "rm and touch": _touch_anew,
    "truncate": lambda database, _copy: os.truncate(database, 0),
    "backup": _put_backup_in,
    "other program's file": lambda database, _copy: database.write_bytes(b"x" * 8192),
    "rm log": lambda database, _copy: Path(f"{database}-wal").unlink(),
    "cp log": _put_log_back,
    "rm index": lambda database, _copy: Path(f"{database}-shm").unlink(),
    "mv folder": lambda database, _copy: database.parent.rename(database.parent.with_name("gone")),
}


@pytest.fixture(autouse=True)
def close_what_was_left_open(nothing_left_open: None) -> Iterator[None]:  # noqa: ARG001 - its order
    """Close the connections that a database with other files leaves to the end of its process."""
    known = leaks.list_open_connections()
    yield
    for connection in leaks.list_open_connections():
        if connection not in known:
            connection.close()


async def _fill_and_copy(database: Database, copy: Path) -> None:
    """Write three notes; copy the file and its log after the second one."""
    await database.write(add_note("one"))
    with connect_directly(database.path) as source, connect_directly(copy) as target:
        source.backup(target)
    shutil.copyfile(f"{database.path}-wal", copy.with_suffix(".wal"))
    await database.checkpoint()
    await database.write(add_note("written since"))
    await database.checkpoint()
    await database.write(add_note("in the log"))


def _read_anchor(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "leadmaster.anchor").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", SWAPS)
async def test_a_swapped_file_ends_all_writing_and_moves_no_anchor(
    tmp_path: Path, name: str
) -> None:
    """It is noticed by the next write, stays so, and the next start refuses what is there."""
    folder, copy = tmp_path / "state", tmp_path / "copy.db"
    database = await Database.open(folder, migrations=NOTES_MIGRATIONS, on_events=ignore_events)
    await _fill_and_copy(database, copy)
    await database.save_high_water()
    before = _read_anchor(folder)
    SWAPS[name](database.path, copy)
    with pytest.raises(DatabaseReplaced) as refused:
        await database.write(add_note("lost"))
    assert str(folder) in refused.value.sentence
    assert "stop the daemon" in refused.value.hint
    for work in (database.checkpoint(), database.save_high_water(), database.write(add_note("x"))):
        with pytest.raises((DatabaseReplaced, OSError)):
            await work
    assert await database.check_files() is database.refusal is refused.value
    with pytest.raises((DatabaseReplaced, OSError)):
        await database.close()
    if not folder.exists():
        return
    after = _read_anchor(folder)
    assert after["inode"] == before["inode"]
    assert after["high_water"] >= before["high_water"] == 3
    if name == "rm index":
        return  # it is made anew at a start, and nothing is lost
    with pytest.raises(DatabaseRefused):
        await Database.open(folder, migrations=NOTES_MIGRATIONS, on_events=ignore_events)


async def test_files_that_a_transaction_has_compared_are_not_compared_once_more(
    tmp_path: Path,
) -> None:
    """A daemon at rest writes nothing only to look; but a look that is too old does not count."""
    folder, copy = tmp_path / "state", tmp_path / "copy.db"
    database = await Database.open(folder, migrations=NOTES_MIGRATIONS, on_events=ignore_events)
    await _fill_and_copy(database, copy)
    before = database.commits
    assert await database.check_files(60) is None
    assert database.commits == before
    SWAPS["mv copy"](database.path, copy)
    assert await database.check_files(60) is None
    assert await database.check_files() is not None
    assert await database.check_files(60) is not None
    with pytest.raises(DatabaseReplaced):
        await database.close()


async def test_what_a_transaction_noticed_is_in_the_anchor_before_a_power_cut(
    tmp_path: Path,
) -> None:
    """The next start refuses the older file, however this run ends."""
    folder, copy = tmp_path / "state", tmp_path / "copy.db"
    database = await Database.open(folder, migrations=NOTES_MIGRATIONS, on_events=ignore_events)
    await _fill_and_copy(database, copy)
    await database.check_files()
    SWAPS["cp copy"](database.path, copy)
    with pytest.raises(DatabaseReplaced):
        await database.write(add_note("lost"))
    await database.check_files(60)
    assert _read_anchor(folder)["changed"]
    with pytest.raises(DatabaseReplaced):
        await database.close()


@pytest.mark.parametrize("change", [os.link, lambda database, _link: database.chmod(0o640)])
async def test_what_changes_no_content_is_no_swap(
    tmp_path: Path, change: Callable[[Path, Path], object]
) -> None:
    """A backup tool makes hard links and sets modes and times."""
    async with open_notes_database(tmp_path) as database:
        await database.write(add_note("one"))
        change(database.path, tmp_path / "link")
        database.path.touch()
        await database.write(add_note("two"))
        with connect_directly(database.path) as connection:  # a checkpoint of another program
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("INSERT INTO notes (text) VALUES ('by hand')")
            connection.commit()
        assert await database.check_files() is None
        assert await database.write(add_note("four")) == 3
    async with open_notes_database(tmp_path) as database:
        assert await database.read(list_note_texts) == ["one", "two", "by hand", "four"]


async def test_a_swap_during_a_transaction_is_noticed_before_its_commit(tmp_path: Path) -> None:
    """Of two jobs in one transaction neither is acknowledged, and none is in the file."""
    folder, copy = tmp_path / "state", tmp_path / "copy.db"
    database = await Database.open(folder, migrations=NOTES_MIGRATIONS, on_events=ignore_events)
    await _fill_and_copy(database, copy)
    async with hold_writer(database):
        writing = asyncio.create_task(database.write(add_note("lost")))
        os.link(database.path, tmp_path / "original.db")
        copy.replace(database.path)
    with pytest.raises(DatabaseReplaced):
        await writing
    assert "lost" not in await database.read(list_note_texts)
    with pytest.raises(DatabaseReplaced):
        await database.close()


async def test_a_swap_while_it_closes_moves_no_anchor(tmp_path: Path) -> None:
    """The last job of all exchanges the file: the anchor keeps the one that was open."""
    folder, copy = tmp_path / "state", tmp_path / "copy.db"
    database = await Database.open(folder, migrations=NOTES_MIGRATIONS, on_events=ignore_events)
    await _fill_and_copy(database, copy)
    inode = database.path.stat().st_ino

    def put_copy() -> None:
        shutil.copyfile(copy, database.path)

    def swap(tx: Tx) -> None:
        add_note("last")(tx)
        tx.after_commit.append(put_copy)

    last = asyncio.create_task(database.write(swap))
    with pytest.raises(DatabaseReplaced):
        await asyncio.gather(last, database.close())
    after = _read_anchor(folder)
    assert (after["inode"], after["high_water"]) == (inode, 4)
    assert "changed by another program" in after["changed"]


async def test_a_swap_within_the_tick_of_the_last_change_is_noticed(tmp_path: Path) -> None:
    """Size and time of the file are as before; such a recent file is looked into each time."""
    folder, copy = tmp_path / "state", tmp_path / "copy.db"
    database = await Database.open(folder, migrations=NOTES_MIGRATIONS, on_events=ignore_events)
    await _fill_and_copy(database, copy)
    tick = time.time_ns() + 3_600_000_000_000  # an hour ahead, so that it stays recent
    os.utime(database.path, ns=(tick, tick))
    await database.write(add_note("looks into the file"))
    size = database.path.stat().st_size
    shutil.copyfile(copy, database.path)
    os.truncate(database.path, size)
    os.utime(database.path, ns=(tick, tick))
    with pytest.raises(DatabaseReplaced):
        await database.write(add_note("lost"))
    with pytest.raises(DatabaseReplaced):
        await database.close()


async def test_an_older_file_under_the_log_of_a_killed_daemon_is_refused(tmp_path: Path) -> None:
    """SQLite would take the log's pages for the file's; adopted, the file is what was put there."""
    folder, copy, killed = tmp_path / "state", tmp_path / "copy.db", tmp_path / "killed"
    async with open_notes_database(folder) as database:
        await _fill_and_copy(database, copy)
        await database.save_high_water()
        killed.mkdir()
        for path in folder.iterdir():  # the same inodes, as a killed process leaves them
            os.link(path, killed / path.name)
        log = (folder / "leadmaster.db-wal").read_bytes()
        anchor = (folder / "leadmaster.anchor").read_bytes()
    # What closing has done to the linked files is undone.
    (killed / "leadmaster.db-wal").write_bytes(log)
    (killed / "leadmaster.anchor").write_bytes(anchor)
    (killed / "leadmaster.db-shm").unlink()
    shutil.copyfile(copy, killed / "leadmaster.db")
    with pytest.raises(DatabaseRefused):
        await Database.open(killed, migrations=NOTES_MIGRATIONS, on_events=ignore_events)
    adopt_database(killed, "restored", migrations=NOTES_MIGRATIONS, settle=lambda _tx: None)
    async with open_notes_database(killed) as database:
        assert await database.read(list_note_texts) == ["one"]


def test_sqlite_keeps_its_locks_while_the_file_is_read_alone(tmp_path: Path) -> None:
    """Another program could otherwise take itself for the last one, and delete the log."""

    async def count_locks() -> tuple[int, int]:
        async with open_notes_database(tmp_path) as database:
            inode = database.path.stat().st_ino
            before = _count_locks(inode)
            await database.checkpoint()
            await database.write(add_note("one"))
            await database.checkpoint()
            assert await database.check_files() is None
            return before, _count_locks(inode)

    before, after = asyncio.run(count_locks())
    assert before == after > 0


def _count_locks(inode: int) -> int:
    locks = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    return sum(f":{inode} " in line for line in locks)


def _add_short_notes(tx: Tx) -> None:
    for n in range(100):
        tx.execute("INSERT INTO notes (text) VALUES (?)", (f"{n:0200}",))


def _rewrite_last_note(tx: Tx) -> None:
    tx.execute(
        "UPDATE notes SET text = replace(text, '9', 'x') WHERE id = (SELECT max(id) FROM notes)"
    )


async def test_a_checkpoint_beside_a_reader_is_no_swap(tmp_path: Path) -> None:
    """It moves a part of the pages: until the next one the file is not whole without its log."""
    folder = tmp_path / "state"
    database = await Database.open(folder, migrations=NOTES_MIGRATIONS, on_events=ignore_events)
    await database.write(_add_short_notes)
    with connect_directly(database.path) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM notes").fetchone()
        # The last page is newer than what the reader sees, and stays in the log. The first page,
        # which counts the pages of the file, does not.
        await database.write(_rewrite_last_note)
        await database.checkpoint()
        assert not _is_readable_alone(database.path)
        assert await database.check_files() is None
        reader.rollback()
    await database.checkpoint()
    assert _is_readable_alone(database.path)
    await database.write(add_note("after it"))
    assert await database.check_files() is None
    os.truncate(database.path, 0)
    assert await database.check_files() is not None
    with pytest.raises(DatabaseReplaced):
        await database.close()


async def test_a_checkpoint_that_the_disk_ended_is_no_swap(tmp_path: Path) -> None:
    """The log had room in it, and the file has none: pages were moved, and none is counted."""
    folder = tmp_path / "state"
    database = await Database.open(folder, migrations=NOTES_MIGRATIONS, on_events=ignore_events)
    await database.write(_add_short_notes)
    size, limits = database.path.stat().st_size, resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 4096, limits[1]))
    try:
        with pytest.raises(sqlite3.OperationalError):
            await database.checkpoint()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not _is_readable_alone(database.path)
    assert await database.check_files() is None
    assert await database.write(add_note("after it")) > 0
    await database.checkpoint()
    assert _is_readable_alone(database.path)
    assert await database.check_files() is None
    await database.close()


def _is_readable_alone(path: Path) -> bool:
    with contextlib.closing(connect_to_file_alone(path)) as connection:
        try:
            connection.execute("SELECT count(*) FROM notes").fetchone()
        except sqlite3.DatabaseError:
            return False
    return True
