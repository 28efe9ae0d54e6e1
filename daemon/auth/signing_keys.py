"""The keys that sign and verify tokens: the private key's source, rotation, retired keys."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
import secrets
import stat
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from daemon.api.clock import Clock
from daemon.errors import Conflict, StartRefused
from storage import audit, tokens
from storage.db import Database
from storage.errors import translate_disk_errors
from storage.state_folder import create_durably, write_durably
from storage.tx import Tx

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

# The library takes 6 MB, and most installations give no program a token. So the file is read and
# checked at each start without it; it is loaded to sign, to verify, and for a key that is new.

CREDENTIAL: Final = "jwt_secret"
KEY_FILE: Final = "token.key"
_MIN_SECRET_BYTES: Final = 32
_OTHERS_MODE_BITS: Final = stat.S_IRWXG | stat.S_IRWXO
_SEED_BYTES: Final = 32
_PKCS8_START: Final = bytes.fromhex("302e020100300506032b657004220420")
"""How an Ed25519 key begins, before its seed (RFC 8410, section 7)."""
_PLAIN_PEM: Final = re.compile(
    rb"-----BEGIN PRIVATE KEY-----\r?\n([A-Za-z0-9+/=]+)\r?\n-----END PRIVATE KEY-----\s*"
)


class SigningKeySource(Protocol):
    """A source of one private key, given as the 32 bytes of its seed."""

    def read(self) -> bytes:
        """Return the seed; raise :class:`StartRefused` where it can't be trusted."""
        ...

    def renew(self) -> bytes:
        """Replace the key with a new one and return its seed; raise :class:`Conflict`."""
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

    def read(self) -> bytes:
        """Return the seed; raise :class:`StartRefused` where it is no key or too short."""
        return _load_seed(self._path)

    def renew(self) -> bytes:
        """Raise :class:`Conflict`: the daemon can't write there."""
        raise Conflict(
            f"The key is the credential {CREDENTIAL}, which the daemon can't change.",
            hint="Replace the credential and restart; tokens of the old key stay valid.",
        )


class FileKeySource:
    """A file that only its owner may read, created at the first start."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> bytes:
        """Return the seed; create a key where there is no file.

        Raises :class:`StartRefused`, or ``WriteFailed`` where the disk refuses.
        """
        if not self._path.exists():
            with translate_disk_errors(self._path):
                create_durably(self._path, _encode_pem(secrets.token_bytes(_SEED_BYTES)))
        if self._path.stat().st_mode & _OTHERS_MODE_BITS:
            raise StartRefused(
                f"{self._path} can be read by others, who could sign in as anybody.",
                hint=f"Remove it, and a new one is made; tokens must be made anew. "
                f"If nobody read it: chmod 600 {self._path}",
            )
        return _load_seed(self._path)

    def renew(self) -> bytes:
        """Replace the file atomically; raise ``WriteFailed`` where the disk refuses."""
        fresh = secrets.token_bytes(_SEED_BYTES)
        with translate_disk_errors(self._path):
            write_durably(self._path, _encode_pem(fresh))
        return fresh


def _load_seed(path: Path) -> bytes:
    try:
        content = path.read_bytes()  # not stripped: a random secret may end in a blank
    except OSError as error:
        raise _build_key_error(path, f"can't be read: {error.strerror}") from error
    try:
        if content.startswith(b"-----BEGIN"):
            return _parse_plain_pem(content) or _parse_any_pem(path, content)
        return _derive_seed(content)
    except (ValueError, TypeError):
        raise _build_key_error(
            path, f"is no Ed25519 key and no secret of {_MIN_SECRET_BYTES} bytes"
        ) from None


def _parse_plain_pem(content: bytes) -> bytes | None:
    """Return the seed of an Ed25519 key in the form that is always written, else None."""
    found = _PLAIN_PEM.fullmatch(content)
    # Raises ValueError where it is damaged.
    key = base64.b64decode(found[1], validate=True) if found else b""
    if len(key) == len(_PKCS8_START) + _SEED_BYTES and key.startswith(_PKCS8_START):
        return key[len(_PKCS8_START) :]
    return None


def _parse_any_pem(path: Path, content: bytes) -> bytes:
    """Return the seed of an Ed25519 key in any form, by the library, which few need here."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PrivateKey,
    )

    try:
        found = serialization.load_pem_private_key(content, password=None)
    except UnsupportedAlgorithm as error:
        raise ValueError from error
    if not isinstance(found, Ed25519PrivateKey):
        raise _build_key_error(path, "is a key of another kind than Ed25519")
    return found.private_bytes_raw()


def _derive_seed(secret: bytes) -> bytes:
    """Return the seed derived from a secret, the same one at each start."""
    if len(secret) < _MIN_SECRET_BYTES:
        message = "too short to be a secret"
        raise ValueError(message)
    # HKDF with SHA-256 and no salt (RFC 5869), of which 32 bytes are the first block.
    extracted = hmac.digest(bytes(hashlib.sha256().digest_size), secret, "sha256")
    return hmac.digest(extracted, b"leadmaster tokens\x01", "sha256")


def _encode_pem(seed: bytes) -> bytes:
    body = base64.b64encode(_PKCS8_START + seed)
    return b"-----BEGIN PRIVATE KEY-----\n" + body + b"\n-----END PRIVATE KEY-----\n"


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
        # A random one until `open` has read the installation's.
        self._seed = secrets.token_bytes(_SEED_BYTES)

    async def open(self) -> None:
        """Read the key from its source; where it has changed, the previous one is retired."""
        seed = await asyncio.to_thread(self._source.read)
        await self._activate_key(seed, "daemon", self._clock.now() - self._overlap)

    @property
    def private(self) -> Ed25519PrivateKey:
        """Return the key that signs."""
        return _build_private_key(self._seed)

    @property
    def kid(self) -> str:
        """Return the id of the key that signs."""
        return _compute_key_id(self._seed)

    def get_verifying_key(self, kid: str) -> Ed25519PublicKey | None:
        """Return the public key of this id while its signatures are accepted, else None."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
            Ed25519PublicKey,
        )

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

    async def _activate_key(self, seed: bytes, who: str, forget_until: datetime) -> None:
        """Make a key the one that signs; delete keys that were retired until a moment."""
        now, kid = self._clock.now(), _compute_key_id(seed)
        stored = await self._database.read(tokens.list_signing_keys)
        public = next((key.public_key for key in stored if key.kid == kid), None)
        if public is None:
            public = await asyncio.to_thread(_compute_public_key, seed)

        def job(tx: Tx) -> list[tokens.SigningKeyRecord]:
            if tokens.activate_signing_key(tx, kid, public, now):
                audit.insert_audit_entry(
                    tx, now, who, "sign_with_new_key", "installation", detail={"kid": kid}
                )
            tokens.delete_retired_signing_keys(tx, forget_until)
            return tokens.list_signing_keys(tx)

        # Stored before it is used: a token by a key that a restart does not know would be refused.
        known = await self._database.write(job)
        self._seed = seed
        self._known = {key.kid: key for key in known}

    def _is_expired(self, retired_at: datetime | None) -> bool:
        return retired_at is not None and retired_at + self._overlap <= self._clock.now()


def _build_private_key(seed: bytes) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PrivateKey,
    )

    return Ed25519PrivateKey.from_private_bytes(seed)


def _compute_public_key(seed: bytes) -> bytes:
    return _build_private_key(seed).public_key().public_bytes_raw()


def _compute_key_id(seed: bytes) -> str:
    """Return the public name of a key, from which nothing of its seed can be learnt."""
    # Of the seed and not of the public key, so that a start tells a known key without the library.
    return hmac.digest(seed, b"leadmaster token key id", "sha256").hex()[:_KID_LENGTH]
