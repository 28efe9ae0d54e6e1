"""`/v1/rules/change`: one number changed by form; a dry run tells first whom it would affect."""

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
from daemon.rulebook.state import Foreseen, RulesState
from rules.amend import NotAmendable, Wish

routes = web.RouteTableDef()

LOOKED_BACK: Final = timedelta(days=30)
NAMED: Final = 20
_SILENCE_SECONDS: Final = 20.0


class Wanted(Body, frozen=True):
    """A number by its path (`gate.thresholds.allow`), what it is to be, and why.

    A dry run changes nothing and needs no reason.
    """

    target: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    value: Annotated[int, msgspec.Meta(ge=-1_000, le=1_000)]
    dry_run: bool = False
    reason: Reason | None = None


class Changed(Answer, frozen=True):
    """What a change brings, or brought; `report` is a dry run's, `state` how the rules are now.

    The report names nobody to a caller who may not read prospects.
    """

    before: int
    after: int
    files: list[str]
    changes: list[str]
    waits: bool
    examples: list[str]
    report: report.Report | None
    state: RulesState


@routes.post("/v1/rules/change")
@operation(Changed, body=Wanted, refuses=(BadRequest, Conflict, RulesRejected, Unavailable))
async def change(request: web.Request) -> web.Response:
    """Change a threshold or a rule's points in the operator's folder, and reload it."""
    asked, desk = await body(request, Wanted), house_of(request).rule_desk
    if asked.dry_run:
        return answer(await foreseen(request, asked.target, asked.value))
    if asked.reason is None:
        raise BadRequest("reason: a change needs one.", hint="Say why, or ask for a dry_run.")
    found = await desk.change(wish_of(asked.target, asked.value), request[WHO], asked.reason)
    return answer(_changed(asked.value, found, None, desk.state()))


async def foreseen(request: web.Request, target: str, value: int) -> Changed:
    """Tell what a change would bring, and who would flip; raises what the route refuses."""
    house = house_of(request)
    found = await house.rule_desk.foresee(wish_of(target, value))
    named = NAMED if Scope.PROSPECTS_READ in identity_of(request).scopes else 0
    asked = report.Request(
        database=str(house.database.path),
        since=house.clock.now() - LOOKED_BACK,
        files=tuple(map(plain, found.files)),
        engines=house.settings.rules.engines,
        examples=named,
    )
    return _changed(value, found, await _report(asked), house.rule_desk.state())


def wish_of(target: str, value: int) -> Wish:
    """Read what is to be changed; raise :class:`BadRequest` where the path names nothing."""
    try:
        return Wish.of(target, value)
    except NotAmendable as error:
        raise BadRequest(str(error)) from error


async def _report(asked: report.Request) -> report.Report:
    """Return what the child finds; raise :class:`Unavailable` where it finds nothing."""
    answers = backtested(asked, silence_seconds=_SILENCE_SECONDS)
    async with contextlib.aclosing(answers):
        *_, last = [each async for each in answers]
    if isinstance(last, report.Report):
        return last
    raise Unavailable(last.sentence if isinstance(last, report.Refused) else "It was cut short.")


def _changed(value: int, found: Foreseen, told: report.Report | None, state: RulesState) -> Changed:
    return Changed(
        before=found.before,
        after=value,
        files=[file.path for file in found.written],
        changes=list(found.changes),
        waits=found.waits,
        examples=list(found.examples),
        report=told,
        state=state,
    )
