"""The gate's decision and the backtest against the usual alternatives. Ratios of CPU, interleaved.

Run `python bench/bench_rules.py [decision|backtest]`; without a word, both.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import past

import rules
from daemon.hindsight import report
from daemon.hindsight.worker import answered
from daemon.rulebook import folder, lines
from daemon.settings import RulesSettings
from rules.examples import baseline

ROUNDS = 5
DECISIONS = 400
STORED = 100_000
SIZES = (10, 26, 100, 200)

HOST = """
import json, sys, time
from durable.engine import Host
count, size = map(int, sys.argv[1:])
fired = []
def action(name):
    return lambda c: fired.append(name)
rules = {f"r{n}": {"all": [{"m": {"$and": [{"$gte": {"x": n}}, {"$lt": {"y": n}}]}}],
                   "run": action(f"r{n}")} for n in range(size)}
rules["any"] = {"all": [{"m": {"$gte": {"x": 0}}}], "run": action("any")}  # else it complains
host = Host()
host.set_rulesets({"gate": rules})
begun = time.process_time()
for number in range(count):
    fact = {"id": 1, "sid": 1, "x": number % size, "y": number % 7}
    host.assert_fact("gate", fact)
    host.retract_fact("gate", fact)
print(time.process_time() - begun)
"""

NODE = """
const { Engine } = require("json-rules-engine");
const [count, size] = process.argv.slice(1).map(Number);
(async () => {
  const engine = new Engine();
  for (let n = 0; n < size; n++) engine.addRule({
    conditions: { all: [
      { fact: "x", operator: "greaterThanInclusive", value: n },
      { fact: "y", operator: "lessThan", value: n } ] },
    event: { type: "r" + n } });
  const begun = process.cpuUsage();
  for (let number = 0; number < count; number++)
    await engine.run({ x: number % size, y: number % 7 });
  const used = process.cpuUsage(begun);
  console.log((used.user + used.system) / 1e6);
})();
"""

Peer = Callable[[int, int], float | None]


def made(size: int) -> rules.RuleSet:
    """A gate of so many rules of two comparisons each, as the peers have them."""
    head = (
        "format: leadmaster/gate@1\n"
        "score: {base: prospect.score_contactabilidad, min: 0, max: 100}\n"
        "thresholds: [{verdict: allow, from: 70}, {verdict: block, from: 0}]\nscores:\n"
    )
    body = "".join(
        f"  - {{id: r{n}, points: 1, reason: r,"
        f" when: {{history.sent_30d|gte: {n}, history.sent_7d|lt: {n}}}}}\n"
        for n in range(size)
    )
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(head + body)
        file.flush()
        return rules.load([Path(file.name)])


def ours(count: int, size: int) -> float:
    """Both engines, and the whole trace as JSON: what the gate does for each message."""
    judge = rules.Judge(made(size))
    facts = {**baseline(judge.ruleset), "message.approved": False}
    times, used = [], 0.0
    for number in range(count):
        given = {**facts, "history.sent_30d": number % size, "history.sent_7d": number % 7}
        begun, cpu = time.perf_counter(), time.process_time()
        json.dumps(judge.decide(given).to_dict())
        times.append(time.perf_counter() - begun)
        used += time.process_time() - cpu
    judge.close()
    p99 = statistics.quantiles(times, n=100)[98]
    p50 = statistics.median(times)
    print(f"    {size:>4} rules: p50 {p50 * 1e6:7.0f} µs, p99 {p99 * 1e6:7.0f} µs")
    return used


def host(count: int, size: int) -> float | None:
    """durable-rules as its own documentation shows it."""
    return _said([sys.executable, "-c", HOST, str(count), str(size)])


def rule_engine(count: int, size: int) -> float | None:
    """The package of that name: one expression for each rule."""
    if find_spec("rule_engine") is None:
        return None
    import rule_engine as peer  # noqa: PLC0415 - measured only where somebody installed it

    compiled = [peer.Rule(f"x >= {n} and y < {n}") for n in range(size)]
    begun = time.process_time()
    for number in range(count):
        facts = {"x": number % size, "y": number % 7}
        [rule.matches(facts) for rule in compiled]
    return time.process_time() - begun


def json_rules_engine(count: int, size: int) -> float | None:
    """The usual one of Node; NODE_PATH says where it is installed."""
    node = shutil.which("node")
    return None if node is None else _said([node, "-e", NODE, str(count), str(size)])


def _said(command: Sequence[str]) -> float | None:
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)  # noqa: S603 - ours
    return float(ran.stdout.split()[-1]) if ran.returncode == 0 and ran.stdout.strip() else None


PEERS: dict[str, Peer] = {
    "durable-rules Host": host,
    "rule-engine": rule_engine,
    "json-rules-engine": json_rules_engine,
}


def decision() -> None:
    """Ratios of one decision with 26 rules, and its cost with 10 to 200."""
    print("decision: both engines and the whole trace")
    ratios: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        own = ours(DECISIONS, 26)
        for name, peer in PEERS.items():
            taken = peer(DECISIONS, 26)
            if taken is not None:
                ratios.setdefault(name, []).append(taken / own)
    for name in PEERS:
        print(f"  {name}: {_ratio(ratios[name]) if name in ratios else 'not present'}")
    for size in SIZES:
        ours(DECISIONS, size)


def backtest() -> None:
    """One hundred thousand stored decisions, against judging each row by itself."""
    print(f"backtest: {STORED} stored decisions, loading, per-rule hits and flips included")
    with tempfile.TemporaryDirectory() as place:
        path = past.made(Path(place), STORED)
        candidate = rules.RuleFile(
            "gate.yaml",
            "format: leadmaster/gate@1\nthresholds: [{verdict: allow, from: 75}]\n",
            own=True,
        )
        files = (*folder.shipped(RulesSettings()), candidate)
        request = report.Request(str(path), past.BEGIN, tuple(map(lines.plain, files)), "both", 40)
        ratios: dict[str, list[float]] = {"naive loop": [], "durable-rules": []}
        for _ in range(3):
            begun, used = time.perf_counter(), time.process_time()
            *_, found = answered(request)
            wall, taken = time.perf_counter() - begun, time.process_time() - used
            print(f"  {wall:.2f} s, CPU {taken:.2f} s, {_flips(found)}")
            for name, engines in (("naive loop", "reference"), ("durable-rules", "both")):
                ratios[name].append(_row_by_row(engines) * STORED / taken)
        for name, found_ratios in ratios.items():
            print(f"  {name}: {_ratio(found_ratios)}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"  peak RSS {peak} MB, load average {os.getloadavg()[0]:.1f}")


def _row_by_row(engines: str, count: int = 2_000) -> float:
    """Seconds for one row, when each is judged by itself."""
    ruleset = rules.load([rules.DEFAULTS / "gate.yaml"])
    judge = rules.Judge(ruleset, "both" if engines == "both" else "reference")
    rows = [json.dumps(facts) for facts in past.snapshots(count)]
    begun = time.process_time()
    for row in rows:
        judge.decide(json.loads(row))
    return (time.process_time() - begun) / count


def _flips(found: object) -> str:
    return f"{sum(found.flips.values())} flips" if isinstance(found, report.Report) else str(found)


def _ratio(found: Sequence[float]) -> str:
    return f"{statistics.median(found):.1f}× ({min(found):.1f}..{max(found):.1f})"


JOBS = {"decision": decision, "backtest": backtest}

if __name__ == "__main__":
    for job in sys.argv[1:] or JOBS:
        JOBS[job]()
