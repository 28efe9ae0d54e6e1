"""`/v1/alerts`: what is wrong or was, since when, who was notified; and a test of that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from aiohttp import web

from daemon.alerts.errors import AlertsUnavailable, AlertTargetsRejected
from daemon.alerts.service import AlertStatus, TargetAnswer
from daemon.http.authentication import ACTOR
from daemon.http.bodies import (
    PageLimit,
    RequestQuery,
    ResponseBody,
    ResultPage,
    json_response,
    list_response,
    page_response,
    read_query,
)
from daemon.http.health import get_services
from daemon.http.openapi import operation
from storage import alerts
from storage.alerts import AlertRecord

routes = web.RouteTableDef()
_MAX_NUMBER: Final = 2**53 - 1  # the largest that JSON readers keep exact


class AlertQuery(RequestQuery, frozen=True):
    """Whether to list only what is wrong now; `after` is an alert's id."""

    open: bool = False
    after: Annotated[int, msgspec.Meta(ge=1, le=_MAX_NUMBER)] | None = None
    limit: PageLimit = 50


class AlertTestResult(ResponseBody, frozen=True):
    """What each target answered to a test; none where no target is set."""

    targets: Sequence[TargetAnswer]


class AlertTargets(ResponseBody, frozen=True):
    """How many targets there are, and whether there is an address to ping; no address itself."""

    targets: int
    has_ping: bool


@routes.get("/v1/alerts")
@operation(ResultPage[AlertRecord], query=AlertQuery)
async def list_alerts(request: web.Request) -> web.Response:
    """Return alerts, the latest first; with `open`, what is wrong now, the oldest first."""
    query, services = read_query(request, AlertQuery), get_services(request)
    if query.open:
        return list_response(await services.alerts.list_open())
    found = await services.database.read(
        # One more than asked for: if it exists, there is a next page.
        lambda reader: alerts.list_alerts(reader, query.limit + 1, query.after)
    )
    return page_response(found, query.limit, lambda alert: str(alert.id))


@routes.get("/v1/alerts/status")
@operation(AlertStatus)
async def get_alert_status(request: web.Request) -> web.Response:
    """Return whether people are notified: what is pending, the last success, the last failure."""
    return json_response(await get_services(request).alerts.read_status())


@routes.get("/v1/alerts/targets")
@operation(AlertTargets, errors=(AlertsUnavailable, AlertTargetsRejected))
async def check_alert_targets(request: web.Request) -> web.Response:
    """Read the file with the targets as it is now, and send nothing."""
    found = await get_services(request).alerts.check_targets()
    return json_response(AlertTargets(found.targets, found.has_ping))


@routes.post("/v1/alerts/test")
@operation(AlertTestResult, errors=(AlertsUnavailable, AlertTargetsRejected))
async def test_alerts(request: web.Request) -> web.Response:
    """Send a test to every target now, and return what each answered."""
    answers = await get_services(request).alerts.send_test(request[ACTOR])
    return json_response(AlertTestResult(answers))
