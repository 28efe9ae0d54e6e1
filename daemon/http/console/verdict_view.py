"""A verdict for people: score on its scale, points, objections, and what would change it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from daemon.severity import EFFECT_SEVERITY, VERDICT_SEVERITY, Severity
from rules.decide import FACT_MISSING, SCORE_TOO_LOW
from rules.facts import FACTS
from rules.ruleset import Ruleset
from rules.verdict import DeferKind, Verdict

DecisionDocument = Mapping[str, Any]
SCALE_PERCENT: Final = 100.0
BUSINESS_WINDOW: Final = "business"
"""The window of the shipped rules, which has a word; one of an operator's has its own name."""


class ScoreThreshold(Struct, frozen=True):
    """A band of the score: its name, the points where it begins, and those as percent."""

    name: str
    points: int
    percent: float


class ScoreBar(Struct, frozen=True):
    """Points of one rule as a bar of a waterfall chart: `start` and `width` in percent."""

    reason: str
    points: float
    start: float
    width: float


class VerdictObjection(Struct, frozen=True):
    """A veto or a plugin's opinion: its effect, its reason, and the rule or plugin."""

    rule: str
    effect: str
    reason: str
    severity: Severity
    place: str = ""


class VerdictChange(Struct, frozen=True):
    """One thing that would change the verdict: a catalogue key and its values."""

    key: str
    values: Mapping[str, object]


class VerdictView(Struct, frozen=True):
    """A verdict for the page; `verdict` is empty where only a score is shown."""

    verdict: str
    severity: Severity
    sentence: str
    score: int | None
    percent: float
    band: str
    thresholds: tuple[ScoreThreshold, ...]
    bars: tuple[ScoreBar, ...]
    objections: tuple[VerdictObjection, ...]
    missing: tuple[str, ...]
    changes: tuple[VerdictChange, ...]


def build_verdict_view(
    document: DecisionDocument, ruleset: Ruleset, reach: DecisionDocument | None = None
) -> VerdictView:
    """Return a stored decision; with thresholds only if its rule set is still live.

    `reach` is the prospect's stored score, the base of the decision: shown rule by rule if it is
    still the same, else as one sum.
    """
    live = document["ruleset"] == ruleset.hash
    verdict, score = document["verdict"], document.get("score")
    base = document.get("base")
    scale = _Scale(ruleset)
    bars = _build_base_bars(scale, base, reach)
    bars += scale.bars(document.get("contributions", ()), base or 0)
    return VerdictView(
        verdict=verdict,
        severity=VERDICT_SEVERITY[verdict],
        sentence=document["sentence"],
        score=score,
        percent=scale.percent(score or 0),
        band=document.get("band") or "",
        # Thresholds of today's rules would be wrong beside a score by earlier ones.
        thresholds=scale.thresholds() if live and score is not None else (),
        bars=tuple(bars),
        objections=(*_veto_objections(document), *_opinion_objections(document)),
        missing=tuple(document.get("missing", ())),
        changes=tuple(_build_changes(document, ruleset if live else None)),
    )


def build_score_view(document: DecisionDocument, ruleset: Ruleset) -> VerdictView:
    """Return a prospect's stored score, without a verdict."""
    scale = _Scale(ruleset)
    base = ruleset.base if isinstance(ruleset.base, int) else 0
    return VerdictView(
        verdict="",
        severity=Severity.OFF,
        sentence="",
        score=document["score"],
        percent=scale.percent(document["score"]),
        band=document["band"],
        thresholds=scale.thresholds(),
        bars=tuple(scale.bars(document["contributions"], base)),
        objections=(),
        missing=tuple(document["missing"]),
        changes=(),
    )


def build_thresholds(ruleset: Ruleset) -> tuple[ScoreThreshold, ...]:
    """Return the bands of a ruleset, highest first."""
    return _Scale(ruleset).thresholds()


class _Scale:
    """Converts points to percent of the scale."""

    def __init__(self, ruleset: Ruleset) -> None:
        self._ruleset = ruleset
        self._range = max(1, ruleset.maximum - ruleset.minimum)

    def percent(self, points: float) -> float:
        share = SCALE_PERCENT * (points - self._ruleset.minimum) / self._range
        return round(min(SCALE_PERCENT, max(0.0, share)), 2)

    def span(self, before: float, after: float) -> tuple[float, float]:
        ends = sorted((self.percent(before), self.percent(after)))
        return ends[0], round(ends[1] - ends[0], 2)

    def thresholds(self) -> tuple[ScoreThreshold, ...]:
        return tuple(
            ScoreThreshold(band.name, band.start, self.percent(band.start))
            for band in self._ruleset.bands
        )

    def bars(self, contributions: Sequence[DecisionDocument], base: float) -> list[ScoreBar]:
        bars, reached = [], base
        for each in contributions:
            span = self.span(reached, reached + each["points"])
            reached += each["points"]
            bars.append(ScoreBar(each["reason"], each["points"], *span))
        return bars


def _build_base_bars(
    scale: _Scale, base: float | None, reach: DecisionDocument | None
) -> list[ScoreBar]:
    if base is None:
        return []
    if reach is not None and reach["score"] == base:
        return scale.bars([each for each in reach["contributions"] if each["points"]], 0)
    return [ScoreBar("", base, *scale.span(0, base))]


def _veto_objections(document: DecisionDocument) -> list[VerdictObjection]:
    return [
        VerdictObjection(
            each["id"],
            each["effect"],
            each["reason"],
            EFFECT_SEVERITY[each["effect"]],
            shorten_place(each["at"]),
        )
        for each in document.get("vetoes", ())
    ]


def _opinion_objections(document: DecisionDocument) -> list[VerdictObjection]:
    return [
        VerdictObjection(
            each["source"], each["effect"], each["reason"], EFFECT_SEVERITY[each["effect"]]
        )
        for each in document.get("opinions", ())
    ]


def _build_changes(document: DecisionDocument, ruleset: Ruleset | None) -> list[VerdictChange]:
    match document["verdict"]:
        case Verdict.ALLOW:
            return []
        case Verdict.ROUTE:
            return [VerdictChange("route", {"channel": document["route"]})]
        case Verdict.DEFER:
            waits = [_build_wait_change(defer) for defer in document["defers"]]
            return [*waits, *([VerdictChange("approval", {})] if document["needs_review"] else [])]
        case Verdict.REVIEW:
            return [VerdictChange("approval", {}), *_build_points_change(document, ruleset)]
        case _:
            return _build_unblocking_changes(document, ruleset)


def _build_wait_change(defer: DecisionDocument) -> VerdictChange:
    minutes = math.ceil((defer["seconds"] or 0) / 60)
    if minutes and minutes % 60 == 0:
        return VerdictChange("hours", {"n": minutes // 60})
    if (defer["kind"], defer["window"]) == (DeferKind.UNTIL_WINDOW, BUSINESS_WINDOW):
        return VerdictChange("until_business_hours", {})
    return VerdictChange(
        defer["kind"], {"window": defer["window"] or "", "n": minutes, "days": defer["days"]}
    )


def _build_unblocking_changes(
    document: DecisionDocument, ruleset: Ruleset | None
) -> list[VerdictChange]:
    if "fault" in document:
        return [VerdictChange("fault", {})]
    if document["reason_code"] == FACT_MISSING:
        needed = [name for name in document["missing"] if FACTS[name].required]
        return [VerdictChange("find_out", {"facts": ", ".join(needed)})]
    # Only a low score is lifted by points: a veto, a plugin or a hard limit is not.
    if document["reason_code"] != SCORE_TOO_LOW:
        return [VerdictChange("nothing", {})]
    return _build_points_change(document, ruleset)


def _build_points_change(
    document: DecisionDocument, ruleset: Ruleset | None
) -> list[VerdictChange]:
    bands = ruleset.bands if ruleset else ()
    allowed = next((band.start for band in bands if band.name == Verdict.ALLOW), None)
    score = document["score"]
    if allowed is None or score is None or score >= allowed:
        return []
    return [VerdictChange("points", {"n": allowed - score})]


def shorten_place(place: str) -> str:
    """Return `gate.yaml:12` of a whole path."""
    return Path(place).name
