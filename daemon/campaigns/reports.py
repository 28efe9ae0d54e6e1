"""The funnel and the report of a campaign: counts, and shares with how sure they are."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

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
from storage.db import Database
from storage.tx import Reader

MIN_FOR_SHARE: Final = 30
"""Of fewer people a share says nothing."""
_Z: Final = 1.959964
"""Of the normal distribution, for intervals of 95 %."""


class ReportDimension(StrEnum):
    """By what a report groups those who were written to."""

    TEXT = "text"
    RULE = "rule"
    HOUR = "hour"
    PHONE = "phone"


@dataclass(frozen=True, slots=True)
class ReportShare:
    """A count out of all of a group, with its share and the share's 95 % interval, from 0 to 1.

    These are None where there are too few people to say: see ``enough``.
    """

    count: int
    enough: bool
    share: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportGroup:
    """Those who were written to with one text, under one rule, in one hour or from one phone."""

    by: ReportDimension
    value: str
    sent: int
    replied: ReportShare
    interested: ReportShare
    opted_out: ReportShare


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignReport:
    """What came of a campaign: all who were written to, the groups of them, and who was not."""

    total: ReportGroup | None
    groups: Sequence[ReportGroup]
    stopped: Sequence[StoppedCampaignPeople]


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

    async def build_report(self, id_: str) -> CampaignReport:
        """Return the report of a campaign. Raises NotFound."""

        def read(reader: Reader) -> CampaignReport:
            require_campaign(reader, id_)
            sent = campaign_reports.list_sent_people(reader, id_)
            groups = [
                group
                for dimension, list_values in _VALUES.items()
                for group in _group(sent, dimension, list_values)
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


def _list_hour(person: SentCampaignPerson) -> Iterable[str]:
    # Two digits, so that hours sort as text; by the clock of the number that wrote.
    return [f"{person.opened_at.astimezone(ZoneInfo(person.time_zone)):%H}"]


_VALUES: Final[Mapping[ReportDimension, Callable[[SentCampaignPerson], Iterable[str]]]] = {
    ReportDimension.TEXT: lambda person: [person.template or ""],
    ReportDimension.RULE: lambda person: person.rules,
    ReportDimension.HOUR: _list_hour,
    ReportDimension.PHONE: lambda person: [person.phone or ""],
}


def _group(
    sent: Sequence[SentCampaignPerson],
    by: ReportDimension,
    list_values: Callable[[SentCampaignPerson], Iterable[str]],
) -> list[ReportGroup]:
    found: defaultdict[str, list[SentCampaignPerson]] = defaultdict(list)
    for person in sent:
        for value in list_values(person):
            found[value].append(person)
    return [_build_group(by, value, people) for value, people in sorted(found.items())]


def _build_group(
    by: ReportDimension, value: str, people: Sequence[SentCampaignPerson]
) -> ReportGroup:
    n = len(people)
    return ReportGroup(
        by=by,
        value=value,
        sent=n,
        replied=compute_share(sum(each.replied for each in people), n),
        interested=compute_share(sum(each.interested for each in people), n),
        opted_out=compute_share(sum(each.opted_out for each in people), n),
    )
