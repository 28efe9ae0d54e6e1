"""Memory over 200,000 decisions and 1,000 reloads: printed, and an error where it grows.

`make soak-rules`; a short form of it runs with the tests.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from rules import DEFAULTS, RuleEvaluator, load_ruleset
from rules.examples import baseline_facts

DECISIONS, RELOADS = 200_000, 1_000
_PAGE_BYTES = 4_096
_MAX_GROWTH = 8_000_000  # bytes: what an allocator may keep, not what a leak would take
_SAMPLES = 5


def main() -> int:
    """Run both soaks; return 1 where memory grows."""
    ruleset = load_ruleset([DEFAULTS / "gate.yaml"])
    facts = baseline_facts(ruleset)
    judge = RuleEvaluator(ruleset)

    def decide() -> None:
        judge.decide(facts)

    def reload() -> None:
        fresh = RuleEvaluator(ruleset)
        fresh.decide(facts)

    grown = [_run_soak("decisions", decide, DECISIONS), _run_soak("reloads", reload, RELOADS)]
    return int(max(grown) > _MAX_GROWTH)


def _run_soak(name: str, work: Callable[[], None], times: int) -> int:
    """Work that often and print the memory on the way; return by how much it grew."""
    for _ in range(max(1, times // 100)):
        work()
    first, begun = _resident_bytes(), time.perf_counter()
    for mark in range(1, _SAMPLES + 1):
        for _ in range(times // _SAMPLES):
            work()
        done, rate = (
            times * mark // _SAMPLES,
            times * mark / _SAMPLES / (time.perf_counter() - begun),
        )
        print(f"{done:>8} {name}: {_resident_bytes() >> 20} MB resident, {rate:,.0f} a second")
    grown = _resident_bytes() - first
    print(f"{name}: {grown / 1e6:+.1f} MB")
    return grown


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES


if __name__ == "__main__":
    sys.exit(main())
