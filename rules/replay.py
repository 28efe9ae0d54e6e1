"""Re-evaluates many stored decisions fast, for backtests.

Rows of facts that no rule can distinguish have the same signature, and are evaluated once.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple, cast

from msgspec import Struct

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
    Signature = tuple[object, ...]
    """The class of each column's value, and the opinions."""
    RampColumn = tuple[int, Callable[[object], int]]
    """The index of a column, and a function from its raw value to scaled points."""
    Classes = Callable[[Sequence[object]], list[int]]
    """The class of each value of a column."""

# Signatures, and values of one fact, that are cached: texts hardly repeat, and memory is small.
_MAX_CACHED = 10_000
_OPEN_TYPES = (FactType.NUMBER, FactType.TEXT)
"""Types of fact with unlimited values, which are grouped into classes of equal effect."""
_UNKNOWN_CLASS = -1
"""The class of a value that is missing or out of range."""


class ReplayedVerdict(NamedTuple):
    """The result of a row: the verdict of a gate, or the band of a score ruleset, and the score."""

    verdict: str
    score: int | None


class _SignatureResult(Struct, frozen=True):
    """The result that all rows of one signature share, as a function of their ramps' values."""

    fixed_points: int
    """The scaled points that are the same for all rows."""
    ramp_columns: tuple[RampColumn, ...]
    """The columns that give further points: the base, and each ramp that counts."""
    verdict_of: Callable[[int], ReplayedVerdict]
    """The result for a score that is not clamped yet."""


class Replay:
    """Evaluates rows of facts by one ruleset: verdicts and scores, without explanations.

    The results are those of `RuleEvaluator`. `columns` are the facts of a row, in order; a row has
    a value of the right type for each, or None.
    """

    def __init__(self, ruleset: Ruleset) -> None:
        """Compile the rules, and a classifier for each fact with unlimited values."""
        self.ruleset = ruleset
        closed = [fact for fact in ruleset.reads if fact.type not in _OPEN_TYPES]
        opened = [fact for fact in ruleset.reads if fact.type in _OPEN_TYPES]
        self.columns: tuple[Fact, ...] = (*closed, *opened)
        self._names = [fact.name for fact in self.columns]
        self._places = {name: place for place, name in enumerate(self._names)}
        self._classes = [None] * len(closed) + [_build_classifier(fact, ruleset) for fact in opened]
        self._reference = SecondEvaluator(ruleset.conditions)
        # The cap of a group with a ramp needs the exact sum, which differs within a signature.
        self._row_by_row = _has_capped_ramp(ruleset)
        self._verdict_function = cache(self._build_verdict_function)
        self._results: dict[Signature, _SignatureResult] = {}

    def row_from_facts(self, facts: Mapping[str, object]) -> Row:
        """Return the row of these facts; missing and out-of-range values are None."""
        known = known_values(self.columns, facts)
        raw = {name: facts[name] for name in known}
        # Names come as any collection; a sorted tuple is hashable, and equal for equal sets.
        several = {
            name: tuple(sorted(each)) for name, each in known.items() if isinstance(each, frozenset)
        }
        return tuple(map((raw | several).get, self._names))

    def decide(
        self, rows: Sequence[Row], opinions: Sequence[Opinions] = ()
    ) -> list[ReplayedVerdict]:
        """Return the verdict and score of each row; `opinions` has those of each row, if any."""
        given = opinions or [()] * len(rows)
        if self._row_by_row:
            return list(map(self._evaluate_exactly, rows, given))
        known, scale = self._results, self.ruleset.scale
        return [
            _apply_result(known.get(each) or self._evaluate_and_cache(each, row), row, scale)
            for each, row in zip(self._compute_signatures(rows, given), rows, strict=True)
        ]

    @property
    def signature_count(self) -> int:
        """How many different signatures are cached."""
        return len(self._results)

    def _compute_signatures(
        self, rows: Sequence[Row], opinions: Sequence[Opinions]
    ) -> Iterator[Signature]:
        """Return the signature of each row; the opinions are its last part."""
        # Column by column: one call for each fact, instead of one for each value.
        columns = zip(*rows, strict=True)
        parts = [
            column if classes is None else classes(column)
            for classes, column in zip(self._classes, columns, strict=False)
        ]
        return zip(*parts, opinions, strict=True)

    def _known_values(self, row: Row) -> dict[str, KnownValue]:
        return known_values(self.columns, dict(zip(self._names, row, strict=True)))

    def _evaluate_and_cache(self, signature: Signature, row: Row) -> _SignatureResult:
        if len(self._results) >= _MAX_CACHED:
            self._results.clear()
        result = self._evaluate_signature(row, cast("Opinions", signature[-1]))
        self._results[signature] = result
        return result

    def _evaluate_signature(self, row: Row, opinions: Opinions) -> _SignatureResult:
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

    def _ramp_columns(self, ramps: Sequence[Ramp]) -> Iterator[RampColumn]:
        scale = self.ruleset.scale
        if isinstance(self.ruleset.base, str):
            yield self._places[self.ruleset.base], partial(_points_of_base, scale)
        for ramp in ramps:
            yield self._places[ramp.fact], partial(_points_of_ramp, ramp, scale)

    def _find_final_verdict(
        self, values: Mapping[str, KnownValue], fired: frozenset[str], opinions: Opinions
    ) -> str | None:
        """Return the verdict of vetoes, opinions or missing facts; None where the score decides."""
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
        """Return the function from a score to the result, where everything else is fixed."""
        low, high = self.ruleset.minimum, self.ruleset.maximum

        def verdict_at(score: int) -> ReplayedVerdict:
            clamped = min(max(score, low), high)
            band = self.ruleset.band_of_score(clamped)
            lifted = approved and band == Verdict.REVIEW
            return ReplayedVerdict(final or (Verdict.ALLOW.value if lifted else band), clamped)

        return cache(verdict_at)

    def _evaluate_exactly(self, row: Row, opinions: Opinions) -> ReplayedVerdict:
        values = self._known_values(row)
        fired = self._reference.fired(values)
        if self.ruleset.format is RuleFormat.SCORE:
            score = compute_score(self.ruleset, values, fired)
            assert score is not None  # noqa: S101 - the base of a score set is a number
            return ReplayedVerdict(score.band, score.value)
        decision = build_decision(self.ruleset, values, fired, opinions, "replay")
        return ReplayedVerdict(decision.verdict.value, decision.score)


def _apply_result(result: _SignatureResult, row: Row, scale: int) -> ReplayedVerdict:
    total = result.fixed_points
    for place, points in result.ramp_columns:
        total += points(row[place])
    return result.verdict_of(total // scale)


def _points_of_base(scale: int, raw: object) -> int:
    return to_micro(cast("float", raw)) * (scale // MICRO)


def _points_of_ramp(ramp: Ramp, scale: int, raw: object) -> int:
    return ramp.points(to_micro(cast("float", raw)), scale)


def _has_capped_ramp(ruleset: Ruleset) -> bool:
    grouped = {name for group in ruleset.groups for name in group.rules}
    return any(isinstance(r.points, Ramp) and r.id in grouped for r in ruleset.scores)


def _build_classifier(fact: Fact, ruleset: Ruleset) -> Classes:
    """Return a function that maps a column of the fact to classes that rules can distinguish."""
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
    """Caches the class of each value of one fact, up to a limit."""

    def __init__(self, new: Callable[[object], int]) -> None:
        self._new = new
        self._known: dict[object, int] = {}

    def classify(self, column: Sequence[object]) -> list[int]:
        """Return the class of each value."""
        known, new = self._known, self._new
        if len(known) >= _MAX_CACHED:
            known.clear()
        return [known[raw] if raw in known else known.setdefault(raw, new(raw)) for raw in column]


def _build_range_classifier(fact: Fact) -> Classes:
    """Return a classifier of a number that only ramps read: what counts is whether it is known."""
    low, high = fact.low, fact.high

    def of(column: Sequence[object]) -> list[int]:
        numbers = cast("Sequence[float | None]", column)
        return [0 if raw is not None and low <= raw <= high else _UNKNOWN_CLASS for raw in numbers]

    return of


def _build_number_classifier(fact: Fact, cuts: Sequence[int]) -> Callable[[object], int]:
    """Return a classifier of a number by its place among the numbers that rules compare it with."""

    def of(raw: object) -> int:
        number = cast("float | None", raw)
        if number is None or not fact.low <= number <= fact.high:
            return _UNKNOWN_CLASS
        value = to_micro(number)
        # The sum is odd at a cut, and even between two: three classes around each.
        return bisect_left(cuts, value) + bisect_right(cuts, value)

    return of


def _compared_numbers(leaf: Leaf) -> Sequence[int]:
    """Return the numbers that a comparison compares with.

    For `missing` that is 0 or 1, which only makes one class more than needed.
    """
    several = leaf.operand if isinstance(leaf.operand, tuple | frozenset) else (leaf.operand,)
    return cast("Sequence[int]", several)


def _build_text_classifier(fact: Fact, asked: Sequence[Leaf]) -> Callable[[object], int]:
    """Return a classifier of texts by the results of the rules' comparisons."""
    numbers: dict[tuple[object, ...], int] = {}

    def of(raw: object) -> int:
        values = known_values((fact,), {fact.name: raw})
        answers = (bool(values), *(evaluate_leaf(leaf, values) for leaf in asked))
        return numbers.setdefault(answers, len(numbers))

    return of
