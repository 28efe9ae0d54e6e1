"""What a backup holds: collects it into a folder while the daemon runs, and lists it in a manifest.

state/…            database, suppression journal and its key, the tokens' key
linked/SLOT/NAME/… the login of each linked phone; SLOT is `-` where its worker is our child
rules/…            the operator's folder of rule files
files/N            settings, secrets and other single files; the manifest says from where
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec.structs import asdict

from daemon.backup.errors import BackupUnreadable
from daemon.errors import Conflict
from daemon.settings import Settings
from storage.backup import (
    CheckedCopy,
    check_folder_databases,
    check_state_copy,
    copy_file_in_use,
    copy_folder_in_use,
    read_copied_journal,
)
from storage.opening import adopt_database
from storage.schema_steps import MIGRATIONS
from storage.state_folder import PRIVATE_FOLDER_MODE, StateFolder, create_durably, sync_folder
from storage.triggers import install_triggers

MANIFEST: Final = "manifest.json"
FORMAT: Final = "leadmaster/backup@1"
CHILD_SLOT: Final = "-"
"""The slot of a session whose worker is a child of the daemon."""
SIGNING_KEY_FILE: Final = "token.key"
SESSIONS: Final = "sessions"
_READ_BYTES: Final = 1 << 20

Purpose: TypeAlias = Literal["backup", "move"]
Progress: TypeAlias = Callable[[str], None]
"""Called with the name of each step before it begins."""


class ManifestFile(msgspec.Struct, frozen=True):
    """One file: its path in the backup, its digest, and where it was, if that is its own place."""

    path: str
    sha256: str
    origin: str = ""


class Manifest(msgspec.Struct, frozen=True):
    """What a backup holds, and of which installation it is."""

    format: str
    purpose: Purpose
    version: str
    made_at: datetime
    instance_id: str
    epoch: int
    high_water: int
    counts: dict[str, int]
    logins: int
    files: tuple[ManifestFile, ...]


def collect_contents(
    settings: Settings,
    config: Path | None,
    folder: Path,
    *,
    purpose: Purpose,
    now: datetime,
    progress: Progress,
) -> Manifest:
    """Collect everything into a folder that must not exist, check it, and write its manifest.

    Raises DatabaseRefused where what was copied could not be restored.
    """
    if not StateFolder(settings.state_dir).database.exists():
        raise Conflict(
            f"There is no database in {settings.state_dir}.", hint="Start the daemon first."
        )
    folder.mkdir(mode=PRIVATE_FOLDER_MODE)
    # Logins first: what a worker received is in its folder until the database has it.
    progress("copy_logins")
    logins = _copy_logins(settings, folder / "linked")
    progress("copy_database")
    _copy_state(StateFolder(settings.state_dir), folder / "state")
    progress("copy_files")
    origins = _copy_single_files(settings, config, folder)
    progress("check")
    checked = _check_copies(folder)
    manifest = Manifest(
        format=FORMAT,
        purpose=purpose,
        version=version("leadmaster"),
        made_at=now,
        **asdict(checked.identity),
        counts=asdict(checked.counts),
        logins=logins,
        files=tuple(_list_files(folder, origins)),
    )
    create_durably(folder / MANIFEST, msgspec.json.encode(manifest))
    return manifest


def check_contents(folder: Path) -> Manifest:
    """Check an opened backup as it was checked when it was made; return its manifest.

    Raises :class:`BackupUnreadable` where a file is missing or changed, and DatabaseRefused where
    the database can't be restored by this version.
    """
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise BackupUnreadable("What was sealed is no backup of LeadMaster.") from error
    if manifest.format != FORMAT:
        raise BackupUnreadable(
            f"The backup is of another format: {manifest.format}.",
            hint=f"Open it with the version that made it: {manifest.version}.",
        )
    for file in manifest.files:
        path = folder / file.path
        if not path.is_file() or _hash_file(path) != file.sha256:
            raise BackupUnreadable(f"{file.path} is missing in the backup, or changed.")
    checked = _check_copies(folder)
    if asdict(checked.counts) != manifest.counts:
        raise BackupUnreadable("The database holds something else than when the backup was made.")
    return manifest


def _check_copies(folder: Path) -> CheckedCopy:
    """Check the copies of all databases, ours as a restore opens it."""
    checked = check_state_copy(folder / "state", folder / "check", _ADOPT)
    shutil.rmtree(folder / "check")
    check_folder_databases(folder / "linked")
    return checked


_ADOPT: Final = partial(
    adopt_database,
    reason="a backup is checked",
    migrations=MIGRATIONS,
    settle=lambda _tx: None,
    at_open=install_triggers,
)
"""Opens a copied state folder as this code's own."""


def list_rule_files(folder: Path) -> list[Path]:
    """Return the files in the operator's folder of rules, faulty ones too; not the hidden ones."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in found if path.is_file() and not path.name.startswith(".")]


def list_login_folders(settings: Settings) -> Iterator[tuple[str, Path]]:
    """Yield the slot and the folder of each session's login."""
    for folder in _list_folders(settings.state_dir / SESSIONS):
        yield CHILD_SLOT, folder
    if settings.linked_dir:
        for slot in _list_folders(settings.linked_dir):
            for folder in _list_folders(slot):
                yield slot.name, folder


def _list_folders(folder: Path) -> list[Path]:
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in found if path.is_dir() and not path.name.startswith(".")]


def _copy_logins(settings: Settings, target: Path) -> int:
    target.mkdir(mode=PRIVATE_FOLDER_MODE)
    count = 0
    for slot, folder in list_login_folders(settings):
        (target / slot).mkdir(mode=PRIVATE_FOLDER_MODE, exist_ok=True)
        count += bool(copy_folder_in_use(folder, target / slot / folder.name))
    sync_folder(target)
    return count


def _copy_state(state: StateFolder, target: Path) -> None:
    target.mkdir(mode=PRIVATE_FOLDER_MODE)
    copy_file_in_use(state.database, target / state.database.name)
    # After the database: an opt-out is in the journal before it is committed.
    create_durably(target / state.journal.name, read_copied_journal(state.journal))
    for path in (state.suppression_key, state.path / SIGNING_KEY_FILE):
        if path.exists():
            create_durably(target / path.name, path.read_bytes())


def _copy_single_files(settings: Settings, config: Path | None, folder: Path) -> dict[str, str]:
    """Copy rules, settings and secrets; return where each single file was, by its new path."""
    own = Path(settings.rules.dir)
    (folder / "rules").mkdir(mode=PRIVATE_FOLDER_MODE)
    (folder / "files").mkdir(mode=PRIVATE_FOLDER_MODE)
    for path in list_rule_files(own):
        create_durably(folder / "rules" / path.name, path.read_bytes())
    singles = [
        *([str(config)] if config else []),
        *settings.rules.gate,
        *settings.rules.score,
        settings.inbound.phrases_file,
        *settings.backup.secrets,
    ]
    origins: dict[str, str] = {}
    for number, name in enumerate(dict.fromkeys(filter(None, singles))):
        if (source := Path(name)).is_file():
            create_durably(folder / "files" / str(number), source.read_bytes())
            origins[f"files/{number}"] = str(source.absolute())
    return origins


def _list_files(folder: Path, origins: dict[str, str]) -> Iterator[ManifestFile]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            yield ManifestFile(name, _hash_file(path), origins.get(name, ""))


def _hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
