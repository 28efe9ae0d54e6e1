"""`/v1/rules/change`: changes one number of the rules; a dry run backtests the change first."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Annotated, Final

import msgspec
from aiohttp import web

from daemon.auth.identity import Scope
from daemon.backtest import messages
from daemon.backtest.process import run_backtest_process
from daemon.errors import BadRequest, Conflict, RulesRejected, Unavailable
from daemon.http.authentication import ACTOR, get_identity
from daemon.http.bodies import ReasonText, RequestBody, ResponseBody, json_response, read_body
from daemon.http.health import get_services
from daemon.http.openapi import operation
from daemon.rulesets.rule_files import to_rule_file_content
from daemon.rulesets.status import RuleChangePreview, RulesetStatus
from rules.edits import EditNotAllowed, RampEnds, RulesetEdit

routes = web.RouteTableDef()

BACKTEST_PERIOD: Final = timedelta(days=30)
NAMED_EXAMPLES: Final = 20
_BACKTEST_STALL_SECONDS: Final = 20.0  # well under the limit of a request's duration


Points = Annotated[int, msgspec.Meta(ge=-1_000, le=1_000)]


class RampEnd(RequestBody, frozen=True):
    """One end of a ramp: a value of the fact, and the points for it."""

    value: float
    points: Points


class PointsRamp(RequestBody, frozen=True):
    """Both ends of a ramp."""

    start: RampEnd = msgspec.field(name="from")
    end: RampEnd = msgspec.field(name="to")


class RuleChangeBody(RequestBody, frozen=True):
    """A number or a ramp by its path (`gate.thresholds.allow`), its new value, and the reason.

    A dry run changes nothing and needs no reason.
    """

    target: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    value: Points | PointsRamp
    dry_run: bool = False
    reason: ReasonText | None = None


class RuleChangeResult(ResponseBody, frozen=True):
    """The effect of a change; `report` is a dry run's, `state` the rules' status afterwards.

    The report names prospects only to a caller who may read them.
    """

    before: int | PointsRamp
    after: int | PointsRamp
    files: list[str]
    changes: list[str]
    waits: bool
    examples: list[str]
    report: messages.BacktestReport | None
    state: RulesetStatus


@routes.post("/v1/rules/change")
@operation(
    RuleChangeResult, body=RuleChangeBody, errors=(BadRequest, Conflict, RulesRejected, Unavailable)
)
async def change_rule(request: web.Request) -> web.Response:
    """Change a threshold, a rule's points or a group's cap in the operator's folder; reload it."""
    asked, service = await read_body(request, RuleChangeBody), get_services(request).ruleset_service
    edit = parse_rule_edit(asked.target, _value_from_body(asked.value))
    if asked.dry_run:
        found = await service.preview_change(edit)
        return json_response(
            _build_result(edit, found, await backtest_change(request, found), service.get_status())
        )
    if asked.reason is None:
        raise BadRequest("reason: a change needs one.", hint="Say why, or ask for a dry_run.")
    found = await service.apply_change(edit, request[ACTOR], asked.reason)
    return json_response(_build_result(edit, found, None, service.get_status()))


async def backtest_change(
    request: web.Request, found: RuleChangePreview
) -> messages.BacktestReport:
    """Return the backtest of a change; raise :class:`Unavailable` where it fails."""
    services = get_services(request)
    # Changing rules is another right than reading who the prospects are.
    named = NAMED_EXAMPLES if Scope.PROSPECTS_READ in get_identity(request).scopes else 0
    asked = messages.BacktestRequest(
        database=str(services.database.path),
        since=services.clock.now() - BACKTEST_PERIOD,
        files=tuple(map(to_rule_file_content, found.files)),
        engines=services.settings.rules.engines,
        examples=named,
    )
    return await _get_backtest_report(asked)


def parse_rule_edit(target: str, value: int | RampEnds) -> RulesetEdit:
    """Return the edit of a number at a path; raise :class:`BadRequest` for an unknown path."""
    try:
        return RulesetEdit.parse(target, value)
    except EditNotAllowed as error:
        raise BadRequest(str(error)) from error


async def _get_backtest_report(asked: messages.BacktestRequest) -> messages.BacktestReport:
    """Return the report of the child process; raise :class:`Unavailable` where it has none."""
    answers = run_backtest_process(asked, stall_seconds=_BACKTEST_STALL_SECONDS)
    async with contextlib.aclosing(answers):
        *_, last = [each async for each in answers]
    if isinstance(last, messages.BacktestReport):
        return last
    raise Unavailable(
        last.sentence if isinstance(last, messages.BacktestRefusal) else "It was interrupted."
    )


def _build_result(
    edit: RulesetEdit,
    found: RuleChangePreview,
    backtest: messages.BacktestReport | None,
    state: RulesetStatus,
) -> RuleChangeResult:
    return RuleChangeResult(
        before=value_to_json(found.before),
        after=value_to_json(edit.value),
        files=[file.path for file in found.written],
        changes=list(map(str, found.changes)),
        waits=found.waits,
        examples=list(map(str, found.examples)),
        report=backtest,
        state=state,
    )


def _value_from_body(asked: int | PointsRamp) -> int | RampEnds:
    if isinstance(asked, int):
        return asked
    start, end = asked.start, asked.end
    return RampEnds(start.value, start.points, end.value, end.points)


def value_to_json(value: int | RampEnds) -> int | PointsRamp:
    """Return a number or a ramp's ends in the form of the HTTP interface."""
    if isinstance(value, int):
        return value
    return PointsRamp(
        RampEnd(value.start, value.start_points), RampEnd(value.end, value.end_points)
    )
