"""Everything around a message: who is on WhatsApp, whose keys, the message itself, and receipts."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from tests.virtual_whatsapp.binary_node import LID_SERVER, Attributes, Jid, Node
from tests.virtual_whatsapp.contact import Contact, read_text
from tests.virtual_whatsapp.phone import LinkedDevice, Phone, SentMessage
from tests.virtual_whatsapp.protobufs import Message
from tests.virtual_whatsapp.signal_session import DecryptionFailed, PreKeyBundle, SignedPreKey

_KEY_TYPE = b"\x05"
_KEY_ID_BYTES = 3
_REGISTRATION_BYTES = 4


class Directory:
    """Who is on this WhatsApp: contacts and accounts, by number and by hidden id."""

    def __init__(self) -> None:
        self._contacts: dict[Jid, Contact] = {}
        self._numbers: dict[str, Contact] = {}
        self._phones: dict[Jid, Phone] = {}

    def add_contact(self, contact: Contact) -> None:
        """Add a contact."""
        self._contacts[contact.jid] = self._contacts[contact.lid] = contact
        self._numbers[contact.phone] = contact

    def add_phone(self, phone: Phone) -> None:
        """Add an account."""
        self._phones[phone.jid] = self._phones[phone.lid] = phone

    def list_phones(self) -> list[Phone]:
        """Return the accounts."""
        return list({id(each): each for each in self._phones.values()}.values())

    def find_contact(self, jid: Jid) -> Contact | None:
        """Return whose number or hidden id this is, if it is a contact's."""
        return self._contacts.get(jid.person)

    def find_number(self, number: str) -> Contact | None:
        """Return whose number (E.164) this is, however WhatsApp spells it."""
        return self._numbers.get(number)

    def find_phone(self, jid: Jid) -> Phone | None:
        """Return whose number or hidden id this is, if it is an account's."""
        return self._phones.get(jid.person)

    def find_device(self, jid: Jid) -> LinkedDevice | None:
        """Return the linked device with this address."""
        phone = self.find_phone(jid)
        return phone.devices.get(jid.device) if phone else None

    def publish_bundle(self, jid: Jid) -> PreKeyBundle | None:
        """Return the keys of a device; None where there is no such device."""
        if (device := self.find_device(jid)) is not None:
            return device.take_bundle()
        if (contact := self.find_contact(jid)) is not None:
            owned = contact.devices.get(jid.device)
            return owned.publish_bundle() if owned else None
        phone = self.find_phone(jid)
        return phone.device.publish_bundle() if phone and not jid.device else None

    def list_devices(self, jid: Jid) -> list[int]:
        """Return the numbers of a person's devices: their phone is 0."""
        if (contact := self.find_contact(jid)) is not None:
            return list(contact.devices)
        phone = self.find_phone(jid)
        return [0, *phone.devices] if phone else [0]


# Contact discovery: `usync`.


def is_number_check(request: Node) -> bool:
    """Return whether a question asks which numbers are on WhatsApp."""
    return request.find("usync", "query", "contact") is not None


def answer_usync(
    request: Node, directory: Directory, unlisted: Collection[str] = ()
) -> tuple[Node, ...]:
    """Return the answer to a question about people; nothing of the numbers in ``unlisted``."""
    query = request.require("usync", "query")
    asked = {child.tag for child in query.children}
    contact = query.find("contact")
    asked_by_lid = contact is not None and contact.text("addressing_mode") == LID_SERVER
    users = tuple(
        _describe_user(user, asked, directory, asked_by_lid=asked_by_lid)
        for user in request.require("usync", "list").children
        if not any(_read_number(each) in unlisted for each in user.find_all("contact"))
    )
    results = Node("result", {}, tuple(Node(each) for each in sorted(asked)))
    return (
        Node(
            "usync",
            {"sid": request.require("usync").text("sid")},
            (results, Node("list", {}, users)),
        ),
    )


def _read_number(contact: Node) -> str:
    """Return the number (E.164) that a question names."""
    return "+" + contact.data.decode().removeprefix("+").partition("@")[0]


def _describe_user(
    user: Node, asked: set[str], directory: Directory, *, asked_by_lid: bool
) -> Node:
    """Describe one user, by the address or by the number that was asked for."""
    number = user.find("contact")
    if number is not None and number.data:
        jid = Jid(_read_number(number).removeprefix("+"))
    else:
        jid = user.jid("jid")
    asked_for = directory.find_number(_read_number(number)) if number and number.data else None
    known = asked_for or directory.find_contact(jid) or directory.find_phone(jid)
    answers = []
    if "contact" in asked:
        data = number.data if number else b""
        answers.append(Node("contact", {"type": "in" if known else "out"}, data))
    if known is not None:
        if "lid" in asked:
            answers.append(Node("lid", {"val": known.lid}))
        if "devices" in asked:
            answers.append(_describe_devices(directory.list_devices(jid)))
    if known is not None and asked_by_lid:
        # As it was asked: by the hidden id, with the number beside it.
        return Node("user", {"jid": known.lid, "pn_jid": known.jid}, tuple(answers))
    return Node("user", {"jid": jid}, tuple(answers))


def _describe_devices(devices: Iterable[int]) -> Node:
    described = tuple(
        Node("device", {"id": str(each)} | ({"key-index": str(each)} if each else {}))
        for each in devices
    )
    return Node("devices", {}, (Node("device-list", {}, described),))


# Keys.


def answer_bundles(request: Node, directory: Directory) -> tuple[Node, ...]:
    """Return the keys of the devices that were asked for."""
    users = []
    for user in request.require("key").children:
        jid = user.jid("jid")
        bundle = directory.publish_bundle(jid)
        if bundle is None:
            error = Node("error", {"code": "404", "text": "item-not-found"})
            users.append(Node("user", {"jid": jid}, (error,)))
        else:
            users.append(Node("user", {"jid": jid}, tuple(_describe_bundle(bundle))))
    return (Node("list", {}, tuple(users)),)


def _describe_bundle(bundle: PreKeyBundle) -> Iterator[Node]:
    yield Node("registration", {}, bundle.registration_id.to_bytes(_REGISTRATION_BYTES, "big"))
    yield Node("type", {}, _KEY_TYPE)
    yield Node("identity", {}, bundle.identity)
    if bundle.one_time_id is not None and bundle.one_time is not None:
        yield _describe_key("key", bundle.one_time_id, bundle.one_time)
    signed = bundle.signed
    yield _describe_key("skey", signed.id, signed.public, signed.signature)


def _describe_key(tag: str, number: int, public: bytes, signature: bytes | None = None) -> Node:
    parts = [
        Node("id", {}, number.to_bytes(_KEY_ID_BYTES, "big")),
        Node("value", {}, public),
    ]
    if signature is not None:
        parts.append(Node("signature", {}, signature))
    return Node(tag, {}, tuple(parts))


def store_keys(request: Node, device: LinkedDevice) -> None:
    """Store the keys that a device publishes."""
    for key in request.require("list").children:
        number = int.from_bytes(key.require("id").data, "big")
        device.one_time[number] = key.require("value").data
    if (signed := request.find("skey")) is not None:
        device.signed = SignedPreKey(
            int.from_bytes(signed.require("id").data, "big"),
            signed.require("value").data,
            signed.require("signature").data,
        )


# Messages.


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
    registration, *keys = _describe_bundle(owned.publish_bundle())
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
