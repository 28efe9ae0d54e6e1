"""The key of the sealed copies: its public half is kept, its private half printed once.

A part of the private half is confirmed by typing it, which shows that a person has the sheet.
"""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
import pyrage
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from daemon.backup.errors import BackupFailed, BackupKeyMissing, BackupKeyWrong
from daemon.backup.requests import NewBackupKey
from daemon.errors import Conflict
from storage.state_folder import write_durably

KEY_FILE: Final = "key.json"
_PREFIX: Final = "AGE-SECRET-KEY-1"
_ROW_CHARACTERS: Final = 15
_NOT_IN_A_KEY: Final = re.compile(r"[^A-Z0-9]")
_ROW_NUMBER: Final = re.compile(r"^\s*\d\s*[.:)]\s*")
_WHOLE_KEY: Final = re.compile(rf"{_PREFIX}[A-Z0-9]{{58}}\b")
_HASHER: Final = PasswordHasher()


class BackupKey(msgspec.Struct, frozen=True):
    """What is kept of a key.

    `recipient` is its public half. `row_hash` is the hash of the row of the sheet, `row`, that a
    person types to confirm that they have it.
    """

    recipient: str
    made_at: datetime
    row: int
    row_hash: str
    confirmed_at: datetime | None = None


def load_key(folder: Path) -> BackupKey | None:
    """Return what is kept of the key; None where none was made.

    Raises :class:`BackupFailed` where it can't be read.
    """
    path = folder / KEY_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=BackupKey)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise BackupFailed(
            f"The key of the backups can't be read: {path}: {str(error).rstrip('.')}.",
            hint="Put its file back, or make another key: leadmaster backup key --replace",
        ) from error


def require_key(folder: Path) -> BackupKey:
    """Return what is kept of the key; raise :class:`BackupKeyMissing` where none was made."""
    if (key := load_key(folder)) is None:
        raise BackupKeyMissing("There is no key with which a copy could be sealed.")
    return key


def make_key(folder: Path, now: datetime, *, replace: bool) -> NewBackupKey:
    """Make a key, keep its public half, and return both.

    Raises :class:`Conflict` where there is one already that was confirmed, unless ``replace``.
    """
    old = None if replace else load_key(folder)
    if old is not None and old.confirmed_at is not None:
        raise Conflict(
            f"There is a key already, of {old.made_at:%Y-%m-%d}, and somebody has its sheet.",
            hint="Keep it. With --replace, copies from now on need the new sheet, older ones the"
            " old one.",
        )
    identity = pyrage.x25519.Identity.generate()
    key = _build_key(identity, now)
    write_durably(folder / KEY_FILE, msgspec.json.encode(key))
    return NewBackupKey(str(identity), key.recipient, now, key.row)


def keep_public_half(folder: Path, identity: pyrage.x25519.Identity, now: datetime) -> None:
    """Keep the public half of a key that a person typed, where none is kept; it is confirmed."""
    if load_key(folder) is None:
        key = msgspec.structs.replace(_build_key(identity, now), confirmed_at=now)
        write_durably(folder / KEY_FILE, msgspec.json.encode(key))


def _build_key(identity: pyrage.x25519.Identity, now: datetime) -> BackupKey:
    rows = split_rows(str(identity))
    row = 1 + secrets.randbelow(len(rows))
    return BackupKey(str(identity.to_public()), now, row, _HASHER.hash(rows[row - 1]))


def confirm_key(folder: Path, typed: str, now: datetime) -> BackupKey:
    """Record that somebody has the sheet; raise :class:`BackupKeyWrong` for another row."""
    key = require_key(folder)
    try:
        _HASHER.verify(key.row_hash, _NOT_IN_A_KEY.sub("", typed.upper()))
    except VerifyMismatchError:
        raise BackupKeyWrong(
            f"That is not row {key.row} of the sheet.",
            hint=f"Type row {key.row}. Is the sheet lost? Make another: leadmaster backup key",
        ) from None
    confirmed = msgspec.structs.replace(key, confirmed_at=key.confirmed_at or now)
    write_durably(folder / KEY_FILE, msgspec.json.encode(confirmed))
    return confirmed


def parse_private_key(text: str) -> pyrage.x25519.Identity:
    """Return the private key in a typed text, or in a sheet; raise :class:`BackupKeyWrong`.

    Blanks, line breaks and the numbers of a sheet's rows do not matter.
    """
    if (whole := _WHOLE_KEY.search(text.upper())) is not None:
        bare = whole[0].removeprefix(_PREFIX)
    else:
        rows = (_ROW_NUMBER.sub("", row) for row in text.upper().splitlines())
        bare = _NOT_IN_A_KEY.sub("", "".join(rows)).removeprefix(_NOT_IN_A_KEY.sub("", _PREFIX))
    try:
        return pyrage.x25519.Identity.from_str(_PREFIX + bare)
    except pyrage.IdentityError:
        raise BackupKeyWrong("That is not a key of a backup, or a character is wrong.") from None


def split_rows(private: str) -> list[str]:
    """Return the rows in which a private key is printed, without its fixed beginning."""
    bare = private.removeprefix(_PREFIX)
    return [bare[start : start + _ROW_CHARACTERS] for start in range(0, len(bare), _ROW_CHARACTERS)]


def format_sheet(key: NewBackupKey) -> str:
    """Return the sheet to print: the key in one line, which `age` reads, and in rows to type."""
    rows = "\n".join(
        f"    {number}.  {row}" for number, row in enumerate(split_rows(key.private), 1)
    )
    return f"""\
LeadMaster: the key of the backups, of {key.made_at:%Y-%m-%d %H:%M} UTC

Print this, and keep it where no fire reaches both it and the server. Who has it can read every
backup; without it no backup can be opened, by nobody. It is shown once.

{key.private}

The same in rows, after {_PREFIX}

{rows}

Its public half: {key.recipient}
A backup opens with it, and with `age` alone: age -d -i KEY-FILE BACKUP.age | tar -xz
"""
