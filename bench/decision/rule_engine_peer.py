"""The package `rule-engine`: one expression for each rule."""

from __future__ import annotations

import json
from functools import cache

import rule_engine

from bench.decision.workload import KNOWN_FACTS, sent_counts
from bench.processes import measure, serve_orders


@cache
def compile_rules(size: int) -> list[rule_engine.Rule]:
    """Return so many rules."""
    return [rule_engine.Rule(f"sent_30d >= {n} and sent_7d < {n + 1}") for n in range(size)]


def run_decisions(*, count: int, size: int, every: bool) -> dict[str, object]:
    """Decide that often."""
    rules, fired = compile_rules(size), 0

    def decide(number: int) -> None:
        nonlocal fired
        month, week = sent_counts(number, size, every=every)
        facts = {**KNOWN_FACTS, "sent_30d": month, "sent_7d": week}
        trace = [
            {"id": f"r{n}", "points": 1, "reason": "r"}
            for n, rule in enumerate(rules)
            if rule.matches(facts)
        ]
        json.dumps({"score": min(100, 50 + len(trace)), "fired": trace})
        fired += len(trace)

    return {**measure(decide, count), "fired": fired}


if __name__ == "__main__":
    serve_orders(run_decisions)
