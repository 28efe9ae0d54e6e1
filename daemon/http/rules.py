"""`/v1/rules`: what is in force, what waits for a person, and the shadow beside it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web

from daemon.errors import BadRequest, Conflict, NotFound, RulesRejected
from daemon.hindsight.explaining import VerdictExplanation, explained, parsed
from daemon.http.bodies import Answer, Limit, Query, ReasonBody, answer, body, query
from daemon.http.control import WHO
from daemon.http.openapi import operation
from daemon.http.vitals import house_of
from daemon.rulebook.state import RulesetStatus, RulesetSummary
from storage import rulesets, shadows
from storage.rulesets import RulesetActivation, RulesetRecord
from storage.shadows import ShadowDisagreement, ShadowStatistics

routes = web.RouteTableDef()


class RulesetChoiceBody(ReasonBody, frozen=True):
    """A rule set, by its hash or how that begins, and why it is chosen."""

    hash: Annotated[
        str,
        msgspec.Meta(
            min_length=4,
            max_length=64,
            pattern="^[0-9a-f]+$",
            description="a hash, such as 3f9a0c12",
        ),
    ]


class LimitQuery(Query, frozen=True):
    """How many to return, newest first."""

    limit: Limit = 50


class RulesetHistory(Answer, frozen=True):
    """Every change of the live sets, newest first."""

    items: list[RulesetActivation]


class ShadowReport(Answer, frozen=True):
    """How the shadow does: how often it was asked, how often and how it would have differed.

    `problems` are why its newest files are not asked.
    """

    shadow: RulesetSummary | None
    problems: list[str]
    standing: ShadowStatistics | None
    examples: list[ShadowDisagreement]


@routes.get("/v1/rules")
@operation(RulesetStatus)
async def active(request: web.Request) -> web.Response:
    """Return the live sets, what waits to be accepted, and what was refused last."""
    return answer(house_of(request).rule_desk.state())


@routes.get("/v1/rules/history")
@operation(RulesetHistory, query=LimitQuery)
async def history(request: web.Request) -> web.Response:
    """Return which set went live when, by whom, and why."""
    asked = query(request, LimitQuery)
    found = await house_of(request).database.read(
        lambda reader: rulesets.history(reader, asked.limit)
    )
    return answer(RulesetHistory(found))


@routes.get("/v1/rules/sets/{hash}")
@operation(RulesetRecord, refuses=(NotFound,))
async def stored(request: web.Request) -> web.Response:
    """Return a set that was live, with its files as they were."""
    wanted = request.match_info["hash"]
    found = await house_of(request).database.read(lambda reader: rulesets.find(reader, wanted, 1))
    if not found:
        raise NotFound(f"No rules of the hash {wanted} were ever live.")
    return answer(found[0])


@routes.post("/v1/rules/reload")
@operation(RulesetStatus)
async def reload(request: web.Request) -> web.Response:
    """Try the operator's folder now; what came of it is the answer."""
    return answer(await house_of(request).rule_desk.reload(request[WHO]))


@routes.post("/v1/rules/accept")
@operation(RulesetStatus, body=RulesetChoiceBody, refuses=(NotFound,))
async def accept(request: web.Request) -> web.Response:
    """Let the rules that wait go live."""
    asked = await body(request, RulesetChoiceBody)
    desk = house_of(request).rule_desk
    return answer(await desk.accept(asked.hash, request[WHO], asked.reason))


@routes.post("/v1/rules/rollback")
@operation(RulesetStatus, body=RulesetChoiceBody, refuses=(NotFound, Conflict, RulesRejected))
async def rollback(request: web.Request) -> web.Response:
    """Put rules that were live before in force again."""
    asked = await body(request, RulesetChoiceBody)
    desk = house_of(request).rule_desk
    return answer(await desk.rollback(asked.hash, request[WHO], asked.reason))


@routes.get("/v1/rules/shadow")
@operation(ShadowReport, query=LimitQuery)
async def shadow(request: web.Request) -> web.Response:
    """Return how often the shadow would have decided otherwise, with the newest examples."""
    asked, house = query(request, LimitQuery), house_of(request)
    state = house.rule_desk.state()
    found, problems = state.shadow, list(state.shadow_problems)
    if found is None:
        return answer(ShadowReport(None, problems, None, []))
    return answer(
        ShadowReport(
            found,
            problems,
            await house.database.read(lambda reader: shadows.standing(reader, found.hash)),
            await house.database.read(
                lambda reader: shadows.disagreements(reader, found.hash, asked.limit)
            ),
        )
    )


@routes.get("/v1/rules/explain/{subject}")
@operation(VerdictExplanation, refuses=(BadRequest, NotFound))
async def explain(request: web.Request) -> web.Response:
    """Explain a message's, a prospect's or one decision; each `FACT=VALUE` supposes otherwise."""
    house, subject = house_of(request), request.match_info["subject"]
    what_if = parsed(dict(request.query))
    found = await house.database.read(
        lambda reader: explained(reader, house.rulebook, subject, what_if, house.clock.now())
    )
    return answer(found)
