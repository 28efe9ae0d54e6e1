"""Before it is opened: foreign, damaged, read-only, missing and newer files are refused."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.connections import APPLICATION_ID
from storage.db import Database
from storage.errors import (
    DatabaseCorrupt,
    DatabaseForeign,
    DatabaseInUse,
    DatabaseMissing,
    DatabaseNewer,
    DatabaseReadOnly,
    StorageError,
    SuppressionKeyLost,
    WriteFailed,
)
from tests.helpers.process_limits import NOBODY_UID, change_mode, drop_privileges
from tests.helpers.services.notes_database import (
    NEWER_NOTES_MIGRATIONS,
    NOTES_MIGRATIONS,
    add_note,
    connect_directly,
    fill_notes_database,
    ignore_events,
    list_note_texts,
    open_notes_database,
)


async def refused(folder: Path, kind: type[StorageError]) -> StorageError:
    """Open the folder; return the refusal, which must name the place and say what to do."""
    with pytest.raises(kind) as caught:
        await Database.open(folder, migrations=NOTES_MIGRATIONS, on_events=ignore_events)
    assert str(folder) in caught.value.sentence
    assert caught.value.hint.endswith(".")
    return caught.value


def flipped(content: bytes, *places: int) -> bytes:
    """Return the content with every bit of some bytes turned over."""
    changed = bytearray(content)
    for place in places:
        changed[place] ^= 0xFF
    return bytes(changed)


async def test_a_new_folder_becomes_a_new_database(tmp_path: Path) -> None:
    """Where nothing ever ran, an empty database is right."""
    async with open_notes_database(tmp_path / "a" / "b") as database:
        assert await database.read(list_note_texts) == []
        assert await database.read(lambda r: r.value("PRAGMA application_id")) == APPLICATION_ID


async def test_a_second_daemon_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    """One folder, one daemon."""
    async with open_notes_database(tmp_path) as database:
        assert (await refused(tmp_path, DatabaseInUse)).code == "database_in_use"
        assert await database.write(add_note("still here")) == 1


async def test_a_refused_open_lets_go_of_the_folder(tmp_path: Path) -> None:
    """Once the cause is mended the same process can open it."""
    (tmp_path / "leadmaster.db").write_bytes(b"not a database at all" * 100)
    await refused(tmp_path, DatabaseForeign)
    (tmp_path / "leadmaster.db").unlink()
    await fill_notes_database(tmp_path, "fine")
    async with open_notes_database(tmp_path) as database:
        assert await database.read(list_note_texts) == ["fine"]


async def test_a_file_that_is_no_database_is_foreign(tmp_path: Path) -> None:
    """It is left as it is."""
    file = tmp_path / "leadmaster.db"
    file.write_bytes(b"Dear diary, " * 500)
    assert (await refused(tmp_path, DatabaseForeign)).code == "database_foreign"
    assert file.read_bytes() == b"Dear diary, " * 500


@pytest.mark.parametrize("application_id", [0, 42])
async def test_another_programs_database_is_foreign(tmp_path: Path, application_id: int) -> None:
    """An SQLite file that we did not make is not migrated."""
    with connect_directly(tmp_path / "leadmaster.db") as connection:
        connection.execute("CREATE TABLE recipes (name)")
        connection.execute(f"PRAGMA application_id = {application_id}")
    before = (tmp_path / "leadmaster.db").read_bytes()
    await refused(tmp_path, DatabaseForeign)
    assert (tmp_path / "leadmaster.db").read_bytes() == before


async def test_no_flipped_byte_of_the_header_is_taken_for_a_good_database(tmp_path: Path) -> None:
    """Each byte either does not matter, and all data are there, or the file is refused."""
    await fill_notes_database(tmp_path, "one", "two")
    file = tmp_path / "leadmaster.db"
    good = file.read_bytes()
    refusals = 0
    for place in range(100):
        file.write_bytes(flipped(good, place))
        try:
            async with open_notes_database(tmp_path) as database:
                assert await database.read(list_note_texts) == ["one", "two"]
        except DatabaseCorrupt:
            refusals += 1
    assert refusals > 30


async def test_damaged_pages_are_found(tmp_path: Path) -> None:
    """Bytes flipped where a table's rows are laid out are reported as damage, with the way out."""
    await fill_notes_database(tmp_path, *(str(n) for n in range(50)))
    file = tmp_path / "leadmaster.db"
    good = file.read_bytes()
    with connect_directly(file) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    for page in range(1, len(good) // size):
        file.write_bytes(flipped(good, *range(page * size, page * size + 8)))
        error = await refused(tmp_path, DatabaseCorrupt)
        assert error.code == "database_corrupt"
        assert "leadmaster doctor --adopt" in error.hint


async def test_a_cut_file_is_damaged(tmp_path: Path) -> None:
    """Half a file is not opened."""
    await fill_notes_database(tmp_path, "one")
    file = tmp_path / "leadmaster.db"
    os.truncate(file, file.stat().st_size // 2)
    assert (await refused(tmp_path, DatabaseCorrupt)).code == "database_corrupt"


async def test_a_database_that_lost_who_it_is_is_damaged(tmp_path: Path) -> None:
    """Without its epochs it can not be told from a copy."""
    await fill_notes_database(tmp_path, "one")
    with connect_directly(tmp_path / "leadmaster.db") as connection:
        connection.execute("DELETE FROM epochs")
        connection.commit()
    await refused(tmp_path, DatabaseCorrupt)


@pytest.mark.parametrize(
    "trace", ["leadmaster.anchor", "suppressions.journal", "leadmaster.db-wal"]
)
async def test_a_deleted_database_is_missed(tmp_path: Path, trace: str) -> None:
    """As long as anything tells of it, no empty one takes its place."""
    (tmp_path / "seen").mkdir()
    await fill_notes_database(tmp_path / "seen", "one")
    folder = tmp_path / "folder"
    folder.mkdir()
    content = (tmp_path / "seen" / "leadmaster.anchor").read_bytes()
    (folder / trace).write_bytes(content)
    error = await refused(folder, DatabaseMissing)
    assert trace in error.sentence
    assert not (folder / "leadmaster.db").exists()


async def test_an_emptied_database_is_missed(tmp_path: Path) -> None:
    """A file of no bytes, where events had happened, is not filled anew."""
    await fill_notes_database(tmp_path, "one")
    os.truncate(tmp_path / "leadmaster.db", 0)
    assert "empty" in (await refused(tmp_path, DatabaseMissing)).sentence


async def test_another_empty_file_in_its_place_is_no_cut_start(tmp_path: Path) -> None:
    """Only the very file that the anchor knows may still be empty."""
    await fill_notes_database(tmp_path)
    (tmp_path / "touched").touch()
    (tmp_path / "touched").replace(tmp_path / "leadmaster.db")
    assert (await refused(tmp_path, DatabaseMissing)).code == "database_missing"


async def test_a_first_start_that_was_cut_is_completed(tmp_path: Path) -> None:
    """A crash before the first table leaves an anchor and an empty file: no history is lost."""
    await fill_notes_database(tmp_path)
    os.truncate(tmp_path / "leadmaster.db", 0)
    await fill_notes_database(tmp_path, "one")
    async with open_notes_database(tmp_path) as database:
        assert await database.read(list_note_texts) == ["one"]


async def test_a_newer_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    """An older program does not touch what a newer one has migrated."""
    async with open_notes_database(tmp_path, migrations=NEWER_NOTES_MIGRATIONS):
        pass
    before = (tmp_path / "leadmaster.db").read_bytes()
    error = await refused(tmp_path, DatabaseNewer)
    assert error.code == "database_newer"
    assert "m002_colours" in error.sentence
    assert (tmp_path / "leadmaster.db").read_bytes() == before


async def test_a_database_without_its_key_is_refused(tmp_path: Path) -> None:
    """A new key would match no stored hash, so none is made."""
    await fill_notes_database(tmp_path, "one")
    (tmp_path / "suppressions.key").unlink()
    assert (await refused(tmp_path, SuppressionKeyLost)).code == "suppression_key_lost"
    assert not (tmp_path / "suppressions.key").exists()


@pytest.fixture
def shared() -> Iterator[Path]:
    """Give a folder that an unprivileged user can reach (tmp_path is root's alone)."""
    with tempfile.TemporaryDirectory(prefix="leadmaster-") as name:
        path = Path(name)
        if os.geteuid() == 0:
            os.chown(path, NOBODY_UID, NOBODY_UID)
        yield path


@pytest.mark.parametrize(("name", "bits"), [("leadmaster.db", 0o400), (".", 0o500)])
async def test_a_read_only_database_is_refused(shared: Path, name: str, bits: int) -> None:
    """What can not be written is found out before anything is promised."""
    with drop_privileges():
        await fill_notes_database(shared, "one")
        with change_mode(shared / name, bits):
            error = await refused(shared, DatabaseReadOnly)
        assert error.code == "database_read_only"
        await fill_notes_database(shared, "two")


async def test_a_folder_that_can_not_be_made_is_read_only(shared: Path) -> None:
    """The first start in a place that is not ours is refused with that place's name."""
    with drop_privileges(), change_mode(shared, 0o500):
        await refused(shared / "state", DatabaseReadOnly)


async def test_an_anchor_that_can_not_be_read_is_told_in_a_sentence(shared: Path) -> None:
    """Files of another owner are no traceback."""
    with drop_privileges():
        await fill_notes_database(shared, "one")
        with change_mode(shared / "leadmaster.anchor", 0o000):
            assert "Permission denied" in (await refused(shared, WriteFailed)).sentence
