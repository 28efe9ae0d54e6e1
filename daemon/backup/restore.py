"""Puts a backup in place of what is here: tested first, then all of it in one plan, or nothing.

Everything is prepared beside its place, the database too, in a new epoch. What was here is kept.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import pyrage
from msgspec import Struct, field

from daemon.backup import sealing
from daemon.backup.contents import (
    CHILD_SLOT,
    SESSIONS,
    SIGNING_KEY_FILE,
    Manifest,
    Progress,
    check_contents,
    list_rule_files,
)
from daemon.backup.copies import SEALED_JOURNAL, opened_copies, refresh_status
from daemon.backup.keys import keep_public_half
from daemon.errors import Conflict
from daemon.settings import Settings
from storage.backup import check_folder_databases, forget_conversations
from storage.errors import DatabaseCloned, DatabaseCorrupt
from storage.identity import load_anchor
from storage.integrity import refuse_moved
from storage.journal import SuppressionJournal
from storage.opening import adopt_database
from storage.restore_plan import FileMove, begin_replacement, finish_replacement
from storage.schema_steps import MIGRATIONS
from storage.state_folder import (
    PRIVATE_FILE_MODE,
    PRIVATE_FOLDER_MODE,
    FolderLock,
    StateFolder,
    create_durably,
    give_to_owner,
    sync_folder,
)
from storage.triggers import install_triggers
from storage.tx import Tx

OPENED: Final = "restore.opened"
PREPARED: Final = "restore.new"
_RULE_FILE_MODE: Final = 0o660
_SETTINGS_FILE_MODE: Final = 0o640


class RestoredInstallation(Struct, frozen=True):
    """What was put in place: the manifest, the new epoch, and what a person has to look at.

    `opt_outs_since` counts the lines of a newer journal that the backup lacked. `beside` are files
    that differ from those here, which were left as they are, with the backup's next to them.
    """

    manifest: Manifest
    epoch: int
    opt_outs_since: int
    kept: Path
    beside: tuple[Path, ...]


class RestorePlan(Struct, frozen=True):
    """How a restore differs from a move: what it settles, and whether logins may be old."""

    reason: str
    settle: Callable[[Tx], None]
    logins_are_current: bool


class _FileAccess(Struct, frozen=True):
    """Who may read a restored file: its mode, and the daemon's group."""

    mode: int
    group: int


class _Prepared(Struct):
    """What is ready to be put in place."""

    moves: list[FileMove] = field(default_factory=list)
    beside: list[Path] = field(default_factory=list)
    epoch: int = 0
    opt_outs_since: int = 0


@contextlib.contextmanager
def opened_backup(
    sealed: Path, identity: pyrage.x25519.Identity, folder: Path
) -> Iterator[Manifest]:
    """Open a sealed backup in a folder, test it there, and yield its manifest; then remove it.

    Raises :class:`BackupKeyWrong`, :class:`BackupUnreadable`, or DatabaseRefused where this version
    can't restore it.
    """
    shutil.rmtree(folder, ignore_errors=True)
    try:
        sealing.open_sealed_folder(sealed, identity, folder)
        yield check_contents(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_name(folder.name + ".tar").unlink(missing_ok=True)


def restore_backup(
    settings: Settings,
    sealed: Path,
    identity: pyrage.x25519.Identity,
    plan: RestorePlan,
    *,
    now: datetime,
    progress: Progress,
) -> RestoredInstallation:
    """Put a sealed backup in place of this installation, whose daemon must not run.

    Raises what :func:`opened_backup` does, and DatabaseInUse while a daemon runs.
    """
    state = StateFolder(settings.state_dir)
    with contextlib.closing(FolderLock(state)):
        if finish_replacement(state):
            raise Conflict(
                "An earlier restore had been cut short; it is finished now.",
                hint="Look whether it is what you want, and restore again if not.",
            )
        if not plan.logins_are_current:
            refuse_moved(state)
        progress("open")
        opened = state.path / OPENED
        with opened_backup(sealed, identity, opened) as manifest:
            progress("prepare")
            kept = state.path / f"replaced-{now:%Y%m%dT%H%M%SZ}"
            prepared = _Prepared()
            _prepare_state(state, opened, kept, sealed, identity, plan, prepared)
            _prepare_logins(settings, opened, now, plan, prepared)
            _prepare_files(settings, opened, manifest, now, prepared)
            progress("plan")
            begin_replacement(state, prepared.moves, state.path / PREPARED)
        progress("replace")
        finish_replacement(state)
        _keep_key(settings, identity, now)
        progress("done")
    return RestoredInstallation(
        manifest, prepared.epoch, prepared.opt_outs_since, kept, tuple(prepared.beside)
    )


def _keep_key(settings: Settings, identity: pyrage.x25519.Identity, now: datetime) -> None:
    # Who typed the whole key has the sheet: copies from now on are sealed to the same one.
    with opened_copies(settings) as folder:
        keep_public_half(folder, identity, now)
    refresh_status(settings)


def finish_restore(settings: Settings) -> bool:
    """Finish a restore that was cut short; return False where there is none."""
    state = StateFolder(settings.state_dir)
    with contextlib.closing(FolderLock(state)):
        return finish_replacement(state)


def _prepare_state(
    state: StateFolder,
    opened: Path,
    kept: Path,
    sealed: Path,
    identity: pyrage.x25519.Identity,
    plan: RestorePlan,
    prepared: _Prepared,
) -> None:
    """Adopt the database in a folder of its own, with every opt-out that any journal has."""
    new = StateFolder(state.path / PREPARED)
    shutil.rmtree(new.path, ignore_errors=True)
    new.path.mkdir(mode=PRIVATE_FOLDER_MODE)
    give_to_owner(new.path, state.path)
    for path in sorted((opened / "state").iterdir()):
        create_durably(new.path / path.name)
        shutil.copyfile(path, new.path / path.name)
        sealing.sync_file(new.path / path.name)
    prepared.opt_outs_since = _add_later_opt_outs(state, new, sealed, identity)
    adopted = adopt_database(
        new.path,
        plan.reason,
        migrations=MIGRATIONS,
        settle=plan.settle,
        at_open=install_triggers,
        latest_epoch=_read_epoch(state),
    )
    prepared.epoch = adopted.epoch
    names = [new.anchor.name, new.suppression_key.name, new.journal.name, SIGNING_KEY_FILE]
    moved_away = [state.wal, state.wal.with_name(state.database.name + "-shm"), state.tombstone]
    prepared.moves += [FileMove("", str(path), str(kept / path.name)) for path in moved_away]
    prepared.moves += [
        FileMove(str(new.path / name), str(state.path / name), str(kept / name))
        for name in (*names, new.database.name)
        if (new.path / name).exists()
    ]


def _add_later_opt_outs(
    state: StateFolder, new: StateFolder, sealed: Path, identity: pyrage.x25519.Identity
) -> int:
    """Add the opt-outs of the sealed journal beside the backup, and of the one that is here."""
    journal = SuppressionJournal(new.path)
    later = 0
    follower = sealed.parent / SEALED_JOURNAL
    if follower.exists():
        scratch = StateFolder(new.path / "journal")
        scratch.path.mkdir(mode=PRIVATE_FOLDER_MODE)
        shutil.copyfile(new.suppression_key, scratch.suppression_key)
        sealing.open_sealed_file(follower, identity, scratch.journal)
        later += journal.add_missing(SuppressionJournal(scratch.path).entries())
        shutil.rmtree(scratch.path)
    same_key = (
        state.suppression_key.exists()
        and state.suppression_key.read_bytes() == new.suppression_key.read_bytes()
    )
    if same_key and state.journal.exists():
        later += journal.add_missing(SuppressionJournal(state.path).entries())
    return later


def _read_epoch(state: StateFolder) -> int:
    """Return the epoch of the installation that is here, 0 without one."""
    with contextlib.suppress(DatabaseCloned):
        anchor = load_anchor(state)
        return anchor.epoch if anchor else 0
    return 0


def _prepare_logins(
    settings: Settings, opened: Path, now: datetime, plan: RestorePlan, prepared: _Prepared
) -> None:
    """Prepare each login beside its place; what is older than its phone agrees on new keys."""
    for folder in sorted((opened / "linked").glob("*/*")):
        slot = folder.parent.name
        if slot == CHILD_SLOT:
            place = settings.state_dir / SESSIONS
        elif settings.linked_dir:
            place = settings.linked_dir.resolve() / slot
        else:
            raise Conflict(
                f"The backup has a login of the worker in slot {slot}, and no unit is here.",
                hint="Install the units first, or set linked_dir under [backup].",
            )
        _make_owned_folder(place)
        target = place / folder.name
        if not plan.logins_are_current and _is_login_whole(target):
            continue  # it is newer than the backup's
        new = place / f".{folder.name}.restored"
        shutil.rmtree(new, ignore_errors=True)
        shutil.copytree(folder, new)
        if not plan.logins_are_current:
            for path in sorted(new.rglob("*.db")):
                forget_conversations(path)
        _settle_tree(new)
        prepared.moves.append(FileMove(str(new), str(target), str(_get_kept_name(target, now))))


def _is_login_whole(folder: Path) -> bool:
    try:
        return folder.is_dir() and check_folder_databases(folder) > 0
    except DatabaseCorrupt:
        return False


def _prepare_files(
    settings: Settings,
    opened: Path,
    manifest: Manifest,
    now: datetime,
    prepared: _Prepared,
) -> None:
    """Prepare rules, secrets and settings; of the last, what differs here is left as it is."""
    own, group = Path(settings.rules.dir), settings.state_dir.stat().st_gid
    files = list_rule_files(opened / "rules")
    for path in files:
        access = _FileAccess(_RULE_FILE_MODE, group)
        _prepare_file(path, own / path.name, access, now, prepared)
    names = {path.name for path in files}
    # A file that the backup lacks would overrule what it has.
    prepared.moves += [
        FileMove("", str(path), str(_get_kept_name(path, now)))
        for path in list_rule_files(own)
        if path.name not in names
    ]
    for file in manifest.files:
        if file.origin:
            target = Path(file.origin)
            path = opened / file.path
            is_secret = file.origin in settings.backup.secrets
            access = _FileAccess(PRIVATE_FILE_MODE if is_secret else _SETTINGS_FILE_MODE, group)
            if target.exists() and not is_secret and target.read_bytes() != path.read_bytes():
                access = _FileAccess(stat.S_IMODE(target.stat().st_mode), group)
                target = target.with_name(target.name + ".restored")
                prepared.beside.append(target)
            _prepare_file(path, target, access, now, prepared)


def _prepare_file(
    source: Path, target: Path, access: _FileAccess, now: datetime, prepared: _Prepared
) -> None:
    if target.exists() and target.read_bytes() == source.read_bytes():
        return
    _make_owned_folder(target.parent)
    new = target.with_name(f".{target.name}.prepared")
    new.unlink(missing_ok=True)
    create_durably(new, source.read_bytes())
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else access.mode
    # Only where root restores is the file not the daemon's own; by its group it can read it.
    if os.geteuid() == 0:
        if mode & stat.S_IRGRP:
            os.chown(new, -1, access.group)
        new.chmod(mode)
    elif target.exists():
        new.chmod(mode)
    prepared.moves.append(FileMove(str(new), str(target), str(_get_kept_name(target, now))))


def _get_kept_name(path: Path, now: datetime) -> Path:
    return path.with_name(f".{path.name}.replaced-{now:%Y%m%dT%H%M%SZ}")


def _make_owned_folder(folder: Path) -> None:
    if not folder.exists():
        folder.mkdir(mode=PRIVATE_FOLDER_MODE, parents=True)
        give_to_owner(folder, folder.parent)
        sync_folder(folder.parent)


def _settle_tree(folder: Path) -> None:
    """Give a copied folder to the owner of its place, and flush it to the disk."""
    for path in (folder, *sorted(folder.rglob("*"))):
        if path.is_dir():
            path.chmod(PRIVATE_FOLDER_MODE)
            sync_folder(path)
        else:
            sealing.sync_file(path)
        if os.geteuid() == 0:
            owner = folder.parent.stat()
            os.chown(path, owner.st_uid, owner.st_gid)
