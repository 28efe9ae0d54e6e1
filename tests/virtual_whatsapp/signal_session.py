"""Signal sessions: X3DH and the double ratchet, version 3, between two devices.

The specifications are Signal's "The X3DH Key Agreement Protocol" and "The Double Ratchet
Algorithm", with libsignal's labels and message formats.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.padding import PKCS7

from tests.virtual_whatsapp.keys import KeyPair, is_signed_by

KEY_TYPE = b"\x05"
"""Stands before each public key in a message: Curve25519."""
_VERSION = b"\x33"
_MAC_BYTES = 8
_MAX_SKIPPED = 2000
_BLOCK_BITS = 128


class DecryptionFailed(Exception):
    """No session of ours decrypts this message."""


@dataclass(frozen=True, slots=True)
class SignedPreKey:
    """A medium-lived key whose signature shows whose it is."""

    id: int
    public: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class PreKeyBundle:
    """What is published of a device, so that others can write to it first."""

    registration_id: int
    identity: bytes
    signed: SignedPreKey
    one_time_id: int | None = None
    one_time: bytes | None = None

    def verify(self) -> None:
        """Raise :class:`DecryptionFailed` where the signed key is not this identity's."""
        if not is_signed_by(self.identity, self.signed.signature, KEY_TYPE + self.signed.public):
            raise DecryptionFailed("the signed prekey does not carry its identity's signature")


class Ciphertext(NamedTuple):
    """An encrypted message; ``kind`` is ``pkmsg`` until the other side has answered, then `msg`."""

    kind: str
    data: bytes


class _MessageKeys(NamedTuple):
    cipher: bytes
    mac: bytes
    iv: bytes


@dataclass(slots=True)
class _Chain:
    """A chain of message keys, each used once."""

    key: bytes
    index: int = 0

    def next_keys(self) -> _MessageKeys:
        """Return the keys of the next message, and step on."""
        seed = hmac.digest(self.key, b"\x01", "sha256")
        self.key, self.index = hmac.digest(self.key, b"\x02", "sha256"), self.index + 1
        expanded = _derive(seed, bytes(32), b"WhisperMessageKeys", 80)
        return _MessageKeys(expanded[:32], expanded[32:64], expanded[64:])


@dataclass(slots=True)
class SignalSession:
    """One session with another device; :func:`begin_session` or :func:`accept_session` makes it."""

    own_identity: bytes
    their_identity: bytes
    registration_id: int
    base_key: bytes
    _root: bytes
    _ratchet: KeyPair
    _sending: _Chain
    _receiving: dict[bytes, _Chain] = field(default_factory=dict)
    _skipped: dict[tuple[bytes, int], _MessageKeys] = field(default_factory=dict)
    _previous_counter: int = 0
    _prekeys: tuple[int | None, int] | None = None
    """Of theirs, as long as they have not answered: one-time and signed."""

    def encrypt(self, plaintext: bytes) -> Ciphertext:
        """Return the next message."""
        counter, keys = self._sending.index, self._sending.next_keys()
        body = _VERSION + _encode_fields(
            {
                1: KEY_TYPE + self._ratchet.public,
                2: counter,
                3: self._previous_counter,
                4: _encrypt_cbc(keys, plaintext),
            }
        )
        message = body + _compute_mac(keys, self.own_identity, self.their_identity, body)
        if self._prekeys is None:
            return Ciphertext("msg", message)
        one_time, signed = self._prekeys
        parts = {
            1: one_time,
            2: KEY_TYPE + self.base_key,
            3: KEY_TYPE + self.own_identity,
            4: message,
            5: self.registration_id,
            6: signed,
        }
        return Ciphertext("pkmsg", _VERSION + _encode_fields(parts))

    def decrypt(self, message: bytes) -> bytes:
        """Return the plaintext of a `msg`; raise :class:`DecryptionFailed`, and change nothing."""
        body, mac = message[:-_MAC_BYTES], message[-_MAC_BYTES:]
        parts = _decode_fields(body[1:])
        ratchet, counter = _get_bytes(parts, 1)[1:], _get_int(parts, 2)
        before = self._copy()
        keys = self._skipped.pop((ratchet, counter), None) or self._advance(ratchet, counter)
        if not hmac.compare_digest(
            mac, _compute_mac(keys, self.their_identity, self.own_identity, body)
        ):
            self._restore(before)
            raise DecryptionFailed("the message carries another session's code")
        self._prekeys = None
        return _decrypt_cbc(keys, _get_bytes(parts, 4))

    def _copy(self) -> SignalSession:
        """Return a copy whose chains move by themselves."""
        return replace(
            self,
            _sending=replace(self._sending),
            _receiving={key: replace(chain) for key, chain in self._receiving.items()},
            _skipped=dict(self._skipped),
        )

    def _restore(self, before: SignalSession) -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(before, each.name))

    def _advance(self, ratchet: bytes, counter: int) -> _MessageKeys:
        """Return the keys of a message, and keep those of the messages before it."""
        chain = self._receiving.get(ratchet) or self._turn(ratchet)
        if not chain.index <= counter < chain.index + _MAX_SKIPPED:
            raise DecryptionFailed(f"message {counter} was decrypted before, or is far ahead")
        while chain.index < counter:
            index = chain.index
            self._skipped[ratchet, index] = chain.next_keys()
        return chain.next_keys()

    def _turn(self, ratchet: bytes) -> _Chain:
        """Turn the ratchet: they answered with a new key, and so do we."""
        self._root, receiving = _step_root(self._root, self._ratchet.agree(ratchet))
        self._previous_counter, self._ratchet = max(self._sending.index - 1, 0), KeyPair.generate()
        self._root, sending = _step_root(self._root, self._ratchet.agree(ratchet))
        self._sending = _Chain(sending)
        chain = self._receiving[ratchet] = _Chain(receiving)
        return chain


def begin_session(identity: KeyPair, registration_id: int, bundle: PreKeyBundle) -> SignalSession:
    """Return a session with the device of ``bundle``, to which we write first."""
    bundle.verify()
    base, ratchet = KeyPair.generate(), KeyPair.generate()
    secrets = [
        identity.agree(bundle.signed.public),
        base.agree(bundle.identity),
        base.agree(bundle.signed.public),
    ]
    if bundle.one_time is not None:
        secrets.append(base.agree(bundle.one_time))
    root, receiving = _derive_first_keys(secrets)
    root, sending = _step_root(root, ratchet.agree(bundle.signed.public))
    return SignalSession(
        identity.public,
        bundle.identity,
        registration_id,
        base.public,
        root,
        ratchet,
        _Chain(sending),
        _receiving={bundle.signed.public: _Chain(receiving)},
        _prekeys=(bundle.one_time_id, bundle.signed.id),
    )


class PreKeyMessage(NamedTuple):
    """A `pkmsg`, taken apart."""

    one_time_id: int | None
    signed_id: int
    base_key: bytes
    identity: bytes
    message: bytes


def parse_prekey_message(data: bytes) -> PreKeyMessage:
    """Return the parts of a `pkmsg`."""
    fields = _decode_fields(data[1:])
    one_time = fields.get(1)
    return PreKeyMessage(
        one_time if isinstance(one_time, int) else None,
        _get_int(fields, 6),
        _get_bytes(fields, 2)[1:],
        _get_bytes(fields, 3)[1:],
        _get_bytes(fields, 4),
    )


def accept_session(
    identity: KeyPair,
    registration_id: int,
    signed: KeyPair,
    one_time: KeyPair | None,
    first: PreKeyMessage,
) -> SignalSession:
    """Return a session with a device that wrote to us first; decrypt its message with it."""
    secrets = [
        signed.agree(first.identity),
        identity.agree(first.base_key),
        signed.agree(first.base_key),
    ]
    if one_time is not None:
        secrets.append(one_time.agree(first.base_key))
    root, sending = _derive_first_keys(secrets)
    return SignalSession(
        identity.public,
        first.identity,
        registration_id,
        first.base_key,
        root,
        signed,
        _Chain(sending),
    )


def _derive_first_keys(secrets: list[bytes]) -> tuple[bytes, bytes]:
    keys = _derive(b"\xff" * 32 + b"".join(secrets), bytes(32), b"WhisperText", 64)
    return keys[:32], keys[32:]


def _step_root(root: bytes, secret: bytes) -> tuple[bytes, bytes]:
    keys = _derive(secret, root, b"WhisperRatchet", 64)
    return keys[:32], keys[32:]


def _derive(secret: bytes, salt: bytes, info: bytes, size: int) -> bytes:
    return HKDF(SHA256(), size, salt, info).derive(secret)


def _compute_mac(keys: _MessageKeys, sender: bytes, receiver: bytes, body: bytes) -> bytes:
    whole = KEY_TYPE + sender + KEY_TYPE + receiver + body
    return hmac.new(keys.mac, whole, hashlib.sha256).digest()[:_MAC_BYTES]


def _encrypt_cbc(keys: _MessageKeys, plaintext: bytes) -> bytes:
    padder = PKCS7(_BLOCK_BITS).padder()
    padded = padder.update(plaintext) + padder.finalize()
    encryptor = Cipher(AES(keys.cipher), CBC(keys.iv)).encryptor()
    return encryptor.update(padded) + encryptor.finalize()


def _decrypt_cbc(keys: _MessageKeys, ciphertext: bytes) -> bytes:
    decryptor = Cipher(AES(keys.cipher), CBC(keys.iv)).decryptor()
    padded = decryptor.update(ciphertext) + decryptor.finalize()
    unpadder = PKCS7(_BLOCK_BITS).unpadder()
    return unpadder.update(padded) + unpadder.finalize()


# The messages are protobufs of numbers and bytes, too small for generated code.


def _encode_fields(fields: Mapping[int, int | bytes | None]) -> bytes:
    encoded = bytearray()
    for number, value in fields.items():
        if isinstance(value, int):
            encoded += _encode_varint(number << 3) + _encode_varint(value)
        elif value is not None:
            encoded += _encode_varint(number << 3 | 2) + _encode_varint(len(value)) + value
    return bytes(encoded)


def _encode_varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def _decode_fields(data: bytes) -> dict[int, int | bytes]:
    fields: dict[int, int | bytes] = {}
    place = 0
    while place < len(data):
        key, place = _decode_varint(data, place)
        value, place = _decode_varint(data, place)
        if key & 7 == 0:
            fields[key >> 3] = value
        else:
            fields[key >> 3] = data[place : place + value]
            place += value
    return fields


def _decode_varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[place] & 0x7F) << shift
        if not data[place] & 0x80:
            return value, place + 1
        place, shift = place + 1, shift + 7


def _get_bytes(fields: Mapping[int, int | bytes], number: int) -> bytes:
    if not isinstance(value := fields.get(number), bytes):
        raise DecryptionFailed(f"field {number} is missing")
    return value


def _get_int(fields: Mapping[int, int | bytes], number: int) -> int:
    value = fields.get(number, 0)
    return value if isinstance(value, int) else 0
