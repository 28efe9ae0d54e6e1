"""The form that changes the rules: what a number is and may be, and who would flip by it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
from aiohttp import web

from daemon.errors import LeadMasterError, RulesRejected
from daemon.hindsight.report import BacktestReport, VerdictFlip
from daemon.http.bodies import RequestQuery, read_query
from daemon.http.pages.rulework import list_rule_approvers
from daemon.http.pages.shell import render_errors, render_piece
from daemon.http.pages.verdict import shorten_place
from daemon.http.rule_changes import (
    BACKTEST_PERIOD,
    backtest_change,
    parse_rule_edit,
    value_to_json,
)
from daemon.http.vitals import get_services
from daemon.rulebook.state import RuleChangePreview
from rules.amendments import (
    EditableNumber,
    EditableValue,
    EditNotAllowed,
    RampEnds,
    RulesetEdit,
    find_editable_value,
    format_number,
)
from rules.ruleset import RuleFormat, Ruleset

routes = web.RouteTableDef()


class RuleChangeQuery(RequestQuery, frozen=True):
    """What is to be changed, and its numbers as they were typed."""

    target: str
    value: str = ""
    from_value: str = ""
    from_points: str = ""
    to_value: str = ""
    to_points: str = ""


@dataclass(frozen=True, slots=True)
class RuleChangeField:
    """One number of the form: where it may lie, what was typed, and why it can't be that."""

    number: EditableNumber
    typed: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class RuleChangeForm:
    """What is asked. `in_force` is the value that is live, where the folder says another."""

    target: str
    amendment: RulesetEdit
    fact: str
    reason: str
    in_force: str
    fields: Mapping[str, RuleChangeField]

    @property
    def first_invalid_field(self) -> str:
        """The name of the first number that can't be taken; empty where all can."""
        return next((name for name, field in self.fields.items() if field.problem), "")


@dataclass(frozen=True, slots=True)
class RuleChangePreviewView:
    """What a change would bring, ready to be confirmed: `value` is what is sent then, as JSON."""

    found: RuleChangePreview
    report: BacktestReport
    people: list[VerdictFlip]
    approvers: list[str]
    value: str


@routes.get("/pieces/rules/change/{target}")
@render_errors
async def show_rule_change_dialog(request: web.Request) -> web.StreamResponse:
    """Ask what a number is to be."""
    target = request.match_info["target"]
    amendment = parse_rule_edit(target, 0)
    try:
        found = await get_services(request).ruleset_service.find_editable(amendment)
    except RulesRejected as error:
        return render_piece(
            request,
            "pieces/rule_preview.html",
            alone=True,
            form=None,
            preview=None,
            problem=error,
        )
    typed = {number.name: format_number(number.now) for number in found.numbers}
    form = _build_form(request, target, amendment, found, typed, {})
    return render_piece(request, "pieces/rule_change.html", form=form, bound=format_number)


@routes.get("/pieces/rules/preview")
@render_errors
async def show_rule_change_preview(request: web.Request) -> web.StreamResponse:
    """Show who would flip, by name, before anything is written; or what can't be, by its field."""
    asked = read_query(request, RuleChangeQuery)
    amendment = parse_rule_edit(asked.target, 0)
    shown_: RuleChangePreviewView | None = None
    form: RuleChangeForm | None = None
    problem: LeadMasterError | None = None
    try:
        found = await get_services(request).ruleset_service.find_editable(amendment)
        typed = {number.name: getattr(asked, number.name) for number in found.numbers}
        given = {name: _parse_number(text) for name, text in typed.items()}
        refused = found.find_errors(given)
        form = _build_form(request, asked.target, amendment, found, typed, refused)
        if not refused:
            shown_ = await _build_preview(
                request, parse_rule_edit(asked.target, found.value_from_numbers(given))
            )
    except LeadMasterError as error:
        problem = error
    return render_piece(
        request,
        "pieces/rule_preview.html",
        alone=False,
        form=form,
        preview=shown_,
        problem=problem,
        days=BACKTEST_PERIOD.days,
        name_of=lambda path: Path(path).name,
        short=shorten_place,
        bound=format_number,
    )


async def _build_preview(request: web.Request, amendment: RulesetEdit) -> RuleChangePreviewView:
    house = get_services(request)
    found = await house.ruleset_service.preview_change(amendment)
    report = await backtest_change(request, found)
    return RuleChangePreviewView(
        found=found,
        report=report,
        people=_distinct_flips(report.examples),
        approvers=await house.database.read(list_rule_approvers),
        value=msgspec.json.encode(value_to_json(amendment.value)).decode(),
    )


def _build_form(
    request: web.Request,
    target: str,
    amendment: RulesetEdit,
    found: EditableValue,
    typed: Mapping[str, str],
    refused: Mapping[str, str],
) -> RuleChangeForm:
    book = get_services(request).rulesets
    live = (book.gate if amendment.kind is RuleFormat.GATE else book.score).ruleset
    reasons = {rule.id: rule.reason for rule in live.scores}
    return RuleChangeForm(
        target=target,
        amendment=amendment,
        fact=found.fact,
        reason=reasons.get(amendment.name, "") if amendment.section == "scores" else "",
        in_force=_format_live_value(live, amendment, found.value),
        fields={
            each.name: RuleChangeField(each, typed[each.name], refused.get(each.name, ""))
            for each in found.numbers
        },
    )


def _format_live_value(live: Ruleset, amendment: RulesetEdit, value: int | RampEnds) -> str:
    """Return what is live where it is not what the folder says; empty where that is the same."""
    try:
        now = find_editable_value(live, amendment.section, amendment.name).value
    except EditNotAllowed:
        return ""
    return "" if now == value else str(now)


def _parse_number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _distinct_flips(found: Iterable[VerdictFlip]) -> list[VerdictFlip]:
    """Return each person once for each way they flip: a message is judged twice at least."""
    return list({(flip.prospect, flip.before, flip.after): flip for flip in found}.values())
