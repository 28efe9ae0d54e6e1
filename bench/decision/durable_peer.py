"""Peer: durable-rules as its own documentation shows it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

from durable.engine import Host

from bench.decision.workload import KNOWN_FACTS, sent_counts
from bench.processes import measure, serve_orders

trace: list[dict[str, object]] = []


def build_action(number: int) -> Callable[[object], None]:
    """Return what a rule does when it fires."""
    return lambda _: trace.append({"id": f"r{number}", "points": 1, "reason": "r"})


@cache
def build_host(size: int) -> Any:  # noqa: ANN401 - the package is untyped
    """Return a host of so many rules.

    A fact that no rule matches is refused: a decision on which nothing fires needs one rule more.
    """
    conditions = [
        {"$and": [{"$gte": {"sent_30d": n}}, {"$lt": {"sent_7d": n + 1}}]} for n in range(size)
    ]
    gate: dict[str, object] = {
        f"r{n}": {"all": [{"m": when}], "run": build_action(n)} for n, when in enumerate(conditions)
    }
    gate["any"] = {"all": [{"m": {"$lt": {"score": 101}}}], "run": lambda _: None}
    made = Host()
    made.set_rulesets({"gate": gate})
    return made


def run_decisions(*, count: int, size: int, every: bool) -> dict[str, object]:
    """Decide that often."""
    theirs, fired = build_host(size), 0

    def decide(number: int) -> None:
        nonlocal fired
        month, week = sent_counts(number, size, every=every)
        fact = {"id": 1, "sid": 1, **KNOWN_FACTS, "sent_30d": month, "sent_7d": week}
        trace.clear()
        theirs.assert_fact("gate", fact)
        theirs.retract_fact("gate", fact)
        json.dumps({"score": min(100, 50 + sum(1 for _ in trace)), "fired": trace})
        fired += len(trace)

    return {**measure(decide, count), "fired": fired}


if __name__ == "__main__":
    serve_orders(run_decisions)
