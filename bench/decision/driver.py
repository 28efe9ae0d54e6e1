"""The gate's decision against rule engines that people use: the same rules, facts and trace."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.child import NODE_MODULES, PEERS, Child, python, started
from bench.decision.load import KNOWN
from bench.rounds import ROUNDS, Rounds

OURS = "ours, both engines"
GOALS = {"durable-rules Host": 3, "json-rules-engine": 2, "rule-engine": 1}
RULES = 26
DECISIONS = 1_000
SIZES = (10, 26, 50, 100, 200)


def run() -> object:
    """Print ratios of one decision with 26 rules, and its cost with 10 to 200."""
    with started(_commands()) as peers:
        found = [_compared(peers, every=every) for every in (False, True)]
        return {"compared": found, "by_size": _cost_of_size(peers[OURS])}


def _commands() -> dict[str, Sequence[str]]:
    """Return what starts each peer that is present."""
    commands: dict[str, Sequence[str]] = {
        OURS: python("bench.decision.ours"),
        "durable-rules Host": python("bench.decision.host"),
    }
    node = shutil.which("node")
    if node and (NODE_MODULES / "json-rules-engine").is_dir():
        script = Path(__file__).with_name("json_rules_engine.js")
        commands["json-rules-engine"] = [node, str(script)]
    if (PEERS / "python" / "rule_engine").is_dir():
        commands["rule-engine"] = python("bench.decision.rule_engine_peer")
    return commands


def _compared(peers: dict[str, Child], *, every: bool) -> object:
    rounds = Rounds("", OURS)
    fired = 0.0
    for number in range(-1, ROUNDS):
        for name, child in peers.items():
            took = _decided(child, name, every=every)
            if name == OURS:
                fired = took["fired"]
            elif took["fired"] != fired:
                sys.exit(f"{name} fired {took['fired']} rules, ours {fired}")
            if number >= 0:  # the one before warms up
                rounds.add(name, took)
    rounds.subject = f"{RULES} rules of which {fired / DECISIONS:.1f} fire"
    print(*rounds.lines(GOALS), sep="\n")
    return rounds.document()


def _decided(child: Child, name: str, *, every: bool) -> dict[str, float]:
    known = {"known": KNOWN} if name == "json-rules-engine" else {}
    return child.did(count=DECISIONS, size=RULES, every=every, **known)


def _cost_of_size(ours: Child) -> object:
    rounds = Rounds("our decision, by the number of rules")
    for number in range(-1, ROUNDS):
        for size in SIZES:
            took = ours.did(count=DECISIONS, size=size, every=False)
            if number >= 0:
                rounds.add(f"{size:3} rules, {took['fired'] / DECISIONS:5.1f} fire", took)
    print(*rounds.lines({}), sep="\n")
    return rounds.document()
