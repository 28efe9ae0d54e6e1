"""A copy is not the original: it is refused until a person accepts it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from storage.db import Database
from storage.errors import DatabaseCloned, DatabaseInUse, DatabaseMissing, DatabaseNewer, DiskFull
from storage.identity import DatabaseIdentity, hash_machine_id
from storage.opening import adopt_database
from storage.tx import Tx
from tests.helpers.process_limits import limit_file_size
from tests.helpers.services.notes_database import (
    NEWER_NOTES_MIGRATIONS,
    NOON,
    NOTES_MIGRATIONS,
    add_note,
    fill_notes_database,
    ignore_events,
    list_note_texts,
    open_notes_database,
)


async def refusal(folder: Path) -> str:
    """Open the folder; return the sentence with which it is refused as a copy."""
    with pytest.raises(DatabaseCloned) as caught:
        await Database.open(folder, migrations=NOTES_MIGRATIONS, on_events=ignore_events)
    assert caught.value.code == "database_cloned"
    assert "--adopt" in caught.value.hint
    return caught.value.sentence


def accepted(folder: Path, reason: str = "moved to the new server") -> DatabaseIdentity:
    """Adopt the folder's database; leave a note of what was settled with it."""

    def settle(tx: Tx) -> None:
        add_note("settled")(tx)

    return adopt_database(
        folder, reason, migrations=NOTES_MIGRATIONS, settle=settle, now=lambda: NOON
    )


async def test_a_copied_folder_is_refused(tmp_path: Path) -> None:
    """The copy has everything but the place on the disk."""
    original, copy = tmp_path / "original", tmp_path / "copy"
    await fill_notes_database(original, "one")
    shutil.copytree(original, copy)
    assert "copied or moved" in await refusal(copy)
    await fill_notes_database(original, "two")


async def test_a_database_put_back_from_yesterday_is_refused(tmp_path: Path) -> None:
    """The same file with older content has come less far than the anchor knows."""
    await fill_notes_database(tmp_path, "one")
    file = tmp_path / "leadmaster.db"
    yesterday = file.read_bytes()
    await fill_notes_database(tmp_path, "two")
    file.write_bytes(yesterday)
    assert "ends at event 1, though event 2 had happened" in await refusal(tmp_path)


async def test_a_database_without_its_anchor_is_refused(tmp_path: Path) -> None:
    """Nothing proves where it comes from."""
    await fill_notes_database(tmp_path, "one")
    (tmp_path / "leadmaster.anchor").unlink()
    assert "no leadmaster.anchor" in await refusal(tmp_path)


@pytest.mark.parametrize("content", ["", "{}", "[]", "{", '{"epoch": 1}'])
async def test_a_damaged_anchor_proves_nothing(tmp_path: Path, content: str) -> None:
    """It is not replaced in silence."""
    await fill_notes_database(tmp_path, "one")
    (tmp_path / "leadmaster.anchor").write_text(content)
    assert "leadmaster.anchor is damaged" in await refusal(tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("machine", "another", "on another machine"),
        ("instance_id", "another", "another installation"),
        ("epoch", 7, "in epoch 1, not 7"),
    ],
)
async def test_every_difference_is_named(
    tmp_path: Path, field: str, value: object, words: str
) -> None:
    """Machine, installation and epoch are compared too."""
    await fill_notes_database(tmp_path, "one")
    anchor = tmp_path / "leadmaster.anchor"
    anchor.write_text(json.dumps({**json.loads(anchor.read_text()), field: value}))
    assert words in await refusal(tmp_path)


async def test_the_anchor_keeps_up_while_the_daemon_runs(tmp_path: Path) -> None:
    """The periodic note makes an older copy recognisable even after a crash."""
    async with open_notes_database(tmp_path) as database:
        await database.write(add_note("one"))
        await database.save_high_water()
        noted = json.loads((tmp_path / "leadmaster.anchor").read_text())
        assert noted["high_water"] == 1
        assert noted["instance_id"] == database.instance_id
        assert noted["epoch"] == database.epoch == 1


async def test_an_anchor_that_can_not_be_replaced_stays_as_it_was(tmp_path: Path) -> None:
    """A full disk is told as such; the old anchor is whole, and the next note works."""
    async with open_notes_database(tmp_path) as database:
        await database.write(add_note("one"))
        before = (tmp_path / "leadmaster.anchor").read_bytes()
        with limit_file_size(10), pytest.raises(DiskFull):
            await database.save_high_water()
        assert (tmp_path / "leadmaster.anchor").read_bytes() == before
        await database.save_high_water()
        assert json.loads((tmp_path / "leadmaster.anchor").read_text())["high_water"] == 1


async def test_an_adopted_copy_opens_in_a_new_epoch(tmp_path: Path) -> None:
    """What was settled is there, the installation is the same, and the reason is kept."""
    original, copy = tmp_path / "original", tmp_path / "copy"
    await fill_notes_database(original, "one")
    shutil.copytree(original, copy)
    identity = accepted(copy)
    assert identity.epoch == 2
    async with open_notes_database(copy) as database:
        assert database.epoch == 2
        assert database.instance_id == identity.instance_id
        assert await database.read(list_note_texts) == ["one", "settled"]
        epochs = await database.read(lambda r: r.all("SELECT epoch, reason, at FROM epochs"))
        assert [row["reason"] for row in epochs] == ["first start", "moved to the new server"]
        assert epochs[1]["at"] == "2026-03-02T12:00:00.000Z"


async def test_an_older_copy_gets_an_epoch_that_was_never_used(tmp_path: Path) -> None:
    """A backup from before an adoption does not repeat that adoption's number."""
    await fill_notes_database(tmp_path, "one")
    file = tmp_path / "leadmaster.db"
    before = file.read_bytes()
    assert accepted(tmp_path).epoch == 2
    file.write_bytes(before)
    await refusal(tmp_path)
    assert accepted(tmp_path).epoch == 3


@pytest.mark.parametrize("anchor", [None, "{"])
async def test_a_copy_without_a_good_anchor_can_be_adopted(
    tmp_path: Path, anchor: str | None
) -> None:
    """A restored backup has none, and a damaged one is for a person to overrule."""
    await fill_notes_database(tmp_path, "one")
    (tmp_path / "leadmaster.anchor").unlink()
    if anchor is not None:
        (tmp_path / "leadmaster.anchor").write_text(anchor)
    assert accepted(tmp_path).epoch == 2
    async with open_notes_database(tmp_path) as database:
        assert await database.read(list_note_texts) == ["one", "settled"]


async def test_a_copy_that_could_not_be_settled_stays_refused(tmp_path: Path) -> None:
    """The new epoch and the settling are one transaction."""
    await fill_notes_database(tmp_path, "one")
    (tmp_path / "leadmaster.anchor").unlink()

    def fail(_tx: Tx) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        adopt_database(tmp_path, "why", migrations=NOTES_MIGRATIONS, settle=fail)
    await refusal(tmp_path)


async def test_adopting_checks_the_file_itself(tmp_path: Path) -> None:
    """Nothing, a newer file, or one that a daemon runs on, is not adopted."""
    with pytest.raises(DatabaseMissing):
        accepted(tmp_path / "empty")
    async with open_notes_database(tmp_path / "newer", migrations=NEWER_NOTES_MIGRATIONS):
        with pytest.raises(DatabaseInUse):
            accepted(tmp_path / "newer")
    with pytest.raises(DatabaseNewer):
        accepted(tmp_path / "newer")


def test_a_machine_without_an_id_is_known_by_none(tmp_path: Path) -> None:
    """The id itself is not stored; where there is none, the digest is empty."""
    (tmp_path / "machine-id").write_text("0123456789abcdef\n")
    digest = hash_machine_id(tmp_path / "machine-id")
    assert len(digest) == 64
    assert "0123456789abcdef" not in digest
    assert hash_machine_id(tmp_path / "nowhere") == ""
