"""LeadMaster under measure: both engines and the whole trace, as the gate does for each message."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import rules
from bench.decision.workload import sent_counts
from bench.processes import measure, serve_orders
from rules.examples import baseline_facts
from storage.column_formats import encode_json


@cache
def build_evaluator(size: int) -> rules.RuleEvaluator:
    """Return a gate of so many rules of two comparisons each, as the peers have them."""
    head = (
        "format: leadmaster/gate@1\n"
        "score: {base: prospect.score_contactabilidad, min: 0, max: 100}\n"
        "thresholds: [{verdict: allow, from: 70}, {verdict: block, from: 0}]\nscores:\n"
    )
    body = "".join(
        f"  - {{id: r{n}, points: 1, reason: r,"
        f" when: {{history.sent_30d|gte: {n}, history.sent_7d|lt: {n + 1}}}}}\n"
        for n in range(size)
    )
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(head + body)
        file.flush()
        return rules.RuleEvaluator(rules.load_ruleset([Path(file.name)]))


def run_decisions(*, count: int, size: int, every: bool) -> dict[str, object]:
    """Decide that often."""
    ours, fired = build_evaluator(size), 0
    facts = {**baseline_facts(ours.ruleset), "message.approved": False}

    def decide(number: int) -> None:
        nonlocal fired
        month, week = sent_counts(number, size, every=every)
        given = {**facts, "history.sent_30d": month, "history.sent_7d": week}
        decision = ours.decide(given)
        encode_json(decision.to_dict())
        fired += len(decision.contributions)

    return {**measure(decide, count), "fired": fired}


if __name__ == "__main__":
    serve_orders(run_decisions)
