"""The desk of the rules: what is live or waits, and the questions before one accepts or undoes."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from daemon.auth.scopes import ROLE_SCOPES, Scope
from daemon.errors import LeadMasterError, NotFound
from daemon.http.pages.shell import piece, told
from daemon.http.pages.verdict import short
from daemon.http.vitals import house_of
from daemon.rulebook import RuleDesk, pen
from daemon.rulebook.state import RulesetStatus
from daemon.settings import RulesSettings
from rules.diff import Change
from storage import rulesets, shadows, users
from storage.rulesets import RulesetActivation
from storage.shadows import ShadowDisagreement, ShadowStatistics
from storage.tx import Reader

routes = web.RouteTableDef()

_CHANGES_SHOWN = 8
_DIFFERENCES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Desk:
    """What a keeper of the rules sees: what is live or waits, and what may be done about it.

    `changes` are those that wait, and `keepers` who may accept them, by name. `closed` says why
    nothing can be changed by form, and is None where it can.
    """

    state: RulesetStatus
    changes: tuple[Change, ...]
    keepers: list[str]
    closed: LeadMasterError | None
    history: list[RulesetActivation]
    live: frozenset[str]
    standing: ShadowStatistics | None
    differences: list[ShadowDisagreement]


def desk_of(reader: Reader, desk: RuleDesk, settings: RulesSettings) -> Desk:
    """Return the desk as it stands."""
    state = desk.state()
    shadow = state.shadow.hash if state.shadow else None
    return Desk(
        state=state,
        changes=desk.waiting_changes(),
        keepers=keepers(reader),
        closed=_closed(settings),
        history=rulesets.history(reader, _CHANGES_SHOWN),
        live=frozenset((state.gate.hash, state.score.hash)),
        standing=shadows.standing(reader, shadow) if shadow else None,
        differences=shadows.disagreements(reader, shadow, _DIFFERENCES_SHOWN) if shadow else [],
    )


@routes.get("/pieces/rules/accept")
@told
async def accept(request: web.Request) -> web.StreamResponse:
    """Ask whether the rules that wait are to go live."""
    desk = house_of(request).rule_desk
    waiting = desk.state().waiting
    if waiting is None:
        raise NotFound("No rules wait to be accepted.")
    changes = desk.waiting_changes()
    return piece(request, "pieces/rules_accept.html", waiting=waiting, changes=changes, short=short)


@routes.get("/pieces/rules/rollback/{hash}")
@told
async def rollback(request: web.Request) -> web.StreamResponse:
    """Ask whether earlier rules are to be in force again."""
    wanted = request.match_info["hash"]
    found = await house_of(request).database.read(lambda reader: rulesets.find(reader, wanted, 1))
    if not found:
        raise NotFound(f"No rules of the hash {wanted} were ever live.")
    return piece(request, "pieces/rules_rollback.html", stored=found[0])


def keepers(reader: Reader) -> list[str]:
    """Return who may accept rules, by name."""
    keeping = {str(role) for role, scopes in ROLE_SCOPES.items() if Scope.RULES_WRITE in scopes}
    everybody = users.every(reader)
    return [each.name for each in everybody if each.role in keeping and not each.disabled_at]


def _closed(settings: RulesSettings) -> LeadMasterError | None:
    try:
        pen.folder_of(settings)
    except LeadMasterError as error:
        return error
    return None
