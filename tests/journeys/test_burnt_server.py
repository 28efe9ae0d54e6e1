"""A server burns, or is left: the phone is linked on the next one, without a code."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.helpers.backups import Installation
from tests.helpers.client.process import DaemonProcess
from tests.virtual_whatsapp.contact import Contact
from tests.virtual_whatsapp.linked_daemon import LinkedDaemon, run_linked_daemon
from tests.virtual_whatsapp.phone import Phone

pytestmark = pytest.mark.slow

NUMBER, ANA, BETO = "+5491155550001", "+5491155550101", "+5491155550102"
MORE_SETTINGS = '[backup]\ntarget = "{folder}/usb"\n'


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[LinkedDaemon]:
    """A daemon with a confirmed key, whose copies go to a second folder."""
    (tmp_path / "usb").mkdir()
    async with run_linked_daemon(tmp_path, MORE_SETTINGS.format(folder=tmp_path)) as running:
        installation = Installation(running.daemon.config)
        await asyncio.to_thread(installation.make_key, tmp_path / "sheet")
        yield running


@pytest.fixture
def phone(house: LinkedDaemon) -> Phone:
    """The phone that is linked."""
    return house.whatsapp.add_phone(NUMBER)


async def converse(
    house: LinkedDaemon, phone: Phone, contact: Contact, answer: str = "Sale 1.200 pesos."
) -> None:
    """She asks and is answered, so that there is an encrypted conversation."""
    before = len((await house.get("inbound"))["items"])
    await house.whatsapp.write(contact, phone, "Hola, ¿cuánto sale?")
    await house.wait_for_inbound(before + 1)
    await house.wait_for_message(await house.send(contact.phone, answer), "read")


async def test_a_burnt_server_is_replaced(
    house: LinkedDaemon, phone: Phone, tmp_path: Path
) -> None:
    """Every opt-out holds, what waited is in doubt, and a contact reads what comes next."""
    ana, beto = (house.whatsapp.add_contact(each, "contact") for each in (ANA, BETO))
    for contact in (ana, beto):
        await house.add_prospect(contact.phone)
    await house.link("ventas", phone)
    for contact in (ana, beto):
        await converse(house, phone, contact)
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    queued = await house.post(
        "messages", to=BETO, text="Una cosa más.", session="ventas", not_before=later
    )
    waiting = queued["id"]
    await house.wait_for_message(waiting, "cleared", "deferred")
    await house.run("backup", "now")

    # What the copy does not know: the conversation goes on, and somebody opts out.
    for answer in ("Desde hoy, 1.300.", "Hay tres colores."):
        await converse(house, phone, ana, answer)
    await house.whatsapp.write(beto, phone, "BAJA")
    await house.wait_for_suppression(BETO)
    journal = tmp_path / "usb" / "suppressions.journal.age"
    first = journal.stat().st_mtime_ns
    await house.wait_until(lambda: journal.stat().st_mtime_ns > first, "the sealed journal follows")
    await asyncio.to_thread(house.daemon.kill)
    await asyncio.to_thread(shutil.rmtree, house.daemon.state_dir)

    installation = Installation(house.daemon.config)
    copy = installation.find_newest_copy(tmp_path / "usb")
    sheet = str(tmp_path / "sheet")
    words = ("restore", str(copy), "--key-file", sheet, "--reason", "it burnt", "--yes")
    said = await asyncio.to_thread(installation.succeed, *words)
    assert "epoch 2; " in said
    logins = len(house.whatsapp.logins)
    await asyncio.to_thread(house.daemon.start)
    await house.wait_for_state("ventas", "ready")
    assert len(house.whatsapp.logins) == logins + 1
    halt = (await house.get("halt"))["halt"]
    assert halt["replies_go"]
    assert "it burnt" in halt["reason"]
    assert await house.is_suppressed(BETO)
    found = await house.wait_for_message(waiting, "in_doubt")
    assert found["reason_code"] == "backup_restored"

    received = len(ana.received)
    answer = await house.send(ANA, "¿Te lo reservo?")
    await house.wait_for_message(answer, "read")
    assert ana.received[received].text == "¿Te lo reservo?"
    # And back: what she encrypts for the linked device is read.
    before = len((await house.get("inbound"))["items"])
    await house.whatsapp.write(ana, phone, "Sí, dale.")
    await house.wait_for_inbound(before + 1)


async def test_a_phone_moves_to_another_server(
    house: LinkedDaemon, phone: Phone, tmp_path: Path
) -> None:
    """The old one starts no more, the new one is ready without a code, and nothing is in doubt."""
    ana = house.whatsapp.add_contact(ANA, "Ana")
    await house.add_prospect(ANA)
    await house.link("ventas", phone)
    await converse(house, phone, ana)
    old = Installation(house.daemon.config)
    bundle = tmp_path / "usb" / "move.age"
    refused = await asyncio.to_thread(old.run, "move", "export", str(bundle))
    assert "Another daemon is running" in refused.err
    await asyncio.to_thread(house.daemon.stop)
    await asyncio.to_thread(old.succeed, "move", "export", str(bundle))
    refused = await asyncio.to_thread(old.run, "run")
    assert refused.status == 2
    assert "moved away" in refused.err
    assert "leadmaster" in refused.err
    assert "move revoke" in refused.err

    other = tmp_path / "other"
    (other / "rules.d").mkdir(parents=True)
    settings = house.daemon.settings.replace(f"{tmp_path}/state", f"{other}/state")
    settings = settings.replace(f"{tmp_path}/rules.d", f"{other}/rules.d")
    new = DaemonProcess(other, settings, environ=house.daemon.environ)
    new.config.write_text(settings, encoding="utf-8")
    words = ("move", "import", str(bundle), "--key-file", str(tmp_path / "sheet"))
    await asyncio.to_thread(Installation(new.config).succeed, *words)
    await asyncio.to_thread(new.start)
    moved = LinkedDaemon(house.whatsapp, new)
    try:
        await moved.wait_for_state("ventas", "ready")
        assert len(house.whatsapp.logins) == 2
        assert (await moved.get("halt"))["halt"] is None
        answer = await moved.send(ANA, "Ya nos mudamos.")
        await moved.wait_for_message(answer, "read")
        assert ana.received[-1].text == "Ya nos mudamos."

        said = await asyncio.to_thread(old.succeed, "move", "revoke", "--reason", "why", "--yes")
        assert "WhatsApp would answer `replaced`" in said
        await asyncio.to_thread(new.kill)
        await asyncio.to_thread(house.daemon.start)
        assert (await house.get("halt"))["halt"]["replies_go"]
    finally:
        await asyncio.to_thread(new.kill)
