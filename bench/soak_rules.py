"""Memory over 200,000 decisions and 1,000 reloads: printed, and an error where it grows.

`make soak-rules`; a short form of it runs with the tests.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from rules import DEFAULTS, Judge, load
from rules.examples import baseline

DECISIONS, RELOADS = 200_000, 1_000
_PAGE = 4_096
_MOST_GROWTH = 8_000_000  # bytes: what an allocator may keep, not what a leak would take
_MARKS = 5


def main() -> int:
    """Run both soaks; return 1 where memory grows."""
    ruleset = load([DEFAULTS / "gate.yaml"])
    facts = baseline(ruleset)
    judge = Judge(ruleset)

    def decide() -> None:
        judge.decide(facts)

    def reload() -> None:
        fresh = Judge(ruleset)
        fresh.decide(facts)

    grown = [_soaked("decisions", decide, DECISIONS), _soaked("reloads", reload, RELOADS)]
    return int(max(grown) > _MOST_GROWTH)


def _soaked(name: str, work: Callable[[], None], times: int) -> int:
    """Work that often and print the memory on the way; return by how much it grew."""
    for _ in range(max(1, times // 100)):
        work()
    first, begun = _resident(), time.perf_counter()
    for mark in range(1, _MARKS + 1):
        for _ in range(times // _MARKS):
            work()
        done, rate = times * mark // _MARKS, times * mark / _MARKS / (time.perf_counter() - begun)
        print(f"{done:>8} {name}: {_resident() >> 20} MB resident, {rate:,.0f} a second")
    grown = _resident() - first
    print(f"{name}: {grown / 1e6:+.1f} MB")
    return grown


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE


if __name__ == "__main__":
    sys.exit(main())
