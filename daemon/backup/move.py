"""Moves an installation to another server in one sealed bundle, without linking a phone again.

The old one gets a tombstone before the bundle has its name: no bundle is there while the old one
could still start.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from daemon.backup import sealing
from daemon.backup.contents import Manifest, Progress, collect_contents
from daemon.backup.keys import require_key
from daemon.errors import Conflict, require_reason
from daemon.settings import Settings
from storage.opening import adopt_database
from storage.restore_plan import finish_replacement
from storage.schema_steps import MIGRATIONS
from storage.state_folder import (
    PRIVATE_FOLDER_MODE,
    FolderLock,
    StateFolder,
    sync_folder,
    write_durably,
)
from storage.triggers import install_triggers
from storage.tx import Tx

WORK_FOLDER: Final = "move.work"


class Tombstone(msgspec.Struct, frozen=True):
    """That an installation was moved away: when, and into which bundle."""

    moved_at: datetime
    bundle: str


def export_installation(
    settings: Settings, config: Path | None, bundle: Path, *, now: datetime, progress: Progress
) -> Manifest:
    """Seal this installation, whose daemon must not run, into a bundle; from then on it is moved.

    May be repeated. Raises :class:`BackupKeyMissing`, :class:`Conflict` where the key was never
    confirmed or the file exists, and DatabaseInUse.
    """
    key = require_key(settings.backup_dir)
    if key.confirmed_at is None:
        raise Conflict(
            "Nobody confirmed the sheet with the key, without which the bundle can't be opened.",
            hint="leadmaster backup key --confirm",
        )
    if bundle.exists():
        raise Conflict(f"{bundle} exists.", hint="Give the bundle another name.")
    state = StateFolder(settings.state_dir)
    work = state.path / WORK_FOLDER
    with contextlib.closing(FolderLock(state)):
        finish_replacement(state)
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(mode=PRIVATE_FOLDER_MODE)
        try:
            manifest = collect_contents(
                settings, config, work / "contents", purpose="move", now=now, progress=progress
            )
            progress("seal")
            draft = sealing.get_draft(bundle)
            sealing.seal_folder(work / "contents", draft, key.recipient)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        progress("tombstone")
        write_durably(state.tombstone, msgspec.json.encode(Tombstone(now, str(bundle.absolute()))))
        progress("put_in_place")
        sealing.put_in_place(draft, bundle)
    return manifest


def revoke_move(settings: Settings, reason: str, settle: Callable[[Tx], None]) -> int:
    """Let an installation that was moved away start again, in a new epoch; return that.

    `settle` runs in the transaction that begins the epoch. Raises :class:`Conflict` where it was
    not moved.
    """
    state = StateFolder(settings.state_dir)
    stated = require_reason(reason)
    if not state.tombstone.exists():
        raise Conflict("This installation was not moved away.", hint="There is nothing to revoke.")
    # The tombstone last: after a crash in between, it is still moved, and this is repeated.
    identity = adopt_database(
        settings.state_dir,
        f"move revoked: {stated}",
        migrations=MIGRATIONS,
        settle=settle,
        at_open=install_triggers,
    )
    state.tombstone.unlink()
    sync_folder(state.path)
    return identity.epoch
