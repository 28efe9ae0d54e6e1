"""Many decisions judged anew, fast: equal looks are judged once, and only ramps are reckoned each.

A look is all that the rules' conditions can tell apart: the flags and words of a decision, and for
each number or text the class that the rules' questions put it in. The rules that fire, and the
points that depend on no ramp, are worked out once for each look by the functions of the judge.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, cast

from rules.conditions import leaves, truth
from rules.decide import decision_of
from rules.facts import REQUIRED, FactType
from rules.reference import Reference
from rules.ruleset import APPROVED, Format, Ramp
from rules.snapshot import MICRO, known_values, micro
from rules.tally import base_points, beyond_cap, tally
from rules.verdict import Effect, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rules.conditions import Leaf
    from rules.facts import Fact
    from rules.ruleset import RuleSet
    from rules.snapshot import Known
    from rules.verdict import Opinion

    Row = tuple[object, ...]
    Classed = tuple[int, int | None]
    """The class of a value, and the value itself in millionths where it is a known number."""

_MOST = 10_000
"""Looks, and values of one fact, that are remembered: texts hardly repeat, memory is small."""
_OPEN = (FactType.NUMBER, FactType.TEXT)
"""Kinds of fact with endlessly many values; those of all others are their own classes."""


class Replayed(NamedTuple):
    """What a set says now: the verdict of a gate, or the band of a score set, and the score."""

    verdict: str
    score: int | None


@dataclass(frozen=True, slots=True)
class _Judged:
    """What holds for every decision of one look; `final` where no score can change it."""

    final: str | None
    ramps: tuple[tuple[Ramp, int], ...]
    """Each ramp that counts, with the place of its fact among the open columns."""
    fixed: int
    """Points of all else that fired, scaled; the base is not among them where it is a fact."""
    approved: bool


class Replay:
    """Judges rows of facts by one set, as its judge would, but for explanations.

    `columns` says which facts a row holds, in order: a value of the right type for each, or None.
    A set with a ramp inside a group is judged row by row: its cap needs the exact sum.
    """

    def __init__(self, ruleset: RuleSet) -> None:
        """Compile the questions that the rules ask of each fact."""
        self.ruleset = ruleset
        closed = [fact for fact in ruleset.reads if fact.type not in _OPEN]
        opened = [fact for fact in ruleset.reads if fact.type in _OPEN]
        self.columns: tuple[Fact, ...] = (*closed, *opened)
        self._names = [fact.name for fact in self.columns]
        self._closed = len(closed)
        self._classes = [self._classifier(fact) for fact in opened]
        self._places = {fact.name: place for place, fact in enumerate(opened)}
        self._base = self._places[ruleset.base] if isinstance(ruleset.base, str) else None
        self._reference = Reference(ruleset.conditions)
        self._exactly = _caps_a_ramp(ruleset)
        self._band = cache(ruleset.band)
        self._looks: dict[tuple[object, ...], _Judged] = {}

    def row(self, facts: Mapping[str, object]) -> Row:
        """The columns' values; one that its fact can't have is None."""
        known = known_values(self.columns, facts)
        raw = {name: facts[name] for name in known}
        # Names come as any collection; only a tuple of them is found again among the looks.
        several = {
            name: tuple(sorted(each)) for name, each in known.items() if isinstance(each, frozenset)
        }
        return tuple(map((raw | several).get, self._names))

    def decide(self, row: Row, opinions: Sequence[Opinion] = ()) -> Replayed:
        """The verdict and score that the judge would give."""
        if self._exactly:
            return self._exact(row, opinions)
        closed = self._closed
        classed = [of(raw) for of, raw in zip(self._classes, row[closed:], strict=True)]
        look = (row[:closed], *[each[0] for each in classed], *opinions)
        judged = self._looks.get(look)
        if judged is None:
            if len(self._looks) >= _MOST:
                self._looks.clear()
            judged = self._looks[look] = self._judge(row, opinions)
        return self._scored(judged, classed)

    @property
    def looks(self) -> int:
        """How many different looks there were so far."""
        return len(self._looks)

    def _classifier(self, fact: Fact) -> Callable[[object], Classed]:
        """The class of a raw value of the fact: which of the rules' questions it answers how."""
        conditions = [condition for _, condition, _ in self.ruleset.conditions]
        asked = [leaf for each in conditions for leaf in leaves(each) if leaf.fact == fact.name]
        return (_Numbers if fact.type is FactType.NUMBER else _Texts)(fact, asked).of

    def _values(self, row: Row) -> dict[str, Known]:
        return known_values(self.columns, dict(zip(self._names, row, strict=True)))

    def _judge(self, row: Row, opinions: Sequence[Opinion]) -> _Judged:
        values = self._values(row)
        fired = self._reference.fired(values)
        scale = self.ruleset.scale
        counted = [rule for rule in self.ruleset.scores if rule.when is None or rule.id in fired]
        points = {rule.id: rule.points * scale for rule in counted if isinstance(rule.points, int)}
        base = base_points(self.ruleset, values) if self._base is None else 0
        capped = sum(beyond_cap(group, points, scale) for group in self.ruleset.groups)
        ramps = [rule.points for rule in counted if isinstance(rule.points, Ramp)]
        return _Judged(
            final=self._final(values, fired, opinions),
            ramps=tuple((ramp, self._places[ramp.fact]) for ramp in ramps),
            fixed=cast("int", base) + sum(points.values()) - capped,
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

    def _scored(self, judged: _Judged, classed: Sequence[Classed]) -> Replayed:
        ruleset, scale, total = self.ruleset, self.ruleset.scale, judged.fixed
        if self._base is not None:
            value = classed[self._base][1]
            if value is None:
                return Replayed(judged.final or Verdict.BLOCK.value, None)
            total += value * (scale // MICRO)
        for ramp, place in judged.ramps:
            total += ramp.points(classed[place][1], scale)
        score = min(max(total // scale, ruleset.minimum), ruleset.maximum)
        return Replayed(judged.final or self._banded(score, approved=judged.approved), score)

    def _banded(self, score: int, *, approved: bool) -> str:
        band = self._band(score)
        return Verdict.ALLOW.value if approved and band == Verdict.REVIEW else band

    def _exact(self, row: Row, opinions: Sequence[Opinion]) -> Replayed:
        values = self._values(row)
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


_UNKNOWN: Classed = (-1, None)


class _Numbers:
    """Sorts the numbers of one fact into those between, and at, what the rules compare it with."""

    def __init__(self, fact: Fact, asked: Sequence[Leaf]) -> None:
        self._low, self._high = fact.low, fact.high
        self._cuts = sorted({cut for leaf in asked for cut in _cuts(leaf)})
        self._known: dict[object, Classed] = {None: _UNKNOWN}

    def of(self, raw: object) -> Classed:
        """The number's class, and its value."""
        found = self._known.get(raw)
        if found is None:
            found = self._new(cast("float", raw))
            if len(self._known) < _MOST:
                self._known[raw] = found
        return found

    def _new(self, raw: float) -> Classed:
        if not self._low <= raw <= self._high:
            return _UNKNOWN
        value, cuts = micro(raw), self._cuts
        return bisect_left(cuts, value) + bisect_right(cuts, value), value


def _cuts(leaf: Leaf) -> Sequence[int]:
    """The numbers that a comparison compares with; whether it is missing is no number."""
    several = leaf.operand if isinstance(leaf.operand, tuple | frozenset) else (leaf.operand,)
    return cast("Sequence[int]", several)


class _Texts:
    """Sorts the texts of one fact by what the rules' comparisons say of them."""

    def __init__(self, fact: Fact, asked: Sequence[Leaf]) -> None:
        self._fact = fact
        self._asked = asked
        self._known: dict[object, Classed] = {}
        self._numbers: dict[tuple[object, ...], int] = {}

    def of(self, raw: object) -> Classed:
        """The text's class; there is no number."""
        found = self._known.get(raw)
        if found is None:
            found = self._new(raw)
            if len(self._known) < _MOST:
                self._known[raw] = found
        return found

    def _new(self, raw: object) -> Classed:
        values = known_values((self._fact,), {self._fact.name: raw})
        answers = (bool(values), *(truth(leaf, values) for leaf in self._asked))
        return self._numbers.setdefault(answers, len(self._numbers)), None
