"""The linked channel as it is shipped, with a virtual WhatsApp at the other end of its worker."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from daemon.api.conformance import ChannelProbe, ProbeScenario, SampleMessage, WireMessage
from daemon.api.identity import Identity, IdentityKind
from daemon.api.launcher import Worker
from daemon.api.permit import Permit, hash_body
from daemon.api.signals import InboundKind, PairingCodeIssued, QrIssued, Signal
from daemon.api.transport import (
    Channel,
    KnownContact,
    NumberAnswer,
    OpenContext,
    Outgoing,
    SendResult,
    Transport,
)
from daemon.plugins.transport_linked import leadmaster_declare_channels, open_linked_transport
from daemon.worker_launcher import launch_worker
from tests.virtual_whatsapp.contact import Contact
from tests.virtual_whatsapp.faults import TIMELOCK, Faults
from tests.virtual_whatsapp.phone import Phone
from tests.virtual_whatsapp.protobufs import Message
from tests.virtual_whatsapp.server import VirtualWhatsApp

NUMBER = "+5491155550001"
RECIPIENT, REFUSED, UNANSWERED = "+5491155550101", "+5491155550102", "+5491155550103"
_DISTURB_SECONDS = 0.3
_LATE_SECONDS = 1.0
_ACKNOWLEDGED_SECONDS = 2.0
"""Later than a check waits; a worker that never gets an answer would be busy for 75 s."""


class ScanningTransport:
    """A transport in front of whose codes somebody holds a phone."""

    def __init__(self, transport: Transport, whatsapp: VirtualWhatsApp, phone: Phone) -> None:
        self._transport = transport
        self._whatsapp = whatsapp
        self._phone = phone

    async def signals(self) -> AsyncIterator[Signal]:
        """Yield the signals; each first code is scanned."""
        async for reported in self._transport.signals():
            yield reported
            if isinstance(reported, QrIssued) and reported.index == 1:
                await self._whatsapp.scan(self._phone, reported.code)
            elif isinstance(reported, PairingCodeIssued):
                await self._whatsapp.enter_code(self._phone, reported.code)

    async def connect(self) -> None:
        """Connect."""
        await self._transport.connect()

    async def send(self, permit: Permit, outgoing: Outgoing) -> SendResult:
        """Send."""
        return await self._transport.send(permit, outgoing)

    async def check_numbers(self, phones: Sequence[str]) -> Sequence[NumberAnswer]:
        """Check numbers."""
        return await self._transport.check_numbers(phones)

    async def contacts(self) -> Sequence[KnownContact]:
        """Return the contacts."""
        return await self._transport.contacts()

    async def logout(self) -> None:
        """Log out."""
        await self._transport.logout()

    async def close(self) -> None:
        """Close."""
        await self._transport.close()


class LinkedProbe(ChannelProbe):
    """Plays the scenarios on a virtual WhatsApp, and holds the phone in front of the code."""

    own_phone = NUMBER
    recipient = RECIPIENT
    refused_recipient = REFUSED
    unanswered_recipient = UNANSWERED

    def __init__(self, whatsapp: VirtualWhatsApp) -> None:
        super().__init__({})
        self._whatsapp = whatsapp
        self._phone = whatsapp.add_phone(NUMBER)
        self._contacts: list[Contact] = []
        self.samples = [
            SampleMessage(address=f"1{RECIPIENT[1:]}@lid", text="sample 1", identity=_phone()),
            SampleMessage(address=f"{RECIPIENT[1:]}@c.us", text="sample 2", identity=_phone()),
            SampleMessage(
                address=f"1{RECIPIENT[1:]}@lid",
                text="sample 3",
                identity=_phone(),
                kind=InboundKind.MEDIA,
            ),
            SampleMessage(
                address=f"{RECIPIENT[1:]}@c.us", text="sample 4", identity=_phone(), own=True
            ),
        ]
        self.worker: Worker | None = None
        self._running: asyncio.Task[None] | None = None

    async def start(self, scenario: ProbeScenario, folder: Path) -> Mapping[str, object]:
        """Begin with people who never wrote, and a phone without devices."""
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        self._phone.devices.clear()
        self._contacts = [
            self._whatsapp.add_contact(each) for each in (RECIPIENT, REFUSED, UNANSWERED)
        ]
        self._whatsapp.faults = Faults(
            refused={REFUSED: TIMELOCK}, acknowledged_late={UNANSWERED: _ACKNOWLEDGED_SECONDS}
        )
        if scenario in {ProbeScenario.RECEIPTS_REVERSED, ProbeScenario.RECEIPTS_LATE}:
            self._whatsapp.faults.unreceipted.add(RECIPIENT)
        self._running = asyncio.create_task(self._play(scenario))
        return self.options

    async def read_wire(self) -> Sequence[WireMessage]:
        """Return what contacts decrypted."""
        return [
            WireMessage(contact.phone, hash_body(message.text))
            for contact in self._contacts
            for message in contact.received
        ]

    async def stop(self) -> None:
        """End the scenario."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})

    async def open_transport(self, context: OpenContext) -> Transport:
        """Open the channel's own transport, whose worker is led to the WhatsApp."""
        transport = await open_linked_transport(replace(context, launch=self._launch))
        return ScanningTransport(transport, self._whatsapp, self._phone)

    async def _launch(
        self,
        module: str,
        arguments: Sequence[str] = (),
        *,
        environment: Mapping[str, str] | None = None,
        socket: Path | None = None,
    ) -> Worker:
        places = {**self._whatsapp.environment, **(environment or {})}
        self.worker = await launch_worker(module, arguments, environment=places, socket=socket)
        return self.worker

    async def _play(self, scenario: ProbeScenario) -> None:
        await self._whatsapp.ready.wait_for(len(self._whatsapp.ready) + 1, seconds=120)
        [recipient, *_] = self._contacts
        match scenario:
            case ProbeScenario.MESSAGES:
                await self._write_samples(recipient)
            case ProbeScenario.RECEIPTS_REVERSED:
                await self._report(recipient, "read", "")
            case ProbeScenario.RECEIPTS_LATE:
                await recipient.received.wait_for(1, seconds=120)
                await asyncio.sleep(_LATE_SECONDS)
                await self._report(recipient, "")
            case ProbeScenario.CUT:
                await asyncio.sleep(_DISTURB_SECONDS)
                self._whatsapp.cut()
            case ProbeScenario.DEATH:
                await asyncio.sleep(_DISTURB_SECONDS)
                if self.worker is not None and self.worker.pid is not None:
                    os.kill(self.worker.pid, signal.SIGKILL)
            case ProbeScenario.FRIENDLY:
                pass

    async def _write_samples(self, contact: Contact) -> None:
        for sample in self.samples:
            from_lid = sample.address.endswith("@lid")
            if sample.own:
                await self._whatsapp.type_on_phone(self._phone, contact, sample.text)
            elif sample.kind is InboundKind.MEDIA:
                image = Message()
                image.imageMessage.caption = sample.text
                await self._whatsapp.write(contact, self._phone, image, from_lid=from_lid)
            else:
                await self._whatsapp.write(contact, self._phone, sample.text, from_lid=from_lid)

    async def _report(self, contact: Contact, *kinds: str) -> None:
        """Report receipts of the first message, in this order; ``""`` is delivered."""
        [message, *_] = await contact.received.wait_for(1, seconds=120)
        for kind in kinds:
            await self._whatsapp.send_receipt(self._phone, contact.lid, message.wire_id, kind)


def build_probed_channel(probe: LinkedProbe) -> Channel:
    """Return the channel as it is declared, opened through a probe."""
    [declared] = leadmaster_declare_channels()
    return replace(declared, open=probe.open_transport)


def _phone() -> Identity:
    return Identity(IdentityKind.PHONE, RECIPIENT)
