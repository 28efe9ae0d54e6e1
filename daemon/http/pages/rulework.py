"""Work on the rules by form: change a number and see who would flip, accept, roll back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from daemon.errors import LeadMasterError, NotFound
from daemon.hindsight.report import Flip
from daemon.http.bodies import Query, query
from daemon.http.pages.shell import piece, told
from daemon.http.pages.verdict import short
from daemon.http.rule_changes import LOOKED_BACK, Changed, foreseen, wish_of
from daemon.http.vitals import house_of
from daemon.rulebook import pen
from daemon.rulebook.state import RulesState
from daemon.settings import RulesSettings
from rules.amend import NotAmendable, Wish, number
from rules.ruleset import Format, RuleSet
from storage import rulesets, shadows
from storage.rulesets import WentLive
from storage.shadows import Disagreement, Standing
from storage.tx import Reader

routes = web.RouteTableDef()

_CHANGES_SHOWN = 8
_DIFFERENCES_SHOWN = 5


class Asked(Query, frozen=True):
    """A number, and what it would be."""

    target: str
    value: int


@dataclass(frozen=True, slots=True)
class Desk:
    """What a keeper of the rules sees: what is live or waits, and what may be done about it.

    `closed` says why nothing can be changed by form, and is None where it can.
    """

    state: RulesState
    closed: LeadMasterError | None
    history: list[WentLive]
    live: frozenset[str]
    standing: Standing | None
    differences: list[Disagreement]


def desk_of(reader: Reader, state: RulesState, settings: RulesSettings) -> Desk:
    """Return the desk as it stands."""
    shadow = state.shadow.hash if state.shadow else None
    return Desk(
        state=state,
        closed=_closed(settings),
        history=rulesets.history(reader, _CHANGES_SHOWN),
        live=frozenset((state.gate.hash, state.score.hash)),
        standing=shadows.standing(reader, shadow) if shadow else None,
        differences=shadows.disagreements(reader, shadow, _DIFFERENCES_SHOWN) if shadow else [],
    )


@routes.get("/pieces/rules/change/{target}")
@told
async def change(request: web.Request) -> web.StreamResponse:
    """Ask what a number is to be."""
    target = request.match_info["target"]
    wish = wish_of(target, 0)
    book = house_of(request).rulebook
    ruleset = (book.gate if wish.kind is Format.GATE else book.score).ruleset
    value, reason = _now(ruleset, wish)
    return piece(
        request, "pieces/rule_change.html", target=target, wish=wish, value=value, reason=reason
    )


@routes.get("/pieces/rules/preview")
@told
async def preview(request: web.Request) -> web.StreamResponse:
    """Show who would flip, by name, before anything is written."""
    asked = query(request, Asked)
    found: Changed | None = None
    problem: LeadMasterError | None = None
    try:
        found = await foreseen(request, asked.target, asked.value)
    except LeadMasterError as error:
        problem = error
    return piece(
        request,
        "pieces/rule_preview.html",
        asked=asked,
        found=found,
        people=_people(found.report.examples) if found and found.report else [],
        problem=problem,
        days=LOOKED_BACK.days,
        name_of=lambda path: Path(path).name,
    )


@routes.get("/pieces/rules/accept")
@told
async def accept(request: web.Request) -> web.StreamResponse:
    """Ask whether the rules that wait are to go live."""
    waiting = house_of(request).rule_desk.state().waiting
    if waiting is None:
        raise NotFound("No rules wait to be accepted.")
    return piece(request, "pieces/rules_accept.html", waiting=waiting, short=short)


@routes.get("/pieces/rules/rollback/{hash}")
@told
async def rollback(request: web.Request) -> web.StreamResponse:
    """Ask whether earlier rules are to be in force again."""
    wanted = request.match_info["hash"]
    found = await house_of(request).database.read(lambda reader: rulesets.find(reader, wanted, 1))
    if not found:
        raise NotFound(f"No rules of the hash {wanted} were ever live.")
    return piece(request, "pieces/rules_rollback.html", stored=found[0])


def _people(flips: Iterable[Flip]) -> list[Flip]:
    """Return each person once for each way they flip: a message is judged twice at least."""
    return list({(flip.prospect, flip.before, flip.after): flip for flip in flips}.values())


def _closed(settings: RulesSettings) -> LeadMasterError | None:
    try:
        pen.folder_of(settings)
    except LeadMasterError as error:
        return error
    return None


def _now(ruleset: RuleSet, wish: Wish) -> tuple[int, str]:
    """Return a number as it is, and the reason of the rule that gives it."""
    try:
        value, _ = number(ruleset, wish)
    except NotAmendable as error:
        raise NotFound(str(error)) from error
    reasons = {rule.id: rule.reason for rule in ruleset.scores}
    return value, reasons.get(wish.name, "") if wish.section == "scores" else ""
