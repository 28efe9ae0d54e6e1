"""`/v1/rules/backtest`: runs other rules over past decisions; streams progress, then the report."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import msgspec
from aiohttp import web

import rules
from daemon.backtest import messages
from daemon.backtest.process import run_backtest_process
from daemon.errors import RulesRejected, Unavailable
from daemon.http.bodies import RequestBody, read_body
from daemon.http.health import get_services
from daemon.http.openapi import NDJSON, operation
from daemon.http.streaming import cancel_at_shutdown, no_time_limit
from daemon.rulesets import rule_files
from daemon.rulesets.rule_files import RuleFileContent, to_rule_file_content
from daemon.settings import RulesSettings

routes = web.RouteTableDef()


class BacktestBody(RequestBody, frozen=True):
    """The rules to test: files over the shipped rules; where null, the operator's folder."""

    days: Annotated[float, msgspec.Meta(gt=0, le=3_650)] = 30.0
    files: tuple[RuleFileContent, ...] | None = None
    examples: Annotated[int, msgspec.Meta(ge=0, le=500)] = 40


@routes.post("/v1/rules/backtest")
@no_time_limit
@operation(
    messages.BacktestAnswer, body=BacktestBody, media_types=(NDJSON,), errors=(RulesRejected,)
)
async def backtest_rules(request: web.Request) -> web.StreamResponse:
    """Run other rules over past decisions; stream progress lines, then the report or a refusal."""
    services, body = get_services(request), await read_body(request, BacktestBody)
    backtest = messages.BacktestRequest(
        database=str(services.database.path),
        since=services.clock.now() - timedelta(days=body.days),
        files=tuple(map(to_rule_file_content, _select_files(services.settings.rules, body.files))),
        engines=services.settings.rules.engines,
        examples=body.examples,
    )
    response = web.StreamResponse(headers={"Content-Type": NDJSON})
    await response.prepare(request)
    answers = run_backtest_process(backtest)
    # Where the client leaves or the daemon shuts down, closing the iterator kills the child.
    with contextlib.suppress(ConnectionError, Unavailable):
        async with cancel_at_shutdown(request), contextlib.aclosing(answers):
            async for answer in answers:
                await response.write(msgspec.json.encode(answer) + b"\n")
    with contextlib.suppress(ConnectionError):
        await response.write_eof()
    return response


def _select_files(
    settings: RulesSettings, files: Sequence[RuleFileContent] | None
) -> Sequence[rules.RuleFile]:
    """Return the files to test with; raise :class:`RulesRejected` for unusable ones."""
    try:
        if files is None:
            return rule_files.read_configured_files(settings)
        own = [rules.RuleFile(file.path, file.text, own=True) for file in files if file.own]
        alone = [rules.RuleFile(file.path, file.text) for file in files if not file.own]
        # A client that sends no base files means its own to be laid over the shipped ones.
        return (*(alone or rule_files.read_shipped_files(settings)), *own)
    except rules.RulesInvalid as error:
        raise RulesRejected(str(error)) from error
