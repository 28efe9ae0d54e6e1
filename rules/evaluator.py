"""Evaluates a ruleset: both engines on every decision, and a fault when they disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from rules import engine as durable
from rules.compiler import compile_rules
from rules.decide import build_decision
from rules.facts import FACTS
from rules.known_values import known_values
from rules.ruleset import RuleFormat
from rules.scoring import compute_score
from rules.second_evaluator import SecondEvaluator
from rules.verdict import ScoreResult

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    from rules.compiler import Shard
    from rules.conditions import Condition
    from rules.known_values import KnownValue
    from rules.ruleset import Ruleset
    from rules.verdict import Decision, Opinion

    Compiler = Callable[[Sequence[tuple[str, Condition, bool]]], tuple[Shard, ...]]


_NAMES = frozenset({list, set})
"""How a fact comes that is some names, which rules read as a set."""
BOTH_ENGINES = "durable-rules+reference"
SECOND_ENGINE = "reference"


class GateFault(Exception):
    """The engines failed or disagree, so no verdict can be trusted; the gate fails closed.

    `dump` has the values that are needed to repeat the evaluation, without private text.
    """

    def __init__(self, reason_code: str, sentence: str, dump: Mapping[str, Any]) -> None:
        """Take a code, a sentence for people, and the dump that is stored."""
        super().__init__(sentence)
        self.reason_code = reason_code
        self.sentence = sentence
        self.dump = dict(dump)


EngineChoice: TypeAlias = Literal["both", "reference"]
"""Whether durable-rules is used beside the reference."""


class RuleEvaluator:
    """Evaluates facts by one ruleset. The same facts always give the same result.

    With `engines="both"` durable-rules and the reference evaluate every decision; where the C
    extension is not installed the reference runs alone. `engine` names the engines in use.
    """

    def __init__(
        self,
        ruleset: Ruleset,
        engines: EngineChoice = "both",
        compiler: Compiler = compile_rules,
    ) -> None:
        """Compile the ruleset for each engine. Raises `GateFault` when durable-rules refuses it."""
        self.ruleset = ruleset
        self._reference = SecondEvaluator(ruleset.conditions)
        self._matcher: durable.DurableMatcher | None = None
        if engines == "both" and durable.ENGINE_AVAILABLE:
            try:
                self._matcher = durable.DurableMatcher(compiler(ruleset.conditions))
            except durable.EngineFault as fault:
                raise self._build_fault("engine_fault", str(fault), {}) from fault
        self.engine = SECOND_ENGINE if self._matcher is None else BOTH_ENGINES

    def decide(self, facts: Mapping[str, object], opinions: Sequence[Opinion] = ()) -> Decision:
        """Return the decision on one message. Raises `GateFault`: the message must not be sent now.

        Facts that are not in the vocabulary are ignored.
        """
        self._require_format(RuleFormat.GATE)
        values = known_values(self.ruleset.reads, facts)
        return build_decision(self.ruleset, values, self._find_fired(values), opinions, self.engine)

    def score(self, facts: Mapping[str, object]) -> ScoreResult:
        """Return the score of one prospect. Raises `GateFault`."""
        self._require_format(RuleFormat.SCORE)
        values = known_values(self.ruleset.reads, facts)
        result = compute_score(self.ruleset, values, self._find_fired(values))
        assert result is not None  # noqa: S101 - the base of a score set is a number
        return ScoreResult(
            result.value,
            result.raw,
            result.band,
            result.contributions,
            self.ruleset.missing_facts(values),
            self.ruleset.hash,
            self.engine,
        )

    def close(self) -> None:
        """Free the engine's memory; the evaluator must not be used afterwards."""
        if self._matcher is not None:
            self._matcher.close()

    def build_key(self, facts: Mapping[str, object]) -> Hashable:
        """Return a key of this ruleset and of all that it reads of the facts."""
        found = [facts.get(fact.name) for fact in self.ruleset.reads]
        # With their types: 1 and True are equal, and are not the same to a rule.
        kinds = tuple(map(type, found))
        for place in (place for place, kind in enumerate(kinds) if kind in _NAMES):
            found[place] = frozenset(cast("Iterable[str]", found[place]))
        return self.ruleset.hash, tuple(found), kinds

    def _require_format(self, kind: RuleFormat) -> None:
        if self.ruleset.format is not kind:
            message = f"This set is `{self.ruleset.format}`; `{kind}` was asked for"
            raise ValueError(message)

    def _find_fired(self, values: Mapping[str, KnownValue]) -> frozenset[str]:
        expected = self._reference.fired(values)
        if self._matcher is None:
            return expected
        try:
            got = self._matcher.fired(values)
        except durable.EngineFault as fault:
            raise self._build_fault("engine_fault", str(fault), values) from fault
        # Not the stricter of the two: which one is wrong is not known, so neither is used.
        if got != expected:
            only = {"durable_rules": sorted(got - expected), "reference": sorted(expected - got)}
            sentence = f"The two engines disagree on {', '.join(sorted(got ^ expected))}"
            raise self._build_fault("engines_disagree", sentence, values, only=only)
        return expected

    def _build_fault(
        self, code: str, sentence: str, values: Mapping[str, KnownValue], **more: object
    ) -> GateFault:
        """Return a fault with the values that are needed to repeat it, but no private text."""
        shown = {
            name: sorted(value) if isinstance(value, frozenset) else value
            for name, value in values.items()
            if not FACTS[name].hashed
        }
        return GateFault(
            code, sentence, {"ruleset": self.ruleset.hash, "values": shown, "only": {}, **more}
        )


class RememberedRulings:
    """Results by the facts that they rest on: where many are judged, equal ones are judged once.

    For one round of judging. A fault is not remembered, and other rules have other results.
    """

    def __init__(self) -> None:
        self._decisions: dict[Hashable, Decision] = {}
        self._scores: dict[Hashable, ScoreResult] = {}

    def decide(
        self, evaluator: RuleEvaluator, facts: Mapping[str, object], opinions: Sequence[Opinion]
    ) -> Decision:
        """Return the decision of an evaluator. Raises `GateFault`."""
        key = (evaluator.build_key(facts), tuple(opinions))
        if key not in self._decisions:
            self._decisions[key] = evaluator.decide(facts, opinions)
        return self._decisions[key]

    def score(self, evaluator: RuleEvaluator, facts: Mapping[str, object]) -> ScoreResult:
        """Return the score of an evaluator. Raises `GateFault`."""
        key = evaluator.build_key(facts)
        if key not in self._scores:
            self._scores[key] = evaluator.score(facts)
        return self._scores[key]
