"""The key of the backups: its sheet can be typed, and confirmed by the row that is asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.backup.errors import BackupKeyMissing, BackupKeyWrong
from daemon.backup.keys import (
    confirm_key,
    format_sheet,
    load_key,
    make_key,
    parse_private_key,
    split_rows,
)
from daemon.errors import Conflict

NOW = datetime(2026, 3, 3, 15, tzinfo=UTC)


def test_a_sheet_is_read_however_it_is_typed(tmp_path: Path) -> None:
    """The whole sheet, its one line, its numbered rows, small letters, without the beginning."""
    key = make_key(tmp_path, NOW, replace=False)
    rows = split_rows(key.private)
    typed = (
        format_sheet(key),
        key.private,
        key.private.lower(),
        "\n".join(f" {number}. {row}" for number, row in enumerate(rows, 1)),
        " ".join(rows),
    )
    for text in typed:
        assert str(parse_private_key(text)) == key.private


def test_one_wrong_character_is_noticed() -> None:
    """The key has a checksum of its own."""
    with pytest.raises(BackupKeyWrong, match="a character is wrong"):
        parse_private_key("AGE-SECRET-KEY-1" + "Q" * 58)


def test_a_key_is_confirmed_by_its_row_and_then_kept(tmp_path: Path) -> None:
    """No half of the private key is on the disk; another row confirms nothing."""
    with pytest.raises(BackupKeyMissing):
        confirm_key(tmp_path, "A", NOW)
    key = make_key(tmp_path, NOW, replace=False)
    rows = split_rows(key.private)
    kept = (tmp_path / "key.json").read_text(encoding="utf-8")
    assert not any(row in kept for row in rows)
    with pytest.raises(BackupKeyWrong, match=f"row {key.row} of the sheet"):
        confirm_key(tmp_path, rows[key.row % len(rows)], NOW)
    make_key(tmp_path, NOW, replace=False)  # the sheet was lost before anybody confirmed it
    key = make_key(tmp_path, NOW, replace=False)
    confirm_key(tmp_path, f" {split_rows(key.private)[key.row - 1].lower()}\n", NOW)
    found = load_key(tmp_path)
    assert found is not None
    assert (found.recipient, found.confirmed_at) == (key.recipient, NOW)
    with pytest.raises(Conflict, match="somebody has its sheet"):
        make_key(tmp_path, NOW, replace=False)
    make_key(tmp_path, NOW, replace=True)
