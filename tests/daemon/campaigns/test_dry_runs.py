"""Dry runs: what a campaign would do for each person, and that it is what happens later."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from daemon.campaigns.dry_runs import DryRunMoved
from daemon.campaigns.service import CampaignChange
from daemon.errors import Conflict
from daemon.settings import PacingSettings
from statemachines.prospect import ValidationState
from tests.helpers.services.campaigns import (
    WHO,
    add_people,
    list_states,
    make_draft,
    send_next,
    start,
    try_out,
)
from tests.helpers.services.messaging import (
    MessagingServices,
    build_phone,
    open_messaging_services,
)

PEOPLE = 200
SEED = 17


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[MessagingServices]:
    """A house with one number."""
    async with open_messaging_services(tmp_path) as opened:
        await opened.add_session()
        yield opened


async def seed_people(services: MessagingServices) -> None:
    """Add two hundred people of every kind, in an order of chance that is the same each time."""
    chance = random.Random(SEED)  # noqa: S311 - picks people for a test
    permissions = ("opted_in", "relationship", "public_source", "none", "refused")
    for n in range(PEOPLE):
        phone = build_phone(n)
        contact = await services.add_prospect(
            phone,
            permission=chance.choice(permissions),
            on_whatsapp=chance.choice(("yes", "yes", "yes", "unknown", "no")),
            validation=chance.choice(
                (
                    *[ValidationState.VALIDATED] * 4,
                    ValidationState.UNCHECKED,
                    ValidationState.NOT_REACHABLE,
                )
            ),
            data_days=chance.choice((0, 200, 400)),
        )
        if chance.random() < 0.9:
            await services.execute_sql(
                "UPDATE prospects SET name = ? WHERE contact = ?", f"Persona{n} Sosa", contact
            )
        if chance.random() < 0.1:
            await services.suppress(phone)


async def test_two_hundred_people_add_up_and_it_is_what_happens(
    services: MessagingServices,
) -> None:
    """In a world that stands still, the numbers of the dry run are what becomes of the people."""
    await seed_people(services)
    campaign = await make_draft(services)
    run = await try_out(services, campaign)
    assert run.total == PEOPLE == sum(run.outlooks.values())
    assert sum(group.count for group in run.groups) == PEOPLE
    assert min(run.outlooks.values()) > 0
    for group in run.groups:
        found = await services.dry_runs.list_people(
            campaign, outlook=group.outlook, reason_code=group.reason_code, after="", limit=1000
        )
        same = [each for each in found if each.sentence == group.sentence]
        assert len(same) == group.count
        assert all(each.sentence and each.action for each in same)
    await services.campaigns.start(campaign, run.hash, WHO, "the fair is over")
    while (await send_next(services, campaign)).person is not None:
        pass
    states = Counter(await list_states(services, campaign))
    assert states["sent"] == run.outlooks["by_hand"]
    assert states["left_out"] == run.outlooks["no"]
    assert states["waiting"] == run.outlooks["approval"] + run.outlooks["later"]
    held = Counter(state for (state,) in await services.query_rows("SELECT state FROM messages"))
    assert held["held"] == run.outlooks["approval"]
    assert held["deferred"] == run.outlooks["later"]


async def test_an_opt_out_between_dry_run_and_start_is_shown_and_asked(
    services: MessagingServices,
) -> None:
    """Nothing is started; the new dry run says who moved, and a start by its counts goes."""
    await add_people(services, 3)
    campaign = await make_draft(services)
    run = await try_out(services, campaign)
    await services.suppress(build_phone(2))
    assert not (await services.dry_runs.get(campaign)).valid
    with pytest.raises(DryRunMoved, match="1 moved: Persona2 Sosa"):
        await services.campaigns.start(campaign, run.hash, WHO, "the fair is over")
    assert (await services.campaigns.get(campaign)).campaign.state == "draft"
    asked = await services.dry_runs.get(campaign)
    assert asked.opted_out_since is not None
    assert asked.opted_out_since.names == ["Persona2 Sosa"]
    assert [each.name for each in asked.moved] == ["Persona2 Sosa"]
    view = await services.campaigns.start(campaign, asked.hash, WHO, "the fair is over")
    assert (view.counts["queued"], view.counts["left_out"]) == (2, 1)


async def test_who_moves_while_everybody_is_judged_again_stops_the_start(
    services: MessagingServices,
) -> None:
    """Between the last look and the commit: nothing is started, and nobody is in the campaign."""
    await add_people(services, 2)
    campaign = await make_draft(services)
    run = await try_out(services, campaign)

    async def opt_out(query: object) -> None:
        if isinstance(query, partial) and query.func.__name__ == "_compute_pace":  # the last read
            services.database.before_read = None
            await services.suppress(build_phone(2))

    services.database.before_read = opt_out
    with pytest.raises(DryRunMoved, match="moved at this moment"):
        await services.campaigns.start(campaign, run.hash, WHO, "the fair is over")
    assert (await services.campaigns.get(campaign)).campaign.state == "draft"
    assert await services.query_rows("SELECT count(*) FROM campaign_people") == [(0,)]


async def test_a_dry_run_holds_for_half_an_hour(services: MessagingServices) -> None:
    """And not for another text: the campaign was changed since."""
    await add_people(services, 1)
    campaign = await make_draft(services)
    run = await try_out(services, campaign)
    await services.clock.advance(29 * 60)
    assert (await services.dry_runs.get(campaign)).valid
    await services.clock.advance(60)
    assert (await services.dry_runs.get(campaign)).stale_reason == "It is older than 30 minutes."
    with pytest.raises(Conflict, match="older than 30 minutes"):
        await services.campaigns.start(campaign, run.hash, WHO, "the fair is over")
    again = await try_out(services, campaign)
    await services.clock.advance(1)
    await services.campaigns.change(campaign, CampaignChange(text="", typed="Hola"), WHO)
    assert (await services.dry_runs.get(campaign)).stale_reason == "The campaign was changed since."
    with pytest.raises(DryRunMoved):
        await services.campaigns.start(campaign, again.hash, WHO, "the fair is over")


async def test_a_second_click_on_start_starts_nothing_again(services: MessagingServices) -> None:
    """The same request has the same answer, and nobody stands in the campaign twice."""
    await add_people(services, 2)
    campaign = await make_draft(services)
    run = await try_out(services, campaign)
    for _ in range(2):
        view = await services.campaigns.start(campaign, run.hash, WHO, "the fair is over")
        assert (view.campaign.state, view.counts["queued"]) == ("running", 2)


async def test_budgets_say_how_many_days_it_takes(tmp_path: Path) -> None:
    """What is left of today counts, and then a budget for each day."""
    pacing = PacingSettings(manual_new_chats_later=3, manual_new_chats_24h_later=4)
    async with open_messaging_services(tmp_path, pacing=pacing) as services:
        await services.add_session()
        await add_people(services, 8)
        campaign = await make_draft(services)
        pace = (await try_out(services, campaign)).pace
        assert (pace.first_contacts, pace.per_day, pace.left_today, pace.days) == (8, 3, 3, 3)
        await start(services, campaign)
        for _ in range(3):
            assert (await send_next(services, campaign)).person is not None
        turn = await send_next(services, campaign)
        assert turn.person is None
        assert (turn.sentence, turn.left_today) == ("Today's new chats by hand are used up.", 0)
        assert turn.at is not None
        assert turn.at - services.clock.now() < timedelta(days=1)


async def test_likeness_counts_for_all_but_the_first(services: MessagingServices) -> None:
    """One text for everybody, typed, is the same text twenty times; the dry run knows that."""
    await add_people(services, 3)
    campaign = await make_draft(services)
    await services.campaigns.change(campaign, CampaignChange(text="", typed="Hola, soy Eva"), WHO)
    run = await try_out(services, campaign)
    assert (run.outlooks["by_hand"], run.outlooks["approval"]) == (1, 2)


async def test_new_people_are_added_by_a_dry_run_of_them_alone(
    services: MessagingServices,
) -> None:
    """Those who are in it already are not counted, and stay as they are."""
    await add_people(services, 2)
    campaign = await make_draft(services)
    await start(services, campaign)
    await send_next(services, campaign)
    await add_people(services, 2, first=11)
    assert (await services.campaigns.count_audience(campaign)).new == 2
    run = await try_out(services, campaign)
    assert run.total == 2
    await services.campaigns.start(campaign, run.hash, WHO, "two more came")
    assert await list_states(services, campaign) == ["sent", "queued", "queued", "queued"]


async def test_the_audience_by_permission_without_who_opted_out(
    services: MessagingServices,
) -> None:
    """Exact, and who is left out by hand stands apart too."""
    await add_people(services, 3)
    await add_people(services, 2, first=11, permission="public_source")
    await add_people(services, 1, first=21, permission="refused")
    await services.suppress(build_phone(1))
    [(someone,)] = await services.query_rows(
        "SELECT id FROM prospects WHERE phone = ?", build_phone(2)
    )
    campaign = await make_draft(services, left_out=[str(someone)])
    counts = await services.campaigns.count_audience(campaign)
    assert (counts.total, counts.suppressed, counts.left_out, counts.reachable) == (6, 1, 1, 3)
    assert {name: n for name, n in counts.permissions.items() if n} == {
        "opted_in": 1,
        "public_source": 2,
        "refused": 1,
    }
    assert (await try_out(services, campaign)).total == 5
