"""A rule set as people read it: each rule with its reason, what it does, where it stands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from daemon.http.pages.tones import VERDICTS, Tone
from daemon.http.pages.verdict import EFFECTS, short
from rules.amendments import shown
from rules.problems import Place
from rules.ruleset import Example, Ramp, RuleSet, ScoreRule, Veto, Window
from rules.snapshot import MICRO

_HOUR: Final = 60


@dataclass(frozen=True, slots=True)
class Rule:
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
    tone: Tone
    place: str
    source: str


@dataclass(frozen=True, slots=True)
class Hours:
    """A window: its days as runs (first and last, Monday is 0), and its times of day."""

    name: str
    runs: list[tuple[int, int]]
    opens: str
    closes: str
    holidays: bool


@dataclass(frozen=True, slots=True)
class Case:
    """An example beside the rules: what is given, and what is expected."""

    name: str
    given: str
    verdict: str
    tone: Tone
    expected: str
    place: str


def rules_of(ruleset: RuleSet) -> list[Rule]:
    """Return every rule: vetoes as the file has them, then what counts points."""
    texts = {source.path: source.text for source in ruleset.sources}
    return [
        *(_veto(veto, texts) for veto in ruleset.vetoes),
        *(_score(rule, texts) for rule in ruleset.scores),
    ]


def hours_of(ruleset: RuleSet) -> list[Hours]:
    """Return the windows of a gate."""
    return [_hours(window) for window in ruleset.windows.values()]


def examples_of(ruleset: RuleSet) -> list[Case]:
    """Return the examples that stand beside the rules."""
    return [_case(example) for example in ruleset.examples]


def _veto(veto: Veto, texts: Mapping[str, str]) -> Rule:
    then = veto.route or (str(veto.defer) if veto.defer else "")
    return Rule(
        id=veto.id,
        reason=veto.reason,
        effect=veto.effect.value,
        then=then,
        points="",
        ramp=None,
        tone=EFFECTS[veto.effect.value],
        place=short(str(veto.place)),
        source=excerpt(texts.get(veto.place.file, ""), veto.place),
    )


def _score(rule: ScoreRule, texts: Mapping[str, str]) -> Rule:
    return Rule(
        id=rule.id,
        reason=rule.reason,
        effect="",
        then="",
        points=_signed(rule.points) if isinstance(rule.points, int) else "",
        ramp=_ramp(rule.points) if isinstance(rule.points, Ramp) else None,
        tone=Tone.OFF,
        place=short(str(rule.place)),
        source=excerpt(texts.get(rule.place.file, ""), rule.place),
    )


def _ramp(ramp: Ramp) -> Mapping[str, str]:
    return {
        "start": shown(ramp.start / MICRO),
        "first": _signed(ramp.start_points),
        "end": shown(ramp.end / MICRO),
        "last": _signed(ramp.end_points),
    }


def _signed(points: int) -> str:
    return f"{points:+d}" if points else "0"


def excerpt(text: str, place: Place) -> str:
    """Return the lines of the rule that begins at a place: up to the next one as far out."""
    lines = text.splitlines()[max(0, place.line - 1) :]
    if not lines:
        return ""
    depth = _depth(lines[0])
    body = [lines[0]]
    for line in lines[1:]:
        if line.strip() and _depth(line) <= depth:
            break
        body.append(line)
    return "\n".join(line[depth:] for line in body).rstrip()


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def _hours(window: Window) -> Hours:
    days = sorted(window.days)
    runs: list[tuple[int, int]] = []
    for day in days:
        if runs and runs[-1][1] == day - 1:
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return Hours(window.name, runs, _clock(window.opens), _clock(window.closes), window.holidays)


def _clock(minutes: int) -> str:
    return f"{minutes // _HOUR:02d}:{minutes % _HOUR:02d}"


def _case(example: Example) -> Case:
    verdict = str(example.expect.get("verdict", ""))
    rest: dict[str, Any] = {k: v for k, v in example.expect.items() if k != "verdict"}
    return Case(
        name=example.name,
        given=_plain(example.given),
        verdict=verdict,
        tone=VERDICTS.get(verdict, Tone.OFF),
        expected=_plain(rest),
        place=short(str(example.place)),
    )


def _plain(values: Mapping[str, object]) -> str:
    """Return facts as a person writes them: one after the other, no braces around."""
    return ", ".join(f"{name}: {_value(value)}" for name, value in values.items())


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
