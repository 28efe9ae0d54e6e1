"""Reads vetoes and score rules of a rule file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from rules.conditions import (
    MAX_ALTERNATIVES,
    MAX_COMPARISONS,
    ConditionTooLargeError,
    expand_alternatives,
    iter_leaves,
)
from rules.document import YamlMapping, YamlScalar, YamlSequence
from rules.facts import COUNT_WINDOWS, FACTS, FactType
from rules.field_reader import FieldReader
from rules.known_values import to_micro
from rules.problems import did_you_mean
from rules.ruleset import Ramp, ScoreRule, Veto
from rules.verdict import Defer, DeferKind, VetoEffect

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rules.condition_reader import ConditionReader
    from rules.conditions import Condition
    from rules.document import YamlNode
    from rules.facts import Fact
    from rules.problems import ProblemCollector

_VETO_FIELDS = ("id", "reason", "when", "if_missing", "defer", "route", "hold")
_SCORE_FIELDS = ("id", "reason", "when", "if_missing", "points")
_ID = re.compile(r"[a-z][a-z0-9_]{0,63}")
_WAIT = re.compile(r"(\d{1,4})\s*(s|m|h|d)")
_EVENT_DEFERS = frozenset(
    {DeferKind.UNTIL_CHECKED, DeferKind.UNTIL_SESSION_CAN_SEND, DeferKind.UNTIL_REGISTER}
)
_UNTIL_WINDOW = re.compile(r"until_window\((\w+)\)")
_UNTIL_FEWER = re.compile(r"until_fewer\(([\w.]+)\)")
_UNTIL_BUSINESS_DAYS = re.compile(r"until_business_days\(([1-9][0-9]?)\)")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
MAX_POINTS = 1_000


class RuleReader(Struct, frozen=True):
    """Reads one rule at a time, and adds its problems, which stop the load later.

    `channels` are those that a message can be routed to; None where that is not known.
    """

    problems: ProblemCollector
    conditions: ConditionReader
    windows: Sequence[str]
    channels: Collection[str] | None = None

    def read_veto(self, section: YamlMapping) -> Veto | None:
        """Return one veto, or None without a condition; without a softer effect it blocks."""
        fields = FieldReader(section, _VETO_FIELDS, self.problems)
        rule_id, reason = self._id(fields), fields.text("reason")
        effect, route, defer = self._effect(fields)
        when = self._when(fields)
        if when is None:
            return None
        self._session_only_defers(fields, when, effect)
        # Fails closed: a veto fires where its facts are unknown, unless its author says otherwise.
        unknown = self._fires_on_unknown(fields, when, default=True)
        return Veto(rule_id, reason, when, effect, route, defer, unknown, section.place)

    def read_score_rule(self, section: YamlMapping) -> ScoreRule | None:
        """Return one rule with points (a number under a condition, or a ramp), or None without."""
        fields = FieldReader(section, _SCORE_FIELDS, self.problems)
        rule_id, reason = self._id(fields), fields.text("reason")
        points = self._points(fields)
        always = isinstance(fields.node("points"), YamlMapping) and fields.node("when") is None
        when = None if always else self._when(fields)
        if points is None or (when is None and not always):
            return None
        lowest = points.lowest if isinstance(points, Ramp) else points
        # Over an unknown fact points are taken, never given.
        unknown = lowest < 0
        if when is not None:
            self._one_sided(fields, points)
            self._session_only_defers(fields, when, None)
            unknown = self._fires_on_unknown(fields, when, default=unknown)
        elif fields.node("if_missing") is not None:
            fields.wrong("if_missing", "`if_missing` belongs to a `when`; this ramp always counts")
        return ScoreRule(rule_id, reason, when, points, unknown, section.place)

    def _id(self, fields: FieldReader) -> str:
        rule_id = fields.text("id")
        if rule_id and not _ID.fullmatch(rule_id):
            fields.wrong(
                "id", f"`{rule_id}` is not an id: lower case letters, digits and _, 64 at most"
            )
        return rule_id

    def _when(self, fields: FieldReader) -> Condition | None:
        node = fields.node("when")
        if node is None:
            fields.wrong("when", "A rule needs a condition under `when`")
            return None
        condition = self.conditions.read(node)
        if condition is not None:
            # Only to learn whether the engine's compiler could expand it.
            try:
                expand_alternatives(condition)
            except ConditionTooLargeError:
                fields.wrong(
                    "when",
                    f"This condition has more than {MAX_ALTERNATIVES} alternatives, or one of more"
                    f" than {MAX_COMPARISONS} comparisons: split it into several rules",
                )
        return condition

    def _fires_on_unknown(self, fields: FieldReader, when: Condition, *, default: bool) -> bool:
        if fields.node("if_missing") is None:
            return default
        named = {leaf.fact for leaf in iter_leaves(when)}
        if all(FACTS[name].required for name in named):
            fields.wrong(
                "if_missing",
                f"`if_missing` has no say over {', '.join(sorted(named))}: a required fact that is"
                " missing blocks the message",
            )
        return fields.choice("if_missing", ("fire", "skip")) == "fire"

    def _session_only_defers(
        self, fields: FieldReader, when: Condition, effect: VetoEffect | None
    ) -> None:
        names = sorted({leaf.fact for leaf in iter_leaves(when) if FACTS[leaf.fact].only_defers})
        if names and effect is not VetoEffect.DEFER:
            fields.wrong(
                "when",
                f"{names[0]} is about the session: it can only make a message wait (`defer`)",
            )

    def _effect(self, fields: FieldReader) -> tuple[VetoEffect, str | None, Defer | None]:
        chosen = [key for key in ("defer", "route", "hold") if fields.node(key) is not None]
        if len(chosen) > 1:
            fields.wrong(chosen[1], f"A veto has one effect: `{chosen[0]}` or `{chosen[1]}`")
        match chosen[0] if chosen else "":
            case "defer":
                return VetoEffect.DEFER, None, self._defer(fields)
            case "route":
                return VetoEffect.ROUTE, self._route(fields), None
            case "hold" if fields.flag("hold"):
                return VetoEffect.HOLD, None, None
            case _:
                return VetoEffect.BLOCK, None, None

    def _route(self, fields: FieldReader) -> str:
        route, known = fields.text("route"), self.channels
        if route and known is not None and route not in known:
            hint = did_you_mean(route, known)
            installed = ", ".join(sorted(known))
            fields.wrong("route", f"No channel `{route}` is installed, but {installed}{hint}")
        return route

    def _defer(self, fields: FieldReader) -> Defer | None:
        text = fields.text("defer")
        if text in _EVENT_DEFERS:
            return Defer(DeferKind(text))
        if window := _UNTIL_WINDOW.fullmatch(text):
            name = window.group(1)
            if name not in self.windows:
                hint = did_you_mean(name, self.windows)
                fields.wrong("defer", f"There is no window `{name}` under `windows:`{hint}")
            return Defer(DeferKind.UNTIL_WINDOW, window=name)
        if count := _UNTIL_FEWER.fullmatch(text):
            if count.group(1) not in COUNT_WINDOWS:
                hint = did_you_mean(count.group(1), COUNT_WINDOWS)
                fields.wrong("defer", f"`{count.group(1)}` counts no recent messages{hint}")
            return Defer(DeferKind.UNTIL_FEWER, fact=count.group(1))
        if days := _UNTIL_BUSINESS_DAYS.fullmatch(text):
            return Defer(DeferKind.UNTIL_BUSINESS_DAYS, days=int(days.group(1)))
        if wait := _WAIT.fullmatch(text):
            seconds = int(wait.group(1)) * _SECONDS[wait.group(2)]
            return Defer(DeferKind.DURATION, seconds=seconds)
        if text:
            fields.wrong(
                "defer",
                "`defer` is until_window(NAME), until_checked, until_session_can_send,"
                " until_register, until_fewer(FACT), until_business_days(1 to 99), or a duration"
                " such as 30m, 2h or 1d",
            )
        return None

    def _one_sided(self, fields: FieldReader, points: int | Ramp) -> None:
        """Add a problem for a ramp with points of both signs beside a `when`."""
        # Whether a rule fires over an unknown follows from the sign of its points.
        if isinstance(points, Ramp) and points.start_points * points.end_points < 0:
            fields.wrong("points", "A ramp beside a `when` gives points or takes them, not both")

    def _points(self, fields: FieldReader) -> int | Ramp | None:
        node = fields.node("points")
        if isinstance(node, YamlMapping):
            return self._ramp(node)
        return fields.whole("points", -MAX_POINTS, MAX_POINTS)

    def _ramp(self, section: YamlMapping) -> Ramp | None:
        fields = FieldReader(section, ("ramp", "from", "to"), self.problems)
        name = fields.text("ramp")
        fact = self.conditions.fact(name, fields.location_of("ramp")) if name else None
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

    def _end(self, fields: FieldReader, key: str, fact: Fact) -> tuple[int, int] | None:
        node = fields.node(key)
        match _read_numbers(node):
            case [value, int(points)] if fact.low <= value <= fact.high:
                if abs(points) <= MAX_POINTS:
                    return to_micro(value), points
        fields.wrong(
            key,
            f"`{key}` is [value, points]: {fact.name} from {fact.low} to {fact.high},"
            f" and whole points up to {MAX_POINTS}",
        )
        return None


def _read_numbers(node: YamlNode | None) -> list[int | float]:
    items = node.items if isinstance(node, YamlSequence) else ()
    values = [item.value for item in items if isinstance(item, YamlScalar)]
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    return numbers if len(numbers) == len(items) else []
