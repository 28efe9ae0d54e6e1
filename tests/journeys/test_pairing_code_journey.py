"""A phone is linked by a code: a real daemon, the command line, the real library, a WhatsApp."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.virtual_whatsapp.link_code import WrongLinkCode
from tests.virtual_whatsapp.linked_daemon import LinkedDaemon, run_linked_daemon

pytestmark = pytest.mark.slow

NUMBER, CONTACT = "+5491155550001", "+5491155550101"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[LinkedDaemon]:
    """A daemon with nothing in it, whose workers are led to a WhatsApp."""
    async with run_linked_daemon(tmp_path) as running:
        yield running


async def test_a_code_is_typed_and_the_login_outlives_the_daemon(house: LinkedDaemon) -> None:
    """Asked about, linked by a code, killed, back without a code, unlinked on the phone itself."""
    phone = house.whatsapp.add_phone(NUMBER)
    ana = house.whatsapp.add_contact(CONTACT, "Ana")
    await house.add_prospect(CONTACT)
    await house.run("sessions", "add", "ventas", "--channel", "linked")
    pair = ("sessions", "pair", "ventas", "--code", "--phone", phone.number, "--json")
    about = ("--number-age", "longer", "--banned", "no")
    given = json.loads(await house.run(*pair, *about))
    assert 100 < given["seconds_left"] <= 160
    with pytest.raises(WrongLinkCode):
        await house.whatsapp.enter_code(phone, "AAAA-AAAA")
    device = await house.whatsapp.enter_code(phone, given["code"])
    linked = await house.wait_for_state("ventas", "ready")
    assert (linked["phone"], linked["pairing_method"]) == (phone.number, "code")
    await house.whatsapp.write(ana, phone, "Hola")
    await house.wait_until(lambda: house.daemon.client.get("inbound")["items"], "her words")

    await asyncio.to_thread(house.daemon.kill)
    await asyncio.to_thread(house.daemon.start)
    await house.wait_for_state("ventas", "ready")
    assert list(phone.devices.values()) == [device]

    await house.whatsapp.unlink(phone, device)
    await house.wait_for_state("ventas", "logged_out")
    # What is left of a login would be tried by the next worker, and refused.
    assert not list((house.daemon.state_dir / "sessions" / "ventas").glob("linked.*"))
    again = json.loads(await house.run(*pair))
    assert again["code"] != given["code"]
    log = await asyncio.to_thread(house.daemon.log.read_text, "utf-8")
    for secret in (given["code"], again["code"], given["code"].replace("-", ""), phone.number):
        assert secret not in log
