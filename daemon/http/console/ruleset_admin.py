"""The administrative part of the rules page: status, acceptance, rollback, editing a number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from daemon.auth.identity import ROLE_SCOPES, Scope
from daemon.backtest.messages import BacktestReport, VerdictFlip
from daemon.errors import BadRequest, LeadMasterError, NotFound, RulesRejected
from daemon.http.bodies import RequestQuery, read_query
from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import render_piece
from daemon.http.console.verdict_view import shorten_place
from daemon.http.health import get_services
from daemon.http.v1.rule_changes import (
    BACKTEST_PERIOD,
    backtest_change,
    parse_rule_edit,
    value_to_json,
)
from daemon.rulesets import rule_files
from daemon.rulesets.history import RulesetHistoryEntry, list_history, load_stored_ruleset
from daemon.rulesets.service import RulesetService
from daemon.rulesets.status import RuleChangePreview, RulesetStatus
from daemon.settings import RulesSettings
from rules.diff import RulesetChange, compare_rulesets
from rules.edits import (
    EditableNumber,
    EditableValue,
    EditNotAllowed,
    RampEnds,
    RulesetEdit,
    find_editable_value,
    format_number,
)
from rules.ruleset import RuleFormat, Ruleset
from storage import rulesets, shadow_decisions, users
from storage.rulesets import RulesetRecord
from storage.shadow_decisions import ShadowDisagreement, ShadowStatistics
from storage.tx import Reader

routes = web.RouteTableDef()

_MAX_HISTORY = 8
_MAX_DISAGREEMENTS = 5


class RulesetAdminView(Struct, frozen=True):
    """The state of the rules: what is live, what waits, and what may be done.

    `changes` are those that wait, `approvers` the names of those who may accept them.
    `edit_error` says why nothing can be changed by form; None if it can.
    """

    state: RulesetStatus
    changes: tuple[RulesetChange, ...]
    approvers: list[str]
    edit_error: LeadMasterError | None
    history: list[RulesetHistoryEntry]
    live: frozenset[str]
    standing: ShadowStatistics | None
    differences: list[ShadowDisagreement]


def build_ruleset_admin_view(
    reader: Reader, service: RulesetService, settings: RulesSettings
) -> RulesetAdminView:
    """Return the state of the rules for the page."""
    state = service.get_status()
    shadow = state.shadow.hash if state.shadow else None
    return RulesetAdminView(
        state=state,
        changes=service.get_pending_changes(),
        approvers=list_rule_approvers(reader),
        edit_error=_find_edit_error(settings),
        history=list_history(reader, _MAX_HISTORY),
        live=frozenset((state.gate.hash, state.score.hash)),
        standing=shadow_decisions.get_shadow_statistics(reader, shadow) if shadow else None,
        differences=shadow_decisions.list_shadow_disagreements(reader, shadow, _MAX_DISAGREEMENTS)
        if shadow
        else [],
    )


@routes.get("/pieces/rules/accept")
@render_errors
async def show_accept_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that accepts the rules that wait."""
    return render_piece(request, "pieces/rules_accept.html", **_describe_waiting(request))


@routes.get("/pieces/rules/discard")
@render_errors
async def show_discard_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that takes the rules that wait out of the folder."""
    return render_piece(request, "pieces/rules_discard.html", **_describe_waiting(request))


def _describe_waiting(request: web.Request) -> dict[str, Any]:
    service = get_services(request).ruleset_service
    waiting = service.get_status().waiting
    if waiting is None:
        raise NotFound("No rules are waiting to be accepted.")
    return {
        "waiting": waiting,
        "changes": service.get_pending_changes(),
        "shorten_place": shorten_place,
    }


@routes.get("/pieces/rules/rollback/{hash}")
@render_errors
async def show_rollback_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that puts earlier rules in force again."""
    prefix, services = request.match_info["hash"], get_services(request)

    def read(reader: Reader) -> tuple[list[RulesetRecord], Ruleset | None]:
        found = rulesets.find_rulesets(reader, prefix, 1)
        return found, load_stored_ruleset(reader, found[0].hash) if found else None

    found, stored = await services.database.read(read)
    if not found:
        raise NotFound(f"No rules of the hash {prefix} were ever in force.")
    live = services.rulesets.score
    if stored is not None and stored.format is RuleFormat.GATE:
        live = services.rulesets.gate
    return render_piece(
        request,
        "pieces/rules_rollback.html",
        stored=found[0],
        changes=compare_rulesets(live.ruleset, stored) if stored else (),
        shorten_place=shorten_place,
    )


def list_rule_approvers(reader: Reader) -> list[str]:
    """Return the names of those who may accept rules."""
    roles = {str(role) for role, scopes in ROLE_SCOPES.items() if Scope.RULES_WRITE in scopes}
    return [
        each.name
        for each in users.list_users(reader)
        if each.role in roles and not each.disabled_at
    ]


def _find_edit_error(settings: RulesSettings) -> LeadMasterError | None:
    try:
        rule_files.require_writable_folder(settings)
    except LeadMasterError as error:
        return error
    return None


class RuleChangeQuery(RequestQuery, frozen=True):
    """The number to change, and the values as they were typed."""

    target: str
    value: str = ""
    from_value: str = ""
    from_points: str = ""
    to_value: str = ""
    to_points: str = ""


class RuleChangeField(Struct, frozen=True):
    """One number of the form: its bounds, the typed text, and the error in it."""

    number: EditableNumber
    typed: str
    problem: str = ""


class RuleChangeForm(Struct, frozen=True):
    """The form. `in_force` is the live value where it differs from the one in the file."""

    target: str
    amendment: RulesetEdit
    fact: str
    reason: str
    in_force: str
    fields: Mapping[str, RuleChangeField]

    @property
    def first_invalid_field(self) -> str:
        """Return the name of the first field with an error; empty if there is none."""
        return next((name for name, field in self.fields.items() if field.problem), "")


class RuleChangePreviewView(Struct, frozen=True):
    """The effect of a change; `value` is what the confirmation sends, as JSON."""

    found: RuleChangePreview
    report: BacktestReport
    people: list[VerdictFlip]
    approvers: list[str]
    value: str


@routes.get("/pieces/rules/change/{target}")
@render_errors
async def show_rule_change_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that changes a number of the rules."""
    target = request.match_info["target"]
    try:
        # The path alone is checked here; 0 only takes the place of a value.
        amendment = parse_rule_edit(target, 0)
    except BadRequest as error:
        raise NotFound(str(error)) from error
    try:
        found = await get_services(request).ruleset_service.find_editable(amendment)
    except RulesRejected as error:
        return _render_preview(request, alone=True, problem=error)
    typed = {number.name: format_number(number.now) for number in found.numbers}
    form = _build_form(request, target, amendment, found, typed, {})
    return render_piece(request, "pieces/rule_change.html", form=form, format_number=format_number)


@routes.get("/pieces/rules/preview")
@render_errors
async def show_rule_change_preview(request: web.Request) -> web.StreamResponse:
    """Show whose verdict a change would flip, before it is written, or which field has an error."""
    query = read_query(request, RuleChangeQuery)
    amendment = parse_rule_edit(query.target, 0)
    preview: RuleChangePreviewView | None = None
    form: RuleChangeForm | None = None
    problem: LeadMasterError | None = None
    try:
        found = await get_services(request).ruleset_service.find_editable(amendment)
        typed = {number.name: getattr(query, number.name) for number in found.numbers}
        given = {name: _parse_number(text) for name, text in typed.items()}
        refused = found.find_errors(given)
        form = _build_form(request, query.target, amendment, found, typed, refused)
        if not refused:
            preview = await _build_preview(
                request, parse_rule_edit(query.target, found.value_from_numbers(given))
            )
    except LeadMasterError as error:
        problem = error
    return _render_preview(request, form=form, preview=preview, problem=problem)


def _render_preview(
    request: web.Request,
    *,
    alone: bool = False,
    form: RuleChangeForm | None = None,
    preview: RuleChangePreviewView | None = None,
    problem: LeadMasterError | None = None,
) -> web.Response:
    """Render the preview; `alone` in the dialog, where there is no form above it."""
    return render_piece(
        request,
        "pieces/rule_preview.html",
        alone=alone,
        form=form,
        preview=preview,
        problem=problem,
        days=BACKTEST_PERIOD.days,
        shorten_place=shorten_place,
        format_number=format_number,
    )


async def _build_preview(request: web.Request, amendment: RulesetEdit) -> RuleChangePreviewView:
    services = get_services(request)
    found = await services.ruleset_service.preview_change(amendment)
    report = await backtest_change(request, found)
    return RuleChangePreviewView(
        found=found,
        report=report,
        people=_distinct_flips(report.examples),
        approvers=await services.database.read(list_rule_approvers),
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
    active = get_services(request).rulesets
    live = (active.gate if amendment.kind is RuleFormat.GATE else active.score).ruleset
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
    """Return the live value, if the file in the folder has another one; else an empty text."""
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
    # float() reads "nan" and "inf" too.
    return number if math.isfinite(number) else None


def _distinct_flips(found: Iterable[VerdictFlip]) -> list[VerdictFlip]:
    """Return each prospect once for each kind of flip."""
    # A message is judged at least twice, when it is queued and before it is sent.
    return list({(flip.prospect, flip.before, flip.after): flip for flip in found}.values())
