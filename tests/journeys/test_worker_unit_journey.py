"""A phone is linked through a worker that systemd starts: by its own socket, outside the daemon."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from daemon.errors import Conflict
from tests.helpers.worker_unit import WorkerUnit
from tests.virtual_whatsapp.linked_daemon import LinkedDaemon, run_linked_daemon

pytestmark = pytest.mark.slow

NUMBER, CONTACT = "+5491155550001", "+5491155550101"


async def test_a_phone_is_linked_by_a_unit_and_outlives_the_daemon(short_folder: Path) -> None:
    """Paired, answered, and after a power cut of the daemon ready again without a code."""
    settings = f'[linked]\nworker_socket = "{short_folder}/{{slot}}.sock"\n'
    async with run_linked_daemon(short_folder, settings) as house:
        unit = WorkerUnit(short_folder, environment=house.whatsapp.environment)
        async with unit.running():
            await walk(house, unit)


async def walk(house: LinkedDaemon, unit: WorkerUnit) -> None:
    """Walk through the life of a session, which gets the one slot that is there."""
    phone, ana = house.whatsapp.add_phone(NUMBER), house.whatsapp.add_contact(CONTACT, "Ana")
    await house.add_prospect(ana.phone)
    await house.link("ventas", phone)
    with pytest.raises(Conflict, match="leadmaster-linked@2"):
        await house.post("sessions", name="soporte", channel="linked")
    assert house.list_workers() == []  # no child
    await house.whatsapp.write(ana, phone, "Hola, ¿cuánto sale el envío?")
    await house.wait_until(lambda: house.daemon.client.get("inbound")["items"], "her question")
    await house.wait_for_message(await house.send(CONTACT, "Sale 1.200 pesos."), "read")
    [received] = await ana.received.wait_for(1)
    assert received.text == "Sale 1.200 pesos."
    login = unit.state / "ventas"
    assert any(login.iterdir())
    assert not any((house.daemon.state_dir / "sessions").glob("ventas/*"))

    await asyncio.to_thread(house.daemon.kill)
    await unit.wait_for_end()
    await house.whatsapp.write(ana, phone, "¿Y a Rosario?")
    await asyncio.to_thread(house.daemon.start)
    await house.wait_for_state("ventas", "ready")
    await house.wait_until(
        lambda: len(house.daemon.client.get("inbound")["items"]) == 2, "her second question"
    )
    unit.kill()
    await house.wait_for_state("ventas", "backoff")
    await house.wait_for_state("ventas", "ready")
    await house.run("sessions", "logout", "ventas")
    assert phone.devices == {}


async def test_a_slot_whose_socket_is_not_there_waits_for_a_person(short_folder: Path) -> None:
    """The session names the socket, and what to start; one that asks for no slot is refused."""
    settings = f'[linked]\nworker_socket = "{short_folder}/{{slot}}.sock"\n'
    async with run_linked_daemon(short_folder, settings) as house:
        with pytest.raises(Conflict, match="leadmaster-linked@1"):
            await house.post("sessions", name="ventas", channel="linked")
        await house.post("sessions", name="ventas", channel="linked", options={"slot": 7})
        await house.run("sessions", "start", "ventas")
        view = await house.wait_for_state("ventas", "failed")
        assert f"Nobody listens at {short_folder}/7.sock" in view["sentence"]
        assert "start the socket unit" in view["sentence"]
