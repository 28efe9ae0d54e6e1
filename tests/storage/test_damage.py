"""A database whose file is damaged while it is open: nothing more is sent, and it is said why."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.db import Database
from storage.errors import DatabaseCorrupt, DatabaseDamaged
from tests.helpers.services.database import damage_table
from tests.helpers.services.notes_database import (
    NOTES_MIGRATIONS,
    add_note,
    ignore_events,
    list_note_texts,
    open_notes_database,
)


async def test_a_page_that_cannot_be_read_ends_all_sending_until_a_restart(tmp_path: Path) -> None:
    """What can still be written is kept, such as an opt-out; a start refuses the file."""
    async with open_notes_database(tmp_path) as database:
        await database.write(add_note("one"))
        await damage_table(database, "notes")
        with pytest.raises(DatabaseDamaged) as damaged:
            await database.read(list_note_texts)
        assert str(database.path) in damaged.value.sentence
        assert "leadmaster restore" in damaged.value.hint
        assert database.refusal is await database.check_files() is damaged.value
        database.accept_writes()  # as after a disk that was full
        with pytest.raises(DatabaseDamaged):
            await database.write(lambda tx: tx.execute("INSERT INTO marks VALUES (1)"))
        for _ in range(3):
            with pytest.raises(DatabaseDamaged) as refused:
                await database.write(add_note("no frame of a refused caller is kept"))
            assert len(refused.traceback) < 4
        for _ in range(3):
            with pytest.raises(DatabaseDamaged) as unread:
                await database.read(list_note_texts)
            assert len(unread.traceback) < 4
        await database.write(lambda tx: tx.value("SELECT 1"), urgent=True)
    with pytest.raises(DatabaseCorrupt):
        await Database.open(tmp_path, migrations=NOTES_MIGRATIONS, on_events=ignore_events)


async def test_damage_that_a_change_finds_ends_all_sending_too(tmp_path: Path) -> None:
    """The writer reads pages as well as anybody."""
    async with open_notes_database(tmp_path) as database:
        await database.write(add_note("one"))
        await damage_table(database, "notes")
        with pytest.raises(DatabaseDamaged):
            await database.write(lambda tx: tx.value("SELECT count(*) FROM notes NOT INDEXED"))
        assert isinstance(database.refusal, DatabaseDamaged)
