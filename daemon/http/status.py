"""`/v1/status`: the whole house at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from aiohttp import web

from daemon.http.bodies import ResponseBody, json_response
from daemon.http.openapi import operation
from daemon.http.release import VERSION
from daemon.http.vitals import DAEMON_HEALTH, ReadinessBlocker, get_services
from daemon.rulebook.state import RulesetStatus
from daemon.sessions.view import SessionView
from storage import messages
from storage.halts import HaltRecord

routes = web.RouteTableDef()


class RulesSummary(ResponseBody, frozen=True):
    """The hashes in force, the one that waits for a person, and how many problems were refused."""

    gate: str
    score: str
    waiting: str | None
    problems: int


class DaemonStatus(ResponseBody, frozen=True):
    """The house at a glance; `seq` is the number of the last event in `epoch`."""

    version: str
    instance: str
    epoch: int
    started_at: datetime
    now: datetime
    doors: Mapping[str, str]
    blockers: Sequence[ReadinessBlocker]
    halt: HaltRecord | None
    messages: Mapping[str, int]
    sessions: Sequence[SessionView]
    rules: RulesSummary
    seq: int


@routes.get("/v1/status")
@operation(DaemonStatus)
async def get_status(request: web.Request) -> web.Response:
    """Return version, times, doors, halt, sessions, queue depths, and what blocks readiness."""
    house, vitals = get_services(request), request.app[DAEMON_HEALTH]
    return json_response(
        DaemonStatus(
            version=VERSION,
            instance=house.database.instance_id,
            epoch=house.database.epoch,
            started_at=house.started_at,
            now=house.clock.now(),
            doors=vitals.addresses,
            blockers=await vitals.find_blockers(),
            halt=await house.halt.get_current(),
            messages=await house.database.read(messages.count_messages_by_state),
            sessions=house.sessions.views(),
            rules=_summarise_rules(house.ruleset_service.get_status()),
            seq=await house.database.high_water(),
        )
    )


def _summarise_rules(state: RulesetStatus) -> RulesSummary:
    return RulesSummary(
        gate=state.gate.hash,
        score=state.score.hash,
        waiting=None if state.waiting is None else state.waiting.hash,
        problems=0 if state.rejected is None else len(state.rejected.problems),
    )
