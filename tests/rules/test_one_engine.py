"""One engine is enough to run, the judge says which decided, and what holds with either holds."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rules import RuleEvaluator
from rules.engine import ENGINE_AVAILABLE
from tests.helpers.rule_texts import GATE_HEAD, build_facts, load_rules

pytestmark = pytest.mark.slow

WITHOUT = """
import sys
sys.modules["durable_rules_engine"] = None
"""
PROGRAM = """
from rules import DEFAULTS, RuleEvaluator, load_ruleset
from rules.engine import ENGINE_AVAILABLE, DurableMatcher, EngineFault
evaluator = RuleEvaluator(load_ruleset([DEFAULTS / "gate.yaml"]))
try:
    DurableMatcher([])
except EngineFault as fault:
    print(ENGINE_AVAILABLE, evaluator.engine, fault)
"""


def test_durable_rules_is_there_on_every_python() -> None:
    """Where it is not, pyproject.toml's way to build it was not taken: nothing is set aside."""
    assert ENGINE_AVAILABLE


def test_the_judge_says_which_engines_decide() -> None:
    """Both."""
    assert RuleEvaluator(load_rules(GATE_HEAD)).engine == "durable-rules+reference"


def test_the_reference_alone_says_so() -> None:
    """In each decision, so that the status can show it."""
    judge = RuleEvaluator(load_rules(GATE_HEAD), "reference")
    assert judge.decide(build_facts(judge)).engine == judge.engine == "reference"
    judge.close()


def test_without_the_extension_the_reference_decides_alone() -> None:
    """Shown in a process that cannot load it."""
    said = "False reference durable-rules is not installed for this Python"
    assert _child(WITHOUT + PROGRAM) == said


def _child(program: str) -> str:
    """What a program prints in a process of its own, which the engine may kill."""
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


MEMORY = """
from pathlib import Path
from rules import DEFAULTS, RuleEvaluator, load_ruleset
from rules.examples import baseline_facts
ruleset = load_ruleset([DEFAULTS / "gate.yaml"])
facts = baseline_facts(ruleset)
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
def reload():
    evaluator = RuleEvaluator(ruleset)
    evaluator.decide(facts)
    evaluator.close()
def forget():
    RuleEvaluator(ruleset).decide(facts)
def decide(evaluator=RuleEvaluator(ruleset)):
    evaluator.decide(facts)
for work, times in ((reload, 200), (forget, 200), (decide, 10_000)):
    for _ in range(50):
        work()
    before = resident()
    for _ in range(times):
        work()
    print(resident() - before < 4_000_000)
"""


@pytest.mark.parametrize("before", ["", WITHOUT], ids=["what is here", "without durable-rules"])
def test_memory_stays_flat_over_reloads_and_decisions(before: str) -> None:
    """A set that is closed, or that nobody holds, gives all back; a decision leaves nothing."""
    assert _child(before + MEMORY).split() == ["True", "True", "True"]


def test_the_same_rules_may_be_loaded_twice_at_the_same_time() -> None:
    """While a new set is tried the old one goes on."""
    ruleset = load_rules(
        GATE_HEAD + "vetoes: [{id: it, reason: r, when: {message.text|contains: casino}}]\n"
    )
    old, new = RuleEvaluator(ruleset), RuleEvaluator(ruleset)
    given = build_facts(old, message__text="casino")
    assert old.decide(given) == new.decide(given)
    new.close()
    assert old.decide(given).vetoes
