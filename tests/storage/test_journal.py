"""The journal of opt-outs: durable, private, keyed, and honest about damage."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import DiskFull, SuppressionKeyLost
from storage.journal import JournalAction, JournalEntry, SuppressionJournal
from storage.tx import Tx
from tests.helpers.hypothesis_profiles import examples
from tests.helpers.process_limits import limit_file_size
from tests.helpers.services.notes_database import (
    NOON,
    add_note,
    list_note_texts,
    open_notes_database,
)

ALIASES = ["+5491141234567", "+541141234567", "123456789@lid"]


def entry(journal: SuppressionJournal, alias: str) -> JournalEntry:
    """Return an opt-out of this alias."""
    return JournalEntry(journal.hash(alias), JournalAction.SUPPRESSED, NOON, "opt_out")


def kept(folder: Path) -> list[str]:
    """Return the hashes that a journal opened anew reads."""
    return [each.alias_hash for each in SuppressionJournal(folder).entries()]


@pytest.fixture
def journal(tmp_path: Path) -> SuppressionJournal:
    """Give a journal with three lines."""
    journal = SuppressionJournal(tmp_path)
    journal.append([entry(journal, alias) for alias in ALIASES])
    return journal


def test_what_was_appended_comes_back(tmp_path: Path) -> None:
    """Every field survives, in order, over several appends and openings."""
    journal = SuppressionJournal(tmp_path)
    first = entry(journal, ALIASES[0])
    second = JournalEntry(journal.hash(ALIASES[0]), JournalAction.LIFTED, NOON, "opt_in: ALTA ñ")
    journal.append([first])
    SuppressionJournal(tmp_path).append([second])
    again = SuppressionJournal(tmp_path)
    assert again.entries() == [first, second]
    assert not again.torn
    assert again.damaged == ()


def test_no_number_is_in_the_file(tmp_path: Path, journal: SuppressionJournal) -> None:
    """People appear as keyed hashes, the same after a restart, other in another installation."""
    content = (tmp_path / "suppressions.journal").read_text()
    assert not any(alias in content for alias in ALIASES)
    assert SuppressionJournal(tmp_path).hash(ALIASES[0]) == journal.hash(ALIASES[0])
    (tmp_path / "other").mkdir()
    assert SuppressionJournal(tmp_path / "other").hash(ALIASES[0]) != journal.hash(ALIASES[0])


@pytest.mark.usefixtures("journal")
def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    """Journal and key are the owner's alone."""
    for name in ("suppressions.journal", "suppressions.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_an_empty_append_changes_nothing(tmp_path: Path, journal: SuppressionJournal) -> None:
    """No entries, no line."""
    journal.append([])
    assert len(kept(tmp_path)) == 3


def test_a_line_cut_by_a_crash_is_cut_off(tmp_path: Path, journal: SuppressionJournal) -> None:
    """It was never acknowledged; what came before is good, and the next append is too."""
    file = tmp_path / "suppressions.journal"
    whole = file.read_bytes()
    for length in range(len(whole) - 1, whole.rfind(b"\n", 0, -1) + 1, -7):
        file.write_bytes(whole[:length])
        again = SuppressionJournal(tmp_path)
        assert again.torn
        assert again.damaged == ()
        again.append([entry(journal, "another")])
        assert kept(tmp_path) == [*map(journal.hash, ALIASES[:2]), journal.hash("another")]


@given(st.data())
@examples(60)
def test_any_flipped_byte_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Damage costs only the lines it hit, and is never read as somebody else's wish."""
    folder = tmp_path_factory.mktemp("journal")
    journal = SuppressionJournal(folder)
    journal.append([entry(journal, alias) for alias in ALIASES])
    file = folder / "suppressions.journal"
    content = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    again = SuppressionJournal(folder)
    hashes = [each.alias_hash for each in again.entries()]
    assert again.torn or again.damaged
    assert len(hashes) >= 1
    assert set(hashes) < set(map(journal.hash, ALIASES))


def test_an_end_of_line_that_became_another_is_noticed(
    tmp_path: Path, journal: SuppressionJournal
) -> None:
    """A carriage return is no end of a line that was written here."""
    file = tmp_path / "suppressions.journal"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r", 1))
    assert SuppressionJournal(tmp_path).damaged == (1, 2)
    assert len(journal.entries()) == len(ALIASES) - 2


def test_a_line_that_was_taken_out_is_noticed(tmp_path: Path, journal: SuppressionJournal) -> None:
    """The numbers tell which one is gone; the others are read."""
    file = tmp_path / "suppressions.journal"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0] + lines[2])
    assert SuppressionJournal(tmp_path).damaged == (2,)
    assert kept(tmp_path) == [journal.hash(ALIASES[0]), journal.hash(ALIASES[2])]


@pytest.mark.parametrize("line", ["[]", "7", "{}", "nonsense", '{"alias": 1}', "\u00ff"])
@pytest.mark.usefixtures("journal")
def test_a_strange_line_is_damage_not_a_crash(tmp_path: Path, line: str) -> None:
    """Whatever is written into the file, the rest of it is read."""
    with (tmp_path / "suppressions.journal").open("a", encoding="latin-1") as file:
        file.write(line + "\n")
    assert SuppressionJournal(tmp_path).damaged == (4,)
    assert len(kept(tmp_path)) == 3


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, journal: SuppressionJournal) -> None:
    """The append fails as a whole, is told as `disk_full`, and works again later."""
    size = (tmp_path / "suppressions.journal").stat().st_size
    with limit_file_size(size + 10), pytest.raises(DiskFull):
        journal.append([entry(journal, "another")])
    assert (tmp_path / "suppressions.journal").stat().st_size == size
    journal.append([entry(journal, "another")])
    assert len(kept(tmp_path)) == 4
    assert SuppressionJournal(tmp_path).damaged == ()


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize("content", [None, b"", b"short"])
def test_a_journal_without_its_key_is_not_guessed_at(tmp_path: Path, content: bytes | None) -> None:
    """A new key would make a stranger of everyone who opted out."""
    key = tmp_path / "suppressions.key"
    key.unlink()
    if content is not None:
        key.write_bytes(content)
    with pytest.raises(SuppressionKeyLost, match=r"suppressions\.key"):
        SuppressionJournal(tmp_path)


async def test_an_opt_out_is_in_the_journal_before_it_is_committed(tmp_path: Path) -> None:
    """Written inside the job it is there first; if the commit fails, we err towards silence."""
    async with open_notes_database(tmp_path) as database:
        journal = SuppressionJournal(tmp_path)

        def opt_out_that_fails(tx: Tx) -> None:
            add_note("suppressed")(tx)
            journal.append([entry(journal, ALIASES[0])])
            raise LookupError

        with pytest.raises(LookupError):
            await database.write(opt_out_that_fails, urgent=True)
        assert await database.read(list_note_texts) == []
        assert kept(tmp_path) == [journal.hash(ALIASES[0])]
