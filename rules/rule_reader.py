"""Vetoes and scores of a rule file → typed rules, each with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rules.conditions import leaves
from rules.document import Listing, Scalar, Section
from rules.facts import FACTS, FactType
from rules.fields import Fields
from rules.normal_form import MOST_ALTERNATIVES, MOST_CONDITIONS, TooLargeError, alternatives
from rules.problems import did_you_mean
from rules.ruleset import Ramp, ScoreRule, Veto
from rules.snapshot import micro
from rules.verdict import Defer, DeferKind, Effect

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rules.condition_reader import ConditionReader
    from rules.conditions import Condition
    from rules.document import Node
    from rules.facts import Fact
    from rules.problems import Problems

_VETO = ("id", "reason", "when", "if_missing", "defer", "route", "hold")
_SCORE = ("id", "reason", "when", "if_missing", "points")
_ID = re.compile(r"[a-z][a-z0-9_]{0,63}")
_WAIT = re.compile(r"(\d{1,4})\s*(s|m|h|d)")
_UNTIL_WINDOW = re.compile(r"until_window\((\w+)\)")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
MOST_POINTS = 1_000


@dataclass(frozen=True, slots=True)
class RuleReader:
    """Reads one rule at a time; a rule with problems still comes back, they stop the load.

    `channels` are those that a message can be routed to; None where nobody can tell.
    """

    problems: Problems
    conditions: ConditionReader
    windows: Sequence[str]
    channels: Collection[str] | None = None

    def veto(self, section: Section) -> Veto | None:
        """One veto: `defer`, `route` and `hold` soften it, without them it blocks."""
        fields = Fields(section, _VETO, self.problems)
        rule_id, reason = self._id(fields), fields.text("reason")
        effect, route, defer = self._effect(fields)
        when = self._when(fields)
        if when is None:
            return None
        self._session_only_defers(fields, when, effect)
        unknown = self._fires_on_unknown(fields, when, default=True)
        return Veto(rule_id, reason, when, effect, route, defer, unknown, section.place)

    def score(self, section: Section) -> ScoreRule | None:
        """One rule with points: a whole number under a condition, or a ramp."""
        fields = Fields(section, _SCORE, self.problems)
        rule_id, reason = self._id(fields), fields.text("reason")
        points = self._points(fields)
        always = isinstance(fields.node("points"), Section) and fields.node("when") is None
        when = None if always else self._when(fields)
        if points is None or (when is None and not always):
            return None
        lowest = points.lowest if isinstance(points, Ramp) else points
        unknown = lowest < 0
        if when is not None:
            self._one_sided(fields, points)
            self._session_only_defers(fields, when, None)
            unknown = self._fires_on_unknown(fields, when, default=unknown)
        elif fields.node("if_missing") is not None:
            fields.wrong("if_missing", "`if_missing` belongs to a `when`; this ramp always counts")
        return ScoreRule(rule_id, reason, when, points, unknown, section.place)

    def _id(self, fields: Fields) -> str:
        rule_id = fields.text("id")
        if rule_id and not _ID.fullmatch(rule_id):
            fields.wrong(
                "id", f"`{rule_id}` is no id: lower case letters, digits and _, 64 at most"
            )
        return rule_id

    def _when(self, fields: Fields) -> Condition | None:
        node = fields.node("when")
        if node is None:
            fields.wrong("when", "A rule needs a condition under `when`")
            return None
        condition = self.conditions.read(node)
        if condition is not None:
            try:
                alternatives(condition)
            except TooLargeError:
                fields.wrong(
                    "when",
                    f"This condition has more than {MOST_ALTERNATIVES} alternatives, or one of more"
                    f" than {MOST_CONDITIONS} comparisons: split it into several rules",
                )
        return condition

    def _fires_on_unknown(self, fields: Fields, when: Condition, *, default: bool) -> bool:
        if fields.node("if_missing") is None:
            return default
        named = {leaf.fact for leaf in leaves(when)}
        if all(FACTS[name].required for name in named):
            fields.wrong(
                "if_missing",
                f"`if_missing` has no say over {', '.join(sorted(named))}: a required fact that is"
                " missing blocks the message",
            )
        return fields.choice("if_missing", ("fire", "skip")) == "fire"

    def _session_only_defers(self, fields: Fields, when: Condition, effect: Effect | None) -> None:
        names = sorted({leaf.fact for leaf in leaves(when) if FACTS[leaf.fact].only_defers})
        if names and effect is not Effect.DEFER:
            fields.wrong(
                "when",
                f"{names[0]} is about the session: it can only make a message wait (`defer`)",
            )

    def _effect(self, fields: Fields) -> tuple[Effect, str | None, Defer | None]:
        chosen = [key for key in ("defer", "route", "hold") if fields.node(key) is not None]
        if len(chosen) > 1:
            fields.wrong(chosen[1], f"A veto has one effect: `{chosen[0]}` or `{chosen[1]}`")
        match chosen[0] if chosen else "":
            case "defer":
                return Effect.DEFER, None, self._defer(fields)
            case "route":
                return Effect.ROUTE, self._route(fields), None
            case "hold" if fields.flag("hold"):
                return Effect.HOLD, None, None
            case _:
                return Effect.BLOCK, None, None

    def _route(self, fields: Fields) -> str:
        route, known = fields.text("route"), self.channels
        if route and known is not None and route not in known:
            hint = did_you_mean(route, known)
            installed = ", ".join(sorted(known))
            fields.wrong("route", f"No channel `{route}` is installed, but {installed}{hint}")
        return route

    def _defer(self, fields: Fields) -> Defer | None:
        text = fields.text("defer")
        if text in (DeferKind.UNTIL_CHECKED, DeferKind.UNTIL_SESSION_CAN_SEND):
            return Defer(DeferKind(text))
        if window := _UNTIL_WINDOW.fullmatch(text):
            name = window.group(1)
            if name not in self.windows:
                hint = did_you_mean(name, self.windows)
                fields.wrong("defer", f"There is no window `{name}` under `windows:`{hint}")
            return Defer(DeferKind.UNTIL_WINDOW, window=name)
        if wait := _WAIT.fullmatch(text):
            seconds = int(wait.group(1)) * _SECONDS[wait.group(2)]
            return Defer(DeferKind.DURATION, seconds=seconds)
        if text:
            fields.wrong(
                "defer",
                "`defer` is until_window(NAME), until_checked, until_session_can_send, or a"
                " duration such as 30m, 2h or 1d",
            )
        return None

    def _one_sided(self, fields: Fields, points: int | Ramp) -> None:
        """Over an unknown condition a ramp of both signs would have no sign to judge it by."""
        if isinstance(points, Ramp) and points.start_points * points.end_points < 0:
            fields.wrong("points", "A ramp beside a `when` gives points or takes them, not both")

    def _points(self, fields: Fields) -> int | Ramp | None:
        node = fields.node("points")
        if isinstance(node, Section):
            return self._ramp(node)
        return fields.whole("points", -MOST_POINTS, MOST_POINTS)

    def _ramp(self, section: Section) -> Ramp | None:
        fields = Fields(section, ("ramp", "from", "to"), self.problems)
        name = fields.text("ramp")
        fact = self.conditions.fact(name, fields.at("ramp")) if name else None
        if fact is None:
            return None
        if fact.type is not FactType.NUMBER or fact.only_defers:
            fields.wrong("ramp", f"A ramp runs over a number that may move a score; {name} is none")
            return None
        start, end = self._end(fields, "from", fact), self._end(fields, "to", fact)
        if start is None or end is None:
            return None
        if start[0] >= end[0]:
            fields.wrong("to", "A ramp runs from a lower value of the fact to a higher one")
            return None
        return Ramp(fact.name, *start, *end)

    def _end(self, fields: Fields, key: str, fact: Fact) -> tuple[int, int] | None:
        node = fields.node(key)
        match _numbers(node):
            case [value, int(points)] if fact.low <= value <= fact.high:
                if abs(points) <= MOST_POINTS:
                    return micro(value), points
        fields.wrong(
            key,
            f"`{key}` is [value, points]: {fact.name} from {fact.low} to {fact.high},"
            f" and whole points up to {MOST_POINTS}",
        )
        return None


def _numbers(node: Node | None) -> list[int | float]:
    items = node.items if isinstance(node, Listing) else ()
    values = [item.value for item in items if isinstance(item, Scalar)]
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    return numbers if len(numbers) == len(items) else []
