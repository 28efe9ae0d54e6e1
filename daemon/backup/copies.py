"""Makes sealed copies: collects, tests, seals, puts them where they go, and removes old ones."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from daemon import subprocesses
from daemon.backup import sealing
from daemon.backup.contents import Manifest, Progress, collect_contents
from daemon.backup.errors import BackupFailed
from daemon.backup.keys import load_key, require_key
from daemon.backup.status import (
    BackupFailure,
    BackupStatus,
    SealedCopy,
    SealedJournal,
    burns_with_server,
    find_last_copy,
    list_places,
    read_status,
    write_status,
)
from daemon.errors import Conflict, LeadMasterError, NotFound
from daemon.settings import Settings
from storage.backup import read_copied_journal
from storage.errors import StorageError
from storage.state_folder import (
    PRIVATE_FILE_MODE,
    PRIVATE_FOLDER_MODE,
    StateFolder,
    create_durably,
    give_to_owner,
    sync_folder,
)

NAME_PREFIX: Final = "leadmaster-"
SEALED_JOURNAL: Final = "suppressions.journal.age"
WORK_FOLDER: Final = ".work"
_COPY_NAME: Final = re.compile(rf"{NAME_PREFIX}\d{{8}}T\d{{6}}Z{re.escape(sealing.SEALED_SUFFIX)}")
_LOCK_FILE: Final = "copies.lock"
_COMMAND_SECONDS: Final = 1800.0
_PART_BYTES: Final = 512 << 10


@contextlib.contextmanager
def opened_copies(settings: Settings) -> Iterator[Path]:
    """Yield the folder of the sealed copies, for this process alone.

    What an interrupted copy left in it is removed. Raises :class:`Conflict` while another works.
    """
    folder = settings.backup_dir
    if not folder.exists():
        folder.mkdir(mode=PRIVATE_FOLDER_MODE, parents=True)
        give_to_owner(folder, folder.parent)
    lock = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE_MODE)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("Another backup is being made.", hint="Wait until it is done.") from None
        shutil.rmtree(folder / WORK_FOLDER, ignore_errors=True)
        for draft in folder.glob("*.new*"):
            draft.unlink()
        yield folder
    finally:
        os.close(lock)


def make_copy(
    settings: Settings, config: Path | None, now: datetime, progress: Progress
) -> SealedCopy:
    """Make one sealed copy, tested, and put it where copies go; what is known is kept.

    Raises :class:`BackupKeyMissing` without a key, and :class:`BackupFailed`.
    """
    with opened_copies(settings) as folder, _recording_failure(settings, folder, now):
        key = require_key(folder)
        work = folder / WORK_FOLDER
        work.mkdir(mode=PRIVATE_FOLDER_MODE)
        contents = work / "contents"
        manifest = collect_contents(
            settings, config, contents, purpose="backup", now=now, progress=progress
        )
        progress("seal")
        sealed = folder / _choose_name(folder, now)
        draft = sealing.get_draft(sealed)
        sealing.seal_folder(contents, draft, key.recipient)
        shutil.rmtree(work)
        progress("put_in_place")
        sealing.put_in_place(draft, sealed)
        copy = _describe_copy(sealed, manifest)
        _keep_status(settings, folder, copy=copy)
        progress("seal_journal")
        _seal_journal(settings, folder, key.recipient, now)
        progress("take_away")
        _take_away(settings, folder, now)
        progress("rotate")
        rotate(settings, now)
        _keep_status(settings, folder)
        return copy


def seal_journal(settings: Settings, now: datetime) -> SealedJournal:
    """Seal the suppression journal as it is now, and take it where copies go."""
    with opened_copies(settings) as folder, _recording_failure(settings, folder, now):
        sealed = _seal_journal(settings, folder, require_key(folder).recipient, now)
        _take_away(settings, folder, now)
        return sealed


def rotate(settings: Settings, now: datetime) -> list[str]:
    """Remove copies older than `keep_days`, but never the newest; return their names."""
    before = now - timedelta(days=settings.backup.keep_days)
    removed: list[str] = []
    for folder in _list_folders(settings):
        names = list_copies(folder)
        for name in names[1:]:
            if read_moment(name) < before:
                (folder / name).unlink()
                removed.append(name)
        sync_folder(folder)
    return removed


def list_copies(folder: Path) -> list[str]:
    """Return the names of the sealed copies in a folder, newest first."""
    names = (path.name for path in folder.glob(f"{NAME_PREFIX}*"))
    return sorted(filter(_is_name, names), reverse=True)


def _is_name(name: str) -> bool:
    """Return whether a name is a copy's: its form, and a moment that there is."""
    if not _COPY_NAME.fullmatch(name):
        return False
    try:
        read_moment(name)
    except ValueError:
        return False
    return True


def read_parts(folder: Path, name: str) -> Iterator[bytes]:
    """Yield a sealed copy in parts. Raises :class:`NotFound` for another name than a copy's."""
    if name not in list_copies(folder):
        raise NotFound(f"There is no backup {name}.", hint="leadmaster backup list")
    with (folder / name).open("rb") as file:
        while part := file.read(_PART_BYTES):
            yield part


def read_moment(name: str) -> datetime:
    """Return when a copy was made, by its file's name."""
    stamp = name.removeprefix(NAME_PREFIX)[: len("20260303T150000Z")]
    return datetime.strptime(stamp, "%Y%m%dT%H%M%S%z")


def refresh_status(settings: Settings) -> BackupStatus:
    """Bring what is known in line with the key and the files that are there; return it."""
    with opened_copies(settings) as folder:
        return _keep_status(settings, folder, clears_failure=False)


def _choose_name(folder: Path, now: datetime) -> str:
    """Return a free name; of two copies made in one second, the later has the next one's."""
    while (folder / (name := f"{NAME_PREFIX}{now:%Y%m%dT%H%M%SZ}{sealing.SEALED_SUFFIX}")).exists():
        now += timedelta(seconds=1)
    return name


def _describe_copy(sealed: Path, manifest: Manifest) -> SealedCopy:
    size = sealed.stat().st_size
    return SealedCopy(
        sealed.name, manifest.made_at, size, manifest.made_at, manifest.counts, manifest.logins
    )


def _describe_found_copy(sealed: Path) -> SealedCopy:
    """Describe a copy of which nothing is known but its file."""
    made_at, size = read_moment(sealed.name), sealed.stat().st_size
    return SealedCopy(sealed.name, made_at, size, tested_at=None, counts={}, logins=0)


def _seal_journal(settings: Settings, folder: Path, recipient: str, now: datetime) -> SealedJournal:
    content = read_copied_journal(StateFolder(settings.state_dir).journal)
    plain = folder / "suppressions.new.plain"
    create_durably(plain, content)
    try:
        sealing.seal_file(plain, folder / SEALED_JOURNAL, recipient)
    finally:
        plain.unlink()
    sealed = SealedJournal(now, len(content))
    _keep_status(settings, folder, journal=sealed, clears_failure=False)
    return sealed


def _take_away(settings: Settings, folder: Path, now: datetime) -> None:
    """Copy to the target what it lacks, and start the owner's command."""
    if settings.backup.target:
        last = find_last_copy(read_status(settings), now)
        _copy_to_target(folder, Path(settings.backup.target), last)
    # Under systemd another unit starts it, which has a network, and sees sealed files alone.
    if not settings.backup.socket:
        run_owner_command(settings)


def _copy_to_target(folder: Path, target: Path, last: SealedCopy | None) -> None:
    # Never made here: a disk that is not mounted would be a folder on our own disk.
    if not target.is_dir():
        raise BackupFailed(
            f"The target {target} is not there.", hint="Mount it, or make the folder."
        )
    missing = [last.name] if last and not (target / last.name).exists() else []
    for name in (*missing, SEALED_JOURNAL):
        draft = sealing.get_draft(target / name)
        draft.unlink(missing_ok=True)
        create_durably(draft)
        shutil.copyfile(folder / name, draft)
        sealing.sync_file(draft)
        sealing.put_in_place(draft, target / name)


def run_owner_command(settings: Settings) -> None:
    """Run the owner's command with the folder of the sealed files; do nothing without one.

    Raises :class:`BackupFailed` where it can't be run, or fails.
    """
    command = settings.backup.command
    if not command:
        return
    try:
        done = subprocesses.run_command([*command, str(settings.backup_dir)], _COMMAND_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackupFailed(f"The command {command[0]} could not be run: {error}.") from error
    if done.returncode != 0:
        raise BackupFailed(
            f"The command {command[0]} ended with status {done.returncode}.",
            hint="Run it by hand, and see what it prints.",
        )


def _list_folders(settings: Settings) -> list[Path]:
    target = [Path(settings.backup.target)] if settings.backup.target else []
    return [folder for folder in (settings.backup_dir, *target) if folder.is_dir()]


def _keep_status(
    settings: Settings,
    folder: Path,
    *,
    copy: SealedCopy | None = None,
    journal: SealedJournal | None = None,
    clears_failure: bool = True,
) -> BackupStatus:
    """Write what is known, by the files that are there; return it."""
    before = read_status(settings)
    known = {each.name: each for each in (*before.copies, *([copy] if copy else []))}
    key = load_key(folder)
    status = BackupStatus(
        recipient=key.recipient if key else "",
        key_made_at=key.made_at if key else None,
        key_confirmed_at=key.confirmed_at if key else None,
        key_row=key.row if key else 0,
        places=list_places(settings),
        burns_with_server=burns_with_server(settings),
        copies=tuple(
            known.get(name) or _describe_found_copy(folder / name) for name in list_copies(folder)
        ),
        last_tested_restore=copy.tested_at if copy else before.last_tested_restore,
        journal=journal or before.journal,
        failure=None if clears_failure else before.failure,
    )
    write_status(settings, status)
    return status


def _keep_failure(settings: Settings, folder: Path, failure: BackupFailure) -> None:
    before = read_status(settings)
    # By the files only where nothing else is known: what failed may be to read them.
    known = before if before.unreadable is None else _keep_status(settings, folder)
    write_status(settings, msgspec.structs.replace(known, failure=failure))


@contextlib.contextmanager
def _recording_failure(settings: Settings, folder: Path, now: datetime) -> Iterator[None]:
    """Keep why a copy failed, so that `doctor`, `status` and Today say it; then raise it."""
    try:
        yield
    except (StorageError, OSError) as error:
        hint = error.hint if isinstance(error, StorageError) else ""
        with contextlib.suppress(OSError):  # what stopped the copy may stop this too
            _keep_failure(settings, folder, BackupFailure(now, str(error), hint))
        raise BackupFailed(str(error), hint=hint) from error
    except LeadMasterError as error:
        _keep_failure(settings, folder, BackupFailure(now, str(error), error.hint))
        raise
