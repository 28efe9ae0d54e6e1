"""One engine is enough to run, and the judge says which one decided."""

from __future__ import annotations

import subprocess
import sys

from rules import Judge
from rules.engine import available
from tests.rules.support import GATE_HEAD, facts, loaded

PROGRAM = """
import sys
sys.modules["durable_rules_engine"] = None
from rules import DEFAULTS, Judge, load
from rules.engine import EngineFault, Matcher, available
judge = Judge(load([DEFAULTS / "gate.yaml"]))
try:
    Matcher([])
except EngineFault as fault:
    print(available, judge.engine, fault)
"""


def test_only_where_it_cannot_be_built_durable_rules_is_missing() -> None:
    """On Python 3.11 and 3.12 no test of the two engines is set aside."""
    assert available == (sys.version_info < (3, 13))


def test_the_judge_says_which_engines_decide() -> None:
    """Both wherever both are there."""
    engine = "durable-rules+reference" if available else "reference"
    assert Judge(loaded(GATE_HEAD)).engine == engine


def test_the_reference_alone_says_so() -> None:
    """In each decision, so that the status can show it."""
    judge = Judge(loaded(GATE_HEAD), "reference")
    assert judge.decide(facts(judge)).engine == judge.engine == "reference"
    judge.close()


def test_without_the_extension_the_reference_decides_alone() -> None:
    """As on Python 3.13 and later; shown in a process that cannot load it."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == ("False reference durable-rules is not installed for this Python")
