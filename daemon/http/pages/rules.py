"""`/rules`: the sets in force, each rule with its reason and how often it fired, and the desk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from aiohttp import web

from daemon.http.pages import rulings
from daemon.http.pages.rulework import RulesetAdminView, build_ruleset_admin_view
from daemon.http.pages.rulings import ExampleView, RuleView, WindowView
from daemon.http.pages.shell import build_page_context, render_errors, render_page
from daemon.http.pages.verdict import ScoreThreshold, build_thresholds, shorten_place
from daemon.http.vitals import get_services
from rules import RuleEvaluator
from rules.ruleset import ScoreGroup, WordList
from storage import firings, rulesets
from storage.firings import RuleFirings
from storage.rulesets import RulesetActivation
from storage.tx import Reader

routes = web.RouteTableDef()

SHORT_FIRING_PERIOD: Final = timedelta(days=7)
LONG_FIRING_PERIOD: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class RulesetView:
    """One set in force: where it comes from, since when, and everything that it says."""

    kind: str
    hash: str
    engine: str
    files: list[str]
    live: RulesetActivation | None
    base: str
    thresholds: tuple[ScoreThreshold, ...]
    rules: list[RuleView]
    windows: list[WindowView]
    groups: tuple[ScoreGroup, ...]
    lists: list[WordList]
    examples: list[ExampleView]


@dataclass(frozen=True, slots=True)
class FiringCounts:
    """How often each rule fired: the gate's on messages, the score's on prospects as of now."""

    gate: Mapping[str, RuleFirings]
    score: Mapping[str, int]


@routes.get("/rules")
@render_errors
async def show_rules_page(request: web.Request) -> web.StreamResponse:
    """Show what is in force."""
    house, now = get_services(request), build_page_context(request).now
    judges = house.rulesets.compiled

    settings = house.settings.rules

    def read(reader: Reader) -> tuple[list[RulesetView], FiringCounts, RulesetAdminView]:
        books = [
            _build_ruleset_view(reader, "gate", judges.gate),
            _build_ruleset_view(reader, "score", judges.score),
        ]
        gate = firings.count_gate_rule_firings(
            reader, lately=now - SHORT_FIRING_PERIOD, longer=now - LONG_FIRING_PERIOD
        )
        counts = FiringCounts(gate, firings.count_score_rule_firings(reader))
        return books, counts, build_ruleset_admin_view(reader, house.ruleset_service, settings)

    books, counts, desk = await house.database.read(read)
    return await render_page(
        request,
        "rules.html",
        active_page="rules",
        books=books,
        counts=counts,
        desk=desk,
        never=firings.NO_FIRINGS,
        short=shorten_place,
    )


def _build_ruleset_view(reader: Reader, kind: str, judge: RuleEvaluator) -> RulesetView:
    ruleset = judge.ruleset
    return RulesetView(
        kind=kind,
        hash=ruleset.hash,
        engine=judge.engine,
        files=[shorten_place(path) for path in ruleset.files],
        live=rulesets.get_latest_activation(reader, str(ruleset.format)),
        base=str(ruleset.base),
        thresholds=build_thresholds(ruleset),
        rules=rulings.build_rule_views(ruleset),
        windows=rulings.build_window_views(ruleset),
        groups=ruleset.groups,
        lists=[each for each in ruleset.lists.values() if each.used],
        examples=rulings.build_example_views(ruleset),
    )
