"""The gate's decision against rule engines that people use: the same rules, facts and trace."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.decision.workload import KNOWN_FACTS
from bench.processes import NODE_MODULES, PEERS, BenchProcess, build_command, start_processes
from bench.rounds import ROUND_COUNT, BenchRounds

OURS = "ours, both engines"
GOALS = {"durable-rules Host": 3, "json-rules-engine": 2, "rule-engine": 1}
RULES = 26
DECISIONS = 1_000
SIZES = (10, 26, 50, 100, 200)


def run() -> object:
    """Print ratios of one decision with 26 rules, and its cost with 10 to 200."""
    with start_processes(_build_commands()) as peers:
        found = [_compare_peers(peers, every=every) for every in (False, True)]
        return {"compared": found, "by_size": _measure_sizes(peers[OURS])}


def _build_commands() -> dict[str, Sequence[str]]:
    """Return what starts each peer that is present."""
    commands: dict[str, Sequence[str]] = {
        OURS: build_command("bench.decision.leadmaster_peer"),
        "durable-rules Host": build_command("bench.decision.durable_peer"),
    }
    node = shutil.which("node")
    if node and (NODE_MODULES / "json-rules-engine").is_dir():
        script = Path(__file__).with_name("json_rules_engine.js")
        commands["json-rules-engine"] = [node, str(script)]
    if (PEERS / "python" / "rule_engine").is_dir():
        commands["rule-engine"] = build_command("bench.decision.rule_engine_peer")
    return commands


def _compare_peers(peers: dict[str, BenchProcess], *, every: bool) -> object:
    rounds = BenchRounds("", OURS)
    fired = 0.0
    for number in range(-1, ROUND_COUNT):
        for name, child in peers.items():
            took = _run_decisions(child, name, every=every)
            if name == OURS:
                fired = took["fired"]
            elif took["fired"] != fired:
                sys.exit(f"{name} fired {took['fired']} rules, ours {fired}")
            if number >= 0:  # the one before warms up
                rounds.add(name, took)
    rounds.subject = f"{RULES} rules of which {fired / DECISIONS:.1f} fire"
    print(*rounds.lines(GOALS), sep="\n")
    return rounds.document()


def _run_decisions(child: BenchProcess, name: str, *, every: bool) -> dict[str, float]:
    known = {"known": KNOWN_FACTS} if name == "json-rules-engine" else {}
    return child.run_order(count=DECISIONS, size=RULES, every=every, **known)


def _measure_sizes(ours: BenchProcess) -> object:
    rounds = BenchRounds("our decision, by the number of rules")
    for number in range(-1, ROUND_COUNT):
        for size in SIZES:
            took = ours.run_order(count=DECISIONS, size=size, every=False)
            if number >= 0:
                rounds.add(f"{size:3} rules, {took['fired'] / DECISIONS:5.1f} fire", took)
    print(*rounds.lines({}), sep="\n")
    return rounds.document()
