"""`/v1/status`: the whole house at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from aiohttp import web

from daemon.http.bodies import Answer, answer
from daemon.http.openapi import operation
from daemon.http.release import VERSION
from daemon.http.vitals import VITALS, ReadinessBlocker, house_of
from daemon.rulebook.state import RulesetStatus
from daemon.sessions.view import SessionView
from storage import messages
from storage.halts import HaltRecord

routes = web.RouteTableDef()


class RulesSummary(Answer, frozen=True):
    """The hashes in force, the one that waits for a person, and how many problems were refused."""

    gate: str
    score: str
    waiting: str | None
    problems: int


class DaemonStatus(Answer, frozen=True):
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
async def status(request: web.Request) -> web.Response:
    """Return version, times, doors, halt, sessions, queue depths, and what blocks readiness."""
    house, vitals = house_of(request), request.app[VITALS]
    return answer(
        DaemonStatus(
            version=VERSION,
            instance=house.database.instance_id,
            epoch=house.database.epoch,
            started_at=house.started_at,
            now=house.clock.now(),
            doors=vitals.doors,
            blockers=await vitals.blockers(),
            halt=await house.halt.state(),
            messages=await house.database.read(messages.counts),
            sessions=house.sessions.views(),
            rules=_rules(house.rule_desk.state()),
            seq=await house.database.high_water(),
        )
    )


def _rules(state: RulesetStatus) -> RulesSummary:
    return RulesSummary(
        gate=state.gate.hash,
        score=state.score.hash,
        waiting=None if state.waiting is None else state.waiting.hash,
        problems=0 if state.rejected is None else len(state.rejected.problems),
    )
