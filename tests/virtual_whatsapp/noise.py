"""Noise_XX_25519_AESGCM_SHA256 as WhatsApp Web speaks it: the server's half, and its certificates.

The specification is the Noise Protocol Framework, revision 34. WhatsApp's own are the prologue, the
protobuf around each handshake message, the certificate chain in the server's payload, and frames
with three bytes of length.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tests.virtual_whatsapp.keys import KeyPair
from tests.virtual_whatsapp.protobufs import CertChain, HandshakeMessage

PATTERN = b"Noise_XX_25519_AESGCM_SHA256\0\0\0\0"
PROLOGUE = b"WA\x06\x03"
LENGTH_BYTES = 3
MAX_FRAME_BYTES = 1 << 24
_VALID_SECONDS = 30 * 24 * 3600


class HandshakeFailed(Exception):
    """The client did not speak the handshake that was expected."""


def frame(payload: bytes) -> bytes:
    """Return a payload behind its length."""
    return len(payload).to_bytes(LENGTH_BYTES, "big") + payload


@dataclass(slots=True)
class FrameBuffer:
    """Cuts what arrives into frames; the first begins with the prologue."""

    _data: bytearray = field(default_factory=bytearray)
    _begun: bool = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; return the frames that are complete now."""
        self._data += data
        if not self._begun and len(self._data) >= len(PROLOGUE):
            if not self._data.startswith(PROLOGUE):
                raise HandshakeFailed("the client does not begin with the prologue")
            del self._data[: len(PROLOGUE)]
            self._begun = True
        frames = []
        while self._begun and len(self._data) >= LENGTH_BYTES:
            end = LENGTH_BYTES + int.from_bytes(self._data[:LENGTH_BYTES], "big")
            if len(self._data) < end:
                break
            frames.append(bytes(self._data[LENGTH_BYTES:end]))
            del self._data[:end]
        return frames


@dataclass(slots=True)
class CipherState:
    """One direction of the transport: AES-GCM with a counter."""

    _cipher: AESGCM
    _counter: int = 0

    def encrypt(self, plaintext: bytes) -> bytes:
        """Return the next ciphertext."""
        return self._cipher.encrypt(self._next_nonce(), plaintext, None)

    def decrypt(self, ciphertext: bytes) -> bytes:
        """Return the next plaintext."""
        return self._cipher.decrypt(self._next_nonce(), ciphertext, None)

    def _next_nonce(self) -> bytes:
        self._counter += 1
        return _build_nonce(self._counter - 1)


class CertificateAuthority:
    """WhatsApp's root, whose public key the client knows, and one intermediate below it."""

    def __init__(self) -> None:
        self._root = KeyPair.generate()
        self._intermediate = KeyPair.generate()

    @property
    def root_key(self) -> bytes:
        """Return the public key that a client has to know."""
        return self._root.public

    def certify(self, server: KeyPair) -> bytes:
        """Return the chain for a server's static key, as it travels."""
        chain = CertChain(
            intermediate=_sign_certificate(self._root, self._intermediate.public, 1, issuer=0),
            leaf=_sign_certificate(self._intermediate, server.public, 2, issuer=1),
        )
        serialized: bytes = chain.SerializeToString()
        return serialized


def _sign_certificate(signer: KeyPair, key: bytes, serial: int, *, issuer: int) -> Any:  # noqa: ANN401
    now = int(time.time())
    details = CertChain.NoiseCertificate.Details(
        serial=serial,
        issuerSerial=issuer,
        key=key,
        notBefore=now - _VALID_SECONDS,
        notAfter=now + _VALID_SECONDS,
    ).SerializeToString()
    return CertChain.NoiseCertificate(details=details, signature=signer.sign(details))


class NoiseResponder:
    """The server's side of one handshake: :meth:`answer_hello`, then :meth:`finish`."""

    def __init__(self, static: KeyPair, chain: bytes) -> None:
        self._static = static
        self._chain = chain
        self._ephemeral = KeyPair.generate()
        self._hash = self._salt = PATTERN
        self._cipher = AESGCM(PATTERN)
        self._counter = 0
        self._authenticate(PROLOGUE)

    def answer_hello(self, message: bytes) -> bytes:
        """Take the client's first message; return the server's."""
        theirs = HandshakeMessage.FromString(message).clientHello.ephemeral
        self._authenticate(theirs)
        self._authenticate(self._ephemeral.public)
        self._mix(self._ephemeral.agree(theirs))
        static = self._encrypt(self._static.public)
        self._mix(self._static.agree(theirs))
        hello = HandshakeMessage.ServerHello(
            ephemeral=self._ephemeral.public, static=static, payload=self._encrypt(self._chain)
        )
        answer: bytes = HandshakeMessage(serverHello=hello).SerializeToString()
        return answer

    def finish(self, message: bytes) -> tuple[bytes, bytes, CipherState, CipherState]:
        """Take the client's last message.

        Returns its static key, its payload, and the ciphers for receiving and for sending.
        """
        finish = HandshakeMessage.FromString(message).clientFinish
        client = self._decrypt(finish.static)
        self._mix(self._ephemeral.agree(client))
        payload = self._decrypt(finish.payload)
        from_client, to_client = self._expand(b"")
        return client, payload, CipherState(AESGCM(from_client)), CipherState(AESGCM(to_client))

    def _authenticate(self, data: bytes) -> None:
        self._hash = hashlib.sha256(self._hash + data).digest()

    def _mix(self, secret: bytes) -> None:
        self._salt, key = self._expand(secret)
        self._cipher, self._counter = AESGCM(key), 0

    def _expand(self, secret: bytes) -> tuple[bytes, bytes]:
        expanded = HKDF(SHA256(), 64, self._salt, b"").derive(secret)
        return expanded[:32], expanded[32:]

    def _encrypt(self, plaintext: bytes) -> bytes:
        ciphertext = self._cipher.encrypt(_build_nonce(self._counter), plaintext, self._hash)
        self._counter += 1
        self._authenticate(ciphertext)
        return ciphertext

    def _decrypt(self, ciphertext: bytes) -> bytes:
        plaintext = self._cipher.decrypt(_build_nonce(self._counter), ciphertext, self._hash)
        self._counter += 1
        self._authenticate(ciphertext)
        return plaintext


def _build_nonce(counter: int) -> bytes:
    return counter.to_bytes(12, "big")
