"""The service in a booted root, with a phone that is linked over a WhatsApp of the same network."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from tests.helpers.client.process import DaemonProcess, poll_until
from tests.systemd.booted.booted_root import BootedRoot
from tests.systemd.booted.installation import set_up_test
from tests.virtual_whatsapp.contact import Contact
from tests.virtual_whatsapp.linked_daemon import LinkedDaemon
from tests.virtual_whatsapp.phone import Phone
from tests.virtual_whatsapp.server import VirtualWhatsApp

CORE: Final = "leadmaster.service"
WORKER: Final = "leadmaster-linked@1.service"
WORKER_SOCKET: Final = "leadmaster-linked@1.socket"
SESSION: Final = "ventas"
NUMBER, CONTACT = "+5491155550001", "+5491155550101"
WATCHDOG_SECONDS: Final = 15


class BootedService:
    """Commands of the root and of the service in it, which do not block the loop."""

    def __init__(self, root: BootedRoot, whatsapp: VirtualWhatsApp) -> None:
        self.root = root
        self.whatsapp = whatsapp
        daemon = DaemonProcess(root.get_path("/var/lib"), "", state="leadmaster")
        self.linked = LinkedDaemon(whatsapp, daemon)
        self.phone: Phone = whatsapp.add_phone(NUMBER)
        self.contact: Contact = whatsapp.add_contact(CONTACT, "Ana")

    async def run(self, *words: str, check: bool = True) -> str:
        """Run a command in the root; return what it prints."""
        return await asyncio.to_thread(lambda: self.root.run(*words, check=check))

    async def start(self) -> None:
        """Start the units with the drop-ins of the test, and link the phone."""
        await self.run("systemctl", "daemon-reload")
        await self.run("systemctl", "restart", CORE)
        await self.linked.open_hours()
        await self.linked.raise_budgets()
        await self.linked.add_prospect(self.contact.phone)
        await self.linked.link(SESSION, self.phone)
        # Who wrote first may be answered at once.
        await self.whatsapp.write(self.contact, self.phone, "Hola, ¿cuánto sale el envío?")
        await self.linked.wait_for_inbound(1)

    async def send(self, text: str) -> str:
        """Send a text, and return the message's id once WhatsApp has acknowledged it."""
        message = await self.linked.send(self.contact.phone, text, SESSION)
        await self.linked.wait_for_message(message, "sent", "delivered", "read")
        return message

    async def list_received(self) -> Sequence[str]:
        """Return the texts that the contact received."""
        return [each.text for each in self.contact.received]

    async def find_process(self, unit: str) -> int:
        """Return the id of a unit's main process; 0 where none runs."""
        found = await asyncio.to_thread(self.root.show, unit)
        return int(found["MainPID"])

    async def signal(self, unit: str, name: str) -> None:
        """Send a signal to the main process of a unit."""
        await self.run("systemctl", "kill", "--kill-whom=main", f"--signal={name}", unit)

    async def wait_for_other_process(self, unit: str, before: int) -> None:
        """Return once a unit runs, in another process than before."""

        def look() -> bool:
            found = self.root.show(unit)
            return found["ActiveState"] == "active" and int(found["MainPID"]) not in {0, before}

        await asyncio.to_thread(poll_until, look, f"another process of {unit}")

    async def restart_session(self) -> int:
        """Let the core connect anew; return the attempts that it needed and still counts."""
        await self.linked.post("sessions", SESSION, "restart")
        await self.wait_until_ready()
        attempts: int = (await self.linked.get("sessions", SESSION))["attempts"]
        return attempts

    async def wait_until_ready(self) -> None:
        """Return once the session is ready again."""
        await self.linked.wait_for_state(SESSION, "ready")


@contextlib.asynccontextmanager
async def run_booted_service(root: BootedRoot, folder: Path) -> AsyncIterator[BootedService]:
    """Run the service in a booted root, beside a WhatsApp; call it in the root's network."""
    async with VirtualWhatsApp(folder) as whatsapp:
        await asyncio.to_thread(set_up_test, root, whatsapp, WATCHDOG_SECONDS)
        service = BootedService(root, whatsapp)
        await service.start()
        yield service
