"""Do-not-call registers through the daemon's services: read, in force, obeyed, and replaced."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from daemon.contacts.do_not_call import RegisterImportResult
from daemon.contacts.number_lists import NumberListOptions
from daemon.errors import ImportRejected
from daemon.plugins import sync
from statemachines.message import MessageState
from tests.helpers.services.messaging import (
    ANA_OLD_FORM,
    MessagingServices,
    open_messaging_services,
)

OTHER = "+5491150001111"


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[MessagingServices]:
    """Open the daemon's services, with Ana ready to be written to."""
    async with open_messaging_services(tmp_path / "state", plugins={"lists": sync}) as opened:
        await opened.add_session()
        await opened.add_prospect()
        yield opened


async def import_register(
    services: MessagingServices, text: str, dated: date | None = None, country: str = "AR"
) -> RegisterImportResult:
    """Import a register of this text; without ``dated``, of today."""
    path = Path(services.settings.state_dir).parent / "register.csv"
    path.write_text(text, encoding="utf-8")
    return await services.do_not_call.import_register(
        path,
        NumberListOptions(),
        country=country,
        dated=dated or services.clock.now().date(),
        who="eva",
    )


async def test_whoever_stands_in_it_gets_nothing_commercial(services: MessagingServices) -> None:
    """The number may be written there in any form."""
    done = await import_register(services, f"telefono\n{ANA_OLD_FORM}\n")
    assert done.register.in_force
    message = await services.get_message(await services.enqueue_and_settle())
    assert (message.state, message.reason_code) == (MessageState.BLOCKED, "do_not_call")


async def test_an_old_register_holds_commercial_messages_back_until_a_newer_one(
    services: MessagingServices,
) -> None:
    """Deferred until it is imported, and then on its way."""
    today = services.clock.now().date()
    await import_register(services, f"telefono\n{OTHER}\n", today - timedelta(days=31))
    id_ = await services.enqueue_and_settle()
    waiting = await services.get_message(id_)
    assert (waiting.state, waiting.reason_code) == (MessageState.DEFERRED, "register_too_old")
    await import_register(services, f"telefono\n{OTHER}\n", today)
    await services.clock.settle()
    assert await services.get_state(id_) is not MessageState.DEFERRED


async def test_an_old_register_of_another_country_holds_nothing_back(
    services: MessagingServices,
) -> None:
    """Mexico's register says nothing about Argentina's numbers."""
    old = services.clock.now().date() - timedelta(days=90)
    await import_register(services, "telefono\n55 1234 5678\n", old, country="MX")
    id_ = await services.enqueue_and_settle()
    assert await services.get_state(id_) is not MessageState.DEFERRED


async def test_a_register_without_a_number_or_of_tomorrow_is_refused(
    services: MessagingServices,
) -> None:
    """What was in force stays in force."""
    await import_register(services, f"telefono\n{OTHER}\n")
    with pytest.raises(ImportRejected, match="no number"):
        await import_register(services, "telefono\nhola\n")
    with pytest.raises(ImportRejected, match="has not come yet"):
        await import_register(
            services, f"telefono\n{OTHER}\n", services.clock.now().date() + timedelta(days=3)
        )
    in_force = [each for each in await services.do_not_call.list_registers() if each.in_force]
    assert [each.numbers for each in in_force] == [1]
