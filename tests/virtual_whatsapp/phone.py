"""A virtual phone: it owns an account, scans codes, and signs the devices that are linked to it."""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass, field

from tests.virtual_whatsapp.binary_node import LID_SERVER, Jid, Node
from tests.virtual_whatsapp.journal import Journal
from tests.virtual_whatsapp.keys import is_signed_by
from tests.virtual_whatsapp.protobufs import (
    ADVDeviceIdentity,
    ADVSignedDeviceIdentity,
    ADVSignedDeviceIdentityHMAC,
)
from tests.virtual_whatsapp.signal_device import SignalDevice
from tests.virtual_whatsapp.signal_session import PreKeyBundle, SignedPreKey

_ACCOUNT_SIGNATURE = b"\x06\x00"
_DEVICE_SIGNATURE = b"\x06\x01"


class SignatureRefused(Exception):
    """A device did not sign its own identity."""


@dataclass(slots=True)
class LinkedDevice:
    """A device that was linked: where it is reached, and the keys that it published."""

    jid: Jid
    lid: Jid
    noise_key: bytes
    identity: bytes
    registration_id: int
    signed: SignedPreKey
    key_index: int
    details: bytes = b""
    one_time: dict[int, bytes] = field(default_factory=dict)
    undelivered: dict[tuple[str, str, str], Node] = field(default_factory=dict)
    """What it has not acknowledged, by tag, id and type: it comes again at each login."""

    def take_bundle(self) -> PreKeyBundle:
        """Return what others need to write to this device first; a one-time key goes with it."""
        number = next(iter(self.one_time), None)
        one_time = self.one_time.pop(number) if number is not None else None
        return PreKeyBundle(self.registration_id, self.identity, self.signed, number, one_time)


@dataclass(frozen=True, slots=True)
class DeviceOffer:
    """What a device that wants to be linked tells the phone, in a QR code or behind a typed one.

    ``ref`` is the server's reference of the attempt.
    """

    ref: str
    noise_key: bytes
    identity: bytes
    adv_secret: bytes


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message of a linked device, as the phone shows it."""

    wire_id: str
    text: str

    def __repr__(self) -> str:
        """Keep the body out of the reports of failed tests' logs."""
        return f"SentMessage({self.wire_id!r}, {len(self.text)} characters)"


class Phone:
    """An account and its phone; ``number`` is E.164. ``sent`` is what its linked devices sent."""

    def __init__(self, number: str, lid: str) -> None:
        self.number = number
        self.jid = Jid(number.removeprefix("+"))
        self.lid = Jid(lid, LID_SERVER)
        self.device = SignalDevice()
        self.devices: dict[int, LinkedDevice] = {}
        self.sent: Journal[SentMessage] = Journal()
        self._last_index = 0

    def link(
        self, offer: DeviceOffer, registration_id: int, signed: SignedPreKey
    ) -> tuple[LinkedDevice, bytes]:
        """Link the device behind ``offer``; return it, and the identity signed for it."""
        self._last_index += 1
        index = self._last_index
        details = ADVDeviceIdentity(
            rawID=1000 + index, timestamp=int(time.time()), keyIndex=index
        ).SerializeToString()
        signature = self.device.identity.sign(_ACCOUNT_SIGNATURE + details + offer.identity)
        identity = ADVSignedDeviceIdentity(
            details=details,
            accountSignatureKey=self.device.identity.public,
            accountSignature=signature,
        ).SerializeToString()
        container = ADVSignedDeviceIdentityHMAC(
            details=identity,
            HMAC=hmac.new(offer.adv_secret, identity, hashlib.sha256).digest(),
        ).SerializeToString()
        device = LinkedDevice(
            jid=self.jid.on_device(index),
            lid=self.lid.on_device(index),
            noise_key=offer.noise_key,
            identity=offer.identity,
            registration_id=registration_id,
            signed=signed,
            key_index=index,
            details=details,
        )
        self.devices[index] = device
        return device, container

    def verify_device_signature(self, device: LinkedDevice, signed_identity: bytes) -> None:
        """Check what the device signed; raise :class:`SignatureRefused` where it is not its own."""
        identity = ADVSignedDeviceIdentity.FromString(signed_identity)
        data = _DEVICE_SIGNATURE + device.details + device.identity + self.device.identity.public
        if not is_signed_by(device.identity, identity.deviceSignature, data):
            raise SignatureRefused("The device's signature is not that of the code that it showed.")

    def unlink(self, device: LinkedDevice) -> None:
        """Forget a device: it can't log in any more."""
        self.devices.pop(device.jid.device, None)
