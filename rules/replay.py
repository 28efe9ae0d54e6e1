"""Many decisions judged anew, fast: equal looks are judged once, and only ramps are reckoned each.

A look is all that the rules' conditions can tell apart: the flags and words of a decision, and for
each number or text the class that the rules' questions put it in. The rules that fire, and the
points that depend on no ramp, are worked out once for each look by the functions of the judge.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple, cast

from rules.conditions import leaves, truth
from rules.decide import decision_of, spoken
from rules.facts import REQUIRED, FactType
from rules.reference import Reference
from rules.ruleset import APPROVED, Format, Ramp
from rules.snapshot import MICRO, known_values, micro
from rules.tally import beyond_cap, tally
from rules.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rules.conditions import Leaf
    from rules.facts import Fact
    from rules.ruleset import RuleSet
    from rules.snapshot import Known
    from rules.verdict import Opinion

    Row = tuple[object, ...]
    Opinions = tuple[Opinion, ...]
    Look = tuple[object, ...]
    Moving = tuple[int, Callable[[object], int]]
    """A column, and the scaled points at a raw value of it."""
    Classes = Callable[[Sequence[object]], list[int]]
    """The class of each value of a column."""

_MOST = 10_000
"""Looks, and values of one fact, that are remembered: texts hardly repeat, memory is small."""
_OPEN = (FactType.NUMBER, FactType.TEXT)
"""Kinds of fact with endlessly many values; those of all others are their own classes."""
_UNKNOWN = -1
"""The class of a value that is missing, or that its fact can't have."""


class Replayed(NamedTuple):
    """What a set says now: the verdict of a gate, or the band of a score set, and the score."""

    verdict: str
    score: int | None


@dataclass(frozen=True, slots=True)
class _Judged:
    """What holds for every decision of one look."""

    fixed: int
    """The points, scaled, that are the same for all of them."""
    moving: tuple[Moving, ...]
    """Where the others come from: the base, and each ramp that counts."""
    says: Callable[[int], Replayed]
    """What comes of a score that is not clamped yet."""


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
        self._places = {name: place for place, name in enumerate(self._names)}
        self._classes = [None] * len(closed) + [_classes(fact, ruleset) for fact in opened]
        self._reference = Reference(ruleset.conditions)
        self._exactly = _caps_a_ramp(ruleset)
        self._says = cache(self._saying)
        self._looks: dict[Look, _Judged] = {}

    def row(self, facts: Mapping[str, object]) -> Row:
        """The columns' values; one that its fact can't have is None."""
        known = known_values(self.columns, facts)
        raw = {name: facts[name] for name in known}
        # Names come as any collection; only a tuple of them is found again among the looks.
        several = {
            name: tuple(sorted(each)) for name, each in known.items() if isinstance(each, frozenset)
        }
        return tuple(map((raw | several).get, self._names))

    def decide(self, rows: Sequence[Row], opinions: Sequence[Opinions] = ()) -> list[Replayed]:
        """The verdict and score that the judge would give each row, with its opinions if any."""
        said = opinions or [()] * len(rows)
        if self._exactly:
            return list(map(self._exact, rows, said))
        known, scale = self._looks, self.ruleset.scale
        return [
            _scored(known.get(look) or self._remembered(look, row), row, scale)
            for look, row in zip(self._looked(rows, said), rows, strict=True)
        ]

    @property
    def looks(self) -> int:
        """How many different looks are remembered."""
        return len(self._looks)

    def _looked(self, rows: Sequence[Row], opinions: Sequence[Opinions]) -> Iterator[Look]:
        """The look of each row, worked out column by column; the opinions are its last part."""
        columns = zip(*rows, strict=True)
        parts = [
            column if classes is None else classes(column)
            for classes, column in zip(self._classes, columns, strict=False)
        ]
        return zip(*parts, opinions, strict=True)

    def _values(self, row: Row) -> dict[str, Known]:
        return known_values(self.columns, dict(zip(self._names, row, strict=True)))

    def _remembered(self, look: Look, row: Row) -> _Judged:
        if len(self._looks) >= _MOST:
            self._looks.clear()
        judged = self._looks[look] = self._judge(row, cast("Opinions", look[-1]))
        return judged

    def _judge(self, row: Row, opinions: Opinions) -> _Judged:
        values, ruleset = self._values(row), self.ruleset
        if isinstance(ruleset.base, str) and ruleset.base not in values:
            return _Judged(0, (), lambda _score: Replayed(Verdict.BLOCK.value, None))
        fired, scale = self._reference.fired(values), ruleset.scale
        counted = [rule for rule in ruleset.scores if rule.when is None or rule.id in fired]
        points = {rule.id: rule.points * scale for rule in counted if isinstance(rule.points, int)}
        ramps = [rule.points for rule in counted if isinstance(rule.points, Ramp)]
        fixed = sum(points.values()) - sum(beyond_cap(g, points, scale) for g in ruleset.groups)
        if isinstance(ruleset.base, int):
            fixed += ruleset.base * scale
        return _Judged(
            fixed + sum(ramp.points(None, scale) for ramp in ramps if ramp.fact not in values),
            tuple(self._moving([ramp for ramp in ramps if ramp.fact in values])),
            self._says(self._final(values, fired, opinions), values.get(APPROVED) == 1),
        )

    def _moving(self, ramps: Sequence[Ramp]) -> Iterator[Moving]:
        scale = self.ruleset.scale
        if isinstance(self.ruleset.base, str):
            yield self._places[self.ruleset.base], partial(_points_of_base, scale)
        for ramp in ramps:
            yield self._places[ramp.fact], partial(_points_of_ramp, ramp, scale)

    def _final(
        self, values: Mapping[str, Known], fired: frozenset[str], opinions: Opinions
    ) -> str | None:
        """The verdict that vetoes, opinions or missing facts give; None: the score decides."""
        if self.ruleset.format is Format.SCORE:
            return None
        if any(fact.name not in values for fact in REQUIRED):
            return Verdict.BLOCK.value
        vetoes = [veto for veto in self.ruleset.spoken if veto.id in fired]
        ruling = spoken((*vetoes, *opinions), approved=values.get(APPROVED) == 1)
        return None if ruling is None else ruling.verdict.value

    def _saying(self, final: str | None, approved: bool) -> Callable[[int], Replayed]:  # noqa: FBT001
        """What is said at each score, where all else is alike."""
        low, high = self.ruleset.minimum, self.ruleset.maximum

        def says(score: int) -> Replayed:
            clamped = min(max(score, low), high)
            band = self.ruleset.band(clamped)
            lifted = approved and band == Verdict.REVIEW
            return Replayed(final or (Verdict.ALLOW.value if lifted else band), clamped)

        return cache(says)

    def _exact(self, row: Row, opinions: Opinions) -> Replayed:
        values = self._values(row)
        fired = self._reference.fired(values)
        if self.ruleset.format is Format.SCORE:
            score = tally(self.ruleset, values, fired)
            assert score is not None  # noqa: S101 - the base of a score set is a number
            return Replayed(score.band, score.value)
        decision = decision_of(self.ruleset, values, fired, opinions, "replay")
        return Replayed(decision.verdict.value, decision.score)


def _scored(judged: _Judged, row: Row, scale: int) -> Replayed:
    total = judged.fixed
    for place, points in judged.moving:
        total += points(row[place])
    return judged.says(total // scale)


def _points_of_base(scale: int, raw: object) -> int:
    return micro(cast("float", raw)) * (scale // MICRO)


def _points_of_ramp(ramp: Ramp, scale: int, raw: object) -> int:
    return ramp.points(micro(cast("float", raw)), scale)


def _caps_a_ramp(ruleset: RuleSet) -> bool:
    grouped = {name for group in ruleset.groups for name in group.rules}
    return any(isinstance(r.points, Ramp) and r.id in grouped for r in ruleset.scores)


def _classes(fact: Fact, ruleset: RuleSet) -> Classes:
    """How a column of the fact is sorted by what the rules ask of it."""
    conditions = [condition for _, condition, _ in ruleset.conditions]
    asked = [leaf for each in conditions for leaf in leaves(each) if leaf.fact == fact.name]
    if fact.type is FactType.TEXT:
        return _Remembered(_text_class(fact, asked)).of
    cuts = sorted({cut for leaf in asked for cut in _cuts(leaf)})
    return _Remembered(_number_class(fact, cuts)).of if cuts else _in_range(fact)


class _Remembered:
    """Sorts the values of one fact, each only once as long as they are not too many."""

    def __init__(self, new: Callable[[object], int]) -> None:
        self._new = new
        self._known: dict[object, int] = {}

    def of(self, column: Sequence[object]) -> list[int]:
        """The class of each value."""
        known, new = self._known, self._new
        if len(known) >= _MOST:
            known.clear()
        return [known[raw] if raw in known else known.setdefault(raw, new(raw)) for raw in column]


def _in_range(fact: Fact) -> Classes:
    """A number that only ramps read: all that counts is whether it is known."""
    low, high = fact.low, fact.high

    def of(column: Sequence[object]) -> list[int]:
        numbers = cast("Sequence[float | None]", column)
        return [0 if raw is not None and low <= raw <= high else _UNKNOWN for raw in numbers]

    return of


def _number_class(fact: Fact, cuts: Sequence[int]) -> Callable[[object], int]:
    """Numbers are alike that lie between the same two, or at the same, that rules compare with."""

    def of(raw: object) -> int:
        number = cast("float | None", raw)
        if number is None or not fact.low <= number <= fact.high:
            return _UNKNOWN
        value = micro(number)
        return bisect_left(cuts, value) + bisect_right(cuts, value)

    return of


def _cuts(leaf: Leaf) -> Sequence[int]:
    """The numbers that a comparison compares with; whether it is missing is no number."""
    several = leaf.operand if isinstance(leaf.operand, tuple | frozenset) else (leaf.operand,)
    return cast("Sequence[int]", several)


def _text_class(fact: Fact, asked: Sequence[Leaf]) -> Callable[[object], int]:
    """Texts are alike of which the rules' comparisons say the same."""
    numbers: dict[tuple[object, ...], int] = {}

    def of(raw: object) -> int:
        values = known_values((fact,), {fact.name: raw})
        answers = (bool(values), *(truth(leaf, values) for leaf in asked))
        return numbers.setdefault(answers, len(numbers))

    return of
