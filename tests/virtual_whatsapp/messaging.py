"""Messages and receipts: how they are built, and how those who get them decrypt them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import Any

from tests.virtual_whatsapp.binary_node import LID_SERVER, Attributes, Jid, Node
from tests.virtual_whatsapp.contact import Contact, read_text
from tests.virtual_whatsapp.directory import describe_bundle
from tests.virtual_whatsapp.phone import LinkedDevice, Phone, SentMessage
from tests.virtual_whatsapp.protobufs import Message
from tests.virtual_whatsapp.signal_session import DecryptionFailed


def deliver_to_contact(message: Node, sender: LinkedDevice, contact: Contact) -> list[Node]:
    """Let each device of a contact decrypt its copy; return what they ask for again."""
    return [
        build_retry_receipt(contact, device, message.text("id"))
        for address, encrypted in _list_copies(message)
        if address.person in {contact.jid, contact.lid}
        and not _decrypt_copy(contact, sender, message.text("id"), encrypted, address.device)
        for device in [address.device]
    ]


def _list_copies(message: Node) -> Iterator[tuple[Jid, Node]]:
    """Yield each encrypted copy of a message with its device; one alone is sent again."""
    if (alone := message.find("enc")) is not None:
        yield message.jid("to"), alone
    for copy in message.find_all("to"):
        yield copy.jid("jid"), copy.require("enc")


def _decrypt_copy(
    contact: Contact, sender: LinkedDevice, wire_id: str, encrypted: Node, device: int
) -> bool:
    try:
        contact.decrypt(sender.jid, wire_id, encrypted.text("type"), encrypted.data, device)
    except DecryptionFailed:
        return False
    return True


def build_retry_receipt(contact: Contact, device: int, wire_id: str) -> Node:
    """Return a device's request to send a message again, with the keys to encrypt it with."""
    count = contact.retries[wire_id] = contact.retries.get(wire_id, 0) + 1
    owned = contact.devices[device]
    registration, *keys = describe_bundle(owned.publish_bundle())
    retry = Node("retry", {"v": "1", "count": str(count), "id": wire_id, "t": _now()})
    attributes: Attributes = {
        "from": contact.lid.on_device(device),
        "id": wire_id,
        "t": _now(),
        "type": "retry",
    }
    return Node("receipt", attributes, (retry, registration, Node("keys", {}, tuple(keys))))


def deliver_to_own_devices(
    message: Node, sender: LinkedDevice, phone: Phone, contact: Contact
) -> list[tuple[LinkedDevice, Node]]:
    """Let the phone decrypt its copy; return those of the account's other linked devices."""
    wire_id, copies = message.text("id"), []
    for address, encrypted in _list_copies(message):
        if address.person not in {phone.jid, phone.lid}:
            continue
        if address.device:
            attributes: Attributes = {
                "from": sender.lid,
                "recipient": contact.lid,
                "peer_recipient_pn": contact.jid,
                "id": wire_id,
                "t": _now(),
                "type": "text",
            }
            copy = Node("message", attributes, (encrypted,))
            copies.append((phone.devices[address.device], copy))
        elif not any(each.wire_id == wire_id for each in phone.sent):
            data = phone.device.decrypt(sender.jid, encrypted.text("type"), encrypted.data)
            sent = Message.FromString(data).deviceSentMessage
            phone.sent.append(SentMessage(wire_id, read_text(sent.message)))
    return copies


def build_devices_changed(contact: Contact, device: int) -> Node:
    """Return the news that a contact linked another device."""
    # A hash that is not the client's own makes it ask for the list.
    attributes: Attributes = {"jid": contact.lid.on_device(device), "key-index": str(device)}
    added = Node("add", {"device_hash": "2:changed"}, (Node("device", attributes),))
    return Node(
        "notification",
        {"from": contact.lid, "type": "devices", "id": create_wire_id(), "t": _now()},
        (added,),
    )


def build_acknowledgement(message: Node, error: int | None = None) -> Node:
    """Return the server's answer to a message: taken, or refused with a code."""
    attributes: Attributes = {
        "class": "message",
        "from": message.jid("to"),
        "id": message.text("id"),
        "t": _now(),
    }
    return Node("ack", attributes | ({"error": str(error)} if error else {}))


def build_receipt(sender: Jid, wire_id: str, kind: str = "") -> Node:
    """Return a receipt of a contact: `delivered` has no type, `read` and others have."""
    attributes: Attributes = {"from": sender, "id": wire_id, "t": _now()}
    return Node("receipt", attributes | ({"type": kind} if kind else {}))


def build_inbound(
    contact: Contact,
    device: LinkedDevice,
    message: Any,  # noqa: ANN401 - generated at run time
    *,
    from_lid: bool,
    with_number: bool = True,
    written_ago: float = 0.0,
) -> Node:
    """Return a message from a contact, encrypted to one device."""
    encrypted = contact.device.encrypt(device.jid, message.SerializeToString(), device.take_bundle)
    if from_lid:
        names: Attributes = {"from": contact.lid}
        names |= {"sender_pn": contact.jid} if with_number else {}
    else:
        names = {"from": contact.jid, "sender_lid": contact.lid}
    attributes: Attributes = {
        **names,
        "addressing_mode": LID_SERVER if from_lid else "pn",
        "id": create_wire_id(),
        "t": str(int(time.time() - written_ago)),
        "type": "text",
        "notify": contact.name or contact.phone,
    }
    enc = Node("enc", {"v": "2", "type": encrypted.kind}, encrypted.data)
    return Node("message", attributes, (enc,))


def build_own_message(
    phone: Phone,
    device: LinkedDevice,
    contact: Contact,
    content: Any,  # noqa: ANN401 - generated at run time
    wire_id: str,
    *,
    to_lid: bool = False,
) -> Node:
    """Return a message that the account's owner typed on the phone, as a linked device gets it."""
    message = Message()
    message.deviceSentMessage.destinationJID = str(contact.lid if to_lid else contact.jid)
    message.deviceSentMessage.message.CopyFrom(content)
    encrypted = phone.device.encrypt(device.jid, message.SerializeToString(), device.take_bundle)
    names: Attributes = (
        {"from": phone.lid, "recipient": contact.lid, "peer_recipient_pn": contact.jid}
        if to_lid
        else {"from": phone.jid, "recipient": contact.jid, "peer_recipient_lid": contact.lid}
    )
    attributes: Attributes = {
        **names,
        "id": wire_id,
        "t": _now(),
        "type": "text",
    }
    enc = Node("enc", {"v": "2", "type": encrypted.kind}, encrypted.data)
    return Node("message", attributes, (enc,))


def create_wire_id() -> str:
    """Return a new id, in the form that phones give their messages."""
    return f"3A{secrets.token_hex(9).upper()}"


def _now() -> str:
    return str(int(time.time()))
