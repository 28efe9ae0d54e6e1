"""A backtest of stored decisions, against durable-rules and a naive loop over rows of the same."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

from bench.backtest import past_decisions
from bench.processes import BenchProcess, build_command, start_processes
from bench.rounds import BenchRounds, format_spread

ROUNDS = 5
OURS = "our backtest"
SAMPLES: dict[str, dict[str, object]] = {
    "durable-rules Host, rows as stored": {"whole": True},
    "durable-rules Host, only the facts that rules read": {"whole": False},
    "our judge row by row, the reference alone": {"engines": "reference"},
    "our judge row by row, both engines": {"engines": "both"},
}
"""Each is measured on 2,000 of the rows: what one row costs there is what it costs anywhere."""
GOAL = 50


def run(rows: int) -> object:
    """Print what a whole backtest takes, and how often it fits into what the others would."""
    with tempfile.TemporaryDirectory() as place:
        database = past_decisions.build_database_sync(Path(place), rows)
        commands = {
            "ours": build_command("bench.backtest.leadmaster_peer"),
            "host": build_command("bench.backtest.durable_peer"),
        }
        with start_processes(commands) as children:
            rounds = _measure_rounds(str(database), children["ours"], children["host"])
    for line in _format_rounds(rounds):
        print(line)
    return rounds.document("cpu", "wall")


def _measure_rounds(database: str, ours: BenchProcess, host: BenchProcess) -> BenchRounds:
    rounds = BenchRounds("backtest", OURS)
    for number in range(-1, ROUNDS):
        took = {OURS: ours.run_order(database=database)}
        for name, order in SAMPLES.items():
            took[name] = (host if "whole" in order else ours).run_order(**order)
        if number >= 0:  # the one before warms up
            for name, each in took.items():
                rounds.add(name, each)
    return rounds


def _format_rounds(rounds: BenchRounds) -> list[str]:
    own = rounds.took[OURS]
    count = own[0]["decisions"]
    seconds = {what: sorted(each[what] * count / 1e6 for each in own) for what in ("wall", "cpu")}
    said = [f"{count:,.0f} stored decisions, {own[0]['flips']:,.0f} flips; files and rows read"]
    for what, name in (("wall", "time"), ("cpu", "CPU")):
        all_, least, most = seconds[what], seconds[what][0], seconds[what][-1]
        said.append(f"  {OURS}: {name} {median(all_):.2f} s ({least:.2f}..{most:.2f})")
    said.append(f"  {OURS}: peak RSS {max(each['rss'] for each in own):.0f} MB")
    for name in SAMPLES:
        cpu = median(each["cpu"] for each in rounds.took[name])
        ratio = format_spread(rounds.ratios(name, "cpu"))
        goal = f"; goal {GOAL}×" if "Host" in name else ""
        said.append(f"  {name}: CPU {cpu:,.1f} µs a row, ours takes {ratio} less{goal}")
    return said
