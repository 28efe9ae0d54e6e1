"""Curve25519 key pairs that agree on secrets and sign, as WhatsApp's do (XEdDSA).

WhatsApp signs with the keys that it agrees with. A key pair of ours begins as an Ed25519 key: its
secret scalar is the X25519 key, so that the same key signs by a well-kept library.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

KEY_BYTES = 32
SIGNATURE_BYTES = 64
_PRIME = 2**255 - 19
_SIGN_BIT = 0x80


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A key pair; ``public`` is the X25519 key, 32 bytes, as it travels."""

    public: bytes
    _agreeing: X25519PrivateKey
    _signing: Ed25519PrivateKey

    @classmethod
    def generate(cls) -> KeyPair:
        """Return a new key pair."""
        signing = Ed25519PrivateKey.generate()
        scalar = hashlib.sha512(signing.private_bytes_raw()).digest()[:KEY_BYTES]
        agreeing = X25519PrivateKey.from_private_bytes(scalar)
        return cls(agreeing.public_key().public_bytes_raw(), agreeing, signing)

    def agree(self, public: bytes) -> bytes:
        """Return the secret that is shared with the holder of ``public``."""
        return self._agreeing.exchange(X25519PublicKey.from_public_bytes(public))

    def sign(self, data: bytes) -> bytes:
        """Return an XEdDSA signature: Ed25519's, with the sign of our Edwards point in its end."""
        signature = bytearray(self._signing.sign(data))
        edwards = self._signing.public_key().public_bytes_raw()
        signature[-1] |= edwards[-1] & _SIGN_BIT
        return bytes(signature)


def is_signed_by(public: bytes, signature: bytes, data: bytes) -> bool:
    """Say whether the holder of the X25519 key ``public`` signed ``data``."""
    u = int.from_bytes(public, "little") % 2**255
    y = (u - 1) * pow(u + 1, -1, _PRIME) % _PRIME
    edwards = bytearray(y.to_bytes(KEY_BYTES, "little"))
    edwards[-1] |= signature[-1] & _SIGN_BIT
    plain = signature[:-1] + bytes([signature[-1] & ~_SIGN_BIT & 0xFF])
    try:
        Ed25519PublicKey.from_public_bytes(bytes(edwards)).verify(plain, data)
    except InvalidSignature:
        return False
    return True
