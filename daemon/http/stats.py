"""`/v1/stats`: how far messages came since a moment, and what waits, in figures."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Final

import msgspec
from aiohttp import web

from daemon.http.bodies import Answer, Query, answer, query
from daemon.http.openapi import operation
from daemon.http.vitals import house_of
from statemachines.message import MessageState
from storage import decisions, listings, messages, prospects
from storage.listings import MessageFunnel, WaitingCount
from storage.tx import Reader

routes = web.RouteTableDef()
_USUAL: Final = timedelta(hours=24)


class StatsQuery(Query, frozen=True):
    """From when on the way of messages is counted; without it the last 24 hours."""

    since: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class DaemonStats(Answer, frozen=True):
    """Figures. All but `way` count what there is now, whenever it came."""

    since: datetime
    way: MessageFunnel
    messages: Mapping[MessageState, int]
    decisions: Mapping[str, int]
    prospects: Mapping[str, int]
    for_review: WaitingCount
    unanswered: WaitingCount


@routes.get("/v1/stats")
@operation(DaemonStats, query=StatsQuery)
async def stats(request: web.Request) -> web.Response:
    """Return figures: the way of messages since a moment, and what stands where now."""
    wanted, house = query(request, StatsQuery), house_of(request)
    since = wanted.since or house.clock.now() - _USUAL
    return answer(await house.database.read(lambda reader: _counted(reader, since)))


def _counted(reader: Reader, since: datetime) -> DaemonStats:
    counted = messages.counts(reader)
    return DaemonStats(
        since=since,
        way=listings.funnel(reader, since),
        messages={MessageState(state): count for state, count in counted.items()},
        decisions=decisions.counts(reader),
        prospects=prospects.counts(reader),
        for_review=listings.standing(reader, [MessageState.HELD]),
        unanswered=listings.unanswered(reader),
    )
