"""The faults of the transport port that were seen once, each from its file of signals."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.tx import Reader
from tests.helpers.services.contacts import (
    ANA,
    BETO,
    LID,
    InboundServices,
    build_inbound_services,
    open_contact_services,
)
from tests.helpers.signals import read_signal_cases

HEARD, ALSO_HEARD = "+5491151000004", "+5491151000005"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[InboundServices]:
    """The handlers over a real database."""
    async with open_contact_services(tmp_path) as people:
        yield build_inbound_services(people)


async def count_rows(desk: InboundServices, table: str) -> int:
    """Return how many rows a table has."""
    found: int = await desk.people.database.read(
        lambda reader: reader.value(f"SELECT count(*) FROM {table}")
    )
    return found


async def test_two_contacts_whose_messages_have_one_id_are_both_heard(
    desk: InboundServices,
) -> None:
    """Ids are made by the senders' phones; the second one is an opt-out."""
    await desk.receive_case("F5-same-id")
    await desk.receive_case("F5-same-id")
    assert await count_rows(desk, "inbound") == 2
    assert not await desk.people.suppression.check(HEARD)
    assert await desk.people.suppression.check(ALSO_HEARD)


async def test_numbers_in_any_form_are_one_and_groups_are_nobody(desk: InboundServices) -> None:
    """Addresses, a device, a number without a plus; a group and an empty name leave no trace."""
    await desk.receive_case("F3-names")
    for phone in ("+5491151000007", "+5491151000010", "+5491151000011"):
        assert await desk.people.suppression.check(phone), phone
    assert await count_rows(desk, "inbound") == 3
    assert await count_rows(desk, "contacts") == 3


async def test_a_message_that_came_under_both_names_is_one_when_they_turn_out_to_be_one(
    desk: InboundServices,
) -> None:
    """The platform told it for the hidden id, for the number, and at last with both."""
    await desk.receive_text("hola", sender=LID, wire_id="A")
    await desk.receive_text("hola", sender=ANA, wire_id="A")
    await desk.receive_text("hola", sender=ANA, phone=LID, wire_id="A")
    assert await count_rows(desk, "inbound") == 1
    await desk.receive_text("chau", sender=ANA, phone=LID, wire_id="B")
    assert await count_rows(desk, "inbound") == 2


async def test_an_own_message_that_is_told_thirty_times_is_booked_once(
    desk: InboundServices,
) -> None:
    """A private chat leaves no trace but its spend, by which it is known again."""
    for _ in range(10):
        await desk.receive_case("F7-own-private")
    assert await count_rows(desk, "spends") == 1
    assert await count_rows(desk, "contacts") == 0
    recipient = read_signal_cases("F7-own-private")[0]["recipient"]
    assert recipient not in str(await desk.people.database.read(list_spends))


def list_spends(reader: Reader) -> list[list[object]]:
    """Return every row of the ledger."""
    return [list(row) for row in reader.all("SELECT * FROM spends")]


async def test_an_own_message_heard_as_private_is_not_booked_again_for_a_contact(
    desk: InboundServices,
) -> None:
    """They were imported meanwhile, and the platform tells its history once more."""
    await desk.receive_own_message("PRV", BETO)
    await desk.add_prospect(BETO)
    await desk.receive_own_message("PRV", BETO)
    assert await count_rows(desk, "inbound") == 1
    assert await count_rows(desk, "spends") == 1
