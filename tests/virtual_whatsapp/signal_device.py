"""One device of a person: its keys, and its sessions with other devices."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from cryptography.exceptions import InvalidSignature

from tests.virtual_whatsapp.binary_node import Jid
from tests.virtual_whatsapp.keys import KeyPair
from tests.virtual_whatsapp.signal_session import (
    KEY_TYPE,
    Ciphertext,
    DecryptionFailed,
    PreKeyBundle,
    SignalSession,
    SignedPreKey,
    accept_session,
    begin_session,
    parse_prekey_message,
)

_MAX_REGISTRATION_ID = 16380
_MAX_PADDING = 15


class SignalDevice:
    """A device that writes and reads encrypted messages, with as many others as there are."""

    def __init__(self) -> None:
        self.identity = KeyPair.generate()
        self.registration_id = 1 + secrets.randbelow(_MAX_REGISTRATION_ID)
        self._signed = KeyPair.generate()
        self._one_time: dict[int, KeyPair] = {}
        self._sessions: dict[Jid, list[SignalSession]] = {}

    def publish_bundle(self) -> PreKeyBundle:
        """Return what others need to write to this device first, with a new one-time key."""
        number = len(self._one_time) + 1
        one_time = self._one_time[number] = KeyPair.generate()
        signed = self._signed.public
        return PreKeyBundle(
            self.registration_id,
            self.identity.public,
            SignedPreKey(1, signed, self.identity.sign(KEY_TYPE + signed)),
            number,
            one_time.public,
        )

    def encrypt(
        self, recipient: Jid, plaintext: bytes, get_bundle: Callable[[], PreKeyBundle]
    ) -> Ciphertext:
        """Return a message to a device; the first one takes a bundle of its keys."""
        sessions = self._sessions.setdefault(recipient, [])
        if not sessions:
            sessions.append(begin_session(self.identity, self.registration_id, get_bundle()))
        return sessions[0].encrypt(_pad(plaintext))

    def decrypt(self, sender: Jid, kind: str, data: bytes) -> bytes:
        """Return the plaintext; raise :class:`DecryptionFailed` where no session decrypts it."""
        sessions = self._sessions.setdefault(sender, [])
        if kind == "pkmsg":
            first = parse_prekey_message(data)
            data = first.message
            if not any(session.base_key == first.base_key for session in sessions):
                one_time = self._find_one_time_key(first.one_time_id)
                sessions.insert(
                    0,
                    accept_session(
                        self.identity, self.registration_id, self._signed, one_time, first
                    ),
                )
        for session in list(sessions):
            try:
                plaintext = session.decrypt(data)
            except (DecryptionFailed, InvalidSignature):
                continue
            sessions.remove(session)
            sessions.insert(0, session)  # the one that they use now
            return _unpad(plaintext)
        raise DecryptionFailed(f"none of {len(sessions)} sessions decrypts a {kind}")

    def _find_one_time_key(self, number: int | None) -> KeyPair | None:
        if number is None:
            return None
        if number not in self._one_time:
            raise DecryptionFailed(f"the one-time key {number} is not one of this device's")
        return self._one_time[number]

    def forget_sessions(self, other: Jid) -> None:
        """Begin again with a device, as after an installation of the app."""
        self._sessions.pop(other, None)


def _pad(plaintext: bytes) -> bytes:
    size = 1 + secrets.randbelow(_MAX_PADDING)
    return plaintext + bytes([size]) * size


def _unpad(padded: bytes) -> bytes:
    return padded[: -padded[-1]]
