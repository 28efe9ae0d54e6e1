"""The keys that sign and verify tokens: the private key's source, rotation, retired keys."""

from __future__ import annotations

import asyncio
import hashlib
import stat
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from daemon.api.clock import Clock
from daemon.errors import Conflict, StartRefused
from storage import audit, tokens
from storage.db import Database
from storage.errors import translate_disk_errors
from storage.state_folder import create_durably, write_durably
from storage.tx import Tx

CREDENTIAL: Final = "jwt_secret"
KEY_FILE: Final = "token.key"
_MIN_SECRET_BYTES: Final = 32
_OTHERS_MODE_BITS: Final = stat.S_IRWXG | stat.S_IRWXO


class SigningKeySource(Protocol):
    """A source of one private key."""

    def read(self) -> Ed25519PrivateKey:
        """Return the key; raise :class:`StartRefused` where it can't be trusted."""
        ...

    def renew(self) -> Ed25519PrivateKey:
        """Replace the key with a new one and return it; raise :class:`Conflict`."""
        ...


def choose_key_source(state_dir: Path, environ: Mapping[str, str]) -> SigningKeySource:
    """Return the credential where the service manager passes one, else the state folder's file."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if folder and (credential := Path(folder) / CREDENTIAL).exists():
        return CredentialKeySource(credential)
    return FileKeySource(state_dir / KEY_FILE)


class CredentialKeySource:
    """A key, or a secret from which it is derived, that only the service manager can change."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Ed25519PrivateKey:
        """Return the key; raise :class:`StartRefused` where it is none or too short."""
        return _load_key(self._path)

    def renew(self) -> Ed25519PrivateKey:
        """Raise :class:`Conflict`: the daemon can't write there."""
        raise Conflict(
            f"The key is the credential {CREDENTIAL}, which the daemon can't change.",
            hint="Replace the credential and restart; tokens of the old key stay valid.",
        )


class FileKeySource:
    """A file that only its owner may read, created at the first start."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Ed25519PrivateKey:
        """Return the key; create one where there is no file.

        Raises :class:`StartRefused`, or ``WriteFailed`` where the disk refuses.
        """
        if not self._path.exists():
            with translate_disk_errors(self._path):
                create_durably(self._path, _encode_pem(Ed25519PrivateKey.generate()))
        if self._path.stat().st_mode & _OTHERS_MODE_BITS:
            raise StartRefused(
                f"{self._path} can be read by others, who could sign in as anybody.",
                hint=f"Remove it, and a new one is made; tokens must be made anew. "
                f"If nobody read it: chmod 600 {self._path}",
            )
        return _load_key(self._path)

    def renew(self) -> Ed25519PrivateKey:
        """Replace the file atomically; raise ``WriteFailed`` where the disk refuses."""
        fresh = Ed25519PrivateKey.generate()
        with translate_disk_errors(self._path):
            write_durably(self._path, _encode_pem(fresh))
        return fresh


def _load_key(path: Path) -> Ed25519PrivateKey:
    try:
        content = path.read_bytes()  # not stripped: a random secret may end in a blank
        found = (
            serialization.load_pem_private_key(content, password=None)
            if content.startswith(b"-----BEGIN")
            else _derive_key(content)
        )
    except OSError as error:
        raise _build_key_error(path, f"can't be read: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _build_key_error(
            path, f"is no Ed25519 key and no secret of {_MIN_SECRET_BYTES} bytes"
        ) from None
    if not isinstance(found, Ed25519PrivateKey):
        raise _build_key_error(path, "is a key of another kind than Ed25519")
    return found


def _derive_key(secret: bytes) -> Ed25519PrivateKey:
    """Return the key derived from a secret, the same one at each start."""
    if len(secret) < _MIN_SECRET_BYTES:
        message = "too short to be a secret"
        raise ValueError(message)
    seed = HKDF(hashes.SHA256(), length=32, salt=None, info=b"leadmaster tokens").derive(secret)
    return Ed25519PrivateKey.from_private_bytes(seed)


def _encode_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _build_key_error(path: Path, what: str) -> StartRefused:
    return StartRefused(
        f"{path} {what}, so tokens can be neither made nor checked.",
        hint="Replace it: head -c 32 /dev/urandom | base64",
    )


_KID_LENGTH: Final = 16


class SigningKeys:
    """Signing keys by id. `overlap` is the longest life of a token."""

    def __init__(
        self, database: Database, clock: Clock, source: SigningKeySource, overlap: timedelta
    ) -> None:
        self._database = database
        self._clock = clock
        self._source = source
        self._overlap = overlap
        self._known: dict[str, tokens.SigningKeyRecord] = {}
        self.private = Ed25519PrivateKey.generate()
        """The key that signs; a random one until `open` has read the installation's."""

    async def open(self) -> None:
        """Read the key from its source; where it has changed, the previous one is retired."""
        private = await asyncio.to_thread(self._source.read)
        await self._activate_key(private, "daemon", self._clock.now() - self._overlap)

    @property
    def kid(self) -> str:
        """Return the id of the key that signs: the beginning of its public key's hash."""
        return _compute_key_id(self.private.public_key().public_bytes_raw())

    def get_verifying_key(self, kid: str) -> Ed25519PublicKey | None:
        """Return the public key of this id while its signatures are accepted, else None."""
        found = self._known.get(kid)
        if found is None or self._is_expired(found.retired_at):
            return None
        return Ed25519PublicKey.from_public_bytes(found.public_key)

    async def rotate(self, who: str, *, at_once: bool = False) -> str:
        """Replace the key that signs; return the id of the new one.

        Tokens of the old key stay valid until they expire; with `at_once` all tokens become
        invalid. Raises :class:`Conflict` where the daemon can't change the key.
        """
        fresh = await asyncio.to_thread(self._source.renew)
        now = self._clock.now()
        await self._activate_key(fresh, who, now if at_once else now - self._overlap)
        return self.kid

    async def _activate_key(
        self, private: Ed25519PrivateKey, who: str, forget_until: datetime
    ) -> None:
        """Make a key the one that signs; delete keys that were retired until a moment."""
        public = private.public_key().public_bytes_raw()
        now, kid = self._clock.now(), _compute_key_id(public)

        def job(tx: Tx) -> list[tokens.SigningKeyRecord]:
            if tokens.activate_signing_key(tx, kid, public, now):
                audit.insert_audit_entry(
                    tx, now, who, "sign_with_new_key", "installation", detail={"kid": kid}
                )
            tokens.delete_retired_signing_keys(tx, forget_until)
            return tokens.list_signing_keys(tx)

        # Stored before it is used: a token by a key that a restart does not know would be refused.
        known = await self._database.write(job)
        self.private = private
        self._known = {key.kid: key for key in known}

    def _is_expired(self, retired_at: datetime | None) -> bool:
        return retired_at is not None and retired_at + self._overlap <= self._clock.now()


def _compute_key_id(public: bytes) -> str:
    return hashlib.sha256(public).hexdigest()[:_KID_LENGTH]
