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
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import past

import rules
from daemon.hindsight import report
from daemon.hindsight.worker import answered
from daemon.rulebook import folder, lines
from daemon.settings import RulesSettings
from rules.examples import baseline

ROUNDS = 5
DECISIONS = 2_000
STORED = 100_000
ALONE = "our judge row by row, the reference alone"
BOTH = "our judge row by row, durable-rules beside it"
SIZES = (10, 26, 100, 200)
KNOWN = {
    "score": 50,
    "permission": "opted_in",
    "kind": "commercial",
    "on_whatsapp": "yes",
    "suppressed": False,
    "validado_tecnicamente": True,
    "first_contact": False,
}
"""What every decision knows besides: the facts that ours requires, for the peers to carry too."""

HOST = """
import json, sys, time
from durable.engine import Host
count, size, every = map(int, sys.argv[1:])
trace = []
def action(number):
    return lambda c: trace.append({"id": f"r{number}", "points": 1, "reason": "r"})
def rule(number, when):
    return {"all": [{"m": when}], "run": action(number)}
rules = {f"r{n}": rule(n, {"$and": [{"$gte": {"sent_30d": n}}, {"$lt": {"sent_7d": n + 1}}]})
         for n in range(size)}
# A fact that no rule matches is refused: the post that fires nothing needs one rule more.
rules["any"] = {"all": [{"m": {"$lt": {"score": 101}}}], "run": lambda c: None}
host = Host()
host.set_rulesets({"gate": rules})
known = json.loads(sys.stdin.read())
decided = fired = 0
begun = time.process_time()
for number in range(count):
    month, week = (size, 0) if every else (number % size, number % 7)
    fact = {"id": 1, "sid": 1, **known, "sent_30d": month, "sent_7d": week}
    trace.clear()
    host.assert_fact("gate", fact)
    host.retract_fact("gate", fact)
    said = {"score": min(100, 50 + sum(each["points"] for each in trace)), "fired": trace}
    json.dumps(said)
    fired += len(trace)
print(fired, time.process_time() - begun)
"""

NODE = """
const { Engine } = require("json-rules-engine");
const [count, size, all] = process.argv.slice(1).map(Number);
const known = JSON.parse(require("fs").readFileSync(0));
(async () => {
  const engine = new Engine();
  for (let n = 0; n < size; n++) engine.addRule({
    conditions: { all: [
      { fact: "sent_30d", operator: "greaterThanInclusive", value: n },
      { fact: "sent_7d", operator: "lessThan", value: n + 1 } ] },
    event: { type: "r" + n, params: { points: 1, reason: "r" } } });
  let fired = 0;
  const begun = process.cpuUsage();
  for (let number = 0; number < count; number++) {
    const [month, week] = all ? [size, 0] : [number % size, number % 7];
    const { events } = await engine.run({ ...known, sent_30d: month, sent_7d: week });
    JSON.stringify({ score: Math.min(100, 50 + events.length), fired: events });
    fired += events.length;
  }
  const used = process.cpuUsage(begun);
  console.log(fired, (used.user + used.system) / 1e6);
})();
"""


@dataclass(frozen=True)
class Load:
    """So many decisions by so many rules; `all_fire`, or about four in ten of them."""

    count: int
    size: int
    all_fire: bool

    def sent(self, number: int) -> tuple[int, int]:
        """Messages in 30 and in 7 days, for one decision."""
        return (self.size, 0) if self.all_fire else (number % self.size, number % 7)

    @property
    def words(self) -> list[str]:
        """The load as the peers' arguments."""
        return [str(self.count), str(self.size), str(int(self.all_fire))]


class Taken(NamedTuple):
    """How often a rule fired, which must be the same for all, and the seconds of CPU."""

    fired: int
    seconds: float


Peer = Callable[[Load], Taken | None]


def made(size: int) -> rules.RuleSet:
    """A gate of so many rules of two comparisons each, as the peers have them."""
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
        return rules.load([Path(file.name)])


def ours(load: Load) -> Taken:
    """Both engines, and the whole trace as JSON: what the gate does for each message."""
    judge = rules.Judge(made(load.size))
    facts = {**baseline(judge.ruleset), "message.approved": False}
    times, fired, used = [], 0, time.process_time()
    for number in range(load.count):
        begun = time.perf_counter()
        month, week = load.sent(number)
        given = {**facts, "history.sent_30d": month, "history.sent_7d": week}
        decision = judge.decide(given)
        json.dumps(decision.to_dict())
        fired += len(decision.contributions)
        times.append(time.perf_counter() - begun)
    taken = time.process_time() - used
    judge.close()
    p50, p99 = statistics.median(times), statistics.quantiles(times, n=100)[98]
    print(
        f"    {load.size:>4} rules, {fired / load.count:5.1f} fire: p50 {p50 * 1e6:5.0f} µs,"
        f" p99 {p99 * 1e6:5.0f} µs, CPU {taken / load.count * 1e6:5.0f} µs"
    )
    return Taken(fired, taken)


def host(load: Load) -> Taken | None:
    """durable-rules as its own documentation shows it: assert, its actions, retract.

    `post` is no peer: of all rules that an event matches, it fires one.
    """
    return _said([sys.executable, "-c", HOST, *load.words])


def rule_engine(load: Load) -> Taken | None:
    """The package of that name: one expression for each rule."""
    if find_spec("rule_engine") is None:
        return None
    import rule_engine as peer  # noqa: PLC0415 - measured only where somebody installed it

    compiled = [peer.Rule(f"sent_30d >= {n} and sent_7d < {n + 1}") for n in range(load.size)]
    fired, begun = 0, time.process_time()
    for number in range(load.count):
        month, week = load.sent(number)
        facts = {**KNOWN, "sent_30d": month, "sent_7d": week}
        trace = [f"r{n}" for n, rule in enumerate(compiled) if rule.matches(facts)]
        json.dumps({"score": min(100, 50 + len(trace)), "fired": trace})
        fired += len(trace)
    return Taken(fired, time.process_time() - begun)


def json_rules_engine(load: Load) -> Taken | None:
    """The usual one of Node; NODE_PATH says where it is installed."""
    node = shutil.which("node")
    return None if node is None else _said([node, "-e", NODE, *load.words])


def _said(command: Sequence[str]) -> Taken | None:
    ran = subprocess.run(  # noqa: S603 - ours
        command, input=json.dumps(KNOWN), capture_output=True, text=True, check=False, timeout=100
    )
    if ran.returncode != 0 or not ran.stdout.strip():
        return None
    fired, seconds = ran.stdout.split()[-2:]
    return Taken(int(fired), float(seconds))


PEERS: dict[str, Peer] = {
    "durable-rules Host": host,
    "rule-engine": rule_engine,
    "json-rules-engine": json_rules_engine,
}


def decision() -> None:
    """Ratios of one decision with 26 rules, and its cost with 10 to 200."""
    print("decision: both engines and the whole trace; ratios of CPU")
    for all_fire in (False, True):
        load = Load(DECISIONS, 26, all_fire)
        ratios: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            own = ours(load)
            for name, peer in PEERS.items():
                taken = peer(load)
                if taken is not None:
                    if taken.fired != own.fired:
                        sys.exit(f"{name} fired {taken.fired} rules, not {own.fired}")
                    ratios.setdefault(name, []).append(taken.seconds / own.seconds)
        for name in PEERS:
            print(f"  {name}: {_ratio(ratios[name]) if name in ratios else 'not present'}")
    for size in SIZES:
        ours(Load(DECISIONS, size, all_fire=False))


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
        ratios: dict[str, list[float]] = {ALONE: [], BOTH: []}
        for _ in range(3):
            begun, used = time.perf_counter(), time.process_time()
            *_, found = answered(request)
            wall, taken = time.perf_counter() - begun, time.process_time() - used
            print(f"  {wall:.2f} s, CPU {taken:.2f} s, {_flips(found)}")
            for name, engines in ((ALONE, "reference"), (BOTH, "both")):
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
