"""`/v1/rules/backtest`: other rules over past decisions, told line by line."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import msgspec
from aiohttp import web

import rules
from daemon.errors import RulesRejected, Unavailable
from daemon.hindsight import report
from daemon.hindsight.child import backtested
from daemon.http.bodies import Body, body
from daemon.http.openapi import LINES, operation
from daemon.http.streams import endless, while_open
from daemon.http.vitals import house_of
from daemon.rulebook import folder
from daemon.rulebook.lines import RuleFileContent, plain
from daemon.settings import RulesSettings

routes = web.RouteTableDef()


class BacktestBody(Body, frozen=True):
    """What to compare: files over the shipped rules, or where null the operator's folder."""

    days: Annotated[float, msgspec.Meta(gt=0, le=3_650)] = 30.0
    files: tuple[RuleFileContent, ...] | None = None
    examples: Annotated[int, msgspec.Meta(ge=0, le=500)] = 40


@routes.post("/v1/rules/backtest")
@endless
@operation(report.Answer, body=BacktestBody, gives=(LINES,), refuses=(RulesRejected,))
async def backtest(request: web.Request) -> web.StreamResponse:
    """Tell how far it has come, a line at a time, and the report or the refusal at last."""
    house, wanted = house_of(request), await body(request, BacktestBody)
    asked = report.Request(
        database=str(house.database.path),
        since=house.clock.now() - timedelta(days=wanted.days),
        files=tuple(map(plain, _files(house.settings.rules, wanted.files))),
        engines=house.settings.rules.engines,
        examples=wanted.examples,
    )
    response = web.StreamResponse(headers={"Content-Type": LINES})
    await response.prepare(request)
    answers = backtested(asked)
    # Whoever asked has gone, or the doors shut: the child goes too.
    with contextlib.suppress(ConnectionError, Unavailable):
        async with while_open(request), contextlib.aclosing(answers):
            async for answer in answers:
                await response.write(report.encode(answer))
    with contextlib.suppress(ConnectionError):
        await response.write_eof()
    return response


def _files(
    settings: RulesSettings, files: Sequence[RuleFileContent] | None
) -> Sequence[rules.RuleFile]:
    try:
        if files is None:
            return folder.live(settings)
        own = [rules.RuleFile(file.path, file.text, own=True) for file in files if file.own]
        alone = [rules.RuleFile(file.path, file.text) for file in files if not file.own]
        return (*(alone or folder.shipped(settings)), *own)
    except rules.RulesInvalid as error:
        raise RulesRejected(str(error)) from error
