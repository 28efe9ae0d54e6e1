"""A virtual contact: a person with a phone, who really decrypts what is sent to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.virtual_whatsapp.binary_node import LID_SERVER, Jid
from tests.virtual_whatsapp.journal import Journal
from tests.virtual_whatsapp.protobufs import Message
from tests.virtual_whatsapp.signal_device import SignalDevice
from tests.virtual_whatsapp.signal_session import DecryptionFailed


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message that a device decrypted; ``kind`` is how it was encrypted: `pkmsg` or `msg`."""

    wire_id: str
    text: str
    kind: str
    device: int = 0

    def __repr__(self) -> str:
        """Keep the body out of the reports of failed tests' logs."""
        return f"ReceivedMessage({self.wire_id!r}, {self.kind}, {len(self.text)} characters)"


class Contact:
    """A person: ``phone`` is E.164. They receive, decrypt and may read.

    ``address`` is their number as WhatsApp spells it, where that differs: of some countries it
    leaves out a digit, or has one more.
    ``devices`` are theirs by number, their phone is 0. ``received`` is what the phone decrypted,
    each wire id once, as an app shows it; ``repeated`` what came to a device once more, and
    ``copies`` what their other devices decrypted.
    """

    def __init__(self, phone: str, lid: str, name: str = "", address: str = "") -> None:
        self.phone = phone
        self.name = name
        self.jid = Jid((address or phone).removeprefix("+"))
        self.lid = Jid(lid, LID_SERVER)
        self.devices = {0: SignalDevice()}
        self.received: Journal[ReceivedMessage] = Journal()
        self.repeated: Journal[ReceivedMessage] = Journal()
        self.copies: Journal[ReceivedMessage] = Journal()
        self.retries: dict[str, int] = {}
        """How often each wire id was asked for again, since it could not be decrypted."""
        self.reads = True

    @property
    def device(self) -> SignalDevice:
        """Return their phone."""
        return self.devices[0]

    def link_device(self) -> int:
        """Link another device, and return its number."""
        number = max(self.devices) + 1
        self.devices[number] = SignalDevice()
        return number

    def reinstall(self) -> None:
        """Install the app anew on the phone: its keys are others, and its sessions are gone."""
        self.devices[0] = SignalDevice()

    def decrypt(self, sender: Jid, wire_id: str, kind: str, data: bytes, device: int = 0) -> None:
        """Take a message as it comes from the server; raise where it can't be decrypted.

        The same ciphertext once more is known by its id, as to every app: nothing decrypts it.
        """
        journal = self.copies if device else self.received
        known = [each for each in journal if (each.wire_id, each.device) == (wire_id, device)]
        try:
            message = Message.FromString(self.devices[device].decrypt(sender, kind, data))
        except DecryptionFailed:
            if not known:
                raise
            self.repeated.append(known[0])
            return
        received = ReceivedMessage(wire_id, read_text(message), kind, device)
        (self.repeated if known else journal).append(received)


def read_text(message: Any) -> str:  # noqa: ANN401 - generated at run time
    """Return the text of a message, whichever of its fields holds it."""
    return str(message.conversation or message.extendedTextMessage.text)
