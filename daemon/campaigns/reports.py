"""The funnel and the report of a campaign: counts, and shares with how sure they are."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from daemon.campaigns.service import require_campaign
from statemachines.campaign import CampaignPersonState
from storage import campaign_people, campaign_reports
from storage.campaign_people import CampaignPerson
from storage.campaign_reports import (
    STAGE_CONDITIONS,
    CampaignStage,
    ExportedCampaignPerson,
    SentCampaignPerson,
    StoppedCampaignPeople,
)
from storage.campaigns import CampaignRecord
from storage.db import Database
from storage.tx import Reader

MIN_FOR_SHARE: Final = 30
"""Of fewer people a share says nothing."""
_COMPARED_STAGES: Final = (
    CampaignStage.REPLIED,
    CampaignStage.INTERESTED,
    CampaignStage.OPTED_OUT,
)
_Z: Final = 1.959964
"""Of the normal distribution, for intervals of 95 %."""


class ReportDimension(StrEnum):
    """By what a report groups those who were written to."""

    TEXT = "text"
    RULE = "rule"
    HOUR = "hour"
    PHONE = "phone"


class ReportShare(Struct, frozen=True):
    """A count out of all of a group, with its share and the share's 95 % interval, from 0 to 1.

    These are None where there are too few people to say: see ``enough``.
    """

    count: int
    enough: bool
    share: float | None
    low: float | None
    high: float | None


class ReportGroup(Struct, frozen=True, kw_only=True):
    """Those who were written to with one text, under one rule, in one hour or from one phone.

    ``value`` is the id of what they have in common, and ``title`` how people know it: the name of
    the text, whose ``version`` this is, or the reason of the rule. It is empty for the others.
    """

    by: ReportDimension
    value: str
    title: str
    version: int | None
    sent: int
    replied: ReportShare
    interested: ReportShare
    opted_out: ReportShare


class CampaignReport(Struct, frozen=True, kw_only=True):
    """What came of a campaign: all who were written to, the groups of them, and who was not."""

    total: ReportGroup | None
    groups: Sequence[ReportGroup]
    stopped: Sequence[StoppedCampaignPeople]


class ComparisonVerdict(StrEnum):
    """What a difference between two campaigns says, by its 95 % interval."""

    TOO_FEW = "too_few"
    NOT_TOLD_APART = "not_told_apart"
    FIRST_HIGHER = "first_higher"
    SECOND_HIGHER = "second_higher"


class ComparedShare(Struct, frozen=True, kw_only=True):
    """What came of two campaigns at one stage, of those who were written to.

    ``difference`` is the first share less the second, with its 95 % interval; None where one of
    the two has too few people to say.
    """

    stage: CampaignStage
    first: ReportShare
    second: ReportShare
    difference: float | None
    low: float | None
    high: float | None
    verdict: ComparisonVerdict


class ComparedCampaign(Struct, frozen=True, kw_only=True):
    """One of two campaigns: how many people reached each stage."""

    id: str
    name: str
    stages: Mapping[CampaignStage, int]


class CampaignComparison(Struct, frozen=True, kw_only=True):
    """Two campaigns side by side; ``differs`` has what was not the same: text, audience, phone."""

    first: ComparedCampaign
    second: ComparedCampaign
    shares: Sequence[ComparedShare]
    differs: Sequence[str]


class CampaignReports:
    """Reads the people, the funnel and the report of a campaign."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count_stages(self, id_: str) -> Mapping[CampaignStage, int]:
        """Return how many people reached each stage of the funnel. Raises NotFound."""

        def read(reader: Reader) -> Mapping[CampaignStage, int]:
            require_campaign(reader, id_)
            return campaign_reports.count_stages(reader, id_)

        return await self._database.read(read)

    async def list_people(
        self,
        id_: str,
        *,
        state: CampaignPersonState | None = None,
        stage: CampaignStage | None = None,
        after: int = 0,
        limit: int = 50,
    ) -> list[CampaignPerson]:
        """Return people in the order of their turns: of a state, or who reached a stage."""

        def read(reader: Reader) -> list[CampaignPerson]:
            require_campaign(reader, id_)
            return campaign_people.list_campaign_people(
                reader,
                id_,
                states=[state] if state else (),
                condition=STAGE_CONDITIONS[stage] if stage else "TRUE",
                after=after,
                limit=limit,
            )

        return await self._database.read(read)

    async def list_exported_people(
        self, id_: str, *, after: int, limit: int
    ) -> list[ExportedCampaignPerson]:
        """Return people with all that became of them, for a list. Raises NotFound."""

        def read(reader: Reader) -> list[ExportedCampaignPerson]:
            require_campaign(reader, id_)
            return campaign_reports.list_exported_people(reader, id_, after=after, limit=limit)

        return await self._database.read(read)

    async def compare(self, id_: str, other: str) -> CampaignComparison:
        """Return two campaigns side by side. Raises NotFound."""

        def read(reader: Reader) -> CampaignComparison:
            records = require_campaign(reader, id_), require_campaign(reader, other)
            first, second = (
                ComparedCampaign(
                    id=each.id,
                    name=each.name,
                    stages=campaign_reports.count_stages(reader, each.id),
                )
                for each in records
            )
            return CampaignComparison(
                first=first,
                second=second,
                shares=[compare_shares(stage, first, second) for stage in _COMPARED_STAGES],
                differs=_list_differences(*records),
            )

        return await self._database.read(read)

    async def build_report(self, id_: str) -> CampaignReport:
        """Return the report of a campaign. Raises NotFound."""

        def read(reader: Reader) -> CampaignReport:
            require_campaign(reader, id_)
            sent = campaign_reports.list_sent_people(reader, id_)
            groups = [
                group
                for dimension, list_titles in _TITLES.items()
                for group in _group(sent, dimension, list_titles)
            ]
            return CampaignReport(
                total=_build_group(ReportDimension.TEXT, "", sent) if sent else None,
                groups=groups,
                stopped=campaign_reports.list_stopped_people(reader, id_),
            )

        return await self._database.read(read)


def compute_share(count: int, total: int) -> ReportShare:
    """Return a share with its Wilson interval of 95 %; without them of fewer than 30."""
    if total < MIN_FOR_SHARE:
        return ReportShare(count, enough=False, share=None, low=None, high=None)
    share = count / total
    spread = 1 + _Z**2 / total
    middle = (share + _Z**2 / (2 * total)) / spread
    half = _Z * math.sqrt(share * (1 - share) / total + _Z**2 / (4 * total**2)) / spread
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return ReportShare(
        count, enough=True, share=round(share, 4), low=round(low, 4), high=round(high, 4)
    )


def compare_shares(
    stage: CampaignStage, first: ComparedCampaign, second: ComparedCampaign
) -> ComparedShare:
    """Return the difference of two shares with Newcombe's interval of 95 %, and what it says."""
    one, two = (
        compute_share(each.stages[stage], each.stages[CampaignStage.SENT])
        for each in (first, second)
    )
    found = _compute_difference(one, two)
    verdict = ComparisonVerdict.TOO_FEW
    if found is not None:
        verdict = ComparisonVerdict.NOT_TOLD_APART
        if found[1] > 0:
            verdict = ComparisonVerdict.FIRST_HIGHER
        elif found[2] < 0:
            verdict = ComparisonVerdict.SECOND_HIGHER
    difference, low, high = found or (None, None, None)
    return ComparedShare(
        stage=stage,
        first=one,
        second=two,
        difference=difference,
        low=low,
        high=high,
        verdict=verdict,
    )


def _compute_difference(one: ReportShare, two: ReportShare) -> tuple[float, float, float] | None:
    """Return the difference of two shares, and its interval by those of the two (Newcombe)."""
    if one.share is None or two.share is None:
        return None
    low_one, high_one = one.low or 0.0, one.high or 0.0
    low_two, high_two = two.low or 0.0, two.high or 0.0
    difference = one.share - two.share
    low = difference - math.hypot(one.share - low_one, high_two - two.share)
    high = difference + math.hypot(high_one - one.share, two.share - low_two)
    return round(difference, 4), round(low, 4), round(high, 4)


def _list_differences(first: CampaignRecord, second: CampaignRecord) -> list[str]:
    texts = [f"{each.text}@{each.text_version} {each.typed}" for each in (first, second)]
    parts: list[tuple[str, object, object]] = [
        ("text", texts[0], texts[1]),
        ("audience", dict(first.audience), dict(second.audience)),
        ("phone", first.phone or first.session, second.phone or second.session),
    ]
    return [name for name, one, two in parts if one != two]


def _get_hour(person: SentCampaignPerson) -> str:
    # Two digits, so that hours sort as text; by the clock of the number that wrote.
    return f"{person.opened_at.astimezone(ZoneInfo(person.time_zone)):%H}"


_TITLES: Final[Mapping[ReportDimension, Callable[[SentCampaignPerson], Mapping[str, str]]]] = {
    ReportDimension.TEXT: lambda person: {person.template or "": person.text_name},
    ReportDimension.RULE: lambda person: person.rules,
    ReportDimension.HOUR: lambda person: {_get_hour(person): ""},
    ReportDimension.PHONE: lambda person: {person.phone or "": ""},
}
"""By what each groups a person: the titles of the values that they have, by value."""


def _group(
    sent: Sequence[SentCampaignPerson],
    by: ReportDimension,
    list_titles: Callable[[SentCampaignPerson], Mapping[str, str]],
) -> list[ReportGroup]:
    found: defaultdict[str, list[SentCampaignPerson]] = defaultdict(list)
    titles: dict[str, str] = {}
    for person in sent:
        for value, title in list_titles(person).items():
            found[value].append(person)
            titles[value] = title
    return [
        _build_group(by, value, people, titles[value]) for value, people in sorted(found.items())
    ]


def _build_group(
    by: ReportDimension, value: str, people: Sequence[SentCampaignPerson], title: str = ""
) -> ReportGroup:
    n = len(people)
    return ReportGroup(
        by=by,
        value=value,
        title=title,
        version=int(value.rpartition("@")[2]) if by is ReportDimension.TEXT and title else None,
        sent=n,
        replied=compute_share(sum(each.replied for each in people), n),
        interested=compute_share(sum(each.interested for each in people), n),
        opted_out=compute_share(sum(each.opted_out for each in people), n),
    )
