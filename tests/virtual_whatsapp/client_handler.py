"""What a virtual WhatsApp does with its clients: logs them in, answers, takes and delivers."""

from __future__ import annotations

import asyncio
import time
from typing import Literal

from aiohttp import web

from tests.virtual_whatsapp.binary_node import SERVER_JID, Jid, Node
from tests.virtual_whatsapp.connection import ClientConnection
from tests.virtual_whatsapp.directory import (
    Directory,
    answer_bundles,
    answer_usync,
    describe_digest,
    is_number_check,
    store_keys,
)
from tests.virtual_whatsapp.faults import (
    Faults,
    build_device_removed,
    build_login_failure,
    build_request_error,
    build_stream_error,
)
from tests.virtual_whatsapp.journal import Journal
from tests.virtual_whatsapp.keys import KeyPair
from tests.virtual_whatsapp.link_code import (
    REGISTRATION,
    LinkCodeRequest,
    build_hello_answer,
    read_companion_hello,
)
from tests.virtual_whatsapp.messaging import (
    build_acknowledgement,
    build_receipt,
    deliver_to_contact,
    deliver_to_own_devices,
)
from tests.virtual_whatsapp.noise import CertificateAuthority, HandshakeFailed
from tests.virtual_whatsapp.pairing import (
    build_pair_device,
    create_refs,
)
from tests.virtual_whatsapp.phone import LinkedDevice, Phone
from tests.virtual_whatsapp.token_table import TokenTable

_WITHOUT_ANSWER = frozenset({"w:p", "privacy"})
"""Keep-alives, and tokens that a client gives to those it writes to: taken, and that is all."""
_RESTART_REQUIRED = 515
_RESTART_PAUSE_SECONDS = 0.03
"""A client that reads 515 at once after its answer loses the answer."""


class ClientHandler:
    """The clients that are connected, and what is answered to each."""

    faults: Faults
    """What goes wrong from now on."""
    directory: Directory
    """Who is on this WhatsApp: contacts and accounts."""
    logins: Journal[LinkedDevice]
    """Each device that logged in, in order."""
    ready: Journal[LinkedDevice]
    """Each device that logged in and got what had waited for it."""
    link_codes: Journal[LinkCodeRequest]
    """Each device that shows a code to be typed on a phone."""
    copies: Journal[Node]
    """Each message of a linked device that went to another one of the same phone."""
    unhandled: list[str]
    """What clients asked that this server answers with nothing."""

    def __init__(self, tokens: TokenTable) -> None:
        self._tokens = tokens
        authority = CertificateAuthority()
        self.root_key = authority.root_key
        self._static = KeyPair.generate()
        self._chain = authority.certify(self._static)
        self._refs: dict[str, ClientConnection] = {}
        self._connections: list[ClientConnection] = []
        self._sending: set[asyncio.Task[None]] = set()
        self.faults = Faults()
        self.directory = Directory()
        self.logins, self.ready = Journal(), Journal()
        self.link_codes, self.copies = Journal(), Journal()
        self.unhandled = []

    def find_connections(self, jid: Jid | None = None) -> list[ClientConnection]:
        """Return the connections that are logged in, of one device or of all."""
        return [
            each
            for each in self._connections
            # One over which a device was just linked has not logged in, and takes no messages.
            if each.device is not None
            and each.payload.username
            and (jid is None or each.device.jid == jid)
        ]

    async def _deliver(self, device: LinkedDevice, node: Node) -> None:
        """Send to a device, now and at each login until it acknowledges."""
        device.undelivered[_get_delivery_key(node.tag, node)] = node
        for connection in self.find_connections(device.jid):
            await connection.send(node)

    async def send_receipt(self, phone: Phone, sender: Jid, wire_id: str, kind: str = "") -> None:
        """Tell an account's devices that a message was delivered, or what else became of it."""
        for device in phone.devices.values():
            await self._deliver(device, build_receipt(sender, wire_id, kind))

    def _send_later(self, seconds: float, connection: ClientConnection, node: Node) -> None:
        """Send a node in so many seconds; what follows meanwhile overtakes it."""
        task = asyncio.create_task(_send_after(seconds, connection, node))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def _stop_sending(self) -> None:
        """Give up what was to be sent later."""
        for task in list(self._sending):
            task.cancel()

    async def _handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one client for as long as it is connected."""
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        connection = ClientConnection(socket, request)
        self._connections.append(connection)
        try:
            await connection.shake_hands(self._static, self._chain)
            if await self._begin(connection):
                while True:
                    node = await connection.receive(self._tokens)
                    await self._handle_node(connection, node)
        except (ConnectionError, HandshakeFailed):
            pass
        finally:
            self._connections.remove(connection)
        return socket

    async def _begin(self, connection: ClientConnection) -> bool:
        """Log a client in, or show it codes; False where it is refused."""
        if not connection.payload.username:
            refs = create_refs(self.faults.pairing_codes)
            self._refs |= dict.fromkeys(refs, connection)
            await connection.send(build_pair_device(refs, connection.create_request_id()))
            return True
        jid = Jid(str(connection.payload.username)).on_device(connection.payload.device)
        device = self.directory.find_device(jid)
        if device is None or device.noise_key != connection.noise_key:
            return await _refuse_login(connection, build_login_failure(401))
        number = f"+{jid.user}"
        if failure := self.faults.login_failure or self.faults.login_failures.get(number):
            return await _refuse_login(connection, failure)
        connection.device = device
        connection.silent = self.faults.silent
        self.logins.append(device)
        moment = str(int(time.time()))
        await connection.send(Node("success", {"t": moment, "lid": device.lid}))
        return True

    async def _handle_node(self, connection: ClientConnection, node: Node) -> None:
        device = connection.device
        if node.tag == "iq":
            await self._handle_request(connection, node)
        elif device is None:
            if node.tag != "ack":  # of what a phone whose code was typed says
                self.unhandled.append(node.tag)
        elif node.tag == "message":
            await self._handle_message(connection, device, node)
        elif node.tag == "ack":
            device.undelivered.pop(_get_delivery_key(node.text("class"), node), None)
        elif node.tag == "receipt":
            device.undelivered.pop(("message", node.text("id"), ""), None)
        elif node.tag != "ib":  # a client's notes on itself
            self.unhandled.append(node.tag)

    async def _handle_request(self, connection: ClientConnection, node: Node) -> None:
        """Answer an `iq`; what only an unlinked client may ask is nothing but a result."""
        if node.text("type") == "result":
            await self._handle_result(connection, node)
        elif (registration := node.find(REGISTRATION)) is not None:
            await self._handle_link_code(connection, node, registration)
        elif connection.device is None:
            await connection.answer(node)
        elif node.text("xmlns") == "passive":
            await connection.answer(node)
            await self._send_offline(connection, connection.device)
        elif node.find("remove-companion-device") is not None:
            await self._remove_device(connection, connection.device, node)
        elif is_number_check(node) and (code := self.faults.check_refused):
            await connection.send(build_request_error(node, code))
        else:
            await connection.answer(node, *self._answer_question(connection.device, node))

    async def _handle_link_code(
        self, connection: ClientConnection, node: Node, registration: Node
    ) -> None:
        """Take what a device says that is linked by a code: its hello, or its keys."""
        if code := self.faults.link_code_refused:
            await connection.send(build_request_error(node, code))
        elif registration.text("stage") == "companion_hello":
            request = read_companion_hello(connection, registration)
            await connection.answer(node, build_hello_answer(request))
            self.link_codes.append(request)
        else:
            await connection.answer(node)
            ref = registration.require("link_code_pairing_ref").data.decode()
            [request] = [each for each in self.link_codes if each.ref == ref]
            request.finish.set_result(registration)

    def _answer_question(self, device: LinkedDevice, node: Node) -> tuple[Node, ...]:
        """Return the answer to a question about people and keys; nothing to what is not known."""
        space = node.text("xmlns")
        if space == "usync":
            return answer_usync(node, self.directory, self.faults.unlisted)
        if space == "encrypt" and node.find("count") is not None:
            return (Node("count", {"value": str(len(device.one_time))}),)
        if space == "encrypt" and node.find("digest") is not None:
            return (describe_digest(device),)
        if space == "encrypt" and node.find("key") is not None:
            return answer_bundles(node, self.directory)
        if space == "encrypt" and node.find("list") is not None:
            store_keys(node, device)
        elif space not in _WITHOUT_ANSWER:
            self.unhandled.append(f"{node.text('type')} {space}")
        return ()

    async def _handle_result(self, connection: ClientConnection, node: Node) -> None:
        """Take the answer to a request of ours: a device that is being linked signs itself."""
        signed = node.find("pair-device-sign", "device-identity")
        device = connection.device
        if signed is None or device is None:
            return
        phone = self.directory.find_phone(device.jid)
        if phone is not None:
            phone.verify_device_signature(device, signed.data)
        await asyncio.sleep(_RESTART_PAUSE_SECONDS)
        await connection.send(build_stream_error(_RESTART_REQUIRED))

    async def _send_offline(self, connection: ClientConnection, device: LinkedDevice) -> None:
        """Send what waited while the device was away, and say that this was all."""
        waiting = list(device.undelivered.values())
        for node in waiting:
            await connection.send(Node(node.tag, {**node.attributes, "offline": "0"}, node.content))
        done = Node("offline", {"count": str(len(waiting))})
        await connection.send(Node("ib", {"from": SERVER_JID}, (done,)))
        self.ready.append(device)

    async def _remove_device(
        self, connection: ClientConnection, device: LinkedDevice, node: Node
    ) -> None:
        """Unlink a device that asks for it itself."""
        if (phone := self.directory.find_phone(device.jid)) is not None:
            phone.unlink(device)
        await connection.answer(node)
        await connection.send(build_device_removed())

    async def _handle_message(
        self, connection: ClientConnection, device: LinkedDevice, node: Node
    ) -> None:
        """Take a message: acknowledge or refuse it, and let its contact have it."""
        contact = self.directory.find_contact(node.jid("to"))
        phone = self.directory.find_phone(device.jid)
        if contact is None or phone is None:
            await connection.send(build_acknowledgement(node))
            return
        if error := self.faults.refused.get(contact.phone):
            await connection.send(build_acknowledgement(node, error))
            return
        for other, copy in deliver_to_own_devices(node, device, phone, contact):
            await self._deliver(other, copy)
            self.copies.append(copy)
        retries = deliver_to_contact(node, device, contact)
        if self.faults.cut_on_message:
            self.faults.cut_on_message -= 1
            connection.cut()
        elif contact.phone not in self.faults.unacknowledged:
            acknowledgement = build_acknowledgement(node)
            if seconds := self.faults.acknowledged_late.get(contact.phone):
                self._send_later(seconds, connection, acknowledgement)
            else:
                await connection.send(acknowledgement)
        for retry in retries:
            await self._deliver(device, retry)
        if contact.phone not in self.faults.unreceipted and not retries:
            await self.send_receipt(phone, node.jid("to"), node.text("id"))
            if contact.reads:
                await self.send_receipt(phone, node.jid("to"), node.text("id"), "read")


async def _refuse_login(connection: ClientConnection, failure: Node) -> Literal[False]:
    await connection.send(failure)
    await connection.wait_until_closed()
    return False


async def _send_after(seconds: float, connection: ClientConnection, node: Node) -> None:
    await asyncio.sleep(seconds)
    await connection.send(node)


def _get_delivery_key(tag: str, node: Node) -> tuple[str, str, str]:
    """Return what a delivery is known by: a message has one, its receipts one of each type."""
    return tag, node.text("id"), node.text("type") if tag == "receipt" else ""
