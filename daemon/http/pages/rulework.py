"""The desk of the rules: what is live or waits, and the questions before one accepts or undoes."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from daemon.auth.scopes import ROLE_SCOPES, Scope
from daemon.errors import LeadMasterError, NotFound
from daemon.http.pages.shell import render_errors, render_piece
from daemon.http.pages.verdict import shorten_place
from daemon.http.vitals import get_services
from daemon.rulebook import RulesetService, pen
from daemon.rulebook.state import RulesetStatus
from daemon.settings import RulesSettings
from rules.diff import RulesetChange
from storage import rulesets, shadows, users
from storage.rulesets import RulesetActivation
from storage.shadows import ShadowDisagreement, ShadowStatistics
from storage.tx import Reader

routes = web.RouteTableDef()

_MAX_HISTORY = 8
_MAX_DISAGREEMENTS = 5


@dataclass(frozen=True, slots=True)
class RulesetAdminView:
    """What a keeper of the rules sees: what is live or waits, and what may be done about it.

    `changes` are those that wait, and `keepers` who may accept them, by name. `closed` says why
    nothing can be changed by form, and is None where it can.
    """

    state: RulesetStatus
    changes: tuple[RulesetChange, ...]
    approvers: list[str]
    edit_error: LeadMasterError | None
    history: list[RulesetActivation]
    live: frozenset[str]
    standing: ShadowStatistics | None
    differences: list[ShadowDisagreement]


def build_ruleset_admin_view(
    reader: Reader, desk: RulesetService, settings: RulesSettings
) -> RulesetAdminView:
    """Return the desk as it stands."""
    state = desk.get_status()
    shadow = state.shadow.hash if state.shadow else None
    return RulesetAdminView(
        state=state,
        changes=desk.get_pending_changes(),
        approvers=list_rule_approvers(reader),
        edit_error=_find_edit_error(settings),
        history=rulesets.list_activations(reader, _MAX_HISTORY),
        live=frozenset((state.gate.hash, state.score.hash)),
        standing=shadows.get_shadow_statistics(reader, shadow) if shadow else None,
        differences=shadows.list_shadow_disagreements(reader, shadow, _MAX_DISAGREEMENTS)
        if shadow
        else [],
    )


@routes.get("/pieces/rules/accept")
@render_errors
async def show_accept_dialog(request: web.Request) -> web.StreamResponse:
    """Ask whether the rules that wait are to go live."""
    desk = get_services(request).ruleset_service
    waiting = desk.get_status().waiting
    if waiting is None:
        raise NotFound("No rules wait to be accepted.")
    changes = desk.get_pending_changes()
    return render_piece(
        request, "pieces/rules_accept.html", waiting=waiting, changes=changes, short=shorten_place
    )


@routes.get("/pieces/rules/rollback/{hash}")
@render_errors
async def show_rollback_dialog(request: web.Request) -> web.StreamResponse:
    """Ask whether earlier rules are to be in force again."""
    wanted = request.match_info["hash"]
    found = await get_services(request).database.read(
        lambda reader: rulesets.find_rulesets(reader, wanted, 1)
    )
    if not found:
        raise NotFound(f"No rules of the hash {wanted} were ever live.")
    return render_piece(request, "pieces/rules_rollback.html", stored=found[0])


def list_rule_approvers(reader: Reader) -> list[str]:
    """Return who may accept rules, by name."""
    keeping = {str(role) for role, scopes in ROLE_SCOPES.items() if Scope.RULES_WRITE in scopes}
    everybody = users.list_users(reader)
    return [each.name for each in everybody if each.role in keeping and not each.disabled_at]


def _find_edit_error(settings: RulesSettings) -> LeadMasterError | None:
    try:
        pen.require_writable_folder(settings)
    except LeadMasterError as error:
        return error
    return None
