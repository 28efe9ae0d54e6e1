"""A virtual contact: a person with a phone, who really decrypts what is sent to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.virtual_whatsapp.binary_node import LID_SERVER, Jid
from tests.virtual_whatsapp.journal import Journal
from tests.virtual_whatsapp.protobufs import Message
from tests.virtual_whatsapp.signal_device import SignalDevice


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message that a contact decrypted; ``kind`` is how it was encrypted: `pkmsg` or `msg`."""

    wire_id: str
    text: str
    kind: str

    def __repr__(self) -> str:
        """Keep the body out of the reports of failed tests' logs."""
        return f"ReceivedMessage({self.wire_id!r}, {self.kind}, {len(self.text)} characters)"


class Contact:
    """A person: ``phone`` is E.164. They receive, decrypt and may read."""

    def __init__(self, phone: str, lid: str, name: str = "") -> None:
        self.phone = phone
        self.name = name
        self.jid = Jid(phone.removeprefix("+"))
        self.lid = Jid(lid, LID_SERVER)
        self.device = SignalDevice()
        self.received: Journal[ReceivedMessage] = Journal()
        self.reads = True

    def decrypt(self, sender: Jid, wire_id: str, kind: str, data: bytes) -> None:
        """Take a message as it comes from the server."""
        message = Message.FromString(self.device.decrypt(sender, kind, data))
        self.received.append(ReceivedMessage(wire_id, read_text(message), kind))


def read_text(message: Any) -> str:  # noqa: ANN401 - generated at run time
    """Return the text of a message, whichever of its fields holds it."""
    return str(message.conversation or message.extendedTextMessage.text)
