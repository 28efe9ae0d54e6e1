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
from daemon.http.bodies import Query, query
from daemon.http.pages.rulework import keepers
from daemon.http.pages.shell import piece, told
from daemon.http.pages.verdict import short
from daemon.http.rule_changes import LOOKED_BACK, amendment_of, flips, plain_value
from daemon.http.vitals import house_of
from daemon.rulebook.state import Foreseen
from rules.amendments import Amendment, Changeable, NotAmendable, Number, Slope, changeable, shown
from rules.ruleset import Format, RuleSet

routes = web.RouteTableDef()


class Asked(Query, frozen=True):
    """What is to be changed, and its numbers as they were typed."""

    target: str
    value: str = ""
    from_value: str = ""
    from_points: str = ""
    to_value: str = ""
    to_points: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """One number of the form: where it may lie, what was typed, and why it can't be that."""

    number: Number
    typed: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """What is asked. `in_force` is the value that is live, where the folder says another."""

    target: str
    amendment: Amendment
    fact: str
    reason: str
    in_force: str
    fields: Mapping[str, Field]

    @property
    def first_wrong(self) -> str:
        """The name of the first number that can't be taken; empty where all can."""
        return next((name for name, field in self.fields.items() if field.problem), "")


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change would bring, ready to be confirmed: `value` is what is sent then, as JSON."""

    found: Foreseen
    report: BacktestReport
    people: list[VerdictFlip]
    keepers: list[str]
    value: str


@routes.get("/pieces/rules/change/{target}")
@told
async def change(request: web.Request) -> web.StreamResponse:
    """Ask what a number is to be."""
    target = request.match_info["target"]
    amendment = amendment_of(target, 0)
    try:
        found = await house_of(request).rule_desk.changeable(amendment)
    except RulesRejected as error:
        return piece(
            request,
            "pieces/rule_preview.html",
            alone=True,
            form=None,
            preview=None,
            problem=error,
        )
    typed = {number.name: shown(number.now) for number in found.numbers}
    form = _form(request, target, amendment, found, typed, {})
    return piece(request, "pieces/rule_change.html", form=form, bound=shown)


@routes.get("/pieces/rules/preview")
@told
async def preview(request: web.Request) -> web.StreamResponse:
    """Show who would flip, by name, before anything is written; or what can't be, by its field."""
    asked = query(request, Asked)
    amendment = amendment_of(asked.target, 0)
    shown_: Preview | None = None
    form: Form | None = None
    problem: LeadMasterError | None = None
    try:
        found = await house_of(request).rule_desk.changeable(amendment)
        typed = {number.name: getattr(asked, number.name) for number in found.numbers}
        given = {name: _number(text) for name, text in typed.items()}
        refused = found.refusals(given)
        form = _form(request, asked.target, amendment, found, typed, refused)
        if not refused:
            shown_ = await _preview(request, amendment_of(asked.target, found.taken(given)))
    except LeadMasterError as error:
        problem = error
    return piece(
        request,
        "pieces/rule_preview.html",
        alone=False,
        form=form,
        preview=shown_,
        problem=problem,
        days=LOOKED_BACK.days,
        name_of=lambda path: Path(path).name,
        short=short,
        bound=shown,
    )


async def _preview(request: web.Request, amendment: Amendment) -> Preview:
    house = house_of(request)
    found = await house.rule_desk.foresee(amendment)
    report = await flips(request, found)
    return Preview(
        found=found,
        report=report,
        people=_people(report.examples),
        keepers=await house.database.read(keepers),
        value=msgspec.json.encode(plain_value(amendment.value)).decode(),
    )


def _form(
    request: web.Request,
    target: str,
    amendment: Amendment,
    found: Changeable,
    typed: Mapping[str, str],
    refused: Mapping[str, str],
) -> Form:
    book = house_of(request).rulebook
    live = (book.gate if amendment.kind is Format.GATE else book.score).ruleset
    reasons = {rule.id: rule.reason for rule in live.scores}
    return Form(
        target=target,
        amendment=amendment,
        fact=found.fact,
        reason=reasons.get(amendment.name, "") if amendment.section == "scores" else "",
        in_force=_in_force(live, amendment, found.value),
        fields={
            each.name: Field(each, typed[each.name], refused.get(each.name, ""))
            for each in found.numbers
        },
    )


def _in_force(live: RuleSet, amendment: Amendment, value: int | Slope) -> str:
    """Return what is live where it is not what the folder says; empty where that is the same."""
    try:
        now = changeable(live, amendment.section, amendment.name).value
    except NotAmendable:
        return ""
    return "" if now == value else str(now)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _people(found: Iterable[VerdictFlip]) -> list[VerdictFlip]:
    """Return each person once for each way they flip: a message is judged twice at least."""
    return list({(flip.prospect, flip.before, flip.after): flip for flip in found}.values())
