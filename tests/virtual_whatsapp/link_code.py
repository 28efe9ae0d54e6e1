"""Linking a device by a code of eight characters that its owner types on the phone.

The code never travels. Each side wraps an ephemeral key under it, both agree on a secret by those
keys, and the device sends its identity under that secret: a wrong code yields another secret, under
which the phone can't read what the device sent. The stages are `companion_hello` (device to
server), `primary_hello` (phone to device) and `companion_finish` (device to phone).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tests.virtual_whatsapp.binary_node import SERVER_JID, Attributes, Node
from tests.virtual_whatsapp.connection import ClientConnection
from tests.virtual_whatsapp.keys import KEY_BYTES, KeyPair

REGISTRATION = "link_code_companion_reg"
_REF = "link_code_pairing_ref"
_ROUNDS = 2 << 16
_SALT_BYTES, _IV_BYTES, _NONCE_BYTES = 32, 16, 12
_BUNDLE_KEY = b"link_code_pairing_key_bundle_encryption_key"


class WrongLinkCode(Exception):
    """The code that was typed on the phone is not the one that the device shows."""


@dataclass(slots=True)
class LinkCodeRequest:
    """A device that waits for its code to be typed on the phone of ``number`` (without a plus)."""

    connection: ClientConnection
    number: str
    wrapped_key: bytes
    noise_key: bytes
    display: str
    ref: str = field(default_factory=lambda: f"link-{secrets.token_urlsafe(16)}")
    finish: asyncio.Future[Node] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


def read_companion_hello(connection: ClientConnection, hello: Node) -> LinkCodeRequest:
    """Return the request of a device that shows a code."""
    return LinkCodeRequest(
        connection,
        hello.jid("jid").user,
        hello.require("link_code_pairing_wrapped_companion_ephemeral_pub").data,
        hello.require("companion_server_auth_key_pub").data,
        hello.require("companion_platform_display").data.decode(),
    )


def build_hello_answer(request: LinkCodeRequest) -> Node:
    """Return the server's answer to `companion_hello`: the reference of this attempt."""
    content = (Node(_REF, {}, request.ref.encode()),)
    return Node(REGISTRATION, {"stage": "companion_hello"}, content)


class CodeEntry:
    """One code, as it was typed on the phone whose identity is ``identity``."""

    def __init__(self, code: str, identity: KeyPair, request: LinkCodeRequest) -> None:
        self._code = code.replace("-", "").upper().encode()
        self._identity = identity
        self._request = request
        self._ephemeral = KeyPair.generate()

    def build_primary_hello(self) -> Node:
        """Return the notification with which the phone answers the device."""
        salt, iv = os.urandom(_SALT_BYTES), os.urandom(_IV_BYTES)
        wrapped = salt + iv + self._apply_code(salt, iv, self._ephemeral.public)
        content = (
            Node("link_code_pairing_wrapped_primary_ephemeral_pub", {}, wrapped),
            Node("primary_identity_pub", {}, self._identity.public),
            Node(_REF, {}, self._request.ref.encode()),
        )
        attributes: Attributes = {
            "from": SERVER_JID,
            "type": REGISTRATION,
            "id": self._request.connection.create_request_id(),
        }
        registration = Node(REGISTRATION, {"stage": "primary_hello"}, content)
        return Node("notification", attributes, (registration,))

    def open_finish(self, finish: Node) -> tuple[bytes, bytes]:
        """Return the device's identity and the shared secret of `companion_finish`.

        Raises :class:`WrongLinkCode` where another code was typed than the device shows.
        """
        wrapped = self._request.wrapped_key
        salt, iv, encrypted = (
            wrapped[:_SALT_BYTES],
            wrapped[_SALT_BYTES : _SALT_BYTES + _IV_BYTES],
            wrapped[_SALT_BYTES + _IV_BYTES :],
        )
        shared = self._ephemeral.agree(self._apply_code(salt, iv, encrypted))
        bundle = _open_bundle(shared, finish.require("link_code_pairing_wrapped_key_bundle").data)
        identity, primary, random = (
            bundle[:KEY_BYTES],
            bundle[KEY_BYTES : 2 * KEY_BYTES],
            bundle[2 * KEY_BYTES :],
        )
        told = finish.require("companion_identity_public").data
        if primary != self._identity.public or identity != told:
            raise WrongLinkCode("The device sent the identity of somebody else.")
        return identity, _derive(shared + self._identity.agree(identity) + random, b"adv_secret")

    def _apply_code(self, salt: bytes, iv: bytes, key: bytes) -> bytes:
        """Return a key wrapped under the code, or unwrapped: the cipher is its own inverse."""
        secret = hashlib.pbkdf2_hmac("sha256", self._code, salt, _ROUNDS, KEY_BYTES)
        encryptor = Cipher(AES(secret), CTR(iv)).encryptor()
        return encryptor.update(key) + encryptor.finalize()


def _open_bundle(shared: bytes, wrapped: bytes) -> bytes:
    salt, rest = wrapped[:_SALT_BYTES], wrapped[_SALT_BYTES:]
    key = _derive(shared, _BUNDLE_KEY, salt)
    try:
        return AESGCM(key).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], None)
    except InvalidTag:
        raise WrongLinkCode("The code is not the one that the device shows.") from None


def _derive(secret: bytes, info: bytes, salt: bytes | None = None) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt, info).derive(secret)
