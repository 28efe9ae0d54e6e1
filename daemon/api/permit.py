"""Permits: the gate's signature that one text may go to one recipient, once.

Signed with Ed25519 (RFC 8032), so that a transport can verify with the public key alone and needs
to trust nobody in between.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


def hash_body(text: str) -> str:
    """Return the SHA-256 of a text as hex: what permits and approvals bind to."""
    return hashlib.sha256(text.encode()).hexdigest()


class PermitRefused(Exception):
    """A permit does not allow this send; ``reason_code`` says why."""

    def __init__(self, reason_code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason_code = reason_code


@dataclass(frozen=True, slots=True)
class Permit:
    """Authorisation of one send: one message, recipient, text and session, once.

    ``recipient`` is E.164; ``body`` is :func:`hash_body` of the text;
    ``expires_at`` is aware UTC; ``signature`` is hex.
    """

    id: str
    message: str
    recipient: str
    body: str
    session: str
    decision: str
    ruleset: str
    expires_at: datetime
    signature: str = ""

    def signed_bytes(self) -> bytes:
        """Return the exact bytes under the signature."""
        unsigned = replace(self, signature="")
        return msgspec.json.encode(unsigned, order="sorted")


class PermitSigner:
    """Signs permits with an Ed25519 key that is kept in memory only; one exists per process."""

    def __init__(self, key: Ed25519PrivateKey | None = None) -> None:
        self._key = key or Ed25519PrivateKey.generate()

    @property
    def public_key(self) -> Ed25519PublicKey:
        """Return the key that verifies what this signer signed."""
        return self._key.public_key()

    def sign(self, permit: Permit) -> Permit:
        """Return the same permit, signed."""
        return replace(permit, signature=self._key.sign(permit.signed_bytes()).hex())


class PermitVerifier:
    """Verifies permits, and accepts each of them once."""

    def __init__(self, public_key: Ed25519PublicKey) -> None:
        self._key = public_key
        self._used: dict[str, datetime] = {}

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
        """Take the permit for exactly this send; raise :class:`PermitRefused` if it is not for it.

        ``body`` is the hash of the content. A permit counts as used from here on, whatever the
        platform answers. Transports call :func:`daemon.api.transport.redeem_permit`.
        """
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
        if now >= permit.expires_at:
            raise PermitRefused("permit_expired", "The permit has expired; ask the gate again.")
        if permit.id in self._used:
            raise PermitRefused("permit_used", "The permit was used before; each is for one send.")
        self._store_used(permit, now)

    def _check_signature(self, permit: Permit) -> None:
        try:
            self._key.verify(bytes.fromhex(permit.signature), permit.signed_bytes())
        except (InvalidSignature, ValueError):
            raise PermitRefused(
                "permit_forged", "The permit does not carry the gate's signature."
            ) from None

    def _store_used(self, permit: Permit, now: datetime) -> None:
        """Keep used ids only for as long as they could be presented again."""
        forgettable = now - timedelta(minutes=1)
        self._used = {key: end for key, end in self._used.items() if end > forgettable}
        self._used[permit.id] = permit.expires_at
