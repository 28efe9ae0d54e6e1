"""`/v1/rules/change`: rules changed by form; a dry run tells first whom it would affect."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Annotated, Final

import msgspec
from aiohttp import web

from daemon.auth.scopes import Scope
from daemon.errors import BadRequest, Conflict, RulesRejected, Unavailable
from daemon.hindsight import report
from daemon.hindsight.child import backtested
from daemon.http.auth.identify import identity_of
from daemon.http.bodies import Answer, Body, Reason, answer, body
from daemon.http.control import WHO
from daemon.http.openapi import operation
from daemon.http.vitals import house_of
from daemon.rulebook.lines import plain
from daemon.rulebook.state import Foreseen, RulesetStatus
from rules.amendments import Amendment, NotAmendable, Slope

routes = web.RouteTableDef()

LOOKED_BACK: Final = timedelta(days=30)
NAMED: Final = 20
_SILENCE_SECONDS: Final = 20.0


Points = Annotated[int, msgspec.Meta(ge=-1_000, le=1_000)]
End = tuple[float, Points]


class PointsRamp(Body, frozen=True):
    """Both ends of a ramp: a value of its fact, and the points there."""

    start: End = msgspec.field(name="from")
    end: End = msgspec.field(name="to")


class RuleChangeBody(Body, frozen=True):
    """A number, or a ramp, by its path (`gate.thresholds.allow`), what it is to be, and why.

    A dry run changes nothing and needs no reason.
    """

    target: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    value: Points | PointsRamp
    dry_run: bool = False
    reason: Reason | None = None


class RuleChangeResult(Answer, frozen=True):
    """What a change brings, or brought; `report` is a dry run's, `state` how the rules are now.

    The report names nobody to a caller who may not read prospects.
    """

    before: int | PointsRamp
    after: int | PointsRamp
    files: list[str]
    changes: list[str]
    waits: bool
    examples: list[str]
    report: report.BacktestReport | None
    state: RulesetStatus


@routes.post("/v1/rules/change")
@operation(
    RuleChangeResult,
    body=RuleChangeBody,
    refuses=(BadRequest, Conflict, RulesRejected, Unavailable),
)
async def change(request: web.Request) -> web.Response:
    """Change a threshold, a rule's points or a group's cap in the operator's folder; reload it."""
    asked, desk = await body(request, RuleChangeBody), house_of(request).rule_desk
    amendment = amendment_of(asked.target, _value(asked.value))
    if asked.dry_run:
        found = await desk.foresee(amendment)
        return answer(_changed(amendment, found, await flips(request, found), desk.state()))
    if asked.reason is None:
        raise BadRequest("reason: a change needs one.", hint="Say why, or ask for a dry_run.")
    found = await desk.change(amendment, request[WHO], asked.reason)
    return answer(_changed(amendment, found, None, desk.state()))


async def flips(request: web.Request, found: Foreseen) -> report.BacktestReport:
    """Tell who would flip; raise :class:`Unavailable` where that can't be told."""
    house = house_of(request)
    named = NAMED if Scope.PROSPECTS_READ in identity_of(request).scopes else 0
    asked = report.Request(
        database=str(house.database.path),
        since=house.clock.now() - LOOKED_BACK,
        files=tuple(map(plain, found.files)),
        engines=house.settings.rules.engines,
        examples=named,
    )
    return await _report(asked)


def amendment_of(target: str, value: int | Slope) -> Amendment:
    """Read what is to be changed; raise :class:`BadRequest` where the path names nothing."""
    try:
        return Amendment.of(target, value)
    except NotAmendable as error:
        raise BadRequest(str(error)) from error


async def _report(asked: report.Request) -> report.BacktestReport:
    """Return what the child finds; raise :class:`Unavailable` where it finds nothing."""
    answers = backtested(asked, silence_seconds=_SILENCE_SECONDS)
    async with contextlib.aclosing(answers):
        *_, last = [each async for each in answers]
    if isinstance(last, report.BacktestReport):
        return last
    raise Unavailable(
        last.sentence if isinstance(last, report.BacktestRefusal) else "It was cut short."
    )


def _changed(
    amendment: Amendment, found: Foreseen, told: report.BacktestReport | None, state: RulesetStatus
) -> RuleChangeResult:
    return RuleChangeResult(
        before=plain_value(found.before),
        after=plain_value(amendment.value),
        files=[file.path for file in found.written],
        changes=list(map(str, found.changes)),
        waits=found.waits,
        examples=list(map(str, found.examples)),
        report=told,
        state=state,
    )


def _value(asked: int | PointsRamp) -> int | Slope:
    return asked if isinstance(asked, int) else Slope(*asked.start, *asked.end)


def plain_value(value: int | Slope) -> int | PointsRamp:
    """Return a number, or a ramp's ends, as the interface writes them."""
    if isinstance(value, int):
        return value
    return PointsRamp((value.start, value.start_points), (value.end, value.end_points))
