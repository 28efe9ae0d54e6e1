"""Both engines, and the whole trace as it is stored: what the gate does for each message."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import rules
from bench.child import obey, timed
from bench.decision.load import sent
from rules.examples import baseline
from storage.documents import written


@cache
def judge(size: int) -> rules.Judge:
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
        return rules.Judge(rules.load([Path(file.name)]))


def decided(*, count: int, size: int, every: bool) -> dict[str, object]:
    """Decide that often."""
    ours, fired = judge(size), 0
    facts = {**baseline(ours.ruleset), "message.approved": False}

    def decide(number: int) -> None:
        nonlocal fired
        month, week = sent(number, size, every=every)
        given = {**facts, "history.sent_30d": month, "history.sent_7d": week}
        decision = ours.decide(given)
        written(decision.to_dict())
        fired += len(decision.contributions)

    return {**timed(decide, count), "fired": fired}


if __name__ == "__main__":
    obey(decided)
