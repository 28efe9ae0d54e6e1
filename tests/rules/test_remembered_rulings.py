"""Equal facts are judged once, and nothing else is taken for equal."""

from __future__ import annotations

import pytest

from rules import GateFault, Opinion, RememberedRulings, Verdict, VetoEffect
from tests.helpers.rule_texts import build_facts, build_gate_evaluator

RULE = """
vetoes:
  - id: refused
    reason: "They said no"
    when: {prospect.permission: refused}
"""


def test_equal_facts_have_the_same_decision_and_others_their_own() -> None:
    """By what the rules read, by the opinions of plugins, and by the ruleset."""
    evaluator = build_gate_evaluator(RULE)
    other = build_gate_evaluator(RULE.replace("permission: refused", "permission: none"))
    remembered = RememberedRulings()
    agreed = build_facts(evaluator, **{"prospect.permission": "opted_in"})
    refused = {**agreed, "prospect.permission": "refused"}
    first = remembered.decide(evaluator, agreed, [])
    assert first == evaluator.decide(agreed)
    assert remembered.decide(evaluator, {**agreed, "message.text": "not read"}, []) is first
    assert remembered.decide(evaluator, refused, []).verdict is Verdict.BLOCK
    held = [Opinion("plugin", VetoEffect.HOLD, "Look at it")]
    assert remembered.decide(evaluator, agreed, held) == evaluator.decide(agreed, held)
    assert remembered.decide(other, refused, []) == other.decide(refused)


def test_a_fault_is_not_remembered() -> None:
    """What could not be judged is judged again the next time, and fails again."""
    evaluator, remembered = build_gate_evaluator(RULE), RememberedRulings()
    evaluator.close()
    facts = build_facts(evaluator)
    for _ in range(2):
        with pytest.raises(GateFault):
            remembered.decide(evaluator, facts, [])
