"""`/rules`: the sets in force, each rule with its reason and how often it fired, and the desk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from aiohttp import web

from daemon.http.pages import rulings
from daemon.http.pages.rulework import Desk, desk_of
from daemon.http.pages.rulings import Case, Hours, Rule
from daemon.http.pages.shell import page, shell_of, told
from daemon.http.pages.verdict import Threshold, short, thresholds_of
from daemon.http.vitals import house_of
from rules import Judge
from rules.ruleset import Group, WordList
from storage import firings, rulesets
from storage.firings import Firings
from storage.rulesets import RulesetActivation
from storage.tx import Reader

routes = web.RouteTableDef()

LATELY: Final = timedelta(days=7)
LONGER: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Book:
    """One set in force: where it comes from, since when, and everything that it says."""

    kind: str
    hash: str
    engine: str
    files: list[str]
    live: RulesetActivation | None
    base: str
    thresholds: tuple[Threshold, ...]
    rules: list[Rule]
    hours: list[Hours]
    groups: tuple[Group, ...]
    lists: list[WordList]
    examples: list[Case]


@dataclass(frozen=True, slots=True)
class Counts:
    """How often each rule fired: the gate's on messages, the score's on prospects as of now."""

    gate: Mapping[str, Firings]
    score: Mapping[str, int]


@routes.get("/rules")
@told
async def show(request: web.Request) -> web.StreamResponse:
    """Show what is in force."""
    house, now = house_of(request), shell_of(request).now
    judges = house.rulebook.judges

    settings = house.settings.rules

    def read(reader: Reader) -> tuple[list[Book], Counts, Desk]:
        books = [_book(reader, "gate", judges.gate), _book(reader, "score", judges.score)]
        gate = firings.of_gate(reader, lately=now - LATELY, longer=now - LONGER)
        counts = Counts(gate, firings.of_score(reader))
        return books, counts, desk_of(reader, house.rule_desk, settings)

    books, counts, desk = await house.database.read(read)
    return await page(
        request,
        "rules.html",
        here="rules",
        books=books,
        counts=counts,
        desk=desk,
        never=firings.NEVER,
        short=short,
    )


def _book(reader: Reader, kind: str, judge: Judge) -> Book:
    ruleset = judge.ruleset
    return Book(
        kind=kind,
        hash=ruleset.hash,
        engine=judge.engine,
        files=[short(path) for path in ruleset.files],
        live=rulesets.live(reader, str(ruleset.format)),
        base=str(ruleset.base),
        thresholds=thresholds_of(ruleset),
        rules=rulings.rules_of(ruleset),
        hours=rulings.hours_of(ruleset),
        groups=ruleset.groups,
        lists=[each for each in ruleset.lists.values() if each.used],
        examples=rulings.examples_of(ruleset),
    )
