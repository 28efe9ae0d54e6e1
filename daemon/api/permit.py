"""Permits: the gate's signed authorisation to send one text to one recipient, once.

They are signed with Ed25519 (RFC 8032), so that a transport can verify them with the public key
alone, and need not trust the code that calls it.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )


def hash_body(text: str) -> str:
    """Return the SHA-256 of a text as hex, to which permits and approvals are bound."""
    return hashlib.sha256(text.encode()).hexdigest()


class PermitRefused(Exception):
    """A permit does not allow this send; ``reason_code`` says why.

    ``retryable``: only the time of the permit is wrong, so the gate may give another one.
    """

    def __init__(self, reason_code: str, sentence: str, *, retryable: bool = False) -> None:
        super().__init__(sentence)
        self.reason_code = reason_code
        self.retryable = retryable


class Permit(Struct, frozen=True):
    """The authorisation to send one message, with one text, to one recipient by one session, once.

    ``recipient`` is E.164; ``body`` is :func:`hash_body` of the text. It is valid from
    ``issued_at`` to ``expires_at``, both aware UTC; ``signature`` is hex.
    """

    id: str
    message: str
    recipient: str
    body: str
    session: str
    decision: str
    ruleset: str
    issued_at: datetime
    expires_at: datetime
    signature: str = ""

    def signed_bytes(self) -> bytes:
        """Return the bytes that are signed: all fields but the signature, as sorted JSON."""
        unsigned = replace(self, signature="")
        return msgspec.json.encode(unsigned, order="sorted")


class PermitSigner:
    """Signs permits with an Ed25519 key that exists in memory only.

    The key is made at its first use: until then the process needs no library for it.
    """

    def __init__(self, key: Ed25519PrivateKey | None = None) -> None:
        self._key = key
        self._lock = threading.Lock()

    @property
    def public_key(self) -> Ed25519PublicKey:
        """The public key by which a verifier checks this signer's permits."""
        return self._get_key().public_key()

    def sign(self, permit: Permit) -> Permit:
        """Return a copy of the permit with its signature."""
        return replace(permit, signature=self._get_key().sign(permit.signed_bytes()).hex())

    def create_verifier(self) -> PermitVerifier:
        """Return a verifier of this signer's permits, which asks for the key once it needs it."""
        return PermitVerifier(lambda: self.public_key)

    def _get_key(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
            Ed25519PrivateKey,
        )

        # Two threads must not make two keys: permits by one of them would count as forged.
        with self._lock:
            if self._key is None:
                # A new key for each process: permits of an earlier one are worth nothing.
                self._key = Ed25519PrivateKey.generate()
            return self._key


# How far the wall clock may be set back after a permit was issued; time servers do that.
_CLOCK_TOLERANCE = timedelta(seconds=5)
_USED_KEPT_SECONDS = 24 * 3600.0  # much longer than any permit is valid


class PermitVerifier:
    """Verifies permits, and accepts each of them once.

    ``public_key`` is the signer's, or a function that returns it. ``elapsed`` returns seconds that
    never run backwards: used permits are remembered by these, so that setting back the wall clock
    does not make a used permit acceptable again.
    """

    def __init__(
        self,
        public_key: Ed25519PublicKey | Callable[[], Ed25519PublicKey],
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._key = public_key
        self._elapsed = elapsed
        self._used: dict[str, float] = {}

    @property
    def public_key(self) -> Ed25519PublicKey:
        """Return the gate's key, for a worker that verifies permits itself."""
        return self._key() if callable(self._key) else self._key

    def redeem(
        self,
        permit: Permit,
        *,
        message: str,
        recipient: str,
        body: str,
        session: str,
        now: datetime,
    ) -> None:
        """Redeem the permit for exactly this send. Raises :class:`PermitRefused` otherwise.

        ``body`` is the hash of the content. The permit is used from then on, whatever the platform
        answers. Transports call :func:`daemon.api.transport.redeem_permit`.
        """
        # First, since nothing in an unsigned permit means anything.
        self._check_signature(permit)
        for name, given, allowed in (
            ("message", message, permit.message),
            ("recipient", recipient, permit.recipient),
            ("body", body, permit.body),
            ("session", session, permit.session),
        ):
            if given != allowed:
                raise PermitRefused(
                    f"permit_{name}_differs", f"The permit was given for another {name}."
                )
        self._check_time(permit, now)
        if permit.id in self._used:
            raise PermitRefused("permit_used", "The permit was used before; each is for one send.")
        # Last, so that a call for another message does not use up the permit.
        self._store_used(permit)

    def _check_signature(self, permit: Permit) -> None:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415

        try:
            self.public_key.verify(bytes.fromhex(permit.signature), permit.signed_bytes())
        except (InvalidSignature, ValueError):
            raise PermitRefused(
                "permit_forged", "The permit does not carry the gate's signature."
            ) from None

    def _check_time(self, permit: Permit, now: datetime) -> None:
        if now >= permit.expires_at:
            sentence = "The permit has expired; ask the gate again."
            raise PermitRefused("permit_expired", sentence, retryable=True)
        if now < permit.issued_at - _CLOCK_TOLERANCE:
            sentence = "The clock was set back behind the permit; ask the gate again."
            raise PermitRefused("permit_not_yet_valid", sentence, retryable=True)

    def _store_used(self, permit: Permit) -> None:
        """Remember the id of a used permit for a day, and forget older ones."""
        now = self._elapsed()
        # Oldest first, since a dict keeps the order in which permits were used.
        while self._used and now - next(iter(self._used.values())) > _USED_KEPT_SECONDS:
            del self._used[next(iter(self._used))]
        self._used[permit.id] = now
