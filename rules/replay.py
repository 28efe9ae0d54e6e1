"""Re-evaluates many stored decisions fast.

Decisions that no rule can tell apart are evaluated once.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple, cast

from rules.conditions import evaluate_leaf, iter_leaves
from rules.decide import build_decision, find_gravest_verdict
from rules.facts import REQUIRED_FACTS, FactType
from rules.known_values import MICRO, known_values, to_micro
from rules.ruleset import APPROVED_FACT, Ramp, RuleFormat
from rules.scoring import compute_points_beyond_cap, compute_score
from rules.second_evaluator import SecondEvaluator
from rules.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rules.conditions import Leaf
    from rules.facts import Fact
    from rules.known_values import KnownValue
    from rules.ruleset import Ruleset
    from rules.verdict import Opinion

    Row = tuple[object, ...]
    Opinions = tuple[Opinion, ...]
    Look = tuple[object, ...]
    Moving = tuple[int, Callable[[object], int]]
    """A column, and the scaled points at a raw value of it."""
    Classes = Callable[[Sequence[object]], list[int]]
    """The class of each value of a column."""

_MAX_REMEMBERED = 10_000
"""Looks, and values of one fact, that are remembered: texts hardly repeat, memory is small."""
_OPEN_TYPES = (FactType.NUMBER, FactType.TEXT)
"""Kinds of fact with endlessly many values; those of all others are their own classes."""
_UNKNOWN_CLASS = -1
"""The class of a value that is missing, or that its fact can't have."""


class ReplayedVerdict(NamedTuple):
    """What a set says now: the verdict of a gate, or the band of a score set, and the score."""

    verdict: str
    score: int | None


@dataclass(frozen=True, slots=True)
class _SignatureResult:
    """What holds for every decision of one look."""

    fixed_points: int
    """The points, scaled, that are the same for all of them."""
    ramp_columns: tuple[Moving, ...]
    """Where the others come from: the base, and each ramp that counts."""
    verdict_of: Callable[[int], ReplayedVerdict]
    """What comes of a score that is not clamped yet."""


class Replay:
    """Judges rows of facts by one set, as its judge would, but for explanations.

    `columns` says which facts a row holds, in order: a value of the right type for each, or None.
    A set with a ramp inside a group is judged row by row: its cap needs the exact sum.
    """

    def __init__(self, ruleset: Ruleset) -> None:
        """Compile the questions that the rules ask of each fact."""
        self.ruleset = ruleset
        closed = [fact for fact in ruleset.reads if fact.type not in _OPEN_TYPES]
        opened = [fact for fact in ruleset.reads if fact.type in _OPEN_TYPES]
        self.columns: tuple[Fact, ...] = (*closed, *opened)
        self._names = [fact.name for fact in self.columns]
        self._places = {name: place for place, name in enumerate(self._names)}
        self._classes = [None] * len(closed) + [_build_classifier(fact, ruleset) for fact in opened]
        self._reference = SecondEvaluator(ruleset.conditions)
        self._row_by_row = _has_capped_ramp(ruleset)
        self._verdict_function = cache(self._build_verdict_function)
        self._results: dict[Look, _SignatureResult] = {}

    def row_from_facts(self, facts: Mapping[str, object]) -> Row:
        """The columns' values; one that its fact can't have is None."""
        known = known_values(self.columns, facts)
        raw = {name: facts[name] for name in known}
        # Names come as any collection; only a tuple of them is found again among the looks.
        several = {
            name: tuple(sorted(each)) for name, each in known.items() if isinstance(each, frozenset)
        }
        return tuple(map((raw | several).get, self._names))

    def decide(
        self, rows: Sequence[Row], opinions: Sequence[Opinions] = ()
    ) -> list[ReplayedVerdict]:
        """The verdict and score that the judge would give each row, with its opinions if any."""
        said = opinions or [()] * len(rows)
        if self._row_by_row:
            return list(map(self._judge_exactly, rows, said))
        known, scale = self._results, self.ruleset.scale
        return [
            _apply_result(known.get(look) or self._judge_and_remember(look, row), row, scale)
            for look, row in zip(self._compute_signatures(rows, said), rows, strict=True)
        ]

    @property
    def signature_count(self) -> int:
        """How many different looks are remembered."""
        return len(self._results)

    def _compute_signatures(
        self, rows: Sequence[Row], opinions: Sequence[Opinions]
    ) -> Iterator[Look]:
        """The look of each row, worked out column by column; the opinions are its last part."""
        columns = zip(*rows, strict=True)
        parts = [
            column if classes is None else classes(column)
            for classes, column in zip(self._classes, columns, strict=False)
        ]
        return zip(*parts, opinions, strict=True)

    def _known_values(self, row: Row) -> dict[str, KnownValue]:
        return known_values(self.columns, dict(zip(self._names, row, strict=True)))

    def _judge_and_remember(self, look: Look, row: Row) -> _SignatureResult:
        if len(self._results) >= _MAX_REMEMBERED:
            self._results.clear()
        judged = self._results[look] = self._judge_signature(row, cast("Opinions", look[-1]))
        return judged

    def _judge_signature(self, row: Row, opinions: Opinions) -> _SignatureResult:
        values, ruleset = self._known_values(row), self.ruleset
        if isinstance(ruleset.base, str) and ruleset.base not in values:
            return _SignatureResult(
                0, (), lambda _score: ReplayedVerdict(Verdict.BLOCK.value, None)
            )
        fired, scale = self._reference.fired(values), ruleset.scale
        counted = [rule for rule in ruleset.scores if rule.when is None or rule.id in fired]
        points = {rule.id: rule.points * scale for rule in counted if isinstance(rule.points, int)}
        ramps = [rule.points for rule in counted if isinstance(rule.points, Ramp)]
        fixed = sum(points.values()) - sum(
            compute_points_beyond_cap(g, points, scale) for g in ruleset.groups
        )
        if isinstance(ruleset.base, int):
            fixed += ruleset.base * scale
        return _SignatureResult(
            fixed + sum(ramp.points(None, scale) for ramp in ramps if ramp.fact not in values),
            tuple(self._ramp_columns([ramp for ramp in ramps if ramp.fact in values])),
            self._verdict_function(
                self._find_final_verdict(values, fired, opinions), values.get(APPROVED_FACT) == 1
            ),
        )

    def _ramp_columns(self, ramps: Sequence[Ramp]) -> Iterator[Moving]:
        scale = self.ruleset.scale
        if isinstance(self.ruleset.base, str):
            yield self._places[self.ruleset.base], partial(_points_of_base, scale)
        for ramp in ramps:
            yield self._places[ramp.fact], partial(_points_of_ramp, ramp, scale)

    def _find_final_verdict(
        self, values: Mapping[str, KnownValue], fired: frozenset[str], opinions: Opinions
    ) -> str | None:
        """The verdict that vetoes, opinions or missing facts give; None: the score decides."""
        if self.ruleset.format is RuleFormat.SCORE:
            return None
        if any(fact.name not in values for fact in REQUIRED_FACTS):
            return Verdict.BLOCK.value
        vetoes = [veto for veto in self.ruleset.fired_vetoes if veto.id in fired]
        ruling = find_gravest_verdict((*vetoes, *opinions), approved=values.get(APPROVED_FACT) == 1)
        return None if ruling is None else ruling.verdict.value

    def _build_verdict_function(
        self,
        final: str | None,
        approved: bool,  # noqa: FBT001
    ) -> Callable[[int], ReplayedVerdict]:
        """What is said at each score, where all else is alike."""
        low, high = self.ruleset.minimum, self.ruleset.maximum

        def says(score: int) -> ReplayedVerdict:
            clamped = min(max(score, low), high)
            band = self.ruleset.band_of_score(clamped)
            lifted = approved and band == Verdict.REVIEW
            return ReplayedVerdict(final or (Verdict.ALLOW.value if lifted else band), clamped)

        return cache(says)

    def _judge_exactly(self, row: Row, opinions: Opinions) -> ReplayedVerdict:
        values = self._known_values(row)
        fired = self._reference.fired(values)
        if self.ruleset.format is RuleFormat.SCORE:
            score = compute_score(self.ruleset, values, fired)
            assert score is not None  # noqa: S101 - the base of a score set is a number
            return ReplayedVerdict(score.band, score.value)
        decision = build_decision(self.ruleset, values, fired, opinions, "replay")
        return ReplayedVerdict(decision.verdict.value, decision.score)


def _apply_result(judged: _SignatureResult, row: Row, scale: int) -> ReplayedVerdict:
    total = judged.fixed_points
    for place, points in judged.ramp_columns:
        total += points(row[place])
    return judged.verdict_of(total // scale)


def _points_of_base(scale: int, raw: object) -> int:
    return to_micro(cast("float", raw)) * (scale // MICRO)


def _points_of_ramp(ramp: Ramp, scale: int, raw: object) -> int:
    return ramp.points(to_micro(cast("float", raw)), scale)


def _has_capped_ramp(ruleset: Ruleset) -> bool:
    grouped = {name for group in ruleset.groups for name in group.rules}
    return any(isinstance(r.points, Ramp) and r.id in grouped for r in ruleset.scores)


def _build_classifier(fact: Fact, ruleset: Ruleset) -> Classes:
    """How a column of the fact is sorted by what the rules ask of it."""
    conditions = [condition for _, condition, _ in ruleset.conditions]
    asked = [leaf for each in conditions for leaf in iter_leaves(each) if leaf.fact == fact.name]
    if fact.type is FactType.TEXT:
        return _ClassCache(_build_text_classifier(fact, asked)).classify
    cuts = sorted({cut for leaf in asked for cut in _compared_numbers(leaf)})
    return (
        _ClassCache(_build_number_classifier(fact, cuts)).classify
        if cuts
        else _build_range_classifier(fact)
    )


class _ClassCache:
    """Sorts the values of one fact, each only once as long as they are not too many."""

    def __init__(self, new: Callable[[object], int]) -> None:
        self._new = new
        self._known: dict[object, int] = {}

    def classify(self, column: Sequence[object]) -> list[int]:
        """The class of each value."""
        known, new = self._known, self._new
        if len(known) >= _MAX_REMEMBERED:
            known.clear()
        return [known[raw] if raw in known else known.setdefault(raw, new(raw)) for raw in column]


def _build_range_classifier(fact: Fact) -> Classes:
    """A number that only ramps read: all that counts is whether it is known."""
    low, high = fact.low, fact.high

    def of(column: Sequence[object]) -> list[int]:
        numbers = cast("Sequence[float | None]", column)
        return [0 if raw is not None and low <= raw <= high else _UNKNOWN_CLASS for raw in numbers]

    return of


def _build_number_classifier(fact: Fact, cuts: Sequence[int]) -> Callable[[object], int]:
    """Numbers are alike that lie between the same two, or at the same, that rules compare with."""

    def of(raw: object) -> int:
        number = cast("float | None", raw)
        if number is None or not fact.low <= number <= fact.high:
            return _UNKNOWN_CLASS
        value = to_micro(number)
        return bisect_left(cuts, value) + bisect_right(cuts, value)

    return of


def _compared_numbers(leaf: Leaf) -> Sequence[int]:
    """The numbers that a comparison compares with; whether it is missing is no number."""
    several = leaf.operand if isinstance(leaf.operand, tuple | frozenset) else (leaf.operand,)
    return cast("Sequence[int]", several)


def _build_text_classifier(fact: Fact, asked: Sequence[Leaf]) -> Callable[[object], int]:
    """Texts are alike of which the rules' comparisons say the same."""
    numbers: dict[tuple[object, ...], int] = {}

    def of(raw: object) -> int:
        values = known_values((fact,), {fact.name: raw})
        answers = (bool(values), *(evaluate_leaf(leaf, values) for leaf in asked))
        return numbers.setdefault(answers, len(numbers))

    return of
