"""`/v1/status`, `/v1/morning` and `/v1/stats`: the daemon's state, the morning, and counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Final

import msgspec
from aiohttp import web

from daemon.http.bodies import RequestQuery, ResponseBody, json_response, read_query
from daemon.http.health import DAEMON_HEALTH, HealthWarning, ReadinessBlocker, get_services
from daemon.http.openapi import operation
from daemon.http.version import VERSION
from daemon.morning import MorningReport
from daemon.outbox.check_waits import count_expiring_messages
from daemon.rulesets.status import RulesetStatus
from daemon.sessions.status import SessionView
from statemachines.message import MessageState
from storage import console_queries, decisions, messages, prospects
from storage.console_queries import MessageFunnel, WaitingCount
from storage.halts import HaltRecord
from storage.tx import Reader
from storage.waiting import count_waiting

routes = web.RouteTableDef()


class RulesSummary(ResponseBody, frozen=True):
    """The live hashes, the one that waits for a person, and the count of rejected problems."""

    gate: str
    score: str
    waiting: str | None
    problems: int


class DaemonStatus(ResponseBody, frozen=True):
    """The state of the daemon; `seq` is the number of the last event in `epoch`.

    `quarantined` counts signals that could not be stored and wait for a person, `expiring` messages
    that expire within a day because nobody checked or validated their number.
    """

    version: str
    instance: str
    epoch: int
    started_at: datetime
    now: datetime
    addresses: Mapping[str, str]
    blockers: Sequence[ReadinessBlocker]
    warnings: Sequence[HealthWarning]
    halt: HaltRecord | None
    messages: Mapping[str, int]
    quarantined: int
    expiring: int
    sessions: Sequence[SessionView]
    rules: RulesSummary
    seq: int


@routes.get("/v1/status")
@operation(DaemonStatus)
async def get_status(request: web.Request) -> web.Response:
    """Return version, times, addresses, halt, sessions, queue depths, and what blocks readiness."""
    services, daemon_health = get_services(request), request.app[DAEMON_HEALTH]
    now = services.clock.now()
    # First: who listens from there on hears of all that happens while the rest is read.
    seq = await services.database.high_water()
    return json_response(
        DaemonStatus(
            version=VERSION,
            instance=services.database.instance_id,
            epoch=services.database.epoch,
            started_at=services.started_at,
            now=now,
            addresses=daemon_health.addresses,
            blockers=await daemon_health.find_blockers(),
            warnings=await daemon_health.find_warnings(),
            halt=await services.halt.get_current(),
            messages=await services.database.read(messages.count_messages_by_state),
            quarantined=await services.signal_handlers.quarantine.count_unsettled(),
            expiring=(await services.database.read(partial(count_expiring_messages, at=now))).count,
            sessions=services.sessions.views(),
            rules=_summarise_rules(services.ruleset_service.get_status()),
            seq=seq,
        )
    )


def _summarise_rules(state: RulesetStatus) -> RulesSummary:
    return RulesSummary(
        gate=state.gate.hash,
        score=state.score.hash,
        waiting=None if state.waiting is None else state.waiting.hash,
        problems=0 if state.rejected is None else len(state.rejected.problems),
    )


@routes.get("/v1/morning")
@operation(MorningReport)
async def get_morning(request: web.Request) -> web.Response:
    """Return the phones, what went wrong at night, who waits, and what leaves today by itself."""
    return json_response(await get_services(request).morning.read_report())


_DEFAULT_PERIOD: Final = timedelta(hours=24)


class StatsQuery(RequestQuery, frozen=True):
    """The moment from which the funnel counts messages; without it, the last 24 hours."""

    since: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class DaemonStats(ResponseBody, frozen=True):
    """Counts. All but `funnel` count what exists now, whenever it came."""

    since: datetime
    funnel: MessageFunnel
    messages: Mapping[MessageState, int]
    decisions: Mapping[str, int]
    prospects: Mapping[str, int]
    for_review: WaitingCount
    unanswered: WaitingCount


@routes.get("/v1/stats")
@operation(DaemonStats, query=StatsQuery)
async def get_stats(request: web.Request) -> web.Response:
    """Return counts: the funnel of messages since a moment, and the present states."""
    query, services = read_query(request, StatsQuery), get_services(request)
    now = services.clock.now()
    since = query.since or now - _DEFAULT_PERIOD
    return json_response(
        await services.database.read(lambda reader: _read_stats(reader, since, now))
    )


def _read_stats(reader: Reader, since: datetime, now: datetime) -> DaemonStats:
    counted = messages.count_messages_by_state(reader)
    return DaemonStats(
        since=since,
        funnel=console_queries.get_message_funnel(reader, since),
        messages={MessageState(state): count for state, count in counted.items()},
        decisions=decisions.count_decisions_by_verdict(reader),
        prospects=prospects.count_prospects_by_validation(reader),
        for_review=console_queries.count_messages_in_states(reader, [MessageState.HELD]),
        unanswered=count_waiting(reader, now),
    )
