"""A WhatsApp of one test: it listens, and lets people and the server do what a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.virtual_whatsapp.binary_node import Jid, Node
from tests.virtual_whatsapp.certificates import HOST, create_certificates
from tests.virtual_whatsapp.client_handler import ClientHandler
from tests.virtual_whatsapp.connection import ClientConnection
from tests.virtual_whatsapp.contact import Contact
from tests.virtual_whatsapp.faults import build_device_removed, build_passkey_request
from tests.virtual_whatsapp.library import build_environment, check_root_key, find_library
from tests.virtual_whatsapp.link_code import CodeEntry
from tests.virtual_whatsapp.messaging import (
    build_devices_changed,
    build_inbound,
    build_own_message,
    build_retry_receipt,
    create_wire_id,
)
from tests.virtual_whatsapp.other_traffic import (
    PastChat,
    build_call,
    build_history_notice,
    build_key_share,
    build_message_to_many,
    build_publication,
    build_unreadable,
    build_view_once_notice,
)
from tests.virtual_whatsapp.pairing import build_pair_success, parse_qr_code, read_pairing_payload
from tests.virtual_whatsapp.phone import DeviceOffer, LinkedDevice, Phone
from tests.virtual_whatsapp.protobufs import Message
from tests.virtual_whatsapp.proxy import LoopbackProxy
from tests.virtual_whatsapp.token_table import read_token_table

LOOPBACK = "127.0.0.1"
_CODE_SECONDS = 20.0


class VirtualWhatsApp(ClientHandler):
    """A WhatsApp of one test: ``async with VirtualWhatsApp(tmp_path) as whatsapp``.

    Where the library can't be led here, as after an upgrade, this raises an error that says what to
    do.
    """

    environment: Mapping[str, str]
    """What a process of the unmodified library needs to come here, and nowhere else."""

    def __init__(self, folder: Path, library: Path | None = None) -> None:
        library = library or find_library()
        check_root_key(library)
        super().__init__(read_token_table(library))
        self._folder = folder
        self.environment = {}

    async def __aenter__(self) -> Self:
        """Listen, on free ports of the loopback interface."""
        authority_file, context = create_certificates(self._folder)
        application = web.Application()
        application.router.add_get("/ws/chat", self._handle_websocket)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, LOOPBACK, 0, ssl_context=context)
        await site.start()
        port = self._runner.addresses[0][1]
        self._proxy = LoopbackProxy(HOST, port)
        address = await self._proxy.start()
        self.environment = build_environment(address, authority_file, self.root_key)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Break off what is connected, and stop listening."""
        self.cut()
        self._stop_sending()
        await self._proxy.stop()
        await self._runner.cleanup()

    # People.

    def add_contact(self, phone: str, name: str = "", address: str = "") -> Contact:
        """Add a contact who is on WhatsApp; ``address`` is their number as WhatsApp spells it."""
        contact = Contact(phone, f"1{phone.removeprefix('+')}", name, address)
        self.directory.add_contact(contact)
        return contact

    def list_phones(self) -> list[Phone]:
        """Return the accounts."""
        return self.directory.list_phones()

    def add_phone(self, number: str) -> Phone:
        """Add an account with its phone."""
        phone = Phone(number, f"2{number.removeprefix('+')}")
        self.directory.add_phone(phone)
        return phone

    # What the phone does.

    async def scan(self, phone: Phone, code: str) -> LinkedDevice:
        """Let a phone scan a code: the device that shows it is linked."""
        offer = parse_qr_code(code)
        return await self._link(phone, offer, self._refs[offer.ref])

    async def enter_code(self, phone: Phone, code: str, *, number: str = "") -> LinkedDevice:
        """Type a code on a phone: the device that shows it is linked.

        ``number`` is the one that the device gave, where it is not the phone's own. Raises
        :class:`WrongLinkCode` where the device shows another code.
        """
        wanted = (number or phone.number).removeprefix("+")
        request = [each for each in self.link_codes if each.number == wanted][-1]
        entry = CodeEntry(code, phone.device.identity, request)
        request.finish = asyncio.get_running_loop().create_future()
        await request.connection.send(entry.build_primary_hello())
        async with asyncio.timeout(_CODE_SECONDS):
            identity, adv_secret = entry.open_finish(await request.finish)
        offer = DeviceOffer(request.ref, request.noise_key, identity, adv_secret)
        return await self._link(phone, offer, request.connection)

    async def _link(
        self, phone: Phone, offer: DeviceOffer, connection: ClientConnection
    ) -> LinkedDevice:
        registration_id, signed = read_pairing_payload(connection.payload)
        device, container = phone.link(offer, registration_id, signed)
        connection.device = device
        if self.faults.forged_pairing:
            container = bytes(reversed(container))
        await connection.send(build_pair_success(device, container, connection.create_request_id()))
        return device

    async def request_passkey(self, code: str) -> None:
        """Answer the scan of a code by a request for a passkey."""
        await self._refs[parse_qr_code(code).ref].send(build_passkey_request())

    async def unlink(self, phone: Phone, device: LinkedDevice) -> None:
        """Let the owner unlink a device on the phone."""
        phone.unlink(device)
        for connection in self.find_connections(device.jid):
            await connection.send(build_device_removed())

    async def type_on_phone(
        self,
        phone: Phone,
        contact: Contact,
        message: str | Any,  # noqa: ANN401 - a text, or a protobuf of any content
        *,
        to_lid: bool = False,
    ) -> str:
        """Let the owner write to a contact on the phone itself; return the wire id.

        Each linked device gets a copy.
        """
        wire_id = create_wire_id()
        content = Message(conversation=message) if isinstance(message, str) else message
        for device in phone.devices.values():
            node = build_own_message(phone, device, contact, content, wire_id, to_lid=to_lid)
            await self._deliver(device, node)
        return wire_id

    async def replay_history(self, phone: Phone, *chats: PastChat) -> None:
        """Let a phone tell its devices what was written in the past."""
        for device in phone.devices.values():
            await self._deliver(device, build_history_notice(phone, device, chats))

    async def share_keys(self, phone: Phone) -> None:
        """Let a phone give its devices the keys of the account's settings."""
        for device in phone.devices.values():
            await self._deliver(device, build_key_share(phone, device))

    # What contacts do.

    async def write(
        self,
        contact: Contact,
        phone: Phone,
        message: str | Any,  # noqa: ANN401 - a text, or a protobuf of any content
        *,
        from_lid: bool = True,
        with_number: bool = True,
        written_ago: float = 0.0,
    ) -> None:
        """Let a contact write to an account: each linked device gets the message.

        ``with_number`` says whether their number comes with their hidden id; ``written_ago`` is how
        many seconds ago it was written.
        """
        content = Message(conversation=message) if isinstance(message, str) else message
        for device in phone.devices.values():
            node = build_inbound(
                contact,
                device,
                content,
                from_lid=from_lid,
                with_number=with_number,
                written_ago=written_ago,
            )
            await self._deliver(device, node)

    async def write_to_many(
        self,
        contact: Contact,
        phone: Phone,
        message: str | Any,  # noqa: ANN401 - as above
        chat: Jid,
    ) -> None:
        """Let a contact write to a group or a broadcast list, or post a status update."""
        content = Message(conversation=message) if isinstance(message, str) else message
        for device in phone.devices.values():
            await self._deliver(device, build_message_to_many(contact, device, content, chat))

    async def publish(self, phone: Phone, text: str) -> None:
        """Let a channel that an account follows publish a text."""
        for device in phone.devices.values():
            await self._deliver(device, build_publication(Message(conversation=text)))

    async def send_view_once(self, contact: Contact, phone: Phone) -> None:
        """Let a contact send what can be viewed once: only the phone itself gets it."""
        for device in phone.devices.values():
            await self._deliver(device, build_view_once_notice(contact))

    async def send_unreadable(self, contact: Contact, phone: Phone, kind: str = "msg") -> None:
        """Let a contact send what can't be decrypted."""
        for device in phone.devices.values():
            await self._deliver(device, build_unreadable(contact, kind))

    async def call(self, contact: Contact, phone: Phone) -> None:
        """Let a contact call an account; nobody takes it."""
        for device in phone.devices.values():
            for node in build_call(contact):
                await self._deliver(device, node)

    async def announce_device(self, phone: Phone, contact: Contact, device: int) -> None:
        """Tell an account's devices that a contact linked another device."""
        for each in phone.devices.values():
            await self._deliver(each, build_devices_changed(contact, device))

    async def ask_again(self, phone: Phone, contact: Contact, wire_id: str) -> None:
        """Let a contact's phone ask for a message again, as if it could not decrypt it."""
        for device in phone.devices.values():
            await self._deliver(device, build_retry_receipt(contact, 0, wire_id))

    # What the server does by itself.

    async def broadcast(self, node: Node) -> None:
        """Send a node to every client that is logged in."""
        for connection in self.find_connections():
            await connection.send(node)

    def cut(self) -> None:
        """Break every connection off."""
        for connection in list(self._connections):
            connection.cut()

    def close_network(self) -> None:
        """Let no client come here any more."""
        self._proxy.is_closed = True

    def open_network(self) -> None:
        """Let clients come here again."""
        self._proxy.is_closed = False

    def fall_silent(self) -> None:
        """Keep every connection and answer nothing any more."""
        for connection in self._connections:
            connection.silent = True

    def answer_again(self) -> None:
        """End the silence on the connections that were kept."""
        for connection in self._connections:
            connection.silent = False
