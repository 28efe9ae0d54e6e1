"""Sealed files: a folder packed (tar, gzip) and encrypted in the age format, and opened again."""

from __future__ import annotations

import contextlib
import gzip
import os
import tarfile
from pathlib import Path, PurePosixPath
from typing import Final

import pyrage

from daemon.backup.errors import BackupKeyWrong, BackupUnreadable
from storage.state_folder import (
    PRIVATE_FILE_MODE,
    PRIVATE_FOLDER_MODE,
    create_durably,
    give_to_owner,
    sync_folder,
)

SEALED_SUFFIX: Final = ".age"
_DRAFT_SUFFIX: Final = ".new"
_COPY_BYTES: Final = 1 << 20


def seal_folder(folder: Path, draft: Path, recipient: str) -> None:
    """Pack a folder and encrypt it into a draft; it is on the disk on return, not yet in place."""
    packed = draft.with_name(draft.name + ".tar")
    packed.unlink(missing_ok=True)
    create_durably(packed)
    try:
        with tarfile.open(packed, "w:gz") as archive:
            archive.add(folder, arcname=".")
        _encrypt(packed, draft, recipient)
    finally:
        packed.unlink(missing_ok=True)


def seal_file(source: Path, target: Path, recipient: str) -> None:
    """Encrypt a file; the sealed one is replaced as a whole."""
    draft = get_draft(target)
    _encrypt(source, draft, recipient)
    put_in_place(draft, target)


def get_draft(target: Path) -> Path:
    """Return the name under which a file is written before it is put in place."""
    return target.with_name(target.name + _DRAFT_SUFFIX)


def put_in_place(draft: Path, target: Path) -> None:
    """Give a draft its name: after a power cut the whole file has it, or none."""
    draft.replace(target)
    sync_folder(target.parent)


def open_sealed_folder(sealed: Path, identity: pyrage.x25519.Identity, folder: Path) -> None:
    """Decrypt and unpack into a folder that must not exist; its files are on the disk on return.

    Raises :class:`BackupKeyWrong` for another key, :class:`BackupUnreadable` for a damaged file.
    """
    folder.mkdir(mode=PRIVATE_FOLDER_MODE)
    give_to_owner(folder, folder.parent)
    packed = folder.with_name(folder.name + ".tar")
    try:
        open_sealed_file(sealed, identity, packed)
        with tarfile.open(packed, "r:gz") as archive:
            for member in archive:
                if member.isfile():
                    _unpack_file(archive, member, folder)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile) as error:
        raise BackupUnreadable(f"{sealed} is damaged: {error}.") from error
    finally:
        packed.unlink(missing_ok=True)


def open_sealed_file(sealed: Path, identity: pyrage.x25519.Identity, target: Path) -> None:
    """Decrypt a file into another, which is replaced."""
    if not sealed.is_file():
        raise BackupUnreadable(f"There is no file {sealed}.")
    target.unlink(missing_ok=True)
    create_durably(target)
    try:
        pyrage.decrypt_file(str(sealed), str(target), [identity])
    except pyrage.DecryptError as error:
        # The library has one error for both, and a sentence for each.
        if "No matching keys" in str(error):
            raise BackupKeyWrong(f"{sealed.name} was sealed for another key.") from None
        raise BackupUnreadable(f"{sealed} is damaged, or no sealed file.") from error
    except OSError as error:
        # Without a number it is the library's own: the content does not fit its seal.
        if error.errno is not None:
            raise
        raise BackupUnreadable(f"{sealed} is damaged: its seal is broken.") from error


def _encrypt(source: Path, target: Path, recipient: str) -> None:
    target.unlink(missing_ok=True)
    create_durably(target)
    pyrage.encrypt_file(str(source), str(target), [pyrage.x25519.Recipient.from_str(recipient)])
    sync_file(target)


def sync_file(path: Path) -> None:
    """Flush a file's content to the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _unpack_file(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    # By our own names only: an archive must not name a file outside of the folder.
    parts = PurePosixPath(member.name).parts
    if not parts or ".." in parts or member.name.startswith("/"):
        raise BackupUnreadable(f"The archive names a file outside of itself: {member.name}.")
    target = folder.joinpath(*parts)
    for parent in reversed(target.relative_to(folder).parents):
        made = folder / parent
        if not made.exists():
            made.mkdir(mode=PRIVATE_FOLDER_MODE)
    source = archive.extractfile(member)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE_MODE)
    with os.fdopen(descriptor, "wb") as copy, contextlib.ExitStack() as stack:
        content = stack.enter_context(source) if source else None
        while content and (block := content.read(_COPY_BYTES)):
            copy.write(block)
        copy.flush()
        os.fsync(descriptor)
