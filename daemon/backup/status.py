"""What is known of the sealed copies, kept in the state folder, and what a person has to do.

The daemon may not read the folder of the copies where a unit makes them, so that this file is what
it knows of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from daemon.errors import Conflict
from daemon.settings import Settings
from storage.column_formats import utc_now
from storage.state_folder import StateFolder, write_durably

_READ_ANEW: Final = "leadmaster backup now"
LATE_AFTER: Final = timedelta(hours=26)
"""A day, and what a slow disk may need."""
UNREADABLE_CODE: Final = "backup_status_unreadable"
"""The concern that says that what is known of the backups can't be read."""


class SealedCopy(msgspec.Struct, frozen=True):
    """One sealed copy: its file, and what was found in it when a restore of it was tested.

    Of a copy that was found beside the others nobody knows that: `tested_at` is None then.
    """

    name: str
    made_at: datetime
    bytes: int
    tested_at: datetime | None
    counts: dict[str, int]
    logins: int


class BackupFailure(msgspec.Struct, frozen=True):
    """Why the last copy could not be made, or taken where it should go."""

    at: datetime
    sentence: str
    hint: str = ""


class SealedJournal(msgspec.Struct, frozen=True):
    """The last sealed copy of the suppression journal: when, and how many bytes were sealed."""

    at: datetime
    bytes: int


class BackupStatus(msgspec.Struct, frozen=True):
    """The key, the copies (newest first), where they are, and what went wrong last.

    `burns_with_server` is whether every place of the copies is on the disk of the state folder.
    Where `unreadable` says since when and why this can't be read, nothing else is known.
    """

    recipient: str = ""
    key_made_at: datetime | None = None
    key_confirmed_at: datetime | None = None
    key_row: int = 0
    places: tuple[str, ...] = ()
    burns_with_server: bool = True
    copies: tuple[SealedCopy, ...] = ()
    last_tested_restore: datetime | None = None
    journal: SealedJournal | None = None
    failure: BackupFailure | None = None
    unreadable: BackupFailure | None = None


class BackupConcern(Struct, frozen=True):
    """Something about the backups that a person should know: code, sentence, what to do."""

    code: str
    sentence: str
    hint: str
    since: datetime


def read_status(settings: Settings) -> BackupStatus:
    """Return what is known; an empty status where there is no file yet."""
    path = StateFolder(settings.state_dir).backup_status
    try:
        return msgspec.json.decode(path.read_bytes(), type=BackupStatus)
    except FileNotFoundError:
        return BackupStatus()
    except OSError as error:
        return _describe_unreadable(path, error.strerror or str(error))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return _describe_unreadable(path, str(error).rstrip("."))


def _describe_unreadable(path: Path, reason: str) -> BackupStatus:
    sentence = f"What is known of the backups can't be read: {path}: {reason}."
    return BackupStatus(unreadable=BackupFailure(_find_change(path), sentence, _READ_ANEW))


def _find_change(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return utc_now()


def require_readable(status: BackupStatus) -> None:
    """Raise :class:`Conflict` where what is known can't be read; another key would be made."""
    if (found := status.unreadable) is not None:
        hint = f"List the copies anew, with one more: {found.hint}"
        raise Conflict(found.sentence, hint=hint)


def write_status(settings: Settings, status: BackupStatus) -> None:
    """Replace what is known."""
    path = StateFolder(settings.state_dir).backup_status
    write_durably(path, msgspec.json.encode(status))


def find_last_copy(status: BackupStatus, now: datetime) -> SealedCopy | None:
    """Return the newest copy that was tested, and made before now; None without one.

    A file may have the name of a copy of any time, and a clock may have been ahead.
    """
    return next(iter(_list_tested_copies(status, now)), None)


def _list_tested_copies(status: BackupStatus, now: datetime) -> list[SealedCopy]:
    return [each for each in status.copies if each.tested_at is not None and each.made_at <= now]


def list_places(settings: Settings) -> tuple[str, ...]:
    """Return where sealed copies go: folders, and the command's program."""
    command = settings.backup.command[:1]
    return (str(settings.backup_dir), *filter(None, [settings.backup.target]), *command)


def burns_with_server(settings: Settings) -> bool:
    """Return whether every copy is on the disk of the state folder."""
    if settings.backup.command:
        return False
    here = settings.state_dir.stat().st_dev
    folders = [
        settings.backup_dir,
        *([Path(settings.backup.target)] if settings.backup.target else []),
    ]
    return all(folder.stat().st_dev == here for folder in folders if folder.is_dir())


def list_concerns(status: BackupStatus, started_at: datetime, now: datetime) -> list[BackupConcern]:
    """Return what a person should know, the most urgent first.

    `started_at` is since when there could have been a key.
    """
    if (found := status.unreadable) is not None:
        return [BackupConcern(UNREADABLE_CODE, found.sentence, found.hint, found.at)]
    return [*_list_key_concerns(status, started_at), *_list_copy_concerns(status, now)]


def _list_key_concerns(status: BackupStatus, started_at: datetime) -> Iterator[BackupConcern]:
    if status.key_made_at is None:
        yield BackupConcern(
            "backup_no_key",
            "Nothing is backed up: there is no key to seal a backup with.",
            "leadmaster backup key",
            started_at,
        )
    elif status.key_confirmed_at is None:
        yield BackupConcern(
            "backup_key_unconfirmed",
            "Nobody confirmed that the sheet with the backup's key is printed: without it no backup"
            " can be opened.",
            "leadmaster backup key --confirm",
            status.key_made_at,
        )


def _list_copy_concerns(status: BackupStatus, now: datetime) -> Iterator[BackupConcern]:
    if status.failure is not None:
        yield BackupConcern(
            "backup_failed",
            f"The last backup failed: {status.failure.sentence}",
            status.failure.hint or "leadmaster backup now",
            status.failure.at,
        )
    if status.key_made_at is None:
        return
    copies = _list_tested_copies(status, now)
    last = copies[0].made_at if copies else None
    # Before the first copy by the key: whoever made it has to print it first.
    since = last or status.key_made_at
    is_late = now - since > LATE_AFTER
    if last is None or is_late:
        yield BackupConcern(
            "backup_late" if is_late else "backup_none",
            _describe_last(status, last),
            "leadmaster backup now",
            since,
        )
    elif status.burns_with_server:
        yield BackupConcern(
            "backup_burns_with_server",
            "Every backup is on this server's own disk, and burns with this server.",
            "Set target or command under [backup] in leadmaster.toml; see the how-to on backups.",
            copies[-1].made_at,
        )


def _describe_last(status: BackupStatus, last: datetime | None) -> str:
    if last is not None:
        return f"The last backup is of {last:%Y-%m-%d %H:%M} UTC."
    return "None of the backups was tested before now." if status.copies else "There is no backup."
