"""The `/rules` page: the rules in force, each with its reason, source and firings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from aiohttp import web
from msgspec import Struct

from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import build_page_context, render_page
from daemon.http.console.ruleset_admin import RulesetAdminView, build_ruleset_admin_view
from daemon.http.console.verdict_view import ScoreThreshold, build_thresholds, shorten_place
from daemon.http.health import get_services
from daemon.severity import EFFECT_SEVERITY, VERDICT_SEVERITY, Severity
from rules import RuleEvaluator
from rules.edits import format_number
from rules.known_values import MICRO
from rules.problems import SourceLocation
from rules.ruleset import (
    Ramp,
    RuleExample,
    Ruleset,
    ScoreRule,
    TimeWindow,
    Veto,
    WordList,
)
from storage import console_queries, rulesets
from storage.console_queries import RuleFirings
from storage.rulesets import RulesetActivationRecord
from storage.tx import Reader

_MINUTES_PER_HOUR: Final = 60


class RuleView(Struct, frozen=True):
    """One rule. `effect` is empty for a rule with points; `source` is its text in the file.

    `ramp` are both of its ends: points, and the value of its fact. `then` is where a routed message
    goes, or until when one waits, as the file writes it.
    """

    id: str
    reason: str
    effect: str
    then: str
    points: str
    ramp: Mapping[str, str] | None
    severity: Severity
    place: str
    source: str


class WindowView(Struct, frozen=True):
    """A time window: ranges of days (first and last, Monday is 0), and times of day."""

    name: str
    runs: list[tuple[int, int]]
    opens: str
    closes: str
    holidays: bool


class ExampleView(Struct, frozen=True):
    """An example of the rules: the facts given and the verdict expected."""

    name: str
    given: str
    verdict: str
    severity: Severity
    expected: str


def build_rule_views(ruleset: Ruleset) -> list[RuleView]:
    """Return every rule: vetoes in the order of the file, then scores."""
    texts = {source.path: source.text for source in ruleset.sources}
    return [
        *(_build_veto_view(veto, texts) for veto in ruleset.vetoes),
        *(_build_score_rule_view(rule, texts) for rule in ruleset.scores),
    ]


def build_window_views(ruleset: Ruleset) -> list[WindowView]:
    """Return the windows of a gate."""
    return [_build_window_view(window) for window in ruleset.windows.values()]


def build_example_views(ruleset: Ruleset) -> list[ExampleView]:
    """Return the examples of a set."""
    return [_build_example_view(example) for example in ruleset.examples]


def _build_veto_view(veto: Veto, texts: Mapping[str, str]) -> RuleView:
    then = veto.route or (str(veto.defer) if veto.defer else "")
    return RuleView(
        id=veto.id,
        reason=veto.reason,
        effect=veto.effect.value,
        then=then,
        points="",
        ramp=None,
        severity=EFFECT_SEVERITY[veto.effect.value],
        place=shorten_place(str(veto.place)),
        source=extract_rule_source(texts.get(veto.place.file, ""), veto.place),
    )


def _build_score_rule_view(rule: ScoreRule, texts: Mapping[str, str]) -> RuleView:
    return RuleView(
        id=rule.id,
        reason=rule.reason,
        effect="",
        then="",
        points=_format_signed(rule.points) if isinstance(rule.points, int) else "",
        ramp=_build_ramp(rule.points) if isinstance(rule.points, Ramp) else None,
        severity=Severity.OFF,
        place=shorten_place(str(rule.place)),
        source=extract_rule_source(texts.get(rule.place.file, ""), rule.place),
    )


def _build_ramp(ramp: Ramp) -> Mapping[str, str]:
    return {
        "start": format_number(ramp.start / MICRO),
        "first": _format_signed(ramp.start_points),
        "end": format_number(ramp.end / MICRO),
        "last": _format_signed(ramp.end_points),
    }


def _format_signed(points: int) -> str:
    return f"{points:+d}" if points else "0"


def extract_rule_source(text: str, place: SourceLocation) -> str:
    """Return the lines of the rule at a place: up to the next line that is indented no deeper."""
    lines = text.splitlines()[max(0, place.line - 1) :]
    if not lines:
        return ""
    depth = _get_indentation(lines[0])
    # By indentation, and not by a parser: the comments inside the rule are wanted too.
    body = [lines[0]]
    for line in lines[1:]:
        if line.strip() and _get_indentation(line) <= depth:
            break
        body.append(line)
    return "\n".join(line[depth:] for line in body).rstrip()


def _get_indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _build_window_view(window: TimeWindow) -> WindowView:
    days = sorted(window.days)
    runs: list[tuple[int, int]] = []
    for day in days:
        if runs and runs[-1][1] == day - 1:
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return WindowView(
        window.name,
        runs,
        _format_minutes(window.opens),
        _format_minutes(window.closes),
        window.holidays,
    )


def _format_minutes(minutes: int) -> str:
    return f"{minutes // _MINUTES_PER_HOUR:02d}:{minutes % _MINUTES_PER_HOUR:02d}"


def _build_example_view(example: RuleExample) -> ExampleView:
    verdict = str(example.expect.get("verdict", ""))
    rest: dict[str, Any] = {k: v for k, v in example.expect.items() if k != "verdict"}
    return ExampleView(
        name=example.name,
        given=_format_facts(example.given),
        verdict=verdict,
        severity=VERDICT_SEVERITY.get(verdict, Severity.OFF),
        expected=_format_facts(rest),
    )


def _format_facts(values: Mapping[str, object]) -> str:
    """Return facts as `name: value`, separated by commas."""
    return ", ".join(f"{name}: {_format_fact(value)}" for name, value in values.items())


def _format_fact(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


routes = web.RouteTableDef()

SHORT_FIRING_PERIOD: Final = timedelta(days=7)
LONG_FIRING_PERIOD: Final = timedelta(days=30)


class GroupView(Struct, frozen=True):
    """Rules whose points count for at most `cap` together, by their reasons."""

    name: str
    reasons: tuple[str, ...]
    cap: int


class RulesetView(Struct, frozen=True):
    """One set in force: its files, since when it is live, and all its rules."""

    kind: str
    hash: str
    engine: str
    files: list[str]
    live: RulesetActivationRecord | None
    base: str
    thresholds: tuple[ScoreThreshold, ...]
    rules: list[RuleView]
    windows: list[WindowView]
    groups: tuple[GroupView, ...]
    lists: list[WordList]
    examples: list[ExampleView]


class FiringCounts(Struct, frozen=True):
    """How often each rule fired: those of the gate on messages, those of the score on prospects."""

    gate: Mapping[str, RuleFirings]
    score: Mapping[str, int]


@routes.get("/rules")
@render_errors
async def show_rules_page(request: web.Request) -> web.StreamResponse:
    """Show the rules in force."""
    services, now = get_services(request), build_page_context(request).now
    compiled = services.rulesets.compiled

    settings = services.settings.rules

    def read(reader: Reader) -> tuple[list[RulesetView], FiringCounts, RulesetAdminView]:
        views = [
            _build_ruleset_view(reader, "gate", compiled.gate),
            _build_ruleset_view(reader, "score", compiled.score),
        ]
        gate = console_queries.count_gate_rule_firings(
            reader, lately=now - SHORT_FIRING_PERIOD, longer=now - LONG_FIRING_PERIOD
        )
        counts = FiringCounts(gate, console_queries.count_score_rule_firings(reader))
        return views, counts, build_ruleset_admin_view(reader, services.ruleset_service, settings)

    views, counts, admin = await services.database.read(read)
    return await render_page(
        request,
        "rules.html",
        active_page="rules",
        rulesets=views,
        counts=counts,
        admin=admin,
        never=console_queries.NO_FIRINGS,
        shorten_place=shorten_place,
    )


def _build_group_views(ruleset: Ruleset) -> tuple[GroupView, ...]:
    reasons = {rule.id: rule.reason for rule in ruleset.scores}
    return tuple(
        GroupView(group.name, tuple(reasons.get(each, each) for each in group.rules), group.cap)
        for group in ruleset.groups
    )


def _build_ruleset_view(reader: Reader, kind: str, evaluator: RuleEvaluator) -> RulesetView:
    ruleset = evaluator.ruleset
    return RulesetView(
        kind=kind,
        hash=ruleset.hash,
        engine=evaluator.engine,
        files=[shorten_place(path) for path in ruleset.files],
        live=rulesets.get_latest_activation(reader, str(ruleset.format)),
        base=str(ruleset.base),
        thresholds=build_thresholds(ruleset),
        rules=build_rule_views(ruleset),
        windows=build_window_views(ruleset),
        groups=_build_group_views(ruleset),
        lists=[each for each in ruleset.lists.values() if each.used],
        examples=build_example_views(ruleset),
    )
