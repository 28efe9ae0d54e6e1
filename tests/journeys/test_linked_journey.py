"""A phone is linked: a real daemon, the real library, and a WhatsApp that decrypts what is sent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from daemon.errors import NotFound
from tests.helpers.client.process import DaemonProcess, poll_until
from tests.virtual_whatsapp.contact import Contact
from tests.virtual_whatsapp.phone import LinkedDevice, Phone
from tests.virtual_whatsapp.server import VirtualWhatsApp

pytestmark = pytest.mark.slow

T = TypeVar("T")
NUMBER, CONTACT = "+5491155550001", "+5491155550101"
SETTINGS = """
[daemon]
state_dir = "{folder}/state"
port = 0
restore_stagger_seconds = 0.05
"""


class LinkedHouse:
    """A daemon and a WhatsApp: commands run beside the loop, in which the WhatsApp answers."""

    def __init__(self, whatsapp: VirtualWhatsApp, daemon: DaemonProcess) -> None:
        self.whatsapp = whatsapp
        self.daemon = daemon

    async def run(self, *words: str) -> str:
        """Run a command of `leadmaster`, and return what it prints."""
        return await asyncio.to_thread(self.daemon.run_command, *words)

    async def get(self, *path: str) -> Any:  # noqa: ANN401 - a JSON document
        """Return a document of the daemon."""
        return await asyncio.to_thread(self.daemon.client.get, *path)

    async def wait_until(self, look: Callable[[], T | None], what: str) -> T:
        """Return what ``look`` finds, once it finds anything."""
        return await asyncio.to_thread(poll_until, look, what)

    async def wait_for_state(self, session: str, *states: str) -> dict[str, Any]:
        """Return the session once it is in one of these states."""

        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = self.daemon.client.get("sessions", session)
            return found if found["state"] in states else None

        return await self.wait_until(look, f"{session} in {states}")

    async def link(self, session: str, phone: Phone) -> LinkedDevice:
        """Add a session, let the phone scan its code, and wait until it is ready."""
        await self.run("sessions", "add", session, "--channel", "linked")
        await self.run("sessions", "start", session)
        code = await self.wait_until(lambda: self._find_code(session), "a code")
        assert (code["index"], code["maximum"]) == (1, 6)
        device = await self.whatsapp.scan(phone, code["code"])
        await self.wait_for_state(session, "ready")
        return device

    async def add_prospect(self, phone: str) -> None:
        """Add somebody who agreed to be written to, and whom a person validated."""
        made = await asyncio.to_thread(
            self.daemon.client.post,
            "prospects",
            phone=phone,
            cartera_origen="feria",
            permission="opted_in",
            statement="ticked the box",
        )
        await asyncio.to_thread(
            self.daemon.client.post,
            *("prospects", made["id"], "validate"),
            validated=True,
            reason="I called them",
        )

    async def wait_for_message(self, message: str, *states: str) -> dict[str, Any]:
        """Return a message once it is in one of these states."""

        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = self.daemon.client.get("messages", message)["message"]
            return found if found["state"] in states else None

        return await self.wait_until(look, f"{message} in {states}")

    def _find_code(self, session: str) -> dict[str, Any] | None:
        with contextlib.suppress(NotFound):
            found: dict[str, Any] = self.daemon.client.get("sessions", session, "qr")
            return found
        return None


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[LinkedHouse]:
    """A daemon with nothing in it, whose workers are led to a WhatsApp."""
    async with VirtualWhatsApp(tmp_path) as whatsapp:
        settings = SETTINGS.format(folder=tmp_path)
        daemon = DaemonProcess(tmp_path, settings, environ=whatsapp.environment)
        await asyncio.to_thread(daemon.start)
        try:
            yield LinkedHouse(whatsapp, daemon)
        finally:
            await asyncio.to_thread(daemon.kill)


@pytest.fixture
def phone(house: LinkedHouse) -> Phone:
    """The phone that is linked."""
    return house.whatsapp.add_phone(NUMBER)


@pytest.fixture
def ana(house: LinkedHouse) -> Contact:
    """Somebody on WhatsApp."""
    return house.whatsapp.add_contact(CONTACT, "Ana")


async def test_a_linked_phone_answers_and_survives_a_power_cut(
    house: LinkedHouse, phone: Phone, ana: Contact
) -> None:
    """She asks, she is answered, she reads it; then the power fails, and she asks again."""
    await house.add_prospect(ana.phone)
    await house.link("ventas", phone)
    await house.whatsapp.write(ana, phone, "Hola, ¿cuánto sale el envío?")
    await house.wait_until(lambda: house.daemon.client.get("inbound")["items"], "her question")
    text = "¡Hola, Ana! El envío a tu casa sale 1.200 pesos."
    sent = await asyncio.to_thread(
        house.daemon.run_json_command, "send", CONTACT, text, "--session", "ventas"
    )
    message = await house.wait_for_message(sent["id"], "read")
    [received] = await ana.received.wait_for(1)
    assert (received.text, received.wire_id) == (text, message["wire_id"])

    await asyncio.to_thread(house.daemon.kill)
    await house.whatsapp.write(ana, phone, "¿Y a Rosario?")
    await asyncio.to_thread(house.daemon.start)
    await house.wait_for_state("ventas", "ready")
    await house.wait_until(
        lambda: len(house.daemon.client.get("inbound")["items"]) == 2, "her second question"
    )
    assert len(house.whatsapp.logins) == 2

    await house.run("sessions", "logout", "ventas")
    assert phone.devices == {}
