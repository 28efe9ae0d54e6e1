"""Where the private key of tokens lies: a credential of the service manager, or a private file."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from daemon.errors import Conflict, StartRefused
from storage.errors import disk_failures_named
from storage.folder import create_durably, write_durably

CREDENTIAL: Final = "jwt_secret"
KEY_FILE: Final = "token.key"
_SHORTEST: Final = 32
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class KeySource(Protocol):
    """A place that holds one private key."""

    def read(self) -> Ed25519PrivateKey:
        """Return the key; raise :class:`StartRefused` where it can't be trusted."""
        ...

    def renew(self) -> Ed25519PrivateKey:
        """Put a new key in the old one's place and return it; raise :class:`Conflict`."""
        ...


def key_source(state_dir: Path, environ: Mapping[str, str]) -> KeySource:
    """Return the credential where the service manager passed one, else the state folder's file."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if folder and (credential := Path(folder) / CREDENTIAL).exists():
        return Credential(credential)
    return KeyFile(state_dir / KEY_FILE)


class Credential:
    """A key, or a secret that a key is derived from, which only the service manager can change."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Ed25519PrivateKey:
        """Return the key; raise :class:`StartRefused` where it is none or too short."""
        return _key(self._path)

    def renew(self) -> Ed25519PrivateKey:
        """Raise :class:`Conflict`: the daemon can't write there."""
        raise Conflict(
            f"The key is the credential {CREDENTIAL}, which the daemon can't change.",
            hint="Replace the credential and restart; tokens of the old key stay good.",
        )


class KeyFile:
    """A file that its owner alone may read, made at the first start."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Ed25519PrivateKey:
        """Return the key, a new one where there is no file.

        Raises :class:`StartRefused`, or ``WriteFailed`` where the disk refuses.
        """
        if not self._path.exists():
            with disk_failures_named(self._path):
                create_durably(self._path, _pem(Ed25519PrivateKey.generate()))
        if self._path.stat().st_mode & _OTHERS:
            raise StartRefused(
                f"{self._path} can be read by others, who could sign in as anybody.",
                hint=f"Remove it, and a new one is made; tokens must be made anew. "
                f"If nobody read it: chmod 600 {self._path}",
            )
        return _key(self._path)

    def renew(self) -> Ed25519PrivateKey:
        """Replace the file as a whole; raise ``WriteFailed`` where the disk refuses."""
        fresh = Ed25519PrivateKey.generate()
        with disk_failures_named(self._path):
            write_durably(self._path, _pem(fresh))
        return fresh


def _key(path: Path) -> Ed25519PrivateKey:
    try:
        content = path.read_bytes()  # a random byte at either end may look like a blank
        found = (
            serialization.load_pem_private_key(content, password=None)
            if content.startswith(b"-----BEGIN")
            else _derived(content)
        )
    except OSError as error:
        raise _refused(path, f"can't be read: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _refused(path, f"is no Ed25519 key and no secret of {_SHORTEST} bytes") from None
    if not isinstance(found, Ed25519PrivateKey):
        raise _refused(path, "is a key of another kind than Ed25519")
    return found


def _derived(secret: bytes) -> Ed25519PrivateKey:
    """Return the key that belongs to a secret: the same one at each start."""
    if len(secret) < _SHORTEST:
        message = "too short to be a secret"
        raise ValueError(message)
    seed = HKDF(hashes.SHA256(), length=32, salt=None, info=b"leadmaster tokens").derive(secret)
    return Ed25519PrivateKey.from_private_bytes(seed)


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _refused(path: Path, what: str) -> StartRefused:
    return StartRefused(
        f"{path} {what}, so tokens can be neither made nor checked.",
        hint="Replace it: head -c 32 /dev/urandom | base64",
    )
