"""Our backtest of a whole database, and our judge row by row, which is what it has to beat."""

from __future__ import annotations

import json
import sys
import time
from functools import cache
from resource import RUSAGE_SELF, getrusage

import rules
from bench.backtest import past
from bench.child import obey, timed
from daemon.hindsight import report
from daemon.hindsight.worker import answered
from daemon.rulebook import folder, lines
from daemon.rulebook.lines import Engines
from daemon.settings import RulesSettings

_CANDIDATE = "format: leadmaster/gate@1\nthresholds: [{verdict: allow, from: 75}]\n"
ROWS = 2_000


def compared(*, database: str) -> dict[str, object]:
    """Run one backtest as `leadmaster rules backtest` does: files read, flips named."""
    candidate = rules.RuleFile("gate.yaml", _CANDIDATE, own=True)
    files = (*folder.shipped(RulesSettings()), candidate)
    request = report.Request(database, past.BEGIN, tuple(map(lines.plain, files)), "both", 40)
    begun, used = time.perf_counter(), time.process_time()
    *_, found = answered(request)
    cpu, wall = time.process_time() - used, time.perf_counter() - begun
    if not isinstance(found, report.BacktestReport) or found.disagreed:
        sys.exit(f"the backtest failed: {found}")
    return {
        "wall": wall / found.decisions * 1e6,
        "cpu": cpu / found.decisions * 1e6,
        "rss": getrusage(RUSAGE_SELF).ru_maxrss / 1024,
        "decisions": found.decisions,
        "flips": sum(found.flips.values()),
    }


@cache
def judge(engines: Engines) -> rules.Judge:
    """Return the judge of the shipped gate."""
    return rules.Judge(rules.load([rules.DEFAULTS / "gate.yaml"]), engines)


@cache
def rows() -> list[str]:
    """Return rows as they are stored."""
    return [json.dumps(facts) for facts in past.snapshots(ROWS)]


def judged(*, engines: Engines) -> dict[str, object]:
    """Judge each row of the sample by itself."""
    ours, given = judge(engines), rows()
    return timed(lambda number: ours.decide(json.loads(given[number])), ROWS)


def carried_out(*, database: str = "", engines: Engines = "both") -> dict[str, object]:
    """Carry out one order or the other."""
    return compared(database=database) if database else judged(engines=engines)


if __name__ == "__main__":
    obey(carried_out)
