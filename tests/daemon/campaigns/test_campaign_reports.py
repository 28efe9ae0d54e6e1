"""What came of a campaign: its funnel, the report with its intervals, and who got nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.campaigns.reports import (
    ComparedCampaign,
    ReportDimension,
    compare_shares,
    compute_share,
)
from daemon.campaigns.service import CampaignChange
from daemon.contacts.prospect_filters import ProspectFilter
from statemachines.campaign import CampaignPersonState
from storage.campaign_reports import CampaignStage
from storage.column_formats import format_timestamp
from storage.outcomes import Outcome
from tests.helpers.services.campaigns import (
    WHO,
    add_people,
    make_draft,
    names,
    send_next,
    start,
    take,
)
from tests.helpers.services.messaging import (
    OUR_NUMBER,
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


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(0, 30, 0.0, 0.1135), (15, 30, 0.3315, 0.6685), (30, 30, 0.8865, 1.0), (9, 50, 0.0977, 0.308)],
)
def test_intervals_are_right_for_known_counts(
    count: int, total: int, low: float, high: float
) -> None:
    """Wilson's score interval, as tables of statistics have it."""
    share = compute_share(count, total)
    assert (share.count, share.enough, share.share) == (count, True, round(count / total, 4))
    assert (share.low, share.high) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ((18, 100), (11, 100), "not_told_apart"),
        ((40, 100), (11, 100), "first_higher"),
        ((11, 100), (40, 100), "second_higher"),
        ((29, 29), (0, 100), "too_few"),
    ],
)
def test_two_campaigns_are_ranked_only_where_they_differ(
    first: tuple[int, int], second: tuple[int, int], verdict: str
) -> None:
    """By the interval of the difference; with few people in one of them, nothing is said."""
    one, two = (
        ComparedCampaign(
            id=id_,
            name=id_,
            stages={CampaignStage.SENT: of[1], CampaignStage.REPLIED: of[0]},
        )
        for id_, of in (("a", first), ("b", second))
    )
    found = compare_shares(CampaignStage.REPLIED, one, two)
    assert found.verdict == verdict
    if verdict == "not_told_apart":  # Newcombe's method 10, by hand
        assert (found.difference, found.low, found.high) == pytest.approx(
            (0.07, -0.0286, 0.1685), abs=2e-3
        )


async def test_two_campaigns_side_by_side_with_what_differed(services: MessagingServices) -> None:
    """The stages of each, and the text, the filter and the phone that were not the same."""
    campaign = await work_off(services)
    text = (await services.campaigns.get(campaign)).campaign.text
    change = CampaignChange(
        name="Otra", session="main", text=text, audience=ProspectFilter(text="sosa")
    )
    other = (await services.campaigns.create(change, WHO)).campaign.id
    found = await services.campaign_reports.compare(campaign, other)
    assert (found.first.stages[CampaignStage.SENT], found.second.stages[CampaignStage.SENT]) == (
        *(4, 0),
    )
    assert (found.second.name, found.differs) == ("Otra", ["audience"])
    assert {each.verdict.value for each in found.shares} == {"too_few"}


def test_too_few_to_say() -> None:
    """Of fewer than thirty people there is a count, and no share."""
    share = compute_share(29, 29)
    assert (share.count, share.enough, share.share, share.low, share.high) == (
        *(29, False, None),
        *(None, None),
    )


async def work_off(services: MessagingServices) -> str:
    """Write to four of six people: one answers, one wants it, one opts out; return the campaign."""
    contacts = await add_people(services, 5)
    await add_people(services, 1, first=11, permission="refused")
    campaign = await make_draft(services)
    await start(services, campaign)
    for _ in range(4):
        await send_next(services, campaign)
    last = await take(services, campaign)
    await services.campaign_work.skip(campaign, last.prospect, WHO, "moved away")
    await services.clock.advance(60)
    await services.add_inbound(contacts[0])
    await services.add_inbound(contacts[1])
    await services.outcomes.record(contacts[1], Outcome.INTERESTED, WHO)
    await services.suppress(build_phone(3))
    return campaign


async def test_each_number_of_the_funnel_opens_its_people(services: MessagingServices) -> None:
    """An answer proves that it arrived and was read; who opted out afterwards counts apart."""
    campaign = await work_off(services)
    counts = await services.campaign_reports.count_stages(campaign)
    assert {stage.value: n for stage, n in counts.items()} == {
        "queued": 5,
        "allowed": 5,
        "sent": 4,
        "delivered": 2,
        "read": 2,
        "replied": 2,
        "interested": 1,
        "opted_out": 1,
    }
    for stage, n in counts.items():
        found = await services.campaign_reports.list_people(campaign, stage=stage)
        assert len(found) == n
    wanting = await services.campaign_reports.list_people(campaign, stage=CampaignStage.INTERESTED)
    assert names(wanting) == ["Persona2 Sosa"]
    sent = await services.campaign_reports.list_people(campaign, state=CampaignPersonState.SENT)
    assert len(sent) == 4


async def test_a_rule_has_its_reason_beside_its_name(services: MessagingServices) -> None:
    """As the decision has it, though the rules may be others by now."""
    await add_people(services, 2)
    long_ago = format_timestamp(services.clock.now() - timedelta(days=35))
    await services.execute_sql("UPDATE prospects SET validated_at = ?", long_ago)
    campaign = await make_draft(services)
    await start(services, campaign)
    await send_next(services, campaign)
    report = await services.campaign_reports.build_report(campaign)
    [group] = [each for each in report.groups if each.by is ReportDimension.RULE]
    assert (group.value, group.title, group.sent) == ("stale", "How old the validation is", 1)


async def test_the_report_by_text_rule_hour_and_phone(services: MessagingServices) -> None:
    """Each group has its counts, and the others the reason why they got nothing."""
    campaign = await work_off(services)
    report = await services.campaign_reports.build_report(campaign)
    groups = {(group.by.value, group.value): group for group in report.groups}
    [(text,)] = await services.query_rows("SELECT id FROM texts")
    for key in (("text", f"{text}@1"), ("hour", "12"), ("phone", OUR_NUMBER)):
        group = groups[key]
        assert (group.sent, group.replied.count, group.interested.count) == (4, 2, 1)
        assert group.opted_out.count == 1
        assert not group.replied.enough
    assert (groups["text", f"{text}@1"].title, groups["text", f"{text}@1"].version) == ("Feria", 1)
    assert (groups["hour", "12"].title, groups["hour", "12"].version) == ("", None)
    assert report.total is not None
    assert report.total.sent == 4
    stopped = {(each.state.value, each.sentence): each.count for each in report.stopped}
    assert stopped[("skipped", "moved away")] == 1
    assert sum(stopped.values()) == 2
