"""A rule set as people read it: each rule with its reason, what it does, where it stands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from daemon.http.pages.tones import VERDICT_SEVERITY, Severity
from daemon.http.pages.verdict import EFFECT_SEVERITY, shorten_place
from rules.amendments import format_number
from rules.problems import SourceLocation
from rules.ruleset import Ramp, RuleExample, Ruleset, ScoreRule, TimeWindow, Veto
from rules.snapshot import MICRO

_MINUTES_PER_HOUR: Final = 60


@dataclass(frozen=True, slots=True)
class RuleView:
    """One rule. `effect` is empty for one that counts points; `source` are its lines in the file.

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


@dataclass(frozen=True, slots=True)
class WindowView:
    """A window: its days as runs (first and last, Monday is 0), and its times of day."""

    name: str
    runs: list[tuple[int, int]]
    opens: str
    closes: str
    holidays: bool


@dataclass(frozen=True, slots=True)
class ExampleView:
    """An example beside the rules: what is given, and what is expected."""

    name: str
    given: str
    verdict: str
    severity: Severity
    expected: str
    place: str


def build_rule_views(ruleset: Ruleset) -> list[RuleView]:
    """Return every rule: vetoes as the file has them, then what counts points."""
    texts = {source.path: source.text for source in ruleset.sources}
    return [
        *(_build_veto_view(veto, texts) for veto in ruleset.vetoes),
        *(_build_score_rule_view(rule, texts) for rule in ruleset.scores),
    ]


def build_window_views(ruleset: Ruleset) -> list[WindowView]:
    """Return the windows of a gate."""
    return [_build_window_view(window) for window in ruleset.windows.values()]


def build_example_views(ruleset: Ruleset) -> list[ExampleView]:
    """Return the examples that stand beside the rules."""
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
    """Return the lines of the rule that begins at a place: up to the next one as far out."""
    lines = text.splitlines()[max(0, place.line - 1) :]
    if not lines:
        return ""
    depth = _get_indentation(lines[0])
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
        place=shorten_place(str(example.place)),
    )


def _format_facts(values: Mapping[str, object]) -> str:
    """Return facts as a person writes them: one after the other, no braces around."""
    return ", ".join(f"{name}: {_format_fact(value)}" for name, value in values.items())


def _format_fact(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
