"""Ten mistakes planted in the compiler: the second engine catches each, on the shipped rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from msgspec.structs import replace

from rules import DEFAULTS, GateFault, RuleEvaluator, load_ruleset
from rules.compiler import Shard, compile_rules
from rules.conditions import AllOf, AnyOf, Condition, Not
from rules.examples import baseline_facts

Rules = Sequence[tuple[str, Condition, bool]]
Compiler = Callable[[Rules], tuple[Shard, ...]]

GATE = load_ruleset([DEFAULTS / "gate.yaml"])
AT_THE_EDGES: dict[str, tuple[object, ...]] = {
    "history.unanswered": (0, 1, 2, None),
    "message.similarity": (0.899999, 0.9, 0.900001, None),
    "message.links": (0, 1, None),
    "message.duplicate": (True, None),
    "prospect.suppressed": (True, None),
    "prospect.permission": ("none", "relationship", "public_source", None),
    "prospect.validado_tecnicamente": (False, None),
    "clock.in_window": ((), None),
    "session.sending": ("none", "reply_only", None),
}


def forgets_unknowns(rules: Rules) -> tuple[Shard, ...]:
    """A veto over an unknown would not fire."""
    return compile_rules([(rule, condition, False) for rule, condition, _ in rules])


def takes_unknowns_for_true(rules: Rules) -> tuple[Shard, ...]:
    """A rule that gives points would fire over an unknown."""
    return compile_rules([(rule, condition, True) for rule, condition, _ in rules])


def forgets_a_rule(rules: Rules) -> tuple[Shard, ...]:
    """The first one, and with it the most important veto."""
    return compile_rules(rules[1:])


def negates(rules: Rules) -> tuple[Shard, ...]:
    """Each condition means its opposite."""
    return compile_rules([(rule, Not(condition), unknown) for rule, condition, unknown in rules])


def takes_any_for_all(rules: Rules) -> tuple[Shard, ...]:
    """One part is enough."""
    return compile_rules(
        [(rule, AnyOf(c.parts) if isinstance(c, AllOf) else c, u) for rule, c, u in rules]
    )


def takes_all_for_any(rules: Rules) -> tuple[Shard, ...]:
    """Every part is asked for."""
    return compile_rules(
        [(rule, AllOf(c.parts) if isinstance(c, AnyOf) else c, u) for rule, c, u in rules]
    )


def _redefined(rules: Rules, old: str, new: str) -> tuple[Shard, ...]:
    return tuple(
        replace(shard, definition=shard.definition.replace(old, new))
        for shard in compile_rules(rules)
    )


def is_off_at_the_lower_edge(rules: Rules) -> tuple[Shard, ...]:
    """At least becomes more than."""
    return _redefined(rules, "$gte", "$gt")


def is_off_by_a_millionth(rules: Rules) -> tuple[Shard, ...]:
    """A constant is one too high."""
    return _redefined(rules, "900000}", "900001}")


def swaps_the_bounds(rules: Rules) -> tuple[Shard, ...]:
    """What is surely so is taken for what is perhaps so."""
    return tuple(
        replace(shard, bounds=tuple((fact, high, low) for fact, low, high in shard.bounds))
        for shard in compile_rules(rules)
    )


def swaps_two_names(rules: Rules) -> tuple[Shard, ...]:
    """What fires is called by another rule's id."""

    def swapped(shard: Shard) -> Shard:
        names = list(shard.rules)
        turned = dict(
            zip(names, [shard.rules[name] for name in names[1:] + names[:1]], strict=True)
        )
        return replace(shard, rules=turned)

    return tuple(map(swapped, compile_rules(rules)))


FAULTS: tuple[Compiler, ...] = (
    forgets_unknowns,
    takes_unknowns_for_true,
    forgets_a_rule,
    negates,
    takes_any_for_all,
    takes_all_for_any,
    is_off_at_the_lower_edge,
    is_off_by_a_millionth,
    swaps_the_bounds,
    swaps_two_names,
)


def _cases() -> Iterator[dict[str, object]]:
    usual = baseline_facts(GATE)
    for name, values in AT_THE_EDGES.items():
        yield from ({**usual, name: value} for value in values)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_compiler_that_is_wrong_is_caught(fault: Compiler) -> None:
    """Some decision at the edge of some rule comes out otherwise: a fault, never a guess."""
    judge = RuleEvaluator(GATE, compiler=fault)
    with pytest.raises(GateFault, match="The two engines disagree on"):
        _judge_all(judge)


def test_the_compiler_that_is_right_passes_them_all() -> None:
    """So what is caught above are the mistakes."""
    assert _judge_all(RuleEvaluator(GATE)) > len(AT_THE_EDGES)


def _judge_all(judge: RuleEvaluator) -> int:
    return len([judge.decide(facts) for facts in _cases()])
