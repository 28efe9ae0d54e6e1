"""LeadMaster under measure: a backtest of a whole database, and the evaluator row by row."""

from __future__ import annotations

import json
import sys
import time
from functools import cache
from resource import RUSAGE_SELF, getrusage

import rules
from bench.backtest import past_decisions
from bench.processes import measure, serve_orders
from daemon.backtest import messages
from daemon.backtest.process import answer_backtest
from daemon.rulesets import rule_files
from daemon.settings import RulesSettings

_CANDIDATE = "format: leadmaster/gate@1\nthresholds: [{verdict: allow, from: 75}]\n"
ROW_COUNT = 2_000


def run_backtest(*, database: str) -> dict[str, object]:
    """Run one backtest as `leadmaster rules backtest` does: files read, flips named."""
    candidate = rules.RuleFile("gate.yaml", _CANDIDATE, own=True)
    files = (*rule_files.read_shipped_files(RulesSettings()), candidate)
    request = messages.BacktestRequest(
        database,
        past_decisions.FIRST_DECISION_AT,
        tuple(map(rule_files.to_rule_file_content, files)),
        "both",
        40,
    )
    begun, used = time.perf_counter(), time.process_time()
    *_, found = answer_backtest(request)
    cpu, wall = time.process_time() - used, time.perf_counter() - begun
    if not isinstance(found, messages.BacktestReport) or found.disagreed:
        sys.exit(f"the backtest failed: {found}")
    return {
        "wall": wall / found.decisions * 1e6,
        "cpu": cpu / found.decisions * 1e6,
        "rss": getrusage(RUSAGE_SELF).ru_maxrss / 1024,
        "decisions": found.decisions,
        "flips": sum(found.flips.values()),
    }


@cache
def build_evaluator(engines: rules.EngineChoice) -> rules.RuleEvaluator:
    """Return the judge of the shipped gate."""
    return rules.RuleEvaluator(rules.load_ruleset([rules.DEFAULTS / "gate.yaml"]), engines)


@cache
def build_rows() -> list[str]:
    """Return rows as they are stored."""
    return [json.dumps(facts) for facts in past_decisions.iter_snapshots(ROW_COUNT)]


def judge_rows(*, engines: rules.EngineChoice) -> dict[str, object]:
    """Judge each row of the sample by itself."""
    ours, given = build_evaluator(engines), build_rows()
    return measure(lambda number: ours.decide(json.loads(given[number])), ROW_COUNT)


def run_order(*, database: str = "", engines: rules.EngineChoice = "both") -> dict[str, object]:
    """Carry out one order or the other."""
    return run_backtest(database=database) if database else judge_rows(engines=engines)


if __name__ == "__main__":
    serve_orders(run_order)
