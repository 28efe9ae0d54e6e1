"""The key that signs tokens, and those before it that still verify what they signed."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from daemon.api.clock import Clock
from daemon.auth.key_source import SigningKeySource
from storage import audit, signing_keys
from storage.db import Database
from storage.tx import Tx

_KID_LENGTH: Final = 16


class SigningKeys:
    """Signing keys by their ids. `overlap` is the longest that a token may live."""

    def __init__(
        self, database: Database, clock: Clock, source: SigningKeySource, overlap: timedelta
    ) -> None:
        self._database = database
        self._clock = clock
        self._source = source
        self._overlap = overlap
        self._known: dict[str, signing_keys.SigningKeyRecord] = {}
        self.private = Ed25519PrivateKey.generate()
        """The key that signs; `open` puts the installation's in its place."""

    async def open(self) -> None:
        """Take up the key that lies in its place; a changed one retires the one before."""
        private = await asyncio.to_thread(self._source.read)
        await self._activate_key(private, "daemon", self._clock.now() - self._overlap)

    @property
    def kid(self) -> str:
        """Return the id of the key that signs: a piece of its public half's fingerprint."""
        return _compute_key_id(self.private.public_key().public_bytes_raw())

    def get_verifying_key(self, kid: str) -> Ed25519PublicKey | None:
        """Return the public key of this id while its signatures count, else None."""
        found = self._known.get(kid)
        if found is None or self._is_expired(found.retired_at):
            return None
        return Ed25519PublicKey.from_public_bytes(found.public_key)

    async def rotate(self, who: str, *, at_once: bool = False) -> str:
        """Sign with a new key from now on and return its id.

        What the old one signed stays good for its life, unless `at_once`: then every token that
        was ever made is void. Raises :class:`Conflict` where the key is not ours to change.
        """
        fresh = await asyncio.to_thread(self._source.renew)
        now = self._clock.now()
        await self._activate_key(fresh, who, now if at_once else now - self._overlap)
        return self.kid

    async def _activate_key(
        self, private: Ed25519PrivateKey, who: str, forget_until: datetime
    ) -> None:
        """Let a key sign; those that were retired up to a moment are forgotten."""
        public = private.public_key().public_bytes_raw()
        now, kid = self._clock.now(), _compute_key_id(public)

        def job(tx: Tx) -> list[signing_keys.SigningKeyRecord]:
            if signing_keys.activate_signing_key(tx, kid, public, now):
                audit.insert_audit_entry(
                    tx, now, who, "sign_with_new_key", "installation", detail={"kid": kid}
                )
            signing_keys.delete_retired_signing_keys(tx, forget_until)
            return signing_keys.list_signing_keys(tx)

        known = await self._database.write(job)
        self.private = private
        self._known = {key.kid: key for key in known}

    def _is_expired(self, retired_at: datetime | None) -> bool:
        return retired_at is not None and retired_at + self._overlap <= self._clock.now()


def _compute_key_id(public: bytes) -> str:
    return hashlib.sha256(public).hexdigest()[:_KID_LENGTH]
