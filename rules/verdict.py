"""The results of the rules: verdicts, effects, points, and the location of each rule."""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.problems import SourceLocation


class Verdict(StrEnum):
    """The gate's verdict on a message."""

    ALLOW = "allow"
    REVIEW = "review"
    BLOCK = "block"
    DEFER = "defer"
    ROUTE = "route"


class VetoEffect(StrEnum):
    """The effect of a veto or of a plugin's opinion; only rule files may `route`."""

    BLOCK = "block"
    ROUTE = "route"
    DEFER = "defer"
    HOLD = "hold"


class DeferKind(StrEnum):
    """What a deferred message waits for."""

    UNTIL_WINDOW = "until_window"
    UNTIL_CHECKED = "until_checked"
    UNTIL_SESSION_CAN_SEND = "until_session_can_send"
    UNTIL_REGISTER = "until_register"
    UNTIL_FEWER = "until_fewer"
    UNTIL_BUSINESS_DAYS = "until_business_days"
    DURATION = "duration"


class Defer(Struct, frozen=True):
    """One condition to wait for.

    `window` is the name of a window, `seconds` a duration, `fact` a count of recent messages that
    has to fall, `days` how many business days have to pass since the last commercial message.
    """

    kind: DeferKind
    window: str | None = None
    seconds: int | None = None
    fact: str | None = None
    days: int | None = None

    def __str__(self) -> str:
        """Return the wait as a rule file has it."""
        if self.kind is DeferKind.UNTIL_WINDOW:
            return f"until_window({self.window})"
        if self.kind is DeferKind.UNTIL_FEWER:
            return f"until_fewer({self.fact})"
        if self.kind is DeferKind.UNTIL_BUSINESS_DAYS:
            return f"until_business_days({self.days})"
        return f"{self.seconds}s" if self.kind is DeferKind.DURATION else self.kind.value


class Opinion(Struct, frozen=True):
    """A plugin's opinion on one message: it may block, defer or hold it, never allow it."""

    source: str
    effect: VetoEffect
    reason: str
    defer: Defer | None = None

    def __post_init__(self) -> None:
        """Raise `ValueError` for a combination that plugins may not give."""
        if self.effect is VetoEffect.ROUTE:
            message = f"{self.source}: an opinion blocks, defers or holds; it never routes"
            raise ValueError(message)
        if (self.effect is VetoEffect.DEFER) is (self.defer is None):
            message = f"{self.source}: an opinion that defers, and no other, says until when"
            raise ValueError(message)


class FiredVeto(Struct, frozen=True, dict=True):
    """A veto that fired, with its effect, as part of a decision."""

    id: str
    effect: VetoEffect
    reason: str
    place: SourceLocation
    route: str | None = None
    defer: Defer | None = None

    @cached_property
    def as_json(self) -> Mapping[str, Any]:
        """The veto in JSON types; cached, because it is the same at every decision."""
        return {
            "id": self.id,
            "effect": self.effect.value,
            "reason": self.reason,
            "route": self.route,
            "defer": None if self.defer is None else _defer_to_json(self.defer),
            "at": str(self.place),
        }


class Contribution(Struct, frozen=True, dict=True):
    """The points of one rule; or those subtracted by a group's cap, at the group's location."""

    id: str
    points: float
    reason: str
    place: SourceLocation

    @cached_property
    def as_json(self) -> Mapping[str, Any]:
        """The contribution in JSON types; cached, because fixed points are always the same."""
        return {
            "id": self.id,
            "points": self.points,
            "reason": self.reason,
            "at": str(self.place),
        }


class ScoreBreakdown(Struct, frozen=True):
    """A score with its parts: `raw` is the sum before it is rounded down and clamped."""

    base: float
    value: int
    raw: float
    band: str
    contributions: tuple[Contribution, ...]


class ScoreResult(Struct, frozen=True):
    """The score of one prospect, by a score ruleset."""

    score: int
    raw: float
    band: str
    contributions: tuple[Contribution, ...]
    missing: tuple[str, ...]
    ruleset: str
    engine: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "score": self.score,
            "raw": self.raw,
            "band": self.band,
            "contributions": [each.as_json for each in self.contributions],
            "missing": list(self.missing),
            "ruleset": self.ruleset,
            "engine": self.engine,
        }


class Decision(Struct, frozen=True):
    """The gate's complete decision on one message.

    `score` is None when the base fact was unknown. `needs_review`: a deferred or routed message
    will need a person's approval later. `missing` names the facts that rules read and that were
    unknown. `ruleset` is the ruleset's content hash. `sentence` is for people.
    """

    verdict: Verdict
    reason_code: str
    sentence: str
    route: str | None
    defers: tuple[Defer, ...]
    needs_review: bool
    score: int | None
    raw: float | None
    base: float | None
    band: str | None
    vetoes: tuple[FiredVeto, ...]
    contributions: tuple[Contribution, ...]
    missing: tuple[str, ...]
    opinions: tuple[Opinion, ...]
    ruleset: str
    engine: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "verdict": self.verdict.value,
            "reason_code": self.reason_code,
            "sentence": self.sentence,
            "route": self.route,
            "defers": [_defer_to_json(each) for each in self.defers],
            "needs_review": self.needs_review,
            "score": self.score,
            "raw": self.raw,
            "base": self.base,
            "band": self.band,
            "vetoes": [each.as_json for each in self.vetoes],
            "contributions": [each.as_json for each in self.contributions],
            "missing": list(self.missing),
            "opinions": [_opinion_to_json(each) for each in self.opinions],
            "ruleset": self.ruleset,
            "engine": self.engine,
        }


def _defer_to_json(defer: Defer) -> dict[str, Any]:
    return {
        "kind": defer.kind.value,
        "window": defer.window,
        "seconds": defer.seconds,
        "fact": defer.fact,
        "days": defer.days,
    }


def _opinion_to_json(opinion: Opinion) -> dict[str, Any]:
    return {
        "source": opinion.source,
        "effect": opinion.effect.value,
        "reason": opinion.reason,
        "defer": None if opinion.defer is None else _defer_to_json(opinion.defer),
    }
