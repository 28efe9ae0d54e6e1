"""Linking a device: the codes that it shows, and what the server sends once one is scanned."""

from __future__ import annotations

import base64
import secrets
from typing import Any

from tests.virtual_whatsapp.binary_node import SERVER_JID, Attributes, Node
from tests.virtual_whatsapp.phone import DeviceOffer, LinkedDevice
from tests.virtual_whatsapp.signal_session import SignedPreKey

_PREFIX = "https://wa.me/settings/linked_devices#"
_REF_BYTES = 24


class UnreadableCode(Exception):
    """What was scanned is no code of WhatsApp's."""


def create_refs(count: int) -> list[str]:
    """Return the references that one pairing's codes carry, one for each."""
    return [f"2@{secrets.token_urlsafe(_REF_BYTES)}" for _ in range(count)]


def build_pair_device(refs: list[str], request_id: str) -> Node:
    """Return the request to show codes."""
    references = tuple(Node("ref", {}, ref.encode()) for ref in refs)
    attributes: Attributes = {"from": SERVER_JID, "type": "set", "id": request_id, "xmlns": "md"}
    return Node("iq", attributes, (Node("pair-device", {}, references),))


def parse_qr_code(text: str) -> DeviceOffer:
    """Return what a code says; raise :class:`UnreadableCode` where it is none."""
    parts = text.removeprefix(_PREFIX).split(",")
    try:
        ref, *keys = parts[:4]
        noise_key, identity, adv_secret = (base64.b64decode(key, validate=True) for key in keys)
    except ValueError:
        raise UnreadableCode(f"{len(parts)} parts, or a key that is none") from None
    return DeviceOffer(ref, noise_key, identity, adv_secret)


def read_pairing_payload(payload: Any) -> tuple[int, SignedPreKey]:  # noqa: ANN401 - generated
    """Return the registration id and the signed prekey that an unlinked client logs in with."""
    data = payload.devicePairingData
    signed = SignedPreKey(int.from_bytes(data.eSkeyID, "big"), data.eSkeyVal, data.eSkeySig)
    return int.from_bytes(data.eRegid, "big"), signed


def build_pair_success(device: LinkedDevice, container: bytes, request_id: str) -> Node:
    """Return the news that a phone linked this device."""
    success = Node(
        "pair-success",
        {},
        (
            Node("device-identity", {}, container),
            Node("platform", {"name": "android"}),
            Node("device", {"jid": device.jid, "lid": device.lid}),
        ),
    )
    attributes: Attributes = {"from": SERVER_JID, "type": "set", "id": request_id, "xmlns": "md"}
    return Node("iq", attributes, (success,))
