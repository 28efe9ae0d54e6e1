"""A verdict as people read it: the word, the score on its scale, each point, each veto, the way on.

It reads a stored decision, or a prospect's stored score: plain documents, as `rules` wrote them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from daemon.http.pages.tones import VERDICTS, Tone
from rules.ruleset import RuleSet
from rules.verdict import Verdict

Document = Mapping[str, Any]
SCALE: Final = 100.0


@dataclass(frozen=True, slots=True)
class Threshold:
    """From `at` percent of the scale on, the score is called `name`; `points` is that score."""

    name: str
    points: int
    at: float


@dataclass(frozen=True, slots=True)
class Bar:
    """Points of one rule, as a bar of the waterfall from `start`, `width` long, in percent."""

    rule: str
    reason: str
    points: float
    start: float
    width: float
    place: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """A veto or an opinion: what it does, why, and whose it is."""

    rule: str
    effect: str
    reason: str
    tone: Tone
    place: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that would change the verdict: the key of its words, and what fills them."""

    key: str
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Shown:
    """A whole verdict for the page. `word` is empty where only a score is shown."""

    word: str
    tone: Tone
    sentence: str
    score: int | None
    at: float
    band: str
    thresholds: tuple[Threshold, ...]
    bars: tuple[Bar, ...]
    stops: tuple[Stop, ...]
    missing: tuple[str, ...]
    changes: tuple[Change, ...]
    ruleset: str


def of_decision(document: Document, ruleset: RuleSet, reach: Document | None = None) -> Shown:
    """Return a stored decision; thresholds only where its rule set is still the live one.

    `reach` is the stored score that the decision began with: told point by point where it is
    still the same, else as one sum.
    """
    live = document["ruleset"] == ruleset.hash
    word, score = document["verdict"], document.get("score")
    base = document.get("base")
    scale = _Scale(ruleset)
    bars = _begin(scale, base, reach)
    bars += scale.bars(document.get("contributions", ()), base or 0)
    return Shown(
        word=word,
        tone=VERDICTS[word],
        sentence=document["sentence"],
        score=score,
        at=scale.percent(score or 0),
        band=document.get("band") or "",
        thresholds=scale.thresholds() if live and score is not None else (),
        bars=tuple(bars),
        stops=(*_vetoes(document), *_opinions(document)),
        missing=tuple(document.get("missing", ())),
        changes=tuple(_changes(document, ruleset if live else None)),
        ruleset=document["ruleset"],
    )


def of_score(document: Document, ruleset: RuleSet) -> Shown:
    """Return a prospect's stored score: the same picture without a verdict."""
    scale = _Scale(ruleset)
    base = ruleset.base if isinstance(ruleset.base, int) else 0
    return Shown(
        word="",
        tone=Tone.OFF,
        sentence="",
        score=document["score"],
        at=scale.percent(document["score"]),
        band=document["band"],
        thresholds=scale.thresholds(),
        bars=tuple(scale.bars(document["contributions"], base)),
        stops=(),
        missing=tuple(document["missing"]),
        changes=(),
        ruleset=document["ruleset"],
    )


def thresholds_of(ruleset: RuleSet) -> tuple[Threshold, ...]:
    """Return where a set's bands begin on the scale, from the top."""
    return _Scale(ruleset).thresholds()


class _Scale:
    """From points to percent of the bar."""

    def __init__(self, ruleset: RuleSet) -> None:
        self._ruleset = ruleset
        self._range = max(1, ruleset.maximum - ruleset.minimum)

    def percent(self, points: float) -> float:
        share = SCALE * (points - self._ruleset.minimum) / self._range
        return round(min(SCALE, max(0.0, share)), 2)

    def span(self, before: float, after: float) -> tuple[float, float]:
        ends = sorted((self.percent(before), self.percent(after)))
        return ends[0], round(ends[1] - ends[0], 2)

    def thresholds(self) -> tuple[Threshold, ...]:
        return tuple(
            Threshold(band.name, band.start, self.percent(band.start))
            for band in self._ruleset.bands
        )

    def bars(self, contributions: Sequence[Document], begin: float) -> list[Bar]:
        found, reached = [], begin
        for each in contributions:
            span = self.span(reached, reached + each["points"])
            reached += each["points"]
            place = short(each["at"])
            found.append(Bar(each["id"], each["reason"], each["points"], *span, place))
        return found


def _begin(scale: _Scale, base: float | None, reach: Document | None) -> list[Bar]:
    if base is None:
        return []
    if reach is not None and reach["score"] == base:
        return scale.bars([each for each in reach["contributions"] if each["points"]], 0)
    return [Bar("", "", base, *scale.span(0, base))]


EFFECTS: Final = {
    "block": Tone.STOPPED,
    "route": Tone.NEEDS_YOU,
    "defer": Tone.WAITING,
    "hold": Tone.NEEDS_YOU,
}


def _vetoes(document: Document) -> list[Stop]:
    return [
        Stop(each["id"], each["effect"], each["reason"], EFFECTS[each["effect"]], short(each["at"]))
        for each in document.get("vetoes", ())
    ]


def _opinions(document: Document) -> list[Stop]:
    return [
        Stop(each["source"], each["effect"], each["reason"], EFFECTS[each["effect"]])
        for each in document.get("opinions", ())
    ]


def _changes(document: Document, ruleset: RuleSet | None) -> list[Change]:
    match document["verdict"]:
        case Verdict.ALLOW:
            return []
        case Verdict.ROUTE:
            return [Change("route", {"channel": document["route"]})]
        case Verdict.DEFER:
            waits = [_wait(defer) for defer in document["defers"]]
            return [*waits, *([Change("approval", {})] if document["needs_review"] else [])]
        case Verdict.REVIEW:
            return [Change("approval", {}), *_points(document, ruleset)]
        case _:
            return _unblocked(document, ruleset)


def _wait(defer: Document) -> Change:
    minutes = math.ceil((defer["seconds"] or 0) / 60)
    if minutes and minutes % 60 == 0:
        return Change("hours", {"n": minutes // 60})
    return Change(defer["kind"], {"window": defer["window"] or "", "n": minutes})


def _unblocked(document: Document, ruleset: RuleSet | None) -> list[Change]:
    if "fault" in document:
        return [Change("fault", {})]
    if document["reason_code"] == "required_fact_missing":
        return [Change("find_out", {"facts": ", ".join(document["missing"])})]
    if any(stop.effect == "block" for stop in (*_vetoes(document), *_opinions(document))):
        return [Change("nothing", {})]
    return _points(document, ruleset)


def _points(document: Document, ruleset: RuleSet | None) -> list[Change]:
    bands = ruleset.bands if ruleset else ()
    allowed = next((band.start for band in bands if band.name == Verdict.ALLOW), None)
    score = document["score"]
    if allowed is None or score is None or score >= allowed:
        return []
    return [Change("points", {"n": allowed - score})]


def short(place: str) -> str:
    """Return `gate.yaml:12` of a whole path: what a person looks for in an editor."""
    return Path(place).name
