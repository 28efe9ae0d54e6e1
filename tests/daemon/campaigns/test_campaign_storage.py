"""What a campaign stores of people: in their dossier, gone with them, and moved when merged."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.campaigns.service import CampaignChange
from storage import contacts as contact_table
from storage import dossier, evaluation_context
from storage.evaluation_context import SharedRows
from storage.tx import Reader
from tests.helpers.services.campaigns import (
    WHO,
    add_people,
    list_states,
    make_draft,
    send_next,
    start,
    take,
    try_out,
)
from tests.helpers.services.messaging import (
    MessagingServices,
    build_phone,
    open_messaging_services,
)


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[MessagingServices]:
    """A house with one number."""
    async with open_messaging_services(tmp_path) as opened:
        await opened.add_session()
        yield opened


async def find_prospect(services: MessagingServices, number: int) -> str:
    """Return the prospect of one of the numbered people."""
    [(found,)] = await services.query_rows(
        "SELECT id FROM prospects WHERE phone = ?", build_phone(number)
    )
    return str(found)


async def test_a_dossier_has_what_a_campaign_holds_of_a_person(
    services: MessagingServices,
) -> None:
    """What became of them in which campaign, and what its dry run said."""
    [contact] = await add_people(services, 1)
    campaign = await make_draft(services)
    await start(services, campaign)
    await send_next(services, campaign)
    prospect = await find_prospect(services, 1)
    sections = await services.database.read(
        lambda reader: dossier.read_dossier(reader, prospect=prospect, contact=contact)
    )
    held = {section.name: section.rows for section in sections}
    assert [(row["name"], row["state"]) for row in held["campaigns"]] == [("Feria marzo", "sent")]
    assert [(row["name"], row["outlook"]) for row in held["dry_runs"]] == [
        ("Feria marzo", "by_hand")
    ]


async def test_a_forgotten_person_is_in_no_campaign_any_more(services: MessagingServices) -> None:
    """Their rows go with them; the campaign ends with the others."""
    await add_people(services, 2)
    excluded = await find_prospect(services, 2)
    campaign = await make_draft(services)
    draft = await make_second_draft(services, excluded)
    await start(services, campaign)
    await try_out(services, draft)
    await send_next(services, campaign)
    for number in (1, 2):
        prospect = await find_prospect(services, number)
        await services.personal_data.forget(prospect, WHO, "they asked")
    counts = await services.query_rows(
        "SELECT (SELECT count(*) FROM campaign_people), (SELECT count(*) FROM dry_run_people),"
        " (SELECT count(*) FROM campaign_exclusions)"
    )
    assert counts == [(0, 0, 0)]
    turn = await services.campaign_work.take_next(campaign, WHO)
    assert (turn.person, turn.sentence) == (None, "Everybody is done.")


async def make_second_draft(services: MessagingServices, left_out: str) -> str:
    """Store a draft with a typed text that leaves somebody out; return its id."""
    change = CampaignChange(name="Otra", session="main", typed="Hola", left_out=[left_out])
    return (await services.campaigns.create(change, WHO)).campaign.id


async def test_merged_people_keep_their_place(services: MessagingServices) -> None:
    """The campaign's row follows the person, under the prospect that stays."""
    await add_people(services, 1)
    campaign = await make_draft(services)
    await start(services, campaign)
    elder = await services.resolve_contact(build_phone(50))
    aliases = [
        *services.aliases.from_phone(build_phone(50)),
        *services.aliases.from_phone(build_phone(1)),
    ]
    at = services.clock.now()
    await services.database.write(lambda tx: contact_table.resolve_contact(tx, aliases, at))
    rows = await services.query_rows("SELECT contact FROM campaign_people")
    assert len(rows) == 1
    assert elder
    assert (await take(services, campaign)).contact == rows[0][0]
    assert await list_states(services, campaign) == ["claimed"]


async def test_many_contexts_read_together_are_those_read_alone(
    services: MessagingServices,
) -> None:
    """A dry run judges by the same rows as a send, however many it reads at a time."""
    contacts = await add_people(services, 4)
    await services.suppress(build_phone(2))
    await services.add_inbound(contacts[2])
    campaign = await make_draft(services)
    await start(services, campaign)
    await send_next(services, campaign)
    asked = [await services.enqueue(build_phone(n), f"Hola {n}") for n in range(1, 5)]
    stored = [await services.get_message(message) for message in asked]
    at = services.clock.now()

    def read(reader: Reader) -> None:
        shared = SharedRows()
        shared.note_contacts(reader, {message.contact for message in stored})
        for message in stored:
            alone = evaluation_context.read_evaluation_context(reader, message, at)
            together = evaluation_context.read_evaluation_context(reader, message, at, shared)
            assert together == alone

    await services.database.read(read)
