"""`python -m bench [JOB…]`: run the measurements, print them, and write each as JSON."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping

from bench import campaign, contact_requests, linked, whole
from bench.backtest import driver as backtest
from bench.decision import driver as decision
from bench.fanout import driver as fanout
from bench.gate import driver as gate
from bench.imports import driver as imports
from bench.processes import PEERS

JOBS: Mapping[str, Callable[[int], object]] = {
    "decision": lambda _: decision.run(),
    "backtest": backtest.run,
    "fanout": lambda _: fanout.run(),
    "requests": lambda _: contact_requests.run(),
    "import": imports.run,
    "gate": lambda _: gate.run(),
    "campaign": lambda _: campaign.run(),
    "linked": lambda _: linked.run(),
    "whole": lambda _: whole.run(),
}
"""By name; each takes the number of rows, where it has any."""


def main() -> None:
    """Run what was asked for; everything where nothing was."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("job", nargs="*", help=f"one of {', '.join(JOBS)}; none: all of them")
    parser.add_argument(
        "--rows",
        type=int,
        default=100_000,
        help="decisions of the backtest, and records of the import",
    )
    asked = parser.parse_args()
    unknown = sorted(set(asked.job) - JOBS.keys())
    if unknown:
        parser.error(f"there is no job {unknown[0]}: it is one of {', '.join(JOBS)}")
    PEERS.mkdir(parents=True, exist_ok=True)
    for job in asked.job or JOBS:
        print(f"== {job}: {_describe_load()}")
        begun, before = time.monotonic(), os.getloadavg()
        found = JOBS[job](asked.rows)
        print(f"== {job}: {time.monotonic() - begun:.0f} s, {_describe_load()}")
        text = json.dumps({"load": [before, os.getloadavg()], "found": found}, indent=1)
        (PEERS / f"{job}.json").write_text(text, encoding="utf-8")


def _describe_load() -> str:
    return f"load average {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores"


if __name__ == "__main__":
    main()
