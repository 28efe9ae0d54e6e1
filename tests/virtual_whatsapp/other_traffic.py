"""What reaches an account besides what one person writes to it: groups, calls, its own past."""

from __future__ import annotations

import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.virtual_whatsapp.binary_node import LID_SERVER, Attributes, Jid, Node
from tests.virtual_whatsapp.contact import Contact
from tests.virtual_whatsapp.messaging import create_wire_id
from tests.virtual_whatsapp.phone import LinkedDevice, Phone
from tests.virtual_whatsapp.protobufs import HistorySync, Message

GROUP = Jid("120363041234567890", "g.us")
STATUS = Jid("status", "broadcast")
BROADCAST_LIST = Jid("1700000000", "broadcast")
CHANNEL = Jid("120363041234567891", "newsletter")
_HISTORY_NOTICE = 5
"""The type of a protocol message that says that there is history."""
_RECENT_HISTORY = 3


def build_message_to_many(
    contact: Contact,
    device: LinkedDevice,
    message: Any,  # noqa: ANN401 - generated at run time
    chat: Jid,
) -> Node:
    """Return what a contact wrote to a group, a broadcast list or as a status update."""
    encrypted = contact.device.encrypt(device.jid, message.SerializeToString(), device.take_bundle)
    attributes: Attributes = {
        "from": chat,
        "participant": contact.lid,
        "participant_pn": contact.jid,
        "addressing_mode": LID_SERVER,
        **_describe(contact),
    }
    enc = Node("enc", {"v": "2", "type": encrypted.kind}, encrypted.data)
    return Node("message", attributes, (enc,))


def build_publication(message: Any) -> Node:  # noqa: ANN401 - generated at run time
    """Return what a channel published, which is not encrypted."""
    attributes: Attributes = {
        "from": CHANNEL,
        "id": create_wire_id(),
        "t": _now(),
        "type": "text",
        "server_id": "100",
    }
    return Node("message", attributes, (Node("plaintext", {}, message.SerializeToString()),))


def build_view_once_notice(contact: Contact) -> Node:
    """Return what other devices are told of a message that is viewed once, on the phone alone."""
    attributes: Attributes = {
        "from": contact.lid,
        "sender_pn": contact.jid,
        "addressing_mode": LID_SERVER,
        **_describe(contact),
    }
    return Node("message", attributes, (Node("unavailable", {"type": "view_once"}),))


def build_unreadable(contact: Contact, kind: str) -> Node:
    """Return a message that nobody can decrypt."""
    attributes: Attributes = {
        "from": contact.lid,
        "sender_pn": contact.jid,
        "addressing_mode": LID_SERVER,
        **_describe(contact),
    }
    enc = Node("enc", {"v": "2", "type": kind}, b"\x33" + bytes(80))
    return Node("message", attributes, (enc,))


def build_call(contact: Contact) -> list[Node]:
    """Return what a device is told of a call that nobody takes."""
    call_id = create_wire_id()
    names: Attributes = {"call-id": call_id, "call-creator": contact.lid}
    audio = Node("audio", {"enc": "opus", "rate": "16000"})
    steps = (
        Node("offer", {**names, "caller_pn": contact.jid}, (audio,)),
        Node("terminate", {**names, "reason": "timeout"}),
    )
    return [Node("call", _describe_call(contact), (step,)) for step in steps]


def _describe_call(contact: Contact) -> Attributes:
    phone: Attributes = {"platform": "android", "version": "2.26.1", "e": "0"}
    return {**phone, "from": contact.lid, "id": create_wire_id(), "t": _now()}


def _describe(contact: Contact) -> Attributes:
    name = contact.name or contact.phone
    return {"id": create_wire_id(), "t": _now(), "type": "text", "notify": name}


def _now() -> str:
    return str(int(time.time()))


# The past of a phone, which it tells a device that was linked.


@dataclass(frozen=True, slots=True)
class PastMessage:
    """A message of the past: a text, or a protobuf `Message`; ``ago`` is in seconds."""

    content: str | Any
    ago: float
    own: bool = False
    """Whether the account's owner wrote it."""
    wire_id: str = field(default_factory=create_wire_id)


@dataclass(frozen=True, slots=True)
class PastChat:
    """A chat of the past with a contact, or in a group; oldest message first."""

    contact: Contact
    messages: Sequence[PastMessage]
    group: Jid | None = None
    by_lid: bool = False
    """Whether the phone keeps the chat under the contact's hidden id."""


def build_history_notice(phone: Phone, device: LinkedDevice, chats: Sequence[PastChat]) -> Node:
    """Return what a phone tells its device of the past, for that device alone."""
    message = Message()
    message.protocolMessage.type = _HISTORY_NOTICE
    notice = message.protocolMessage.historySyncNotification
    notice.syncType, notice.chunkOrder, notice.progress = _RECENT_HISTORY, 1, 100
    history = HistorySync(syncType=_RECENT_HISTORY, chunkOrder=1, progress=100)
    for chat in chats:
        _add_chat(history, chat)
    # A phone sends a small history like this, and uploads a large one.
    notice.initialHistBootstrapInlinePayload = zlib.compress(history.SerializeToString())
    return _build_peer_message(phone, device, message)


def build_key_share(phone: Phone, device: LinkedDevice) -> Node:
    """Return what a phone gives its device to read the account's settings with."""
    message = Message()
    message.protocolMessage.type = 6
    message.protocolMessage.appStateSyncKeyShare.keys.add().keyID.keyID = b"12345"
    return _build_peer_message(phone, device, message)


def _build_peer_message(phone: Phone, device: LinkedDevice, message: Any) -> Node:  # noqa: ANN401
    encrypted = phone.device.encrypt(device.jid, message.SerializeToString(), device.take_bundle)
    attributes: Attributes = {
        "from": phone.jid,
        "id": create_wire_id(),
        "t": _now(),
        "type": "text",
        "category": "peer",
        "push_priority": "high",
    }
    enc = Node("enc", {"v": "2", "type": encrypted.kind}, encrypted.data)
    return Node("message", attributes, (enc,))


def _add_chat(history: Any, chat: PastChat) -> None:  # noqa: ANN401
    entry = history.conversations.add()
    contact = chat.contact
    entry.ID = str(chat.group or (contact.lid if chat.by_lid else contact.jid))
    if chat.by_lid:
        entry.pnJID = str(contact.jid)
    elif chat.group is None:
        entry.lidJID = str(contact.lid)
    pair = history.phoneNumberToLidMappings.add()
    pair.pnJID, pair.lidJID = str(contact.jid), str(contact.lid)
    for past in reversed(chat.messages):
        told = entry.messages.add().message
        told.key.remoteJID, told.key.fromMe, told.key.ID = entry.ID, past.own, past.wire_id
        if chat.group is not None:
            told.key.participant = str(contact.jid)
        told.messageTimestamp = int(time.time() - past.ago)
        told.pushName = contact.name
        content = past.content
        told.message.CopyFrom(
            Message(conversation=content) if isinstance(content, str) else content
        )
