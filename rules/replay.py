"""Many decisions judged anew, fast: equal looks are judged once, and only ramps are reckoned each.

What a rule asks of a fact splits its values into a few classes; a look is a class of each fact.
The rules that fire, and the points that do not depend on a ramp, are worked out once for each look
by the very functions that the judge uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm
from typing import TYPE_CHECKING, NamedTuple, cast

from rules.conditions import leaves, truth
from rules.decide import decision_of
from rules.facts import FACTS, REQUIRED
from rules.reference import Reference
from rules.ruleset import APPROVED, Format, Ramp
from rules.snapshot import MICRO, known_values
from rules.tally import tally
from rules.verdict import Effect, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rules.conditions import Leaf
    from rules.facts import Fact
    from rules.ruleset import RuleSet
    from rules.snapshot import Known
    from rules.verdict import Opinion

    Look = tuple[int, ...]


_MOST_VALUES = 50_000
"""Distinct values of one fact that are remembered: texts hardly repeat, and memory is small."""


class Replayed(NamedTuple):
    """What a set says now: the verdict of a gate, or the band of a score set, and the score."""

    verdict: str
    score: int | None


@dataclass(frozen=True, slots=True)
class _Judged:
    """What holds for every decision of one look; `final` where no score can change it."""

    final: str | None
    ramps: tuple[Ramp, ...]
    fixed: int
    """Points of all else that fired, scaled; the base is not among them where it is a fact."""
    approved: bool


class Replay:
    """Judges snapshots by one set, as its judge would, but for explanations.

    A set with a ramp inside a group is judged decision by decision: its cap needs the exact sum.
    """

    def __init__(self, ruleset: RuleSet) -> None:
        """Compile the questions that the rules ask of each fact."""
        self.ruleset = ruleset
        self._reference = Reference(ruleset.conditions)
        ramps = [rule.points for rule in ruleset.scores if isinstance(rule.points, Ramp)]
        self._scale = lcm(MICRO, *(ramp.end - ramp.start for ramp in ramps))
        self._exactly = _caps_a_ramp(ruleset)
        self._classes = tuple(self._classifier(fact) for fact in ruleset.reads)
        self._looks: dict[tuple[Look, tuple[Opinion, ...]], _Judged] = {}

    def decide(self, facts: Mapping[str, object], opinions: Sequence[Opinion] = ()) -> Replayed:
        """The verdict and score that the judge would give."""
        if self._exactly:
            return self._exact(facts, opinions)
        get = facts.get
        look = tuple([classify(get(name)) for name, classify in self._classes])
        key = (look, tuple(opinions))
        judged = self._looks.get(key)
        if judged is None:
            judged = self._looks[key] = self._judge(facts, opinions)
        return self._scored(judged, facts)

    @property
    def looks(self) -> int:
        """How many different looks there were so far."""
        return len(self._looks)

    def _classifier(self, fact: Fact) -> tuple[str, Callable[[object], int]]:
        """The class of a raw value of the fact: which of the rules' questions it answers how."""
        asked = [
            leaf
            for _, condition, _ in self.ruleset.conditions
            for leaf in leaves(condition)
            if leaf.fact == fact.name
        ]
        return fact.name, _Classifier(fact, asked).of

    def _judge(self, facts: Mapping[str, object], opinions: Sequence[Opinion]) -> _Judged:
        values = known_values(self.ruleset.reads, facts)
        fired = self._reference.fired(values)
        counted = [rule for rule in self.ruleset.scores if rule.when is None or rule.id in fired]
        points = {rule.id: rule.points for rule in counted if isinstance(rule.points, int)}
        base = self.ruleset.base if isinstance(self.ruleset.base, int) else 0
        total = base + sum(points.values())
        for group in self.ruleset.groups:
            members = [points[rule] for rule in group.rules if rule in points]
            total -= max(sum(p for p in members if p > 0) - group.cap, 0)
            total -= min(sum(p for p in members if p < 0) + group.cap, 0)
        return _Judged(
            final=self._final(values, fired, opinions),
            ramps=tuple(rule.points for rule in counted if isinstance(rule.points, Ramp)),
            fixed=total * self._scale,
            approved=values.get(APPROVED) == 1,
        )

    def _final(
        self, values: Mapping[str, Known], fired: frozenset[str], opinions: Sequence[Opinion]
    ) -> str | None:
        """The verdict that vetoes, opinions or missing facts give; None: the score decides."""
        if self.ruleset.format is Format.SCORE:
            return None
        decision = decision_of(self.ruleset, values, fired, opinions, "replay")
        effects = {veto.effect for veto in decision.vetoes}
        effects |= {opinion.effect for opinion in opinions}
        if values.get(APPROVED) == 1:
            effects.discard(Effect.HOLD)
        unknown = any(fact.name not in values for fact in REQUIRED)
        return decision.verdict.value if effects or unknown else None

    def _scored(self, judged: _Judged, facts: Mapping[str, object]) -> Replayed:
        total = judged.fixed
        base = self.ruleset.base
        if not isinstance(base, int):
            value = self._micro(base, facts)
            if value is None:
                return Replayed(judged.final or Verdict.BLOCK.value, None)
            total += value * (self._scale // MICRO)
        for ramp in judged.ramps:
            total += self._ramp(ramp, self._micro(ramp.fact, facts))
        score = min(max(total // self._scale, self.ruleset.minimum), self.ruleset.maximum)
        return Replayed(judged.final or self._banded(score, approved=judged.approved), score)

    def _banded(self, score: int, *, approved: bool) -> str:
        band = self.ruleset.band(score)
        return Verdict.ALLOW.value if approved and band == Verdict.REVIEW else band

    def _ramp(self, ramp: Ramp, value: int | None) -> int:
        if value is None:
            return min(0, ramp.lowest) * self._scale
        inside = min(max(value, ramp.start), ramp.end) - ramp.start
        length = ramp.end - ramp.start
        rise = (ramp.end_points - ramp.start_points) * inside * (self._scale // length)
        return ramp.start_points * self._scale + rise

    def _micro(self, name: str, facts: Mapping[str, object]) -> int | None:
        known = known_values((FACTS[name],), facts)
        return cast("int | None", known.get(name))

    def _exact(self, facts: Mapping[str, object], opinions: Sequence[Opinion]) -> Replayed:
        values = known_values(self.ruleset.reads, facts)
        fired = self._reference.fired(values)
        if self.ruleset.format is Format.SCORE:
            score = tally(self.ruleset, values, fired)
            assert score is not None  # noqa: S101 - the base of a score set is a number
            return Replayed(score.band, score.value)
        decision = decision_of(self.ruleset, values, fired, opinions, "replay")
        return Replayed(decision.verdict.value, decision.score)


def _caps_a_ramp(ruleset: RuleSet) -> bool:
    grouped = {name for group in ruleset.groups for name in group.rules}
    return any(isinstance(r.points, Ramp) and r.id in grouped for r in ruleset.scores)


class _Classifier:
    """Sorts raw values of one fact by what the rules' comparisons say of them."""

    def __init__(self, fact: Fact, asked: Sequence[Leaf]) -> None:
        self._fact = fact
        self._asked = asked
        self._known: dict[object, int] = {}
        self._numbers: dict[tuple[object, ...], int] = {}

    def of(self, raw: object) -> int:
        """The number of the value's class."""
        key = (raw.__class__, tuple(raw) if isinstance(raw, list) else raw)
        try:
            found = self._known.get(key)
        except TypeError:  # a value of no fact's type, that can't even be looked up
            return self._new(raw)
        if found is None:
            if len(self._known) >= _MOST_VALUES:
                self._known.clear()
            found = self._known[key] = self._new(raw)
        return found

    def _new(self, raw: object) -> int:
        values = known_values((self._fact,), {self._fact.name: raw})
        answers: list[object] = [bool(values), *(truth(leaf, values) for leaf in self._asked)]
        if self._fact.name == APPROVED:
            answers.append(values.get(APPROVED))
        return self._numbers.setdefault(tuple(answers), len(self._numbers))
