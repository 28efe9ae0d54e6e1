"""`/v1/stats`: how far messages came since a moment, and what waits, in figures."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Final

import msgspec
from aiohttp import web

from daemon.http.bodies import RequestQuery, ResponseBody, json_response, read_query
from daemon.http.openapi import operation
from daemon.http.vitals import get_services
from statemachines.message import MessageState
from storage import decisions, listings, messages, prospects
from storage.listings import MessageFunnel, WaitingCount
from storage.tx import Reader

routes = web.RouteTableDef()
_DEFAULT_PERIOD: Final = timedelta(hours=24)


class StatsQuery(RequestQuery, frozen=True):
    """From when on the way of messages is counted; without it the last 24 hours."""

    since: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class DaemonStats(ResponseBody, frozen=True):
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
async def get_stats(request: web.Request) -> web.Response:
    """Return figures: the way of messages since a moment, and what stands where now."""
    wanted, house = read_query(request, StatsQuery), get_services(request)
    since = wanted.since or house.clock.now() - _DEFAULT_PERIOD
    return json_response(await house.database.read(lambda reader: _read_stats(reader, since)))


def _read_stats(reader: Reader, since: datetime) -> DaemonStats:
    counted = messages.count_messages_by_state(reader)
    return DaemonStats(
        since=since,
        way=listings.get_message_funnel(reader, since),
        messages={MessageState(state): count for state, count in counted.items()},
        decisions=decisions.count_decisions_by_verdict(reader),
        prospects=prospects.count_prospects_by_validation(reader),
        for_review=listings.count_messages_in_states(reader, [MessageState.HELD]),
        unanswered=listings.count_unanswered_contacts(reader),
    )
