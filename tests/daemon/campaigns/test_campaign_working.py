"""Working a campaign off by hand: one person, one operator, one message."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from statemachines.campaign import CampaignState
from tests.helpers.services.campaigns import (
    add_people,
    list_states,
    make_draft,
    send_next,
    start,
    take,
)
from tests.helpers.services.messaging import MessagingServices, open_messaging_services


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[MessagingServices]:
    """A house with one number."""
    async with open_messaging_services(tmp_path) as opened:
        await opened.add_session()
        yield opened


async def test_worked_off_one_by_one_until_everybody_is_done(services: MessagingServices) -> None:
    """Each has one message, allowed and with a permit, and the campaign is finished by the last."""
    await add_people(services, 3)
    campaign = await make_draft(services)
    await start(services, campaign)
    for _ in range(3):
        assert (await send_next(services, campaign)).person is not None
    turn = await send_next(services, campaign)
    assert (turn.person, turn.sentence) == (None, "Everybody is done.")
    assert await list_states(services, campaign) == ["sent", "sent", "sent"]
    view = await services.campaigns.get(campaign)
    assert view.campaign.state is CampaignState.FINISHED
    assert await services.query_rows("SELECT count(*), count(DISTINCT contact) FROM messages") == [
        (3, 3)
    ]
    assert await services.query_rows("SELECT count(*) FROM permits") == [(3,)]


async def test_the_same_person_until_they_are_finished(services: MessagingServices) -> None:
    """A reload of the page takes nobody else."""
    await add_people(services, 2)
    campaign = await make_draft(services)
    await start(services, campaign)
    first = await take(services, campaign)
    assert (await take(services, campaign)).id == first.id
    await services.campaign_work.open_chat(campaign, first.prospect, "eva")
    again = await take(services, campaign)
    assert (again.id, again.state) == (first.id, "opened")
