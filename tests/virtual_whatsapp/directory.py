"""Who is on a virtual WhatsApp, their devices and published keys, and what others are told."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from tests.virtual_whatsapp.binary_node import LID_SERVER, Jid, Node
from tests.virtual_whatsapp.contact import Contact
from tests.virtual_whatsapp.phone import LinkedDevice, Phone
from tests.virtual_whatsapp.signal_session import PreKeyBundle, SignedPreKey

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
            users.append(Node("user", {"jid": jid}, tuple(describe_bundle(bundle))))
    return (Node("list", {}, tuple(users)),)


def describe_bundle(bundle: PreKeyBundle) -> Iterator[Node]:
    """Yield the nodes of a device's keys."""
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


def describe_digest(device: LinkedDevice) -> Node:
    """Return what the server holds of a device's keys, for the device to compare."""
    numbers = [Node("id", {}, each.to_bytes(_KEY_ID_BYTES, "big")) for each in device.one_time]
    signed = device.signed
    return Node(
        "digest",
        {},
        (
            Node("registration", {}, device.registration_id.to_bytes(_REGISTRATION_BYTES, "big")),
            Node("type", {}, _KEY_TYPE),
            Node("identity", {}, device.identity),
            _describe_key("skey", signed.id, signed.public, signed.signature),
            Node("list", {}, tuple(numbers)),
        ),
    )


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
