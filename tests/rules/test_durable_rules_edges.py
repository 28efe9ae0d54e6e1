"""Each sharp edge of durable-rules: ordinary use fails in a child process, our adapter does not.

Where the library gets better one day, the first half of a test fails and the fence can go.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

import pytest

from rules.compiler import compile_rules
from rules.conditions import AllOf, AnyOf, Condition, Leaf, Op
from rules.engine import DurableMatcher
from rules.known_values import to_micro

pytestmark = pytest.mark.slow

_SECONDS = 4
"""A child that says nothing for so long hangs: none of these has a second's work to do."""

_DIRECT = """
import json, durable_rules_engine as engine
def ruleset(rules):
    return engine.create_ruleset("direct", json.dumps(rules))
def tell(handle, **fact):
    return engine.assert_fact(handle, json.dumps({"id": "1", "sid": "1", **fact}))
def actions(handle, state):
    found, started = [], engine.start_action_for_state(handle, state)
    message = started[1] if started else None
    while message:
        found.append(next(iter(json.loads(message))))
        message = engine.complete_and_start_action(handle, state)
    return found
def rule(*tests):
    return {"all": [{"m": {"$and": list(tests)}}]}
"""


@dataclass(frozen=True)
class ProgramResult:
    """How a child ended: what it said, its exit status (negative: a signal), or that it hung."""

    said: str
    status: int | None

    @property
    def hung(self) -> bool:
        """Tell whether it never came back."""
        return self.status is None

    @property
    def killed(self) -> bool:
        """Tell whether a signal ended it: no error that a caller could catch."""
        return self.status is not None and self.status < 0

    @property
    def failed(self) -> bool:
        """Tell whether it ended with an error of its own."""
        return self.status is not None and self.status > 0


def _direct(program: str) -> ProgramResult:
    command = [sys.executable, "-c", _DIRECT + program]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        return ProgramResult("", None)
    return ProgramResult(ran.stdout.strip(), ran.returncode)


def _fired(condition: Condition, **values: object) -> bool:
    matcher = DurableMatcher(compile_rules([("it", condition, False)]))
    known = {name.replace("__", "."): value for name, value in values.items()}
    return "it" in matcher.fired(known)  # type: ignore[arg-type]


def _links(op: Op, number: int) -> Leaf:
    return Leaf("message.links", op, to_micro(number))


def test_hundreds_of_conditions_under_one_node_hang_it_for_ever() -> None:
    """It holds the interpreter's lock meanwhile; shards are small."""
    ended = _direct(
        "handle = ruleset({f'r{n}': rule({'$gte': {'x': n}}, {'$lte': {'x': n}}) "
        "for n in range(600)})\n"
        "tell(handle, x=5)\nprint('back')"
    )
    assert ended.hung
    choices = AnyOf(tuple(_links(Op.EQ, number) for number in range(60)))
    matcher = DurableMatcher(compile_rules([(f"r{n}", choices, False) for n in range(20)]))
    assert len(matcher.fired({"message.links": to_micro(5)})) == 20


def test_a_text_matches_a_number() -> None:
    """`""` is taken for the number that lay there before; we send integers alone."""
    ended = _direct(
        "handle = ruleset({'r': rule({'x': 5})})\n"
        "_, state = tell(handle, x=5)\n"
        "engine.retract_fact(handle, json.dumps({'id': '1', 'sid': '1', 'x': 5}))\n"
        "print(actions(handle, tell(handle, x='')[1]))"
    )
    assert ended.said == "['r']"
    assert not _fired(Leaf("prospect.country", Op.EQ, "AR"), prospect__country="")


def test_true_is_taken_for_one() -> None:
    """We know flags from numbers before the engine sees either."""
    ended = _direct("print(actions(*[(h := ruleset({'r': rule({'x': 1})})), tell(h, x=True)[1]]))")
    assert ended.said == "['r']"


def test_a_small_fraction_is_refused() -> None:
    """`1e-07` is no number to it; we send millionths."""
    ended = _direct("handle = ruleset({'r': rule({'$gt': {'x': 0}})})\ntell(handle, x=1e-07)")
    assert ended.failed
    least = Leaf("message.similarity", Op.GTE, 0)
    assert _fired(least, message__similarity=to_micro(1e-07))


def test_a_thousand_sids_are_too_many() -> None:
    """We use one, for all decisions."""
    ended = _direct(
        "handle = ruleset({'r': rule({'x': 1})})\n"
        "for n in range(3000):\n"
        "    engine.assert_fact(handle, json.dumps({'id': str(n), 'sid': str(n), 'x': 1}))\n"
    )
    assert ended.failed
    matcher = DurableMatcher(compile_rules([("it", _links(Op.GTE, 1), False)]))
    assert all(matcher.fired({"message.links": to_micro(n % 3 + 1)}) for n in range(3_000))


def test_a_huge_id_kills_the_process() -> None:
    """Ours has one character."""
    ended = _direct(
        "handle = ruleset({'r': rule({'x': 1})})\n"
        "engine.assert_fact(handle, json.dumps({'id': 'i' * 9_000_000, 'sid': '1', 'x': 1}))\n"
        "print('back')"
    )
    assert ended.killed
    (shard,) = compile_rules([("it", _links(Op.GTE, 1), False)])
    assert json.loads(shard.fact({}))["id"] == "1"


def test_deleting_a_state_with_actions_left_kills_the_process() -> None:
    """We delete one only after everything was drained."""
    ended = _direct(
        "handle = ruleset({'r': rule({'x': 1}), 's': rule({'x': 1})})\n"
        "_, state = tell(handle, x=1)\n"
        "engine.start_action_for_state(handle, state)\n"
        "engine.delete_state(handle, '1')\n"
        "engine.complete_and_start_action(handle, state)\n"
        "print('back')"
    )
    assert ended.killed
    for _ in range(50):
        matcher = DurableMatcher(compile_rules([("it", _links(Op.GTE, 1), False)]))
        assert matcher.fired({"message.links": to_micro(2)}) == {"it"}
        matcher.close()


def test_division_by_zero_kills_the_process() -> None:
    """We reckon ourselves; the engine compares."""
    ended = _direct(
        "handle = ruleset({'r': rule({'$gt': {'x': {'$div': {'$l': {'$m': 'y'}, '$r': 0}}}})})\n"
        "tell(handle, x=1, y=1)"
    )
    assert ended.killed


def test_posting_fires_one_rule_only() -> None:
    """An event is consumed by the first rule; we assert a fact, and take it back."""
    ended = _direct(
        "handle = ruleset({'r': rule({'x': 1}), 's': rule({'x': 1})})\n"
        "_, state = engine.assert_event(handle, json.dumps({'id': '1', 'sid': '1', 'x': 1}))\n"
        "print(actions(handle, state))"
    )
    assert len(json.loads(ended.said.replace("'", '"'))) == 1
    rules = [("r", _links(Op.GTE, 1), False), ("s", _links(Op.LTE, 9), False)]
    assert DurableMatcher(compile_rules(rules)).fired({"message.links": to_micro(1)}) == {"r", "s"}


def test_threads_on_one_ruleset_lose_rules() -> None:
    """It fails open: rules that should have stopped something do not run. We take a lock."""
    ended = _direct(
        "import sys; from concurrent.futures import ThreadPoolExecutor\n"
        "sys.setswitchinterval(1e-6)\n"
        "handle = ruleset({'r': rule({'x': 1}), 's': rule({'x': 1})})\n"
        "def ask(n):\n"
        "    fact = json.dumps({'id': str(n), 'sid': '1', 'x': 1})\n"
        "    _, state = engine.assert_fact(handle, fact)\n"
        "    found = actions(handle, state)\n"
        "    engine.retract_fact(handle, fact)\n"
        "    return len(found) == 2\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    print(all(pool.map(ask, range(4000))))"
    )
    assert ended.said != "True"


@pytest.mark.parametrize("parts", [1, 20])
def test_our_names_never_reach_the_engine(parts: int) -> None:
    """It compares sids and field names by a 32-bit hash; ours are a letter and a number."""
    rules = [("a_rule", AllOf(tuple(_links(Op.GTE, n) for n in range(parts))), False)]
    for shard in compile_rules(rules):
        assert "message.links" not in shard.definition
        assert "a_rule" not in shard.definition
